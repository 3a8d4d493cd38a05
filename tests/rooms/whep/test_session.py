"""One playback by WHEP: descriptions, counter-offers, what ends it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from starlette.responses import JSONResponse, Response

from slicer.rooms.keyframes import SharedRequests
from slicer.rooms.whep import room as room_module
from slicer.rooms.whep.client import SDP, UNANSWERED, Client
from slicer.rooms.whep.session import Failure, Session
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, Fact, RoomEntered, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import (
    AnchorTrouble,
    AudioCut,
    PictureCut,
    Subscribe,
    TrackKey,
    TrackOutput,
    TrackRefused,
)
from slicer.slicing.spec import AudioSpec, VideoSpec
from slicer.webrtc.connection import Network
from slicer.webrtc.path import media_path
from tests.harness.rooms.descriptions import Track, described
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer
from tests.rooms.whep.conftest import QUICK, visitor

ARRIVAL: list[Fact] = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


async def test_a_counter_offer_is_answered(server: WhepServer, robot: Visitor) -> None:
    server.counter = True
    await robot.enter(server.url("anchors=ada"))
    await robot.until(lambda: {AudioCut, PictureCut} <= {type(one) for one in robot.told})
    assert robot.facts() == [RoomEntered(), *ARRIVAL]


async def test_ice_that_never_connects(server: WhepServer) -> None:
    server.deaf = True
    robot = visitor(replace(QUICK, connect_timeout=0.3))
    await robot.enter(server.url("anchors=ada"))
    await robot.until(lambda: any(isinstance(one, TrackRefused) for one in robot.told))
    (refused, *_) = [one for one in robot.told if isinstance(one, TrackRefused)]
    assert refused.reason == "no connection: not connected within 0.3 s"
    await robot.connector.close()


async def test_an_anchor_that_sends_nothing_is_told_and_goes_on(
    server: WhepServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "LOOK", 0.1)
    robot = visitor(replace(QUICK, silence=2.0))
    await robot.enter(server.url("anchors=ada"))
    await robot.until(lambda: Kind.AUDIO in robot.cuts("ada"))
    (peer,) = server.sessions.values()
    reason = "no media for 2 s, and nothing says that it is muted"
    senders = [(one, one.track) for one in peer.connection.getSenders()]
    for sender, _ in senders:
        sender.replaceTrack(None)
    await robot.told_of(AnchorTrouble("ada", reason, 1))
    count = len(robot.told)
    for sender, track in senders:
        sender.replaceTrack(track)
    await robot.until(lambda: len(robot.told) > count + 2)
    assert not any(isinstance(one, TrackUnpublished) for one in robot.told)
    await robot.connector.close()


@pytest_asyncio.fixture
async def session() -> AsyncIterator[Session]:
    client = Client("", QUICK)
    outputs: list[TrackOutput] = []
    session = Session(
        client, media_path(), Network(["127.0.0.1"]), outputs.append, SharedRequests().of("room")
    )
    yield session
    await session.close()
    await client.close()


def endpoint(server: WhepServer) -> str:
    return f"http://127.0.0.1:{server.port}/lobby/ada/whep"


@pytest.mark.parametrize(
    ("refusal", "failure"),
    [
        (JSONResponse({"error": "no"}, 401), Failure("it wants other credentials: {} 401 no", 401)),
        (Response("no", 403), Failure("it forbids it: {} 403 no", 403)),
        (Response("", 404), Failure("nobody publishes there: {} 404", 404)),
        (Response("", 409), Failure("nobody publishes there now: {} 409", 409)),
        (Response("", 503, {"Retry-After": "7"}), Failure("it gives no session: {} 503", 503, 7.0)),
        # RFC 9110 10.2.3: a date as well, which we do not take; nor a number without end
        (Response("", 503, {"Retry-After": "soon"}), Failure("it gives no session: {} 503", 503)),
        (Response("", 503, {"Retry-After": "9" * 6}), Failure("it gives no session: {} 503", 503)),
        (Response("no", 406), Failure("it gives no session: {} 406 no", 406)),
    ],
)
async def test_why_there_is_no_session(
    server: WhepServer, session: Session, refusal: Response, failure: Failure
) -> None:
    server.refusals["ada"] = refusal
    reason = failure.reason.format("the server answers")
    assert await session.start(endpoint(server), "ada") == replace(failure, reason=reason)
    assert failure.absent == (refusal.status_code in {404, 409})


async def test_answers_of_no_use(server: WhepServer, session: Session) -> None:
    server.refusals["ada"] = Response("v=0", 201, {"Location": "/session/x"})
    failure = await session.start(endpoint(server), "ada")
    assert failure is not None
    assert failure.reason.startswith("the server's description cannot be taken: ")
    assert failure.status is None
    server.refusals["ada"] = Response("v=0", 201)
    failure = await session.start(endpoint(server), "ada")
    assert failure is not None
    assert "no Location" in failure.reason


async def test_an_answer_of_two_hundred_m_lines(server: WhepServer, session: Session) -> None:
    answer = described([Track("audio", str(n)) for n in range(200)], setup="passive")
    server.refusals["ada"] = Response(answer, 201, {"Location": "/session/x"})
    failure = await session.start(endpoint(server), "ada")
    assert failure is not None
    assert failure.reason.startswith("the server's description cannot be taken: ")
    assert "200 m-lines" in failure.reason


async def test_an_answer_that_takes_none_of_our_codecs(
    server: WhepServer, session: Session
) -> None:
    """What the anchor sends is of codecs that we did not offer."""
    answer = described([Track(str(kind), str(n), "stopped") for n, kind in enumerate(Kind)])
    server.refusals["ada"] = Response(answer, 201, {"Location": "/session/x"})
    failure = await session.start(endpoint(server), "ada")
    assert failure is not None
    assert "an m-line that takes one of the codecs in our offer" in failure.reason


async def test_of_a_counter_offer_one_of_a_kind_is_taken_and_the_rest_is_told(
    server: WhepServer, session: Session
) -> None:
    lines = [Track("audio", str(n)) for n in range(200)]
    server.refusals["ada"] = Response(
        described(lines), 406, {"Location": "/session/x", "Content-Type": SDP}
    )
    failure = await session.start(endpoint(server), "ada")
    assert failure is not None, "the server has no such session"
    assert session.kinds == (Kind.AUDIO,)
    assert session.refused == ((Kind.AUDIO, "a connection receives 1 audio m-line at most"),)


async def test_a_server_that_is_not_there(session: Session) -> None:
    failure = await session.start("http://127.0.0.1:1/whep", "ada")
    assert failure is not None
    assert (failure.status, failure.absent) == (UNANSWERED, False)
    assert "cannot be asked" in failure.reason


async def test_a_session_from_start_to_close(server: WhepServer, session: Session) -> None:
    server.audio_only = True
    assert await session.start(endpoint(server), "ada") is None
    assert session.kinds == (Kind.AUDIO,)
    audio = TrackKey("task", "ada", Kind.AUDIO)
    session.attach(Subscribe(audio, AudioSpec(1)))
    session.attach(Subscribe(TrackKey("task", "ada", Kind.VIDEO), VideoSpec(1)))  # none is sent
    session.detach(audio)
    assert not session.over.done()
    await session.close()
    await session.close()
    assert [one.partition("-")[0] for one in server.deleted] == ["ada"], "told once"


async def test_a_server_that_cannot_be_told_of_the_end(
    server: WhepServer, session: Session
) -> None:
    assert await session.start(endpoint(server), "ada") is None
    await server.stop()
    await session.close()  # it sees that we are gone by the silence
    assert server.deleted == []
    await server.start()
