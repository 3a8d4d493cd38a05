"""Tencent's own SDKs, both of them, talk to the API over HTTP."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from slicer.api import Listen, make_app, open_server
from slicer.errors import TaskEnded, TaskNotExist
from slicer.http import Server
from slicer.service.serving import serving
from slicer.service.settings import ServeSettings, ServiceSettings, VendorSettings
from slicer.slicing.subscription import Subscription
from tests.harness.moderation.scripted import ScriptedSupplier, install
from tests.harness.service.api import APP, KEY, KEY_ID, OTHER, SEEDS, STATUS, Recorder
from tests.harness.service.sdk import SDKS, Sdk

VENDORS = VendorSettings(s3_endpoint="http://127.0.0.1:9", cos_endpoint="http://127.0.0.1:9")
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
    orders.error = TaskEnded("task-1 has ended")
    (finished,) = await sdk.call(("DescribeCloudSliceTask", TASK))
    assert finished["code"] == "FailedOperation.TaskFinished"
    orders.error = TaskNotExist("no such task")
    (unknown,) = await sdk.call(("DeleteCloudModeration", TASK.replace("task-1", "task-2")))
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


async def test_the_real_service_behind_it(
    sdk: Sdk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, ScriptedSupplier(), "ace")
    settings = ServiceSettings(
        serve=ServeSettings(state=str(tmp_path / "state")), vendors=VENDORS, apps=(APP, OTHER)
    )
    apps = {app.sdk_app_id: app for app in settings.apps}
    async with serving(settings) as cloud:
        real = await open_server(make_app(apps, cloud), Listen("127.0.0.1", 0))
        here = replace(sdk, port=real.port)
        # Both examples name the same robot in the same room: the second would replace the first.
        second = SEED[MODERATION].replace('"inspect"', '"inspect-2"')
        slices, moderation = await here.call((SLICE, SEED[SLICE]), (MODERATION, second))
        task = json.dumps({"SdkAppId": 200806, "TaskId": slices["TaskId"]})
        judged = json.dumps({"SdkAppId": 200806, "TaskId": moderation["TaskId"]})
        lists = {"UnSubscribeAudioUserIds": ["bob", "x.*$"]}
        modify = json.dumps(json.loads(judged) | {"SubscribeStreamUserIds": lists})
        answers = await here.call(
            ("DescribeCloudSliceTask", task),
            ("DescribeCloudModeration", task),
            ("ModifyCloudModeration", modify),
            ("DescribeCloudModeration", judged),
            ("DeleteCloudSliceTask", task),
            ("DeleteCloudModeration", judged),
        )
        assert answers[0]["Status"] == "Idle"
        assert answers[1]["code"] == "FailedOperation.TaskNotExist"
        assert answers[3]["SubscribeStreamUserIds"]["UnSubscribeAudioUserIds"] == ["bob", "x.*$"]
        assert answers[4]["TaskId"] == slices["TaskId"]
        assert await ended(here, task) == "FailedOperation.TaskFinished"
        stranger = Sdk(real.port, sdk.name, *OTHER.secrets[0])
        another = json.dumps(json.loads(task) | {"SdkAppId": OTHER.sdk_app_id})
        (refused,) = await stranger.call(("DescribeCloudSliceTask", another))
        assert refused["code"] == "FailedOperation.TaskNotExist"
        await real.close()


async def ended(sdk: Sdk, task: str) -> str:
    """The code that Describe has for a task, once it answers no status any more."""
    async with asyncio.timeout(20):
        while True:
            (answer,) = await sdk.call(("DescribeCloudSliceTask", task))
            if "code" in answer:
                return str(answer["code"])
            assert answer["Status"] == "Exited"
