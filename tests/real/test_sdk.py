"""Tencent's own SDKs, both of them, talk to the API over HTTP."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from slicer.api import Listen, make_app, open_server
from slicer.errors import TaskFinished, TaskNotExist
from slicer.rooms.server import Server
from slicer.slicing.subscription import Subscription
from tests.harness.api import APP, KEY, KEY_ID, SEEDS, STATUS, Recorder
from tests.harness.sdk import SDKS, Sdk

SLICE, MODERATION = "CreateCloudSliceTask", "CreateCloudModeration"
SEED = {name: (SEEDS / f"{name}.json").read_text() for name in (SLICE, MODERATION)}
TASK = json.dumps({"SdkAppId": 200806, "TaskId": "task-1"})
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def orders() -> Recorder:
    return Recorder()


@pytest.fixture
async def server(orders: Recorder) -> AsyncIterator[Server]:
    server = await open_server(make_app({APP.sdk_app_id: APP}, orders), Listen("127.0.0.1", 0))
    yield server
    await server.close()


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest, server: Server) -> Sdk:
    folder = SDKS[request.param]
    if folder is not None and not folder.exists():
        pytest.skip(f"pip install --target {folder.name} tencentcloud-sdk-python-intl-en")
    return Sdk(server.port, request.param, KEY_ID, KEY)


async def test_both_seeds_word_for_word(sdk: Sdk, orders: Recorder) -> None:
    slices, moderation = await sdk.call((SLICE, SEED[SLICE]), (MODERATION, SEED[MODERATION]))
    assert slices["TaskId"] == "task-1"
    assert moderation["TaskId"] == "task-2"
    assert UUID.fullmatch(slices["RequestId"])
    first, second = orders.orders
    assert first.bucket is not None
    assert first.bucket.bucket == "av-recover-prod-1258344699"
    assert first.bucket.prefix == ("prefix1",)
    assert second.moderation is not None
    assert second.moderation.supplier.name == "ace"


async def test_a_task_from_describe_to_delete(sdk: Sdk, orders: Recorder) -> None:
    orders.status = replace(STATUS, subscription=Subscription.of(block_audio=["bob", "x.*$"]))
    lists = {"SubscribeAudioUserIds": ["ann", "1.*$"], "UnSubscribeVideoUserIds": ["bob"]}
    modify = json.dumps(json.loads(TASK) | {"SubscribeStreamUserIds": lists})
    for noun in ("CloudSliceTask", "CloudModeration"):
        described, modified, deleted = await sdk.call(
            (f"Describe{noun}", TASK), (f"Modify{noun}", modify), (f"Delete{noun}", TASK)
        )
        assert (described["TaskId"], described["Status"]) == ("task-1", "InProgress")
        assert modified["TaskId"] == deleted["TaskId"] == "task-1"
    told = described["SubscribeStreamUserIds"]
    assert told["UnSubscribeAudioUserIds"] == ["bob", "x.*$"]
    assert told["SubscribeVideoUserIds"] == []
    wanted = Subscription.of(allow_audio=["ann", "1.*$"], block_video=["bob"])
    assert orders.modified == [("task-1", wanted), ("task-1", wanted)]
    assert orders.deleted == ["task-1", "task-1"]


async def test_errors_arrive_as_the_sdks_exception(sdk: Sdk, orders: Recorder) -> None:
    body = json.loads(SEED[SLICE])
    body["SliceParams"]["SliceAudio"] = 61
    (refused,) = await sdk.call((SLICE, json.dumps(body)))
    assert refused["code"] == "InvalidParameter.OutOfRange"
    assert refused["message"] == "SliceParams.SliceAudio: got 61; allowed: 15 to 60 (seconds)"
    assert UUID.fullmatch(refused["request_id"])
    orders.error = TaskFinished("task-1 has ended")
    (finished,) = await sdk.call(("DescribeCloudSliceTask", TASK))
    assert finished["code"] == "FailedOperation.TaskFinished"
    orders.error = TaskNotExist("no such task")
    (unknown,) = await sdk.call(("DeleteCloudModeration", TASK))
    assert (unknown["code"], unknown["message"]) == ("FailedOperation.TaskNotExist", "no such task")


async def test_a_wrong_secret(sdk: Sdk, orders: Recorder) -> None:
    for told, code in [
        (replace(sdk, key="wrong"), "AuthFailure.SignatureFailure"),
        (replace(sdk, id="nobody"), "AuthFailure.SecretIdNotFound"),
        (replace(sdk, region="ap-tokyo"), "UnsupportedRegion"),
    ]:
        (refused,) = await told.call((SLICE, SEED[SLICE]))
        assert refused["code"] == code
        assert KEY not in refused["message"]
    assert orders.orders == []


async def test_get_and_unsigned_payloads(sdk: Sdk, orders: Recorder) -> None:
    for told in (replace(sdk, method="GET"), replace(sdk, unsigned_payload=True)):
        (made,) = await told.call((SLICE, SEED[SLICE]))
        assert "TaskId" in made, made
    by_get, by_post = orders.orders
    assert by_get == by_post


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_old_signatures_are_refused(sdk: Sdk, method: str) -> None:
    (refused,) = await replace(sdk, sign="HmacSHA256", method=method).call((SLICE, SEED[SLICE]))
    assert refused["code"] == "AuthFailure.UnsupportedOperation"


async def test_a_body_beyond_the_limit_is_answered(sdk: Sdk) -> None:
    body = json.loads(SEED[SLICE]) | {"UserSig": "x" * 5_000_000}
    (refused,) = await sdk.call((SLICE, json.dumps(body)))
    assert refused["code"] == "RequestSizeLimitExceeded"
