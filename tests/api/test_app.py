"""The ASGI app: sizes, methods, deadlines, health, and logs that tell no secret."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from slicer.api import ApiSettings, make_app
from slicer.api.app import MAX_FILE_BODY, MAX_FILES
from slicer.api.dispatch import MAX_BODY
from slicer.api.schema import AUDIO_SYNC
from slicer.errors import BadInput
from slicer.service.applications import Application
from slicer.service.order import Order
from tests.harness.clock import settle
from tests.harness.service.api import (
    APP,
    Caller,
    Recorder,
    answer_of,
    code_of,
    exchange,
    failing,
    seed,
)

SLICE = "CreateCloudSliceTask"
TASK: dict[str, object] = {"SdkAppId": 200806, "TaskId": "t"}


class Stuck(Recorder):
    """Never done with a create; tells whether it was called off."""

    called_off = False

    async def create(self, _app: Application, _order: Order) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.called_off = True
            raise
        return ""


async def test_an_answer_within_the_deadline() -> None:
    orders = Stuck()
    caller = Caller(orders, settings=ApiSettings(deadline=0.05))
    answer = await caller.post(SLICE, seed(SLICE))
    assert code_of(answer) == "FailedOperation"
    assert orders.called_off


async def test_a_timeout_of_the_service_is_a_fault_of_ours() -> None:
    caller = failing(TimeoutError("planted"))
    assert await caller.code(SLICE, seed(SLICE)) == "InternalError.CSInternalError"


async def test_a_body_that_does_not_come() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    caller = Caller(settings=ApiSettings(deadline=0.05))
    answer = answer_of(await caller.client.post("/", content=slow()))
    assert code_of(answer) == "InvalidRequest"


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1, 20 * 1024 * 1024])
async def test_bodies_up_to_the_limit_and_beyond(size: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 65_536):
            yield b" " * min(65_536, size - start)

    caller = Caller()
    answer = answer_of(await caller.client.post("/", content=chunks()))
    # What is not too large goes on to the signature.
    assert code_of(answer) == ("AuthFailure" if size <= MAX_BODY else "RequestSizeLimitExceeded")


@pytest.mark.parametrize("size", [MAX_BODY + 1, MAX_FILE_BODY, MAX_FILE_BODY + 1])
async def test_a_body_with_a_file_may_be_larger(size: int) -> None:
    headers = {"X-TC-Action": AUDIO_SYNC}
    answer = answer_of(await Caller().client.post("/", content=b" " * size, headers=headers))
    fits = size <= MAX_FILE_BODY
    assert code_of(answer) == ("AuthFailure" if fits else "RequestSizeLimitExceeded")


async def test_no_more_files_at_a_time_than_allowed() -> None:
    over = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await over.wait()

    caller, headers = Caller(), {"X-TC-Action": AUDIO_SYNC}
    waiting = [
        asyncio.ensure_future(caller.client.post("/", content=slow(), headers=headers))
        for _ in range(MAX_FILES)
    ]
    await settle()
    answer = answer_of(await caller.client.post("/", content=b"{}", headers=headers))
    assert code_of(answer) == "RequestLimitExceeded"
    assert code_of(answer_of(await caller.client.post("/", content=b"{}"))) == "AuthFailure"
    over.set()
    assert {code_of(answer_of(await one)) for one in waiting} == {"AuthFailure"}
    answer = answer_of(await caller.client.post("/", content=b"{}", headers=headers))
    assert code_of(answer) == "AuthFailure"


async def test_a_long_query() -> None:
    caller = Caller()
    answer = answer_of(await caller.client.get("/?a=" + "x" * 33_000))
    assert code_of(answer) == "RequestSizeLimitExceeded"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH", "FOO"])
async def test_other_methods(method: str) -> None:
    response = await Caller().client.request(method, "/")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, OPTIONS, POST")
    if method != "HEAD":
        assert code_of(response.json()["Response"]) == "UnsupportedProtocol"


async def test_options() -> None:
    response = await Caller().client.options("/")
    assert (response.status_code, response.headers["allow"]) == (204, "GET, OPTIONS, POST")


async def test_other_paths() -> None:
    answer = await Caller().client.post("/v2/x")
    assert answer.status_code == 404
    assert answer.json()["Response"]["Error"] == {
        "Code": "InvalidRequest",
        "Message": "path: got '/v2/x'; allowed: /",
    }


@pytest.mark.parametrize("host", ["[", "a b", "h:x", "http://h:1", "é"])
async def test_a_host_that_is_none(host: str) -> None:
    headers = {"host": host, "content-type": "application/json"}
    status, body = await exchange(make_app({}, Recorder()), "POST", b"", headers, b"{}")
    assert status == 200
    assert b'"Code":"AuthFailure"' in body


async def test_health_and_readiness() -> None:
    reason = ""
    app = make_app({200806: APP}, Recorder(), busy=lambda: reason)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        reason = "ending"
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200


async def test_request_ids_differ() -> None:
    caller = Caller()
    answers = [await caller.post("DescribeCloudSliceTask", TASK) for _ in range(3)]
    assert len({str(answer["RequestId"]) for answer in answers}) == 3


async def test_a_fault_is_logged_by_kind_and_place_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    error = RuntimeError("planted-words")
    error.__cause__ = KeyError("planted-cause")
    answer = await failing(error).post(SLICE, seed(SLICE))
    assert code_of(answer) == "InternalError.CSInternalError"
    assert "planted" not in str(answer)
    assert "planted" not in caplog.text
    assert f"{answer['RequestId']}: RuntimeError at " in caplog.text
    assert "from KeyError at " in caplog.text


async def test_each_request_is_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "slicer.api")
    caller = Caller()
    good = await caller.post("DescribeCloudSliceTask", TASK)
    await caller.post("planted-action", TASK)
    lines = [record.getMessage() for record in caplog.records if record.name == "slicer.api.app"]
    assert len(lines) == 2
    assert lines[0].startswith(f"{good['RequestId']} DescribeCloudSliceTask: ok in ")
    assert " unknown action: InvalidAction in " in lines[1]
    assert "planted" not in caplog.text


async def test_refused_signatures_are_told_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caller = Caller()
    for second in (0, 1, 59, 60):
        caller.monotonic = float(second)
        answer = await caller.post("DescribeCloudSliceTask", TASK, authorization="TC3 planted")
    lines = [one for one in caplog.records if one.name == "slicer.api.app"]
    text = "! signature refused: AuthFailure.UnsupportedOperation, from 127.0.0.1"
    said = [f"{text} ({count} so far)" for count in (1, 4)]
    assert [one.getMessage() for one in lines] == said
    assert lines[1].__dict__["request"] == answer["RequestId"]
    code = "AuthFailure.UnsupportedOperation"
    assert [(one.who, one.kind) for one in caller.noted] == [("127.0.0.1", "refused")] * 2
    assert [one.detail for one in caller.noted] == [f"{code} ({count} so far)" for count in (1, 4)]
    assert "planted" not in caplog.text


def test_permission_control_needs_a_key() -> None:
    with pytest.raises(BadInput, match="usersig_key"):
        make_app({1: replace(APP, permission_control=True)}, Recorder())
