"""No secret of a room URL is shown, and all else is."""

import pytest

from slicer.errors import BadInput
from slicer.rooms import parse_room
from slicer.rooms.redaction import SECRET_OPTIONS, shown


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("whip://127.0.0.1:8080/lobby", "whip://127.0.0.1:8080/lobby"),
        ("replay:///a/b.pcap?speed=1&audio=111:opus", "replay:///a/b.pcap?speed=1&audio=111:opus"),
        ("janus://h:8188/1234?pin=s3&use=x", "janus://h:8188/1234?pin=***&use=x"),
        ("janus://h/1?PIN=s3;token=t", "janus://h/1?PIN=***;token=***"),
        ("livekit://key:secret@h:7880/room", "livekit://***@h:7880/room"),
        ("rtmp://user@h/live", "rtmp://***@h/live"),
        ("hlss://h/a.m3u8?sign=s&t=1#anchor=ada", "hlss://h/a.m3u8?sign=***&t=***#anchor=ada"),
        ("RTMP://h/live/a?txSecret=s&x=", "RTMP://h/live/a?txSecret=***&x="),
        ("janus://[::1]:8188/1?pin=", "janus://[::1]:8188/1?pin="),
        ("janus://u:s3@h:99999/1?pin=s3", "janus://***@h:99999/1?pin=***"),
        ("janus://[u:s3@h/1?pin=s3&x=1", "janus://***@h/1?pin=***&x=1"),
    ],
)
def test_what_is_shown(url: str, text: str) -> None:
    assert shown(url) == text


@pytest.mark.parametrize("option", sorted(SECRET_OPTIONS))
@pytest.mark.parametrize("start", ["nothing://h/1", "whip://h:99999/1", "whip://[h/1"])
def test_an_error_shows_no_secret(start: str, option: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_room(f"{start}?{option}=s3cret")
    assert "s3cret" not in str(raised.value)
