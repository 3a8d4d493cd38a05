"""An anchor that is played again and again."""

from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, AnchorLeft, Fact, TrackPublished, TrackUnpublished
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
    await server.hang_up()
    await robot.until(lambda: robot.facts().count(AnchorJoined("ada")) == 2)
    kinds = [type(fact) for fact in robot.facts()]
    assert kinds[4:7] == [TrackUnpublished, TrackUnpublished, AnchorLeft]
