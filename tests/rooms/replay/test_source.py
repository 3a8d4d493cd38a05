"""What a replay URL names: options, keys, and payload types from four places."""

import math
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput
from slicer.rooms.replay.keys import MAX_FILE as MAX_KEY_FILE
from slicer.rooms.replay.source import MAX_SDP, Source
from slicer.rtp.parameters import G722, H264, OPUS, PCMA, PCMU, VP8, Kind, RtpParameters

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
SDES = "AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31"


def source(url: str) -> Source:
    return Source.parse(urlsplit(url))


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
        ("replay:///a?keys=k", "room.keys"),
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


def test_a_cameras_description_is_read(tmp_path: Path) -> None:
    """As RTSP servers write them: a blank name, a title, port 0, static types without a line."""
    head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns= \r\ni=cam\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    audio = "m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n"
    video = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=2\r\n"
    (tmp_path / "a.sdp").write_text(head + audio + video, newline="")
    found = source(f"replay://{tmp_path}/a.rtpdump").streams()
    assert [one.codecs for one in found] == [{8: PCMA}, {96: H264}]


def test_options_beat_the_sidecar(tmp_path: Path) -> None:
    (tmp_path / "a.sdp").write_text(SDP)
    video, audio = source(f"replay://{tmp_path}/a.rtpdump?video=96:vp8").streams()
    assert (audio.codecs, video.codecs) == ({111: OPUS}, {96: VP8})


@pytest.mark.parametrize("data", [b"v=0\nm=audio\n", b"", b"x" * (MAX_SDP + 1), b"\xff\xfe"])
def test_a_sidecar_that_cannot_be_read(tmp_path: Path, data: bytes) -> None:
    write(tmp_path / "a.sdp", data)
    with pytest.raises(BadInput, match="sdp"):
        source(f"replay://{tmp_path}/a.rtpdump").streams()


def test_what_the_capture_itself_tells_is_taken_last(tmp_path: Path) -> None:
    told = [RtpParameters(Kind.VIDEO, {100: VP8}), RtpParameters(Kind.AUDIO, {96: OPUS})]
    bare = source(f"replay://{tmp_path}/a.mjr")
    assert bare.streams(told) == told
    (tmp_path / "a.sdp").write_text(SDP)
    audio, video = bare.streams(told)
    assert (audio.codecs, [*video.codecs]) == ({111: OPUS}, [96])


def test_keys_come_from_a_file_and_from_the_sidecar(tmp_path: Path) -> None:
    (tmp_path / "a.sdp").write_text(f"v=0\ns=-\nm=audio 1 RTP/SAVP 0\na=crypto:1 {SDES}\n")
    keys = source(f"replay://{tmp_path}/a.pcap").read_keys()
    assert len(keys.srtp) == 1
    log = write(tmp_path / "keys.log", b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48)
    both = source(f"replay://{tmp_path}/a.pcap?keys={log}").read_keys()
    assert (both.srtp, [*both.masters]) == (keys.srtp, [b"\xab" * 32])


def test_a_key_of_the_sidecar_that_cannot_be_is_the_sidecars(tmp_path: Path) -> None:
    """No --keys were given, so none are named."""
    (tmp_path / "a.sdp").write_text("v=0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:XXXX\n")
    with pytest.raises(BadInput, match=r"inline: of 3 bytes") as refused:
        source(f"replay://{tmp_path}/a.pcap").read_keys()
    assert refused.value.field == "sdp"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "key log"),
        (b"# nothing\n", "key log"),
        (b"a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:" + b"A" * 60, "of AES_CM_128_HMAC_SHA1_80, "),
        (b"inline:AAAA", "inline"),
        (b"x" * (MAX_KEY_FILE + 1), "at most"),
        (None, "can be read"),
    ],
)
def test_a_key_file_that_has_none(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        write(tmp_path / "k", content)
    with pytest.raises(BadInput, match=says) as refused:
        source(f"replay://{tmp_path}/a.pcap?keys={tmp_path}/k").read_keys()
    assert refused.value.field == "keys"


def test_cnames_of_the_sidecar(tmp_path: Path) -> None:
    lines = "a=ssrc:11 cname:ada\na=ssrc:11 msid:a b\na=ssrc:x cname:bob\n"
    (tmp_path / "a.sdp").write_text(f"{SDP}{lines}")
    assert source(f"replay://{tmp_path}/a.pcap").cnames() == {11: "ada"}
    assert source(f"replay://{tmp_path}/b.pcap").cnames() == {}
