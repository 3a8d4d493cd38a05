"""One playback by WHEP: descriptions, counter-offers, what ends it."""

from dataclasses import replace

import pytest

from slicer.rooms.whep import room as room_module
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, Fact, RoomEntered, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import AnchorTrouble, AudioCut, PictureCut, TrackRefused
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
