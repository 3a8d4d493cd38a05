"""Our own rooms, whole: server, connection and receiver, with aiortc publishing over loopback."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest

from slicer.clock import LoopClock
from slicer.errors import BadInput, RoomError, Unauthorized
from slicer.http import HttpSettings
from slicer.rooms import Context, connector, parse_room
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.room import WhipConnector
from slicer.rooms.whip.settings import WhipSettings
from slicer.rtp.parameters import Kind, Role
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import (
    AnchorTrouble,
    AudioCut,
    PictureCut,
    Subscribe,
    TrackKey,
    TrackRefused,
)
from slicer.slicing.spec import AudioSpec
from slicer.webrtc.connection import Network
from tests.harness.rooms.robot import ROOM, Robot
from tests.harness.rooms.whip_client import Flicker, Peer, Tone, publish_peer

SDP = {"Content-Type": "application/sdp"}
UNPUBLISHED = "unpublished by the publisher"
ARRIVAL: list[Fact] = [
    AnchorJoined("ann"),
    TrackPublished("ann", Kind.AUDIO),
    TrackPublished("ann", Kind.VIDEO),
]
REPLACED = "replaced by a newer connection of the same user"


def departure(reason: str) -> list[Fact]:
    return [
        TrackUnpublished("ann", Kind.AUDIO, reason),
        TrackUnpublished("ann", Kind.VIDEO, reason),
        AnchorLeft("ann", reason),
    ]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def rooms() -> AsyncIterator[WhipConnector]:
    rooms = WhipConnector(Context(LoopClock(), WhipSettings(silence=3.0)))
    yield rooms
    await rooms.close()


@pytest.fixture
async def robot(rooms: WhipConnector) -> Robot:
    robot = Robot(rooms)
    await robot.enter()
    return robot


@pytest.mark.parametrize(
    "url",
    [
        "whip://127.0.0.1:8080/r",
        "whip://localhost:0/A-z_09",
        "whip://[::1]:65535/r",
        "whip://0.0.0.0:1/" + "r" * 64,
    ],
)
async def test_urls_that_can_be_rooms(rooms: WhipConnector, url: str) -> None:
    rooms.check(urlsplit(url))


@pytest.mark.parametrize(
    "url",
    [
        "whip://127.0.0.1/r",
        "whip://127.0.0.1:80",
        "whip://127.0.0.1:80/",
        "whip://127.0.0.1:80/a/b",
        "whip://127.0.0.1:80/a%20b",
        "whip://127.0.0.1:80/" + "r" * 65,
        "whip://room.example:80/r",
        "whip://:80/r",
        "whip://u@127.0.0.1:80/r",
        "whip://127.0.0.1:80/r?x",
        "whip://127.0.0.1:80/r#x",
    ],
)
async def test_urls_that_cannot(rooms: WhipConnector, url: str) -> None:
    with pytest.raises(BadInput, match="whip://HOST:PORT/ROOM") as refused:
        rooms.check(urlsplit(url))
    assert refused.value.field == "room"


async def test_the_table_knows_it() -> None:
    made = connector("whip", Context(LoopClock()))
    assert isinstance(made, WhipConnector)
    await made.close()


async def test_publish_slice_and_leave(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    assert robot.facts() == [RoomEntered()]
    session = await publish_peer(client, rooms.endpoint(ROOM) + "/ann", [Tone(), Flicker()])
    await robot.until(lambda: robot.cuts(AudioCut) and robot.cuts(PictureCut))
    assert robot.facts()[1:] == ARRIVAL
    first = robot.cuts(AudioCut)[0]
    assert isinstance(first, AudioCut)
    assert (first.end - first.start, first.codec.name) == (48_000, "opus")
    await asyncio.sleep(0.2)
    assert (await client.delete(session.url)).status_code == 200
    assert robot.facts()[4:] == departure(UNPUBLISHED)
    assert rooms.connections == 0
    # The rest of the second is handed over before the anchor leaves.
    last = robot.told[-4]
    assert isinstance(last, AudioCut)
    assert 0 < last.end - last.start < 48_000
    assert (await client.delete(session.url)).status_code == 404
    await session.close()


async def test_what_is_not_received_of_a_publisher_is_told(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    peer = Peer()
    third = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:3\r\na=sendonly\r\na=rtcp-mux\r\n"
    offer = await peer.offer([Tone(), Flicker(), Tone()]) + third
    response = await client.post(rooms.endpoint(ROOM) + "/ann", content=offer, headers=SDP)
    # aiortc knows of no fourth m-line.
    await peer.accept(response.text[: response.text.index("m=audio 0")])
    await robot.until(lambda: robot.cuts(AudioCut) and robot.cuts(PictureCut))
    reason = "a connection receives 2 audio m-lines at most"
    second = TrackPublished("ann", Kind.AUDIO, Role.AUX)
    assert robot.facts()[1:] == [*ARRIVAL, second, TrackRefused("ann", Kind.AUDIO, reason)]
    await peer.close()


@pytest.mark.parametrize(
    ("codec", "why"),
    [
        ("a=rtpmap:96 H263/90000", "no codec of ours: H263/90000"),
        ("a=rtpmap:96 VP8/48000", "no codec of ours: VP8/48000"),
        ("a=rtpmap:96 H265/90000\r\na=fmtp:96 tx-mode=MRST", "h265 with tx-mode=MRST"),
    ],
)
async def test_a_track_that_cannot_be_taken_is_told_and_costs_the_other_nothing(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient, codec: str, why: str
) -> None:
    peer = Peer()
    video = f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtcp-mux\r\n{codec}\r\n"
    offer = (await peer.offer([Tone()])).replace("BUNDLE 0", "BUNDLE 0 1") + video
    response = await client.post(rooms.endpoint(ROOM) + "/ann", content=offer, headers=SDP)
    assert response.status_code == 201
    refused = response.text.index("m=video 0")
    assert "a=mid:1" in response.text[refused:]
    await peer.accept(response.text[:refused])
    await robot.until(lambda: robot.cuts(AudioCut))
    assert robot.facts()[-1] == TrackRefused("ann", Kind.VIDEO, why)
    await peer.close()


@pytest.mark.parametrize(
    ("kind", "lines", "why"),
    [
        ("video", "a=rtpmap:96 H263/90000", "no codec of ours: H263/90000"),
        ("audio", "a=rtpmap:96 multiopus/48000/6", "no codec of ours: multiopus/48000/6"),
        ("audio", "a=rtpmap:96 telephone-event/8000", "no codec of ours: telephone-event/8000"),
        ("audio", "a=rtpmap:96 L16/44100/2", "no codec of ours: L16/44100/2"),
        ("audio", "a=x", "no codec of ours: payload type 96"),
        ("video", "a=rtpmap:96 rtx/90000\r\na=fmtp:96 apt=97", "no codec of ours: rtx/90000"),
    ],
)
async def test_an_offer_of_which_nothing_can_be_taken_is_told_and_refused(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient, kind: str, lines: str, why: str
) -> None:
    offer = f"v=0\r\nm={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=rtcp-mux\r\n{lines}\r\n"
    response = await client.post(rooms.endpoint(ROOM) + "/ann", content=offer, headers=SDP)
    assert response.status_code == 422
    assert response.json()["got"] == [f"{kind}: {why}"]
    assert robot.facts() == [RoomEntered(), TrackRefused("ann", Kind(kind), why)]
    assert rooms.connections == 0


async def test_an_offer_that_sends_nothing_is_refused(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    offer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\na=recvonly\r\n"
    response = await client.post(rooms.endpoint(ROOM) + "/ann", content=offer, headers=SDP)
    assert (response.status_code, response.json()["got"]) == (422, ["audio that is not sent"])
    assert robot.facts() == [RoomEntered()]


async def test_a_killed_publisher_is_noticed(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    session = await publish_peer(client, rooms.endpoint(ROOM) + "/ann", [Tone(), Flicker()])
    await robot.until(lambda: robot.cuts(PictureCut))
    await session.peer.vanish()
    await robot.until(lambda: robot.left() == "ann", seconds=5)
    assert robot.facts()[-1] == AnchorLeft("ann", "nothing received for 3 s")
    assert (await client.delete(session.url)).status_code == 404
    await session.close()


async def test_the_same_user_again_replaces(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    url = rooms.endpoint(ROOM) + "/ann"
    old = await publish_peer(client, url, [Tone(), Flicker()])
    await robot.until(lambda: ARRIVAL[0] in robot.told)
    new = await publish_peer(client, url, [Tone()])
    await robot.until(lambda: robot.facts().count(ARRIVAL[0]) == 2)
    assert robot.facts()[4:] == [*departure(REPLACED), *ARRIVAL[:2]]
    assert (await client.delete(old.url)).status_code == 404
    assert (await client.delete(new.url)).status_code == 200
    await old.close()
    await new.close()


async def test_two_robots_and_a_late_one(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    session = await publish_peer(client, rooms.endpoint(ROOM) + "/ann", [Tone(), Flicker()])
    await robot.until(lambda: robot.cuts(PictureCut))
    late = Robot(rooms, "late")
    await late.enter()
    assert late.told[:4] == [RoomEntered(), *ARRIVAL]
    await late.until(lambda: late.cuts(AudioCut))
    assert {one.track.task for one in late.cuts(AudioCut)} == {"late"}
    assert {one.track.task for one in robot.cuts(AudioCut)} == {"task"}
    assert late.room is not None
    await late.room.leave()
    count = len(late.told)
    await robot.until(lambda: len(robot.cuts(AudioCut)) >= 3)
    assert len(late.told) == count
    await session.close()


async def test_unsubscribe_hands_over_the_last_cut(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    session = await publish_peer(client, rooms.endpoint(ROOM) + "/ann", [Tone()])
    await robot.until(lambda: robot.cuts(AudioCut))
    assert robot.room is not None
    before = len(robot.cuts(AudioCut))
    robot.room.unsubscribe(TrackKey("task", "ann", Kind.AUDIO))
    assert len(robot.cuts(AudioCut)) in {before, before + 1}
    count = len(robot.told)
    await asyncio.sleep(0.1)
    assert len(robot.told) == count
    robot.room.unsubscribe(TrackKey("task", "nobody", Kind.AUDIO))
    robot.room.subscribe(Subscribe(TrackKey("task", "nobody", Kind.AUDIO), AudioSpec()))
    await session.close()


async def test_the_last_robot_closes_the_room(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    url = rooms.endpoint(ROOM) + "/ann"
    session = await publish_peer(client, url, [Tone()])
    await robot.until(lambda: ARRIVAL[0] in robot.told)
    assert robot.room is not None
    await robot.room.leave()
    await robot.room.leave()
    response = await client.post(url, content="v=0", headers=SDP)
    assert response.status_code == 404
    assert "no task slices room" in response.json()["detail"]
    assert (await client.delete(session.url)).status_code == 404
    await robot.until(lambda: session.peer.connection.connectionState == "closed")
    with pytest.raises(RoomError):
        await robot.room.enter()
    await session.close()


async def test_a_malformed_offer(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    url = rooms.endpoint(ROOM) + "/ann"
    for offer in ("", "hello", "v=0\r\nm=audio", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"):
        response = await client.post(url, content=offer, headers=SDP)
        assert response.status_code == 400
        assert response.json()["field"] == "sdp"
    assert robot.facts() == [RoomEntered()]


async def test_a_full_server_and_a_wrong_bearer(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    def authorize(at: RoomAddress, user: str, bearer: str | None) -> None:
        assert (at.host, at.port) == ("127.0.0.1", 0)
        if bearer != f"{at.room}-{user}":
            raise Unauthorized("bearer: made for another user")

    rooms = WhipConnector(Context(LoopClock(), WhipSettings(max_publishers=1), authorize))
    robot = Robot(rooms)
    await robot.enter()
    url = rooms.endpoint(ROOM)
    refused = await client.post(url + "/ann", content="", headers=SDP)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    peer = Peer()
    offer = await peer.offer([Tone()])
    bearers = [SDP | {"Authorization": f"Bearer r1-{user}"} for user in ("ann", "bob")]
    made = await client.post(url + "/ann", content=offer, headers=bearers[0])
    assert made.status_code == 201
    full = await client.post(url + "/bob", content=offer, headers=bearers[1])
    assert full.status_code == 503
    assert int(full.headers["retry-after"]) > 0
    # A session of one user is nothing to another.
    stolen = made.headers["location"].replace("ann/", "bob/")
    assert (await client.delete(f"{url}/{stolen}")).status_code == 401
    other = {"Authorization": "Bearer r1-bob"}
    gone = await client.delete(f"{url}/{stolen}", headers=other)
    assert gone.status_code == 404
    assert rooms.counters["publishers_unauthorized"] == 2
    text = "! 'ann' may not publish into room 'r1': bearer: made for another user (1 so far)"
    assert [one.getMessage() for one in caplog.records if "publish" in one.getMessage()] == [text]
    await rooms.close()
    await peer.close()


async def test_who_is_connecting_has_one_place_and_an_address_a_bound(
    client: httpx.AsyncClient,
) -> None:
    settings = WhipSettings(max_pending=2, max_publishers=3)
    rooms = WhipConnector(Context(LoopClock(), settings))
    robot = Robot(rooms)
    await robot.enter()
    url = rooms.endpoint(ROOM)
    peer = Peer()
    offer = await peer.offer([Tone()])
    sessions = [await client.post(url + "/mallory", content=offer, headers=SDP) for _ in range(9)]
    assert {one.status_code for one in sessions} == {201}
    assert rooms.connections == 1
    gone = await client.delete(url + "/" + sessions[0].headers["location"])
    assert gone.status_code == 404
    assert (await client.post(url + "/bob", content=offer, headers=SDP)).status_code == 201
    full = await client.post(url + "/eve", content=offer, headers=SDP)
    assert full.status_code == 503
    assert full.json()["detail"] == "2 publishers of 127.0.0.1 are connecting"
    assert rooms.counters["publishers_refused"] == 1
    live = await publish_peer(client, url + "/bob", [Tone()])
    await robot.until(lambda: AnchorJoined("bob") in robot.facts())
    assert (await client.post(url + "/eve", content=offer, headers=SDP)).status_code == 201
    await rooms.close()
    await peer.close()
    await live.close()


async def test_a_room_has_a_bound_and_who_does_not_get_in_is_told(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.rooms.whip.room.LOOK", 0.05)
    monkeypatch.setattr("slicer.rooms.whip.room.Network", partial(Network, connect_timeout=0.2))
    rooms = WhipConnector(Context(LoopClock(), WhipSettings(max_pending_room=1)))
    robot = Robot(rooms)
    await robot.enter()
    peer = Peer()
    offer = await peer.offer([Tone()])
    url = rooms.endpoint(ROOM)
    assert (await client.post(url + "/bob", content=offer, headers=SDP)).status_code == 201
    full = await client.post(url + "/eve", content=offer, headers=SDP)
    assert full.status_code == 503
    why = "1 publishers of this room are connecting"
    assert full.json()["detail"] == why
    never = "not connected: no connectivity check came within 0.2 s"
    told = [AnchorTrouble("eve", f"refused: {why}", 1), AnchorTrouble("bob", never, 1)]
    await robot.until(lambda: all(one in robot.facts() for one in told))
    counters = rooms.counters
    assert (counters["publishers_refused"], counters["publishers_not_connected"]) == (1, 1)
    await rooms.close()
    await peer.close()


async def test_a_publisher_that_is_lite_itself_is_told_why_not(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    peer = Peer()
    offer = (await peer.offer([Tone()])).replace("t=0 0", "t=0 0\r\na=ice-lite")
    refused = await client.post(rooms.endpoint(ROOM) + "/ann", content=offer, headers=SDP)
    assert refused.status_code == 400
    said = refused.json()
    assert (said["got"], said["allowed"]) == (
        "a=ice-lite",
        "a full ICE agent: this end is lite itself",
    )
    await peer.close()


async def test_trickle_by_patch(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    peer = Peer()
    lines = (await peer.offer([Tone()])).split("\r\n")
    bare = "\r\n".join(line for line in lines if "candidate" not in line)
    url = rooms.endpoint(ROOM) + "/ann"
    response = await client.post(url, content=bare, headers=SDP)
    session = httpx.URL(url).join(response.headers["location"])
    wanted = ("a=ice-ufrag", "a=ice-pwd", "a=candidate", "a=mid", "m=audio")
    fragment = "\r\n".join(line for line in lines if line.startswith(wanted))
    headers = {"Content-Type": "application/trickle-ice-sdpfrag"}
    stale = await client.patch(session, content=fragment, headers=headers | {"If-Match": '"x"'})
    assert stale.status_code == 412
    headers["If-Match"] = response.headers["etag"]
    assert (await client.patch(session, content=fragment, headers=headers)).status_code == 204
    restart = fragment.replace("a=ice-ufrag:", "a=ice-ufrag:new")
    headers["If-Match"] = "*"
    restarted = await client.patch(session, content=restart, headers=headers)
    assert restarted.status_code == 200
    assert restarted.headers["etag"] != response.headers["etag"]
    fresh, before = (re.findall(r"a=ice-\w+:(\w+)", one.text) for one in (restarted, response))
    assert not set(fresh) & set(before)
    await peer.accept(response.text)
    await robot.until(lambda: ARRIVAL[0] in robot.told)
    await peer.close()


async def test_a_session_that_is_gone_is_404_also_where_it_goes_while_the_body_comes(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    session = await publish_peer(client, rooms.endpoint(ROOM) + "/ann", [Tone()])

    async def fragment() -> AsyncIterator[bytes]:
        yield b"a=ice-ufrag:x\r\n"
        assert (await client.delete(session.url)).status_code == 200

    headers = {"Content-Type": "application/trickle-ice-sdpfrag"}
    for content in (fragment(), b"a=ice-ufrag:x"):
        late = await client.patch(session.url, content=content, headers=headers)
        assert late.status_code == 404
        assert "no such session" in late.json()["detail"]
    assert (await client.delete(session.url)).status_code == 404
    await session.close()


async def test_what_the_server_refuses_is_counted() -> None:
    rooms = WhipConnector(Context(LoopClock(), http=HttpSettings(connections=1)))
    await rooms.open(ROOM, "a", lambda _: None)
    port = urlsplit(rooms.endpoint(ROOM)).port
    first, _ = await asyncio.open_connection("127.0.0.1", port)
    _, second = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionResetError):
        assert await first.read() == b""
    assert rooms.counters["http_idle_closed"] == 1
    second.close()
    await rooms.close()
    assert rooms.counters["http_idle_closed"] == 1


async def test_rooms_of_one_address_share_a_server(rooms: WhipConnector) -> None:
    first = await rooms.open(ROOM, "a", lambda _: None)
    second = await rooms.open(parse_room("whip://127.0.0.1:0/r2"), "b", lambda _: None)
    ports = {
        urlsplit(rooms.endpoint(parse_room(f"whip://127.0.0.1:0/{r}"))).port for r in ("r1", "r2")
    }
    assert len(ports) == 1
    await first.leave()
    await second.leave()


async def test_an_address_in_use(rooms: WhipConnector) -> None:
    await rooms.open(ROOM, "a", lambda _: None)
    port = urlsplit(rooms.endpoint(ROOM)).port
    with pytest.raises(RoomError, match="Address already in use"):
        await rooms.open(parse_room(f"whip://127.0.0.1:{port}/r"), "a", lambda _: None)


async def test_closing_leaves_no_task_behind(
    robot: Robot, rooms: WhipConnector, client: httpx.AsyncClient
) -> None:
    session = await publish_peer(client, rooms.endpoint(ROOM) + "/ann", [Tone()])
    await robot.until(lambda: ARRIVAL[0] in robot.told)
    await rooms.close()
    assert robot.facts()[-1] == AnchorLeft("ann", "the room was closed")
    await session.close()
    await asyncio.sleep(0.05)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [task for task in left if "slicer" in repr(task.get_coro())] == []
    with pytest.raises(RoomError, match="not open"):
        rooms.endpoint(ROOM)
