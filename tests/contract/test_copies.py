"""Two copies of the API over one real NATS server: what one has let in, the other knows."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from slicer.api.signature import Message
from slicer.fleet.bus import Bus
from slicer.fleet.limits import SharedLimits
from slicer.fleet.settings import FleetSettings
from tests.harness.fleet.nats_server import Servers, nats_servers
from tests.harness.service.api import HEADERS, NOW, Caller, authorize, code_of, message_of, seed

SLICE = "CreateCloudSliceTask"
DESCRIBED, MODIFIED, DELETED = (
    f"{verb}CloudSliceTask" for verb in ("Describe", "Modify", "Delete")
)
TASK: dict[str, object] = {"SdkAppId": 200806, "TaskId": "t"}
LISTS = TASK | {"SubscribeStreamUserIds": {}}
REPLAYED = "AuthFailure.SignatureReplayed"
Copies = tuple[Caller, Caller]


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    async with nats_servers(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def buses(servers: Servers) -> AsyncIterator[tuple[Bus, Bus]]:
    settings = FleetSettings(servers.urls, replicas=1)
    one, other = await Bus.connect(settings, "one"), await Bus.connect(settings, "other")
    yield one, other
    await one.close()
    await other.close()


@pytest_asyncio.fixture
async def copies(buses: tuple[Bus, Bus]) -> Copies:
    callers = list[Caller]()
    for bus in buses:
        shared = SharedLimits(bus)
        await shared.open(1)
        callers.append(Caller(shared=shared))
    return callers[0], callers[1]


def signed(body: dict[str, object], action: str, *also: str) -> dict[str, str]:
    """The headers of one signed request, which whoever sees them may send again."""
    headers = {
        "content-type": "application/json",
        "host": "127.0.0.1",
        "x-tc-action": action,
        "x-tc-timestamp": str(NOW),
    }
    headers |= {name.lower(): value for name, value in HEADERS.items()}
    message = Message("POST", "/", "", headers, json.dumps(body).encode())
    return {"x_tc_timestamp": str(NOW), "authorization": authorize(message, NOW, also=also)}


async def test_what_one_copy_has_carried_out_is_a_replay_at_the_other(copies: Copies) -> None:
    one, other = copies
    nonce = {"x_tc_nonce": "7"}
    for action, body in ((SLICE, seed(SLICE)), (MODIFIED, LISTS)):
        headers = signed(body, action)
        assert await one.code(action, body, **headers, **nonce) == ""
        answer = await other.post(action, body, **headers, **nonce)
        assert code_of(answer) == REPLAYED
        assert "this signed request came before" in message_of(answer)
    assert (len(one.orders.orders), len(other.orders.orders)) == (1, 0)
    assert (len(one.orders.modified), len(other.orders.modified)) == (1, 0)


async def test_of_a_request_that_comes_to_both_at_once_one_is_carried_out(copies: Copies) -> None:
    headers = signed(seed(SLICE), SLICE) | {"x_tc_nonce": "7"}
    found = await asyncio.gather(
        *(copies[number % 2].code(SLICE, seed(SLICE), **headers) for number in range(10))
    )
    assert sorted(found) == [""] + [REPLAYED] * 9
    assert sum(len(one.orders.orders) for one in copies) == 1


async def test_after_two_seconds_another_nonce_makes_no_other_request(copies: Copies) -> None:
    one, other = copies
    headers = signed(seed(SLICE), SLICE)
    assert await one.code(SLICE, seed(SLICE), **headers) == ""
    assert await other.code(SLICE, seed(SLICE), **headers, x_tc_nonce="8") == "", "two of a second"
    await asyncio.sleep(2.1)
    assert await other.code(SLICE, seed(SLICE), **headers, x_tc_nonce="9") == REPLAYED
    other.now = NOW - 60  # a clock that is a minute behind knows no better
    assert await other.code(SLICE, seed(SLICE), **headers, x_tc_nonce="10") == REPLAYED
    assert len(one.orders.orders + other.orders.orders) == 2


async def test_a_signature_carries_out_at_one_copy_what_the_other_has_seen(copies: Copies) -> None:
    one, other = copies
    headers = signed(TASK, DESCRIBED)
    assert await one.code(DESCRIBED, TASK, **headers) == ""
    answer = await other.post(DELETED, TASK, **headers)
    assert code_of(answer) == REPLAYED
    assert f"this signature came with {DESCRIBED} before" in message_of(answer)
    assert other.orders.deleted == []
    assert await other.code(DESCRIBED, TASK, **headers) == "", "it changes nothing"
    bound = signed(TASK, DELETED, "x-tc-action")
    for copy in copies:
        assert await copy.code(DELETED, TASK, **bound) == "", "a delete may be repeated"


async def test_a_rate_is_the_applications_and_not_the_copys(copies: Copies) -> None:
    found = [await copies[number % 2].code(DESCRIBED, TASK) for number in range(24)]
    assert found.count("") == 20
    assert found.count("RequestLimitExceeded") == 4


async def test_while_the_bus_is_away_nothing_is_let_in(
    copies: Copies, buses: tuple[Bus, Bus], servers: Servers
) -> None:
    one, _ = copies
    await servers.kill(0)
    async with asyncio.timeout(10):
        while buses[0].connected:
            await asyncio.sleep(0.01)
    headers = {"content-type": "application/json", **signed(TASK, DESCRIBED)}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers |= {"host": "127.0.0.1", "x-tc-action": DESCRIBED, **HEADERS}
    response = await one.client.post("/", content=json.dumps(TASK).encode(), headers=headers)
    assert response.status_code == 503
    error = response.json()["Response"]["Error"]
    assert error == {"Code": "FailedOperation", "Message": "the bus: no server is there"}


@pytest.mark.parametrize("action", [DESCRIBED, DELETED])
async def test_who_has_no_key_asks_the_bus_nothing(
    copies: Copies, buses: tuple[Bus, Bus], action: str
) -> None:
    one, _ = copies
    assert await one.code(action, TASK, authorization="TC3-HMAC-SHA256 x") != ""
    for stream in ("calls", "signatures"):
        info = await buses[0].js.stream_info(f"slicer_{stream}")
        assert info.state.last_seq == 0
