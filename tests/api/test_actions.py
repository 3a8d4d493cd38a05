"""The actions against a taker that records: what is ordered, and what is answered."""

from dataclasses import replace

import pytest

from slicer.api.actions import carry_out
from slicer.api.fields import Reader
from slicer.api.schema import ACTIONS
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import State
from slicer.slicing.subscription import Subscription
from tests.harness.service.api import APP, NOW, STATUS, Recorder, seed

ALL = [
    "SubscribeAudioUserIds",
    "UnSubscribeAudioUserIds",
    "SubscribeVideoUserIds",
    "UnSubscribeVideoUserIds",
]
TASK: dict[str, object] = {"SdkAppId": 200806, "TaskId": "t"}


async def act(name: str, body: dict[str, object], orders: Recorder) -> dict[str, object]:
    action = ACTIONS[name]
    values = Reader().read(action.fields, body)
    return await carry_out(action, APP, values, orders, NOW, "local")


@pytest.mark.parametrize("name", ["CreateCloudSliceTask", "CreateCloudModeration"])
async def test_create(name: str) -> None:
    orders = Recorder()
    assert await act(name, seed(name), orders) == {"TaskId": "task-1"}
    assert [order.product for order in orders.orders] == [ACTIONS[name].product]


async def test_create_of_a_stream_is_judged_by_whom_the_operator_names() -> None:
    orders = Recorder()
    body: dict[str, object] = {
        "SdkAppId": 200806,
        "Input": {"Url": "rtmp://h/live"},
        "LiveModerationParams": {"SaveModerationFile": 0},
    }
    assert await act("CreateLiveStreamModeration", body, orders) == {"TaskId": "task-1"}
    (order,) = orders.orders
    assert order.moderation is not None
    assert order.moderation.supplier.name == "local"


@pytest.mark.parametrize(
    ("state", "tracks", "word"),
    [
        (State.STARTING, (), "Idle"),
        (State.RUNNING, (), "Idle"),
        (State.RUNNING, (("ann", Kind.VIDEO, Role.MAIN),), "InProgress"),
        (State.RECONNECTING, (), "Idle"),
        (State.ENDED, (("ann", Kind.VIDEO, Role.MAIN),), "Exited"),
    ],
)
async def test_describe(
    state: State, tracks: tuple[tuple[str, Kind, Role], ...], word: str
) -> None:
    orders = Recorder(status=replace(STATUS, state=state, tracks=tracks))
    answer = await act("DescribeCloudSliceTask", TASK, orders)
    assert answer == {"TaskId": "t", "Status": word}


async def test_describe_of_moderation_has_the_lists() -> None:
    answer = await act("DescribeCloudModeration", TASK, Recorder())
    assert answer["SubscribeStreamUserIds"] == {name: [] for name in ALL}
    lists = Subscription.of(allow_audio=["b", "a", "x.*$"], block_video=["c"])
    orders = Recorder(status=replace(STATUS, subscription=lists))
    answer = await act("DescribeCloudModeration", TASK, orders)
    assert answer["SubscribeStreamUserIds"] == {name: [] for name in ALL} | {
        "SubscribeAudioUserIds": ["a", "b", "x.*$"],
        "UnSubscribeVideoUserIds": ["c"],
    }


@pytest.mark.parametrize("name", ["ModifyCloudSliceTask", "ModifyCloudModeration"])
async def test_modify_replaces_all_four_lists(name: str) -> None:
    orders = Recorder()
    lists = {"SubscribeStreamUserIds": {"UnSubscribeAudioUserIds": ["ann"]}}
    assert await act(name, TASK | lists, orders) == {"TaskId": "t"}
    assert orders.modified == [("t", Subscription.of(block_audio=["ann"]))]
    await act(name, TASK | {"SubscribeStreamUserIds": {}}, orders)
    assert orders.modified[1] == ("t", Subscription())


async def test_modify_without_lists_changes_nothing() -> None:
    orders = Recorder()
    assert await act("ModifyCloudSliceTask", TASK, orders) == {"TaskId": "t"}
    assert orders.modified == []


@pytest.mark.parametrize("name", ["DeleteCloudSliceTask", "DeleteCloudModeration"])
async def test_delete(name: str) -> None:
    orders = Recorder()
    assert await act(name, TASK, orders) == {"TaskId": "t"}
    assert orders.deleted == ["t"]
