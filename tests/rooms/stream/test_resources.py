"""HTTP for FFmpeg: what is read, and that nothing leads to another host."""

import threading
from collections.abc import Iterator

import pytest

from slicer.errors import RoomError
from slicer.rooms import parse_room
from slicer.rooms.stream import resources
from slicer.rooms.stream.address import StreamAddress
from slicer.rooms.stream.resources import MAX_REDIRECTS, Resources
from slicer.rooms.stream.settings import StreamSettings
from tests.harness.rooms.streams import Answer, served, silent_server


def get(path: str) -> Answer:
    """What the server of these tests has."""
    match path:
        case "/playlist" | "/here":
            return 200, {}, [b"one ", b"two"]
        case "/empty":
            return 200, {}, []
        case "/moved":
            return 302, {"Location": "/here"}, []
        case "/round":
            return 302, {"Location": "/round"}, []
        case "/away":
            return 307, {"Location": "http://169.254.169.254/latest/meta-data"}, []
        case "/file":
            return 301, {"Location": "file:///etc/passwd"}, []
        case "/cut":
            return 200, {"Content-Length": "100"}, [b"few"]
        case _:
            return 404, {}, []


@pytest.fixture
def port() -> Iterator[int]:
    with served(get) as site:
        yield site.port


def opener(port: int, scheme: str = "hls", hosts: tuple[str, ...] = ()) -> Resources:
    address = StreamAddress.parse(parse_room(f"{scheme}://127.0.0.1:{port}/playlist"))
    return Resources(address, StreamSettings(connect_timeout=1, silence=1, hosts=hosts))


@pytest.mark.parametrize(
    ("path", "body"), [("here", b"one two"), ("moved", b"one two"), ("empty", b"")]
)
def test_a_resource_is_read_to_its_end(port: int, path: str, body: bytes) -> None:
    source = opener(port)
    resource = source.open(f"http://127.0.0.1:{port}/{path}", 1, {})
    read = b""
    while piece := resource.read(3):
        assert len(piece) <= 3
        read += piece
    assert read == body
    assert resource.read(3) == b""
    resource.close()
    source.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:{port}/none", "HTTP 404 Not Found"),
        ("http://127.0.0.1:{port}/round", f"more than {MAX_REDIRECTS} redirects"),
        ("http://127.0.0.1:{port}/away", "the stream leads to 169.254.169.254:80, which"),
        ("http://127.0.0.1:{port}/file", "the stream leads to a URL of file"),
        ("http://localhost:{port}/here", "the stream leads to localhost:"),
        ("http://127.0.0.1:1/here", "the stream leads to 127.0.0.1:1, which stream.hosts"),
        ("http://127.0.0.1:99999/", "a URL that cannot be read"),
        ("ftp://127.0.0.1:{port}/here", "a URL of ftp"),
        ("/etc/passwd", "a URL of no scheme"),
    ],
)
def test_what_is_not_opened_says_why(port: int, url: str, says: str) -> None:
    source = opener(port)
    with pytest.raises(RoomError, match=says):
        source.open(url.format(port=port))
    assert says in source.refusal
    source.open(f"http://127.0.0.1:{port}/playlist")
    assert says in source.refusal, "a playlist that is read again says nothing of its segments"
    source.close()


@pytest.mark.parametrize("named", ["localhost", "localhost:{port}"])
def test_the_settings_name_other_hosts(port: int, named: str) -> None:
    source = opener(port, hosts=(named.format(port=port),))
    assert source.open(f"http://localhost:{port}/here").read(3) == b"one"
    source.close()


def test_https_does_not_lead_to_http() -> None:
    source = opener(443, "hlss")
    with pytest.raises(RoomError, match="a URL of http"):
        source.open("http://127.0.0.1:443/here")
    source.close()


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with silent_server() as port:
        source = opener(port)
        with pytest.raises(RoomError, match="nothing came in time"):
            source.open(f"http://127.0.0.1:{port}/here")
        source.close()
    with pytest.raises(RoomError, match="cannot be connected to"):
        opener(1).open("http://127.0.0.1:1/here")


def test_a_body_that_breaks_off_is_said(port: int) -> None:
    source = opener(port)
    resource = source.open(f"http://127.0.0.1:{port}/cut")
    assert resource.read(99) == b"few"
    with pytest.raises(RoomError, match="the connection broke"):
        resource.read(99)
    source.close()


def test_a_resource_is_bounded_and_an_flv_is_not(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MAX_RESOURCE", 6)
    source = opener(port)
    resource = source.open(f"http://127.0.0.1:{port}/here")
    with pytest.raises(RoomError, match="more than 6 bytes"):
        list(iter(lambda: resource.read(99), b""))
    source.close()
    endless = opener(port, "flv").open(f"http://127.0.0.1:{port}/here")
    assert endless.read(99) + endless.read(99) == b"one two"


def test_stopped_it_gives_no_more(port: int) -> None:
    source = opener(port)
    resource = source.open(f"http://127.0.0.1:{port}/here")
    thread = threading.Thread(target=source.stop)
    thread.start()
    thread.join()
    assert resource.read(99) == b""
    source.close()
