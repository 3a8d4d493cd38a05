"""One playback by WHEP: descriptions, counter-offers, what ends it."""

from dataclasses import replace

from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, Fact, RoomEntered, TrackPublished
from slicer.slicing.outputs import AudioCut, PictureCut, TrackRefused
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
