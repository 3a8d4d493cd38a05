"""Stream URLs: what is connected to, whose media it is, and what can be no stream."""

import pytest

from slicer.errors import BadInput
from slicer.rooms import CONNECTORS, parse_room
from slicer.rooms.stream.address import Protocol, StreamAddress


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "rtmp://host/live/ada",
            StreamAddress(Protocol.RTMP, "rtmp://host/live/ada", "host", 1935, "stream"),
        ),
        (
            "rtmps://host/live/ada?key=s#anchor=ada",
            StreamAddress(Protocol.RTMP, "rtmps://host/live/ada?key=s", "host", 443, "ada"),
        ),
        (
            "rtsp://me:secret@host:8554/a#anchor=a.b",
            StreamAddress(Protocol.RTSP, "rtsp://me:secret@host:8554/a", "host", 8554, "a.b"),
        ),
        ("rtsps://host/a", StreamAddress(Protocol.RTSP, "rtsps://host/a", "host", 322)),
        (
            "hls://host/a/index.m3u8?x=1&y=2",
            StreamAddress(Protocol.HLS, "http://host/a/index.m3u8?x=1&y=2", "host", 80),
        ),
        ("hlss://[::1]:8/a", StreamAddress(Protocol.HLS, "https://[::1]:8/a", "::1", 8)),
        ("flv://host/a.flv", StreamAddress(Protocol.FLV, "http://host/a.flv", "host", 80)),
        ("flvs://host/a.flv", StreamAddress(Protocol.FLV, "https://host/a.flv", "host", 443)),
    ],
)
def test_a_url_is_split_between_the_server_and_us(url: str, expected: StreamAddress) -> None:
    assert url.partition(":")[0] in CONNECTORS
    assert StreamAddress.parse(parse_room(url)) == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rtmp://host", "rtmp://HOST"),
        ("rtmp:///live/ada", "rtmp://HOST"),
        ("rtsp://host/a#user=ada", "the options anchor, and not 'user'"),
        ("rtsp://host/a#anchor=a&anchor=b", "the options anchor, and not 'anchor' twice"),
        ("rtsp://host/a#anchor=a/b", "room: anchor"),
        ("rtsp://host/a#anchor=", "room: anchor"),
        ("rtmp://host/live/a live=1 swfUrl=x", "without spaces"),
    ],
)
def test_what_can_be_no_stream_is_refused(url: str, says: str) -> None:
    with pytest.raises(BadInput, match="room") as refused:
        StreamAddress.parse(parse_room(url))
    assert says in str(refused.value)


def test_secrets_are_not_shown() -> None:
    address = StreamAddress.parse(parse_room("rtsp://me:hush@host/a?token=hush"))
    assert "hush" not in repr(address)
    with pytest.raises(BadInput) as refused:
        StreamAddress.parse(parse_room("rtmp://me:hush@host/a?sign=hush&wsTime=hush#what=this"))
    assert "hush" not in str(refused.value)
