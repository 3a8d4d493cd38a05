"""HTTP to a WHEP server."""

from slicer.rooms.whep.client import MAX_ICE_SERVERS, Answer
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, Fact, TrackPublished
from slicer.webrtc.ice_servers import IceServer
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


def test_ice_servers_of_an_answer() -> None:
    link = (
        '<stun:s.example>; rel="ice-server", <https://x/y>; rel="help", '
        '<turn:t.example?transport=udp>; rel="ice-server"; username="a,b;c"; credential="p=1"; '
        'credential-type="password", <turn:u.example>;rel=ice-server;username=me'
    )
    answer = Answer(201, "http://h/", {"link": link}, "")
    assert answer.ice_servers == (
        IceServer(("stun:s.example",)),
        IceServer(("turn:t.example?transport=udp",), "a,b;c", "p=1"),
        IceServer(("turn:u.example",), "me"),
    )
    assert Answer(201, "http://h/", {}, "").ice_servers == ()
    many = ", ".join(['<stun:s>; rel="ice-server"'] * 100)
    assert len(Answer(201, "http://h/", {"link": many}, "").ice_servers) == MAX_ICE_SERVERS
