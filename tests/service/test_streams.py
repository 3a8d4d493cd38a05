"""Which room a stream is, and that an application has no stream that its patterns do not name."""

import pytest

from slicer.errors import BadInput
from slicer.service.streams import check_stream, room_of


@pytest.mark.parametrize(
    ("url", "room"),
    [
        ("rtmp://h/live/ada", "rtmp://h/live/ada#anchor=ada"),
        ("rtmps://h/live/ada?key=1", "rtmps://h/live/ada?key=1#anchor=ada"),
        ("rtsp://h:8554/ada", "rtsp://h:8554/ada#anchor=ada"),
        ("http://h/ada.flv?token=1", "flv://h/ada.flv?token=1#anchor=ada"),
        ("https://h:8443/ada/index.m3u8", "hlss://h:8443/ada/index.m3u8#anchor=ada"),
    ],
)
def test_the_room_of_a_stream(url: str, room: str) -> None:
    assert room_of(url, "ada") == room


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://h/ada.mp4", "srt://h/x", "rtmp://h/a#anchor=bo", "rtmp://[", ""],
)
def test_what_is_no_stream(url: str) -> None:
    with pytest.raises(BadInput, match=r"^stream: "):
        room_of(url, "ada")


def test_only_what_a_pattern_fits() -> None:
    check_stream("rtmp://live.example.com/app/key", ["rtmp://x/*", "rtmp://live.example.com/*"])
    for url in ("rtmp://live.example.com.evil/app", "rtmp://u@live.example.com/app", "rtmp://x"):
        with pytest.raises(BadInput, match=r"^stream: .*`streams`"):
            check_stream(url, ["rtmp://live.example.com/*"])
    with pytest.raises(BadInput):
        check_stream("rtmp://live.example.com/app", [])
