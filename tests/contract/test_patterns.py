"""Whatever a room's id is, its URL stays where the operator's pattern has it; every connector."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rooms import CONNECTORS, parse_room
from slicer.rooms.janus.address import JanusAddress
from slicer.rooms.janus.settings import JanusSettings
from slicer.rooms.livekit.address import LiveKitAddress
from slicer.rooms.stream.address import StreamAddress
from slicer.rooms.whep.address import WhepAddress
from slicer.rooms.whip.address import RoomAddress
from slicer.service.rooms import room_url

PATHS = {"whip": "/{room}", "trtc": "/{room}", "replay": "/folder/{room}.pcap"}
PATHS |= dict.fromkeys(("janus", "januss", "livekit", "livekits", "whep", "wheps"), "/{room}")
PATHS |= dict.fromkeys(("rtmp", "rtmps", "rtsp", "rtsps", "flv", "flvs"), "/live/{room}")
PATHS |= {"hls": "/{room}/live.m3u8", "hlss": "/{room}/live.m3u8", "rtp": "/folder/{room}.sdp"}
HOSTS = dict.fromkeys(("replay", "rtp"), "") | {"trtc": "1400000001"}
OPTIONS = dict.fromkeys(("whep", "wheps"), "?anchors=ada")
TEMPLATES = {
    scheme: f"{scheme}://{HOSTS.get(scheme, '127.0.0.1:8000')}{path}{OPTIONS.get(scheme, '')}"
    for scheme, path in PATHS.items()
}
ODD = ("..", ".", "%2e%2e", "%2e%2e%2f", "%00", "@", "?", "#", "\\", " ", ":", "&", "=", "//", "\n")
IDS = st.lists(st.sampled_from([*ODD, "a", "é", "\u2028", "Ⅸ"]) | st.text(max_size=3), max_size=5)


def whep_target(url: SplitResult) -> str:
    played = urlsplit(WhepAddress.parse(url).anchor_url("ada"))
    assert (played.netloc, played.query, played.fragment) == ("127.0.0.1:8000", "", "")
    assert played.path.startswith("/")
    assert played.path.endswith("/ada/whep")
    return unquote(played.path.removesuffix("/ada/whep")[1:])


def stream_target(url: SplitResult) -> str:
    read = urlsplit(StreamAddress.parse(url).url)
    assert (read.netloc, read.query, read.fragment) == ("127.0.0.1:8000", "", "")
    found = unquote(read.path)
    return found.removeprefix("/live/").removeprefix("/").removesuffix("/live.m3u8")


TARGETS: Mapping[str, Callable[[SplitResult], str]] = {
    "whip": lambda url: unquote(RoomAddress.parse(url).room),
    "janus": lambda url: JanusAddress.parse(url, JanusSettings()).room,
    "livekit": lambda url: LiveKitAddress.parse(url).room,
    "whep": whep_target,
    "rtmp": stream_target,
    "rtsp": stream_target,
    "hls": stream_target,
    "flv": stream_target,
    "replay": lambda url: PurePosixPath(unquote(url.path)).name.removesuffix(".pcap"),
    "rtp": lambda url: PurePosixPath(unquote(url.path)).name.removesuffix(".sdp"),
}
"""What a connector makes of a URL, as the room's id again."""


def test_every_connector_is_looked_at() -> None:
    assert TEMPLATES.keys() == CONNECTORS.keys()


@pytest.mark.parametrize("scheme", TEMPLATES)
@given(parts=IDS)
@example(parts=["%2e%2e", "%2f", "etc"])
@example(parts=["a", "?", "anchors=eve", "#", "x"])
@example(parts=["x", "@", "evil.example"])
@example(parts=[".."])
@example(parts=["../../etc/passwd"])
@example(parts=["..", "\\", "secret"])
def test_a_room_id_changes_its_own_place_alone(scheme: str, parts: list[str]) -> None:
    room = "".join(parts)
    try:
        url = room_url(7, (("*", TEMPLATES[scheme]),), room)
    except UnicodeEncodeError:  # a lone surrogate, which no request can bring
        return
    if url is None or not room:
        return
    split, plain = parse_room(url), urlsplit(TEMPLATES[scheme])
    assert (split.scheme, split.netloc) == (plain.scheme, plain.netloc)
    assert (split.query, split.fragment) == (plain.query, plain.fragment)
    assert split.path.count("/") == plain.path.count("/")
    before, _, behind = plain.path.partition("{room}")
    named = split.path.removeprefix(before).removesuffix(behind)
    assert unquote(named) == room
    target = TARGETS.get(scheme.removesuffix("s") if scheme not in TARGETS else scheme)
    if target is not None:
        try:
            assert target(split) == room
        except BadInput:
            return  # it can be no room there
