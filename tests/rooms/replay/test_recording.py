"""What a replay URL names: options, payload types from three places, and who is in a file."""

import math
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput, RoomError
from slicer.rooms.replay.capture import Endpoints
from slicer.rooms.replay.recording import MAX_SDP, Recording, Source
from slicer.rtp.parameters import G722, H264, OPUS, PCMA, PCMU, VP8, Kind
from tests.harness.rooms.captures import ipv4, pcap, rtcp_sr, rtp, rtpdump, udp

SDP = """v=0
s=-
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
m=audio 5004 RTP/AVP 111 63 126
a=rtpmap:111 opus/48000/2
a=rtpmap:63 red/48000/2
a=rtpmap:126 telephone-event/8000
m=video 5006 RTP/AVPF 96 97
a=rtpmap:96 H264/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=fmtp:96 packetization-mode=1
a=rtcp-fb:96 nack pli
"""


def source(url: str) -> Source:
    return Source.parse(urlsplit(url))


def survey(path: Path, options: str = "") -> Recording:
    return Recording.survey(source(f"replay://{path}{options}"))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_options() -> None:
    parsed = source("replay:///a%20b/c.rtpdump?speed=2.5&anchor=ann&audio=111:opus,9:G722")
    assert parsed == Source(Path("/a b/c.rtpdump"), 2.5, "ann", {Kind.AUDIO: {111: OPUS, 9: G722}})


@pytest.mark.parametrize(
    ("text", "speed"), [("", 1.0), ("?speed=max", math.inf), ("?speed=0", math.inf)]
)
def test_speed(text: str, speed: float) -> None:
    assert source(f"replay:///a{text}").speed == speed


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("replay://host/a", "room"),
        ("replay:a.rtpdump", "room"),
        ("replay:///a?sped=1", "room"),
        ("replay:///a?speed=1&speed=2", "room"),
        ("replay:///a?speed=fast", "room.speed"),
        ("replay:///a?speed=-1", "room.speed"),
        ("replay:///a?speed=nan", "room.speed"),
        ("replay:///a?speed=1001", "room.speed"),
        ("replay:///a?anchor=../b", "room.anchor"),
        ("replay:///a?anchor=" + "x" * 65, "room.anchor"),
        ("replay:///a?audio=opus", "room.audio"),
        ("replay:///a?audio=128:opus", "room.audio"),
        ("replay:///a?audio=96:vp8", "room.audio"),
        ("replay:///a?video=96:opus", "room.video"),
        ("replay:///a?video=", "room.video"),
    ],
)
def test_refused_options(url: str, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        source(url)
    assert refused.value.field == field


def test_static_types_need_nothing(tmp_path: Path) -> None:
    (audio,) = source(f"replay://{tmp_path}/a.rtpdump").streams()
    assert audio.codecs == {0: PCMU, 8: PCMA, 9: G722}


def test_the_sidecar_tells_types(tmp_path: Path) -> None:
    (tmp_path / "a.sdp").write_text(SDP)
    audio, video = source(f"replay://{tmp_path}/a.rtpdump").streams()
    assert audio.codecs == {111: OPUS}
    assert video.codecs == {96: replace(H264, format={"packetization-mode": "1"})}
    assert video.rtx == {97: 96}
    assert not video.feedback


def test_options_beat_the_sidecar(tmp_path: Path) -> None:
    (tmp_path / "a.sdp").write_text(SDP)
    video, audio = source(f"replay://{tmp_path}/a.rtpdump?video=96:vp8").streams()
    assert (audio.codecs, video.codecs) == ({111: OPUS}, {96: VP8})


@pytest.mark.parametrize("data", [b"v=0\nm=audio\n", b"", b"x" * (MAX_SDP + 1), b"\xff\xfe"])
def test_a_sidecar_that_cannot_be_read(tmp_path: Path, data: bytes) -> None:
    write(tmp_path / "a.sdp", data)
    with pytest.raises(BadInput, match="sdp"):
        source(f"replay://{tmp_path}/a.rtpdump").streams()


def test_one_flow_is_called_by_the_file(tmp_path: Path) -> None:
    packets = [(index / 50, rtp(0, index)) for index in range(3)]
    recording = survey(write(tmp_path / "my call.rtpdump", rtpdump(*packets, began=9.5)))
    assert dict(recording.anchors) == {Endpoints("", ""): "my-call"}
    assert recording.began == 9.5
    assert recording.kinds[0] is Kind.AUDIO


def flows(*ports: int) -> bytes:
    """A pcap with three packets of each port to the next even one, their RTCP one port higher."""
    frames = []
    for index in range(3):
        for port in ports:
            frames.append(ipv4(udp(rtp(0, index, ssrc=port), port, port)))
            frames.append(ipv4(udp(rtcp_sr(port), port + 1, port + 1)))
    return pcap(*frames)


def test_several_flows_are_numbered(tmp_path: Path) -> None:
    recording = survey(write(tmp_path / "a.pcap", flows(5004, 5008)))
    named = {flow.source.rpartition(":")[2]: name for flow, name in recording.anchors.items()}
    assert named == {"5004": "a-1", "5005": "a-1", "5008": "a-2", "5009": "a-2"}


def test_an_anchor_named_owns_all_flows(tmp_path: Path) -> None:
    recording = survey(write(tmp_path / "a.pcap", flows(5004, 5008)), "?anchor=ann")
    assert set(recording.anchors.values()) == {"ann"}
    assert len(recording.anchors) == 4


def test_a_stray_packet_is_no_anchor(tmp_path: Path) -> None:
    frames = [ipv4(udp(rtp(0, index))) for index in range(3)]
    stray = ipv4(udp(rtp(0, 0), 53, 53))
    recording = survey(write(tmp_path / "a.pcap", pcap(stray, *frames)))
    assert list(recording.anchors.values()) == ["a"]


@pytest.mark.parametrize(
    ("packets", "says"),
    [
        ([], "holds no RTP"),
        ([(0.0, rtcp_sr(1))], "holds no RTP"),
        ([(0.0, rtp(96, 1)), (0.1, rtp(96, 2))], "96 (2 packets); say what they are by"),
    ],
)
def test_nobody_is_there(tmp_path: Path, packets: list[tuple[float, bytes]], says: str) -> None:
    with pytest.raises(RoomError) as refused:
        survey(write(tmp_path / "a.rtpdump", rtpdump(*packets)))
    assert says in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can be read"):
        survey(tmp_path / "a.rtpdump")
