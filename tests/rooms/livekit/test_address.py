"""The address of a room on a LiveKit server."""

import pytest

from slicer.errors import BadInput
from slicer.rooms import parse_room
from slicer.rooms.livekit.address import LiveKitAddress
from slicer.rooms.livekit.settings import Quality


def test_a_room_with_a_key() -> None:
    url = "livekit://media.example:7880/my%20room?key=k&secret=s3cret&quality=low"
    at = LiveKitAddress.parse(parse_room(url))
    assert (at.server, at.host, at.port) == ("ws://media.example:7880", "media.example", 7880)
    assert (at.room, at.key, at.secret, at.quality) == ("my room", "k", "s3cret", Quality.LOW)
    assert "s3cret" not in repr(at)


def test_a_room_with_a_token_and_one_with_neither() -> None:
    at = LiveKitAddress.parse(parse_room("livekits://[::1]/r?token=t"))
    assert (at.server, at.host, at.port, at.token) == ("wss://[::1]", "::1", 443, "t")
    at = LiveKitAddress.parse(parse_room("livekit://h/r"))
    assert (at.port, at.key, at.token, at.quality) == (80, "", "", None)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("livekit:///r", "HOST"),
        ("livekit://h/", "ROOM"),
        ("livekit://h/a/b", "ROOM"),
        ("livekit://me:s3cret@h/r", "HOST"),
        ("livekit://h/r?key=k", "key and secret"),
        ("livekit://h/r?secret=s3cret", "key and secret"),
        ("livekit://h/r?key=k&secret=s3cret&token=s3cret", "or token"),
        ("livekit://h/r?quality=best", "low, medium or high"),
        ("livekit://h/r?token=s3cret&pin=1", "'pin'"),
    ],
)
def test_what_can_be_no_room(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        LiveKitAddress.parse(parse_room(url))
    assert "s3cret" not in str(refused.value)
