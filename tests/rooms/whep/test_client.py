"""HTTP to a WHEP server."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from starlette.responses import Response

from slicer.errors import RoomError
from slicer.rooms.whep.client import MAX_ICE_SERVERS, MAX_REDIRECTS, UNANSWERED, Answer, Client
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, Fact, TrackPublished
from slicer.webrtc.ice_servers import IceServer
from tests.harness.rooms.visitor import Visitor
from tests.harness.rooms.whep_server import WhepServer
from tests.rooms.whep.conftest import QUICK

ARRIVAL: list[Fact] = [
    AnchorJoined("ada"),
    TrackPublished("ada", Kind.AUDIO),
    TrackPublished("ada", Kind.VIDEO),
]


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    client = Client("Bearer right", replace(QUICK, max_body=1000))
    yield client
    await client.close()


def endpoint(server: WhepServer, anchor: str = "ada") -> str:
    return f"http://127.0.0.1:{server.port}/lobby/{anchor}/whep"


async def test_each_method_with_the_credentials(server: WhepServer, client: Client) -> None:
    server.bearer = "right"
    listed = await client.get(f"http://127.0.0.1:{server.port}/list.json")
    assert (listed.status, json.loads(listed.text)) == (200, ["ada"])
    assert (await client.options(endpoint(server))).status == 204
    absent = await client.post(endpoint(server, "bob"), "v=0")
    assert (absent.status, absent.reason) == (404, "404 no stream is available")
    assert (await client.delete(f"http://127.0.0.1:{server.port}/session/x")).status == 200
    assert server.asked == [
        "GET /list.json",
        "OPTIONS /lobby/ada/whep",
        "POST /lobby/bob/whep",
        "DELETE /session/x",
    ]
    server.bearer = "other"
    refused = await client.patch(f"http://127.0.0.1:{server.port}/session/x", "text/plain", "")
    assert refused.reason == "401 authentication error"


async def test_an_answer_may_be_as_long_as_is_set(server: WhepServer, client: Client) -> None:
    server.refusals["ada"] = Response("x" * 1000, 201)
    assert len((await client.post(endpoint(server), "v=0")).text) == 1000
    server.refusals["ada"] = Response("x" * 1001, 201)
    with pytest.raises(RoomError, match="answers more than 1000 bytes"):
        await client.post(endpoint(server), "v=0")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://192.0.2.1/x?token=secret", r"another host, http://192\.0\.2\.1/x\?token=\*\*\*"),
        ("ftp://127.0.0.1/x", "another host"),
        ("", f"more than {MAX_REDIRECTS} redirects"),
    ],
)
async def test_redirects_that_are_not_followed(
    server: WhepServer, client: Client, location: str, words: str
) -> None:
    server.refusals["ada"] = Response("", 308, {"Location": location})
    with pytest.raises(RoomError, match=words):
        await client.post(endpoint(server), "v=0")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://[::1"])
async def test_who_cannot_be_asked_is_no_error(client: Client, url: str) -> None:
    answer = await client.get(url)
    assert answer.status == UNANSWERED
    assert answer.reason.startswith(f"{url} cannot be asked: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"detail": "not you", "title": "Forbidden"}', "403 not you"),
        ('{"error": "why"}', "403 why"),
        ('{"title": "Forbidden"}', "403 Forbidden"),
        ("[1]", "403 [1]"),
        (" busy\n now ", "403 busy now"),
        ("x" * 300, f"403 {'x' * 200}"),
        ("{}", "403"),
    ],
)
def test_what_an_answer_says(text: str, reason: str) -> None:
    assert Answer(403, "http://h/", {}, text).reason == reason


def test_the_resource_is_on_the_same_host_and_no_less_safe() -> None:
    def resource(location: str) -> str:
        return Answer(201, "https://h/room/whep", {"location": location}, "").resource()

    assert resource("/session/1") == "https://h/session/1"
    assert resource("session/1") == "https://h/room/session/1"
    for elsewhere in ("http://h/session/1", "https://g/session/1"):
        with pytest.raises(RoomError, match="another host"):
            resource(elsewhere)
    with pytest.raises(RoomError, match="no Location"):
        Answer(201, "https://h/", {}, "").resource()


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
