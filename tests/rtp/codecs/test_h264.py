"""H.264 payload kinds (RFC 6184); see also test_access_unit.py and tests/contract."""

import pytest
from aiortc.codecs.h264 import H264Encoder

from slicer.rtp.codecs import h264
from slicer.rtp.codecs.frame import Frame, VideoDepacketizer
from slicer.rtp.parameters import H264, Codec
from tests.harness.media.video import encoded
from tests.harness.rtp.depacketize import TICKS, Sent, canonical, depacketizer, received
from tests.harness.rtp.packetize import annexb, nal_payloads
from tests.harness.rtp.parts import VIDEO

starts_keyframe, height = VIDEO["h264"].starts_keyframe, VIDEO["h264"].height
START = b"\x00\x00\x00\x01"
SPS, PPS = b"\x67\x42\x00\x0a\xf8\x41", b"\x68\xce\x38\x80"
AUD, SEI = b"\x09\xf0", b"\x06\x05\x01\x00"
IDR, IDR_2 = b"\x65\x88\x84", b"\x65\x42\x84"  # first_mb_in_slice 0, then 1
SLICE, SLICE_2 = b"\x41\x9a\x00", b"\x41\x5a\x00"


def stap(*nals: bytes) -> bytes:
    """One payload of several NAL units (RFC 6184 5.7.1)."""
    return b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


STAP = stap(SPS, PPS)

Step = tuple[bytes, int, bool]


def pushed(*steps: Step, taker: VideoDepacketizer | None = None) -> list[Frame]:
    """The frames out of (payload, timestamp, marker), none missing."""
    taker = taker or VIDEO["h264"].depacketizer(H264)
    frames = [taker.push(*step, True) for step in steps]
    return [frame for frame in frames if frame]


def unit(*nals: bytes) -> bytes:
    """Annex B."""
    return b"".join(START + nal for nal in nals)


def believer() -> VideoDepacketizer:
    """One that has seen the marker tell the truth, and parameter sets."""
    taker = VIDEO["h264"].depacketizer(H264)
    steps = [(STAP, -2, False), (IDR, -2, True), (SLICE, -1, False), (SLICE_2, -1, True)]
    assert [frame.timestamp for frame in pushed(*steps, taker=taker)] == [-2, -1]
    return taker


def test_packets_made_by_aiortc() -> None:
    units = encoded("h264")
    packets = []
    for index, coded in enumerate(units):
        parts = H264Encoder._packetize(iter(annexb(coded.data)))  # noqa: SLF001 (of aiortc)
        packets += [
            Sent(part, index * TICKS, at == len(parts) - 1, index) for at, part in enumerate(parts)
        ]
    frames = received(depacketizer("h264"), packets)
    assert [f.data for f in frames] == [canonical("h264", u.data) for u in units]


@pytest.mark.parametrize("aggregate", [True, False])
def test_mode_0_and_aggregation_give_the_same(aggregate: bool) -> None:
    nals = annexb(encoded("h264")[1].data)
    parts = nal_payloads("h264", nals, 60_000, aggregate)
    assert len(parts) == (1 if aggregate else len(nals))
    taker = believer()
    frames = [
        taker.push(part, 0, index == len(parts) - 1, True) for index, part in enumerate(parts)
    ]
    assert frames[-1] == Frame(0, unit(*nals), False)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x00",
        b"\x78",
        b"\x78\x00",
        b"\x78\x00\x00",
        b"\x78\x00\x05\x67",
        b"\x78\x00\x01\x78",
        b"\x79\x00\x01\x67",  # STAP-B: interleaved mode
        b"\x7a\x00",
        b"\x7c",
        b"\x7c\x85",
        b"\x7c\x9c\x00",
        b"\x7d\x85\x00\x00",
        b"\x7e\x00",
        b"\x7f\x00",
    ],
)
def test_malformed_payloads_are_refused(payload: bytes) -> None:
    taker = believer()
    with pytest.raises(ValueError, match=r"(?i)h\.?264"):
        taker.push(payload, 0, False, True)
    assert not starts_keyframe(payload)
    assert taker.push(SLICE, 0, True, True) is None
    assert taker.push(SLICE, 1, True, True) == Frame(1, unit(SLICE), False)


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        (SPS, True),
        (STAP, True),
        (IDR, True),
        (IDR_2, False),
        (b"\x7c\x85\x88\x84", True),
        (b"\x7c\x85\x42\x84", False),
        (b"\x7c\x05\x88\x84", False),
        (b"\x7c\x81\x9a\x84", False),
        (SLICE, False),
        (PPS, False),
        (b"", False),
    ],
)
def test_where_a_keyframe_starts(payload: bytes, starts: bool) -> None:
    assert starts_keyframe(payload) == starts


# What libx264 writes for 160 x 90 (Baseline): 6 rows of macroblocks, cropped.
REAL_SPS = bytes.fromhex("6742c00ad9028df9210000030001000003001e8f122648")


def test_the_height_is_told_where_a_parameter_set_is() -> None:
    assert height(REAL_SPS) == 90
    assert height(stap(AUD, REAL_SPS, PPS)) == 90
    assert height(stap(SPS, REAL_SPS)) == 90, "the last one holds"
    for other in (IDR, PPS, stap(PPS, SEI), REAL_SPS[:5], b"\x7c\x87" + REAL_SPS[1:], b""):
        assert height(other) == 0


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({}, ""),
        ({"packetization-mode": "0"}, ""),
        ({"packetization-mode": "1"}, ""),
        ({"packetization-mode": "2"}, "packetization-mode=2"),
    ],
)
def test_the_interleaved_mode_is_refused_by_its_name(said: dict[str, str], refused: str) -> None:
    assert h264.refusal(Codec("h264", 90_000, 1, said)) == refused
