"""An anchor that is played again and again."""

import asyncio
from collections import Counter

import pytest

from slicer.rooms import backoff
from slicer.rooms.trouble import TROUBLES
from slicer.rooms.whep.session import Failure, Session
from slicer.rooms.whep.viewer import MOST_RETRY_AFTER, Viewer
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Fact,
    RoomEntered,
    RoomLost,
    TrackPublished,
    TrackUnpublished,
)
from slicer.slicing.outputs import (
    AnchorTrouble,
    AudioCut,
    Subscribe,
    TrackKey,
    TrackOutput,
    TrackRefused,
)
from slicer.slicing.spec import AudioSpec
from slicer.webrtc.connection import Connection
from tests.harness.clock import settle
from tests.harness.garbage import living, no_collector
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer

ARRIVAL: list[Fact] = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


async def test_an_anchor_that_hangs_up_is_played_again(server: WhepServer, robot: Visitor) -> None:
    await robot.enter(server.url("anchors=ada"))
    await robot.told_of(*ARRIVAL)
    (peer,) = server.sessions.values()
    # One whose own handshake is not over yet would go without a word.
    await robot.until(lambda: peer.connection.connectionState == "connected")
    await server.hang_up()
    await robot.until(lambda: robot.facts().count(AnchorJoined("ada")) == 2)
    kinds = [type(fact) for fact in robot.facts()]
    assert kinds[4:7] == [TrackUnpublished, TrackUnpublished, AnchorLeft]


async def test_what_no_task_wants_is_not_played(server: WhepServer, robot: Visitor) -> None:
    robot.declined.add("ada")
    await robot.enter(server.url("anchors=ada"))
    await robot.told_of(*ARRIVAL)
    await robot.until(lambda: len(server.deleted) == 1)
    assert robot.connector.connections == 0
    robot.subscribe("ada", Kind.AUDIO)  # the lists were changed
    await robot.until(lambda: any(isinstance(one, AudioCut) for one in robot.told))
    assert robot.connector.connections == 1
    assert robot.room is not None
    robot.room.unsubscribe(TrackKey("task", "ada", Kind.AUDIO))
    await robot.until(lambda: len(server.deleted) == 2)
    assert robot.facts() == [RoomEntered(), *ARRIVAL]  # it was there all the time


async def test_an_anchor_that_left_while_it_was_not_played(
    server: WhepServer, robot: Visitor
) -> None:
    robot.declined.add("ada")
    await robot.enter(server.url("anchors=ada"))
    await robot.until(lambda: len(server.deleted) == 1)
    server.anchors.remove("ada")
    robot.subscribe("ada", Kind.AUDIO)
    await robot.until(lambda: any(isinstance(one, AnchorLeft) for one in robot.told))


async def test_who_is_not_played_is_told_anew_once_the_room_is_back(
    server: WhepServer, robot: Visitor
) -> None:
    robot.declined.add("ada")
    await robot.enter(server.url("list=/list.json"))
    await robot.until(lambda: len(server.deleted) == 1)
    await server.stop()
    await robot.until(lambda: any(isinstance(one, RoomLost) for one in robot.told))
    await server.start()
    await robot.until(lambda: robot.facts().count(AnchorJoined("ada")) == 2)
    kinds = [type(fact) for fact in robot.facts()]
    assert kinds[4:6] == [RoomLost, RoomEntered]


async def test_an_anchor_that_left_is_freed_without_the_garbage_collector(
    server: WhepServer, robot: Visitor
) -> None:
    parts = (Viewer, Session, Connection)
    with no_collector():
        before = living(*parts)
        await robot.enter(server.url("list=/list.json"))
        await robot.told_of(*ARRIVAL)
        await robot.until(lambda: any(isinstance(one, AudioCut) for one in robot.told))
        server.anchors.remove("ada")
        await robot.until(lambda: not living(*parts) - before)


class Playing:
    """A session whose media a test decides on."""

    def __init__(self) -> None:
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.kinds = (Kind.AUDIO,)
        self.refused = ((Kind.VIDEO, "no codec of ours: THEORA/90000"),)
        self.counters = Counter[str]()
        self.calls: list[str] = []

    def attach(self, subscribe: Subscribe) -> None:
        self.calls.append(f"attach {subscribe.track.anchor}")

    def detach(self, track: TrackKey) -> None:
        self.calls.append(f"detach {track.anchor}")

    def silences(self) -> list[AnchorTrouble]:
        return []

    def flush(self) -> None:
        self.calls.append("flush")

    async def close(self) -> None:
        self.calls.append("close")


TRACK = TrackKey("task", "ada", Kind.AUDIO)
ENTERED: list[Fact] = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackRefused("ada", Kind.VIDEO, "no codec of ours: THEORA/90000"),
]


def left(reason: str) -> list[Fact]:
    return [TrackUnpublished("ada", Kind.AUDIO, reason), AnchorLeft("ada", reason)]


async def test_what_is_told_and_counted_of_a_session() -> None:
    sessions, told = [Playing()], list[Fact | TrackOutput]()

    async def connect(_anchor: str) -> Session | Failure:
        if not sessions:
            await asyncio.Event().wait()
        return sessions.pop()  # type: ignore[return-value]

    first = sessions[0]
    viewer = Viewer("ada", connect, told.append, 2.0, lambda _anchor, _failure: None)
    viewer.subscribe(Subscribe(TRACK, AudioSpec(1)))  # it is cut once there is a session
    viewer.look(0.0)
    assert not viewer.playing
    await settle()
    assert viewer.playing
    words, news = TROUBLES["malformed_payload"]
    first.counters["malformed_payload"] = news
    viewer.look(1.0)
    assert told == [*ENTERED, AnchorTrouble("ada", words, news)]
    first.over.set_result("silence")
    await settle()
    assert told[4:] == left("silence")
    assert first.calls == ["attach ada", "flush", "close"]
    assert viewer.counters == {"malformed_payload": news}, "those of the session that is over"
    await viewer.stop("closed")
    assert len(told) == 6, "nothing plays: nothing more is over"


async def test_the_end_gives_the_last_cuts_before_the_facts() -> None:
    session, told = Playing(), list[Fact | TrackOutput]()

    async def connect(_anchor: str) -> Session | Failure:
        return session  # type: ignore[return-value]

    viewer = Viewer("ada", connect, told.append, 2.0, lambda _anchor, _failure: None)
    await settle()
    await viewer.stop("it is listed no longer")
    assert told == [*ENTERED, *left("it is listed no longer")]
    assert session.calls == ["flush", "close"]


async def test_how_long_it_waits_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [
        Failure("nobody", 404),
        Failure("busy", 503, 7.0),
        Failure("busy", 503, 3_600.0),
        Failure("no connection"),
    ]
    told, waits, end = list[Failure | None](), list[float](), asyncio.Event()

    async def connect(_anchor: str) -> Session | Failure:
        if len(told) == len(failures):
            end.set()
            await asyncio.Event().wait()
        return failures[len(told)]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("slicer.rooms.whep.viewer.asyncio.sleep", sleep)
    viewer = Viewer("ada", connect, lambda _told: None, 2.5, lambda _, why: told.append(why))
    await end.wait()
    await viewer.stop("closed")
    assert told == failures
    assert waits[:3] == [2.5, 7.0, MOST_RETRY_AFTER]
    assert backoff.wait(4, 0.0) <= waits[3] <= backoff.wait(4, 1.0)
