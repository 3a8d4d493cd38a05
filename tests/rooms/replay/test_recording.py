"""What is in a capture: who sends what, what is encrypted, and what became of each packet."""

import random
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput, RoomError
from slicer.rooms.replay.capture import Captured
from slicer.rooms.replay.network import Endpoints
from slicer.rooms.replay.recording import MAX_STREAMS, Recording
from slicer.rooms.replay.source import Source
from slicer.rtp.parameters import Kind
from slicer.rtp.rtcp import SourceDescription, build
from tests.harness.rooms.captures import ipv4, pcap, rtcp_sr, rtp, rtpdump, udp

NOWHERE = Endpoints("", "")


def survey(path: Path, options: str = "", account: Counter[str] | None = None) -> Recording:
    url = urlsplit(f"replay://{path}{options}")
    return Recording.survey(Source.parse(url), Counter() if account is None else account)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_one_flow_is_called_by_the_file(tmp_path: Path) -> None:
    packets = [(index / 50, rtp(0, index)) for index in range(3)]
    recording = survey(write(tmp_path / "my call.rtpdump", rtpdump(*packets, began=9.5)))
    assert dict(recording.anchors) == {(NOWHERE, 1): "my-call"}
    assert recording.seconds == 0.04
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


def owners(recording: Recording) -> dict[int, str | None]:
    """Whose the media and control packets of `flows` are, by port."""
    found: dict[int, str | None] = {}
    for (flow, ssrc), name in recording.anchors.items():
        port = int(flow.source.rpartition(":")[2])
        found[port] = name
        above = Endpoints(f"10.0.0.1:{port + 1}", f"10.0.0.2:{port + 1}")
        found[port + 1] = recording.owner(Captured(0.0, rtcp_sr(ssrc), above), control=True)
    return found


def test_several_flows_are_numbered(tmp_path: Path) -> None:
    recording = survey(write(tmp_path / "a.pcap", flows(5004, 5008)))
    assert owners(recording) == {5004: "a-1", 5005: "a-1", 5008: "a-2", 5009: "a-2"}


def test_an_anchor_named_owns_all_flows(tmp_path: Path) -> None:
    """But two who speak at a time: one audio track would hold one of them."""
    frames = [
        ipv4(udp(rtp(number, index, ssrc=port), port, port))
        for index in range(3)
        for number, port in ((0, 5004), (96, 5008), (96, 5010))
    ]
    path = write(tmp_path / "a.pcap", pcap(*frames))
    assert set(survey(path, "?anchor=ann&video=96:vp8").anchors.values()) == {"ann"}
    assert set(survey(path, "?video=96:vp8").anchors.values()) == {"a-1", "a-2", "a-3"}
    both = survey(write(tmp_path / "b.pcap", flows(5004, 5008)), "?anchor=ann")
    assert owners(both) == {5004: "ann-1", 5005: "ann-1", 5008: "ann-2", 5009: "ann-2"}


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


SECRET = random.Random(5)


def opus(index: int, ssrc: int = 1, *, encrypted: bool = False) -> bytes:
    payload = SECRET.randbytes(90) if encrypted else b"\xf8" + SECRET.randbytes(79)
    return rtp(111, index, index * 960, payload, ssrc)


def test_every_packet_is_accounted_for(tmp_path: Path) -> None:
    frames = [ipv4(udp(opus(index))) for index in range(40)]
    frames += [ipv4(udp(opus(index, 2, encrypted=True))) for index in range(30)]
    frames += [ipv4(udp(rtp(101, index))) for index in range(3)]
    frames += [ipv4(udp(rtp(111, 9, ssrc=77))), ipv4(udp(rtcp_sr(1))), ipv4(udp(b"\0" * 20))]
    frames += [ipv4(bytes(20), protocol=1), ipv4(udp(opus(1)), fragment=0x2000), bytes(9)]
    account = Counter[str]()
    recording = survey(write(tmp_path / "a.pcap", pcap(*frames)), "?audio=111:opus", account)
    assert account == {
        "records": 79, "rtp": 74, "media": 40, "encrypted": 30, "unknown payload type": 3,
        "stray": 1, "rtcp": 1, "stun": 1, "not udp": 1, "fragment": 1, "not ip": 1,
    }  # fmt: skip
    assert set(recording.anchors.values()) == {"a"}
    assert recording.refused == (("a", Kind.AUDIO),)


def test_audio_and_video_on_two_ports_are_one_anchor(tmp_path: Path) -> None:
    frames = []
    for index in range(3):
        frames.append(ipv4(udp(rtp(0, index, ssrc=1), 4000, 5000)))
        frames.append(ipv4(udp(rtp(96, index, ssrc=2), 4002, 5002)))
    recording = survey(write(tmp_path / "a.pcap", pcap(*frames)), "?video=96:vp8")
    assert set(recording.anchors.values()) == {"a"}


def test_cnames_tell_whose_a_stream_is(tmp_path: Path) -> None:
    """Two callers behind one server's address, audio and video on ports of their own."""
    frames = []
    for index in range(3):
        for port, number, ssrc in ((1, 0, 1), (2, 0, 2), (3, 96, 3), (4, 96, 4)):
            frames.append(ipv4(udp(rtp(number, index, ssrc=ssrc), port, port)))
    for port, cname in ((1, "ada"), (2, "bob"), (3, "bob"), (4, "ada")):
        frames.append(ipv4(udp(build([SourceDescription(((port, cname),))]), port, port)))
    recording = survey(write(tmp_path / "a.pcap", pcap(*frames)), "?video=96:vp8")
    assert {ssrc: name for (_, ssrc), name in recording.anchors.items()} == {
        1: "a-1", 4: "a-1", 2: "a-2", 3: "a-2",
    }  # fmt: skip


def test_streams_are_bounded(tmp_path: Path) -> None:
    packets = [
        (0.0, rtp(0, index, ssrc=ssrc)) for ssrc in range(MAX_STREAMS + 5) for index in range(2)
    ]
    account = Counter[str]()
    recording = survey(write(tmp_path / "a.rtpdump", rtpdump(*packets)), "", account)
    assert len(recording.anchors) == MAX_STREAMS
    assert account["too many streams"] == 10


@pytest.mark.parametrize("surroundings", ["handshake", "control"])
def test_a_few_encrypted_packets_are_known_by_what_is_around(
    tmp_path: Path, surroundings: str
) -> None:
    protected = rtcp_sr(1)[:8] + SECRET.randbytes(34)
    sign = b"\x16\xfe\xfd" + bytes(30) if surroundings == "handshake" else protected
    frames = [ipv4(udp(sign)), *(ipv4(udp(rtp(0, index))) for index in range(3))]
    with pytest.raises(RoomError, match=r"is encrypted \(SRTP\): 3 packets; open it with --keys"):
        survey(write(tmp_path / "a.pcap", pcap(*frames)))


def test_cut_off_packets_are_told(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match=r"2 packets that the capture cut off: .* -s 0"):
        survey(write(tmp_path / "a.pcap", pcap(*[ipv4(udp(rtp(0, 1)))] * 2, cut=20)))
