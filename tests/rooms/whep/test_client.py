"""HTTP to a WHEP server."""

from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, Fact, TrackPublished
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer

ARRIVAL: list[Fact] = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


async def test_redirects_stay_on_the_host(server: WhepServer, robot: Visitor) -> None:
    server.redirect["ada"] = "/again/ada"
    await robot.enter(server.url("anchors=ada"))
    await robot.told_of(*ARRIVAL)
    assert "POST /again/ada" in server.asked
