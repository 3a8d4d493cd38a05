"""Where publishers are led who come to a process that does not have their room."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.errors import RoomError, Unauthorized
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.endpoint import TICKET, WhipApp
from slicer.service.encryption import Encryption
from slicer.service.own_rooms import OwnRooms
from slicer.service.publishers import Lobby, Publishers
from slicer.service.registry import Record
from tests.harness.fleet.in_process import Fleet
from tests.harness.service.orders import moderation_order

AT = RoomAddress("127.0.0.1", 0, "a")
KEYS = Encryption([Fernet.generate_key().decode()])
OFFER = {"content-type": "application/sdp"}


def admit(_room: RoomAddress, _user: str, bearer: str | None) -> str | None:
    if bearer != "good":
        raise Unauthorized("bearer token: wrong")
    return None


@dataclass
class Stage:
    """One task in room a, and who has announced what."""

    rooms: OwnRooms
    addresses: dict[str, str] = field(default_factory=lambda: {"w0": "https://w0.example/x"})

    def publishers(self, worker: str = "") -> Publishers:
        return Publishers(self.rooms, lambda name: self.addresses.get(name, ""), KEYS, worker)

    def counts(self, publishers: Publishers) -> dict[str, float]:
        return {one.labels[0][1]: one.value for one in publishers.samples()}


@pytest_asyncio.fixture
async def stage(fleet: Fleet) -> AsyncIterator[Stage]:
    orders = await fleet.copy()
    registry = orders.registry
    registry._place = lambda _record: "w0"
    rooms = OwnRooms(orders.table, registry, [fleet.app])
    await registry.add(Record("t", 200806, moderation_order("a"), 1.0, 2.0))
    yield Stage(rooms)


async def test_who_may_publish_is_led_to_the_worker_with_a_ticket(stage: Stage) -> None:
    publishers = stage.publishers()
    authorize = publishers.leading(admit)
    url = authorize(AT, "ada@x", "good")
    assert url is not None
    split = urlsplit(url)
    assert (split.netloc, split.path) == ("w0.example", "/x/whip/a/ada%40x")
    (ticket,) = parse_qs(split.query)["ticket"]
    assert stage.publishers("w0").leading(admit)(AT, "ada@x", ticket) is None, "it is here"
    for bearer in ("bad", None, TICKET + "x", ticket[:-2] + "xx"):
        with pytest.raises(Unauthorized):
            authorize(AT, "ada@x", bearer)
    with pytest.raises(Unauthorized, match="ticket: expired, or made for another room or user"):
        authorize(AT, "bo", ticket)
    assert publishers.url("t") == "https://w0.example/x/whip/a"
    assert publishers.url("unknown") == ""
    assert stage.counts(publishers) == {"redirected": 1, "moving": 0, "refused": 5}


async def test_a_ticket_is_good_for_two_minutes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stage.publishers().leading(admit)(AT, "ada", "good")
    assert url is not None
    ticket = url.partition("ticket=")[2]
    here = stage.publishers("w0").leading(admit)
    now = __import__("time").time()
    for later, good in ((-55, True), (115, True), (125, False), (-70, False)):
        monkeypatch.setattr("time.time", lambda shifted=now + later: shifted)
        if good:
            assert here(AT, "ada", ticket) is None
        else:
            with pytest.raises(Unauthorized):
                here(AT, "ada", ticket)


async def test_where_no_worker_can_be_named_publishers_come_again(stage: Stage) -> None:
    publishers = stage.publishers()
    stage.addresses.clear()
    with pytest.raises(RoomError, match=r"worker w0, which has announced no address.*fleet\.rooms"):
        publishers.leading(admit)(AT, "ada", "good")
    await stage.rooms._registry.hand_over("t", "w0")
    with pytest.raises(RoomError, match="on its way to another worker"):
        publishers.leading(admit)(AT, "ada", "good")
    assert publishers.url("t") == ""
    assert stage.counts(publishers)["moving"] == 2
    nowhere = RoomAddress("127.0.0.1", 0, "nowhere")
    assert publishers.leading(admit)(nowhere, "ada", "good") is None


Client = Callable[..., "asyncio.Future[httpx.Response]"]


@pytest_asyncio.fixture
async def lobby(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    sessions = Lobby(AT, stage.publishers().leading(admit))
    transport = httpx.ASGITransport(WhipApp(sessions, "*", 1_000, at="").app)
    headers = {"authorization": "Bearer good"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as client:
        yield client


async def test_a_copy_of_the_api_leads_on_and_does_nothing_else(lobby: httpx.AsyncClient) -> None:
    answer = await lobby.post("/a/ada", content=b"v=0", headers=OFFER)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith("https://w0.example/x/whip/a/ada?ticket=")
    answer = await lobby.post("/nowhere/ada", content=b"v=0", headers=OFFER)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "no task slices room 'nowhere'" in answer.json()["detail"]
    fragment = {"content-type": "application/trickle-ice-sdpfrag"}
    assert (await lobby.patch("/a/ada/s", content=b"", headers=fragment)).status_code == 404
    assert (await lobby.delete("/a/ada/s")).status_code == 404
    answer = await lobby.post("/a/ada", content=b"x" * 1_001, headers=OFFER)
    assert answer.status_code == 413


async def test_a_page_of_another_origin_may_ask(lobby: httpx.AsyncClient) -> None:
    asks = {"origin": "https://page.example", "access-control-request-method": "POST"}
    asks["access-control-request-headers"] = "authorization,content-type"
    answer = await lobby.options("/a/ada", headers=asks)
    assert answer.status_code == 200
    answer = await lobby.post("/a/ada", content=b"v=0", headers=OFFER | {"origin": "null"})
    assert answer.headers["access-control-allow-origin"] == "*"
