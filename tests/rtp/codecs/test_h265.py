"""H.265 payload kinds (RFC 7798); see also test_access_unit.py and tests/contract."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from slicer.rtp.codecs import h265
from slicer.rtp.codecs.frame import Frame, VideoDepacketizer
from slicer.rtp.parameters import H265, Codec
from tests.harness.media.priority import kept_priority
from tests.harness.media.video import decoded, encoded
from tests.harness.rtp.packetize import annexb, nal_payloads, payloads
from tests.harness.rtp.parts import VIDEO, ParameterSets

starts_keyframe = VIDEO["h265"].starts_keyframe
VPS, PPS = b"\x40\x01\x0c\x01", b"\x44\x01\xc1"
SPS = b"\x42\x01\x01" + b"\x60" * 12 + b"\xa0"
SLICE = b"\x02\x01\xd0"
RASL_N, RASL_R, RADL_N = 8, 9, 6


def slice_of(kind: int, first: bool = True) -> bytes:
    """A slice of this nal_unit_type; the *first* of its picture or not."""
    return bytes([kind << 1, 1, 0x80 if first else 0, 0x55])


def unit(*nals: bytes) -> bytes:
    """Annex B."""
    return b"".join(b"\0\0\0\1" + nal for nal in nals)


def ap(*nals: bytes) -> bytes:
    """One payload of several NAL units (RFC 7798 4.4.2)."""
    return b"\x60\x01" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


def believer() -> VideoDepacketizer:
    """One that has seen the marker tell the truth, and parameter sets."""
    taker = VIDEO["h265"].depacketizer(H265)
    taker.push(ap(VPS, SPS, PPS, slice_of(19)), -2, True, True)
    first = taker.push(SLICE, -1, False, True)
    assert first == Frame(-2, unit(VPS, SPS, PPS, slice_of(19)), True)
    assert taker.push(slice_of(1, first=False), -1, True, True)
    return taker


@pytest.mark.parametrize("kind", range(16, 22))
def test_every_irap_is_a_keyframe_and_gets_the_sets_it_lacks(kind: int) -> None:
    taker = believer()
    assert starts_keyframe(slice_of(kind))
    expected = Frame(0, unit(VPS, SPS, PPS, slice_of(kind)), True)
    assert taker.push(slice_of(kind), 0, True, True) == expected


@pytest.mark.parametrize("kind", [*range(8), *range(10, 16), 22, 23, 31])
def test_no_other_picture_is_a_keyframe(kind: int) -> None:
    assert not starts_keyframe(slice_of(kind))
    taker = believer()
    frame = taker.push(slice_of(kind), 0, True, True)
    # Decoders ignore the reserved kinds (ITU-T H.265 7.4.2.2).
    assert frame == (Frame(0, unit(slice_of(kind)), False) if kind < 8 else None)


@pytest.mark.parametrize("kind", [RASL_N, RASL_R])
def test_pictures_that_refer_to_what_was_before_the_keyframe_are_left_out(kind: int) -> None:
    taker = believer()
    steps = [(slice_of(21), 0), (slice_of(kind), 1), (slice_of(RADL_N), 2), (SLICE, 3)]
    frames = [taker.push(payload, at, True, True) for payload, at in steps]
    assert [frame.timestamp for frame in frames if frame] == [0, 2, 3]


@kept_priority()
def open_gop() -> list[bytes]:
    """Access units of x265 with B-frames and CRA, in decoding order."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 160, 128, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(30), Fraction(1, 30)
    encoder.options = {
        "preset": "ultrafast",
        "x265-params": "keyint=8:min-keyint=8:bframes=3:b-adapt=0:open-gop=1:scenecut=0"
        ":log-level=error",
    }
    texture = np.random.default_rng(7).integers(0, 256, (128, 160, 3), np.uint8)
    units = []
    for index in range(26):
        frame = av.VideoFrame.from_ndarray(np.roll(texture, 3 * index, 1) // 2 + 60, "rgb24")
        frame.pts = index
        units += encoder.encode(frame.reformat(format="yuv420p"))
    return [bytes(each) for each in units + encoder.encode(None)]


def test_from_every_cra_of_an_open_group_a_decoder_gets_every_frame_that_is_given() -> None:
    units = open_gop()
    kinds = [{nal[0] >> 1 for nal in annexb(each)} for each in units]
    assert sum(21 in each for each in kinds) == 3
    leading = [index for index, each in enumerate(kinds) if each & {RASL_N, RASL_R}]
    assert len(leading) > 5
    taker, frames = VIDEO["h265"].depacketizer(H265), []
    for index, data in enumerate([*units, unit(SLICE)]):
        parts = payloads("h265", data)
        for at, part in enumerate(parts):
            frame = taker.push(part, index, at == len(parts) - 1, True)
            frames += [frame] if frame else []
    given = [frame.timestamp for frame in frames if frame.timestamp < len(units)]
    assert given == [index for index in range(len(units)) if index not in leading]
    begins = [index for index, frame in enumerate(frames) if frame.keyframe]
    for begin, end in itertools.pairwise([*begins, len(frames) - 1]):
        group = [frame.data for frame in frames[begin:end]]
        assert len(decoded("h265", group)) == len(group)


@pytest.mark.parametrize("aggregate", [True, False])
def test_single_units_and_aggregation_give_the_same(aggregate: bool) -> None:
    nals = annexb(encoded("h265")[1].data)
    parts = nal_payloads("h265", nals, 60_000, aggregate)
    assert [part[0] >> 1 for part in parts] == ([48] if aggregate else [1, 1, 1])
    taker = believer()
    frames = [taker.push(part, 0, at == len(parts) - 1, True) for at, part in enumerate(parts)]
    assert frames[-1] == Frame(0, unit(*nals), False)


def test_fragments_get_their_unit_header_back_with_layer_and_temporal_id() -> None:
    nal = b"\x02\x03" + bytes(range(1, 200))  # TRAIL_R of temporal id 2
    parts = nal_payloads("h265", [nal], 60)
    assert len(parts) == 4
    taker = believer()
    frames = [taker.push(part, 0, at == 3, True) for at, part in enumerate(parts)]
    assert frames[-1] == Frame(0, unit(nal), False)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x02",
        b"\x60\x01",
        b"\x60\x01\x00",
        b"\x60\x01\x00\x00",
        b"\x60\x01\x00\x01\x02",  # a NAL unit shorter than its header
        b"\x60\x01\x00\x05\x02\x01",
        b"\x60\x01\x00\x03\x60\x01\x00",  # aggregated aggregation
        b"\x62\x01",
        b"\x62\x01\x93",
        b"\x62\x01\xb0\x00",  # a fragment of an aggregation packet
        b"\x64\x01\x00\x00\x02\x01\xd0",  # PACI (4.4.4)
        b"\x66\x01\x00",
        b"\x7e\x01\x00",
    ],
)
def test_malformed_payloads_and_paci_are_refused(payload: bytes) -> None:
    taker = believer()
    with pytest.raises(ValueError, match=r"(?i)h\.?265"):
        taker.push(payload, 0, False, True)
    assert not starts_keyframe(payload)
    assert taker.push(SLICE, 0, True, True) is None
    assert taker.push(SLICE, 1, True, True) == Frame(1, unit(SLICE), False)


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        (VPS, True),
        (ap(VPS, SPS, PPS), True),
        (ap(SPS, PPS), False),
        (ap(PPS, slice_of(20)), True),
        (slice_of(19, first=False), False),
        (b"\x62\x01\x93\xaf", True),
        (b"\x62\x01\x93\x2f", False),
        (b"\x62\x01\x13\xaf", False),
        (b"\x62\x01\x81\xaf", False),
        (SLICE, False),
        (b"\x26\x01", False),
        (b"\x26", False),
    ],
)
def test_where_a_keyframe_starts(payload: bytes, starts: bool) -> None:
    assert starts_keyframe(payload) == starts


def sps(number: str, layers: int = 0, flags: str = "", body: bytes = b"\x60") -> bytes:
    """An SPS of this id as ue(v), of more temporal layers, some of which say profile or level."""
    present = int(flags.ljust(16, "0"), 2).to_bytes(2, "big") if layers else b""
    layered = body * (11 * flags[::2].count("1") + flags[1::2].count("1"))
    tail = int(number.ljust(16, "1"), 2).to_bytes(2, "big")
    return b"\x42\x01" + bytes([layers << 1]) + body * 12 + present + layered + tail


def escaped(nal: bytes) -> bytes:
    """With emulation prevention (ITU-T H.265 7.4.2)."""
    result = b""
    for byte in nal:
        result += b"\3" if byte < 4 and result.endswith(b"\0\0") else b""
        result += bytes([byte])
    return result


@pytest.mark.parametrize(
    ("layers", "flags"), [(0, ""), (1, "00"), (1, "11"), (2, "1001"), (6, "111111111111")]
)
@pytest.mark.parametrize("body", [b"\x60", b"\x00"])
def test_an_sps_is_known_by_its_id_behind_profiles_of_any_length(
    layers: int, flags: str, body: bytes
) -> None:
    first, second = (sps(number, layers, flags, body) for number in ("1", "010"))
    later = first[:-1] + b"\xf0"
    sets = ParameterSets(h265.NALS)
    for nal in (VPS, PPS, first, second, later):
        sets.note(escaped(nal))
    assert sets.all() == [VPS, escaped(later), escaped(second), PPS]


def test_sets_cut_off_before_their_id_are_not_remembered() -> None:
    sets = ParameterSets(h265.NALS)
    for nal in (b"\x40\x01", b"\x44\x01", *(SPS[:size] for size in range(2, len(SPS)))):
        sets.note(nal)
    for nal in (VPS, PPS):
        sets.note(nal)
    assert sets.all() == []
    sets.note(SPS)
    assert sets.all() == [VPS, SPS, PPS]


def test_the_last_vps_and_pps_of_each_id_count() -> None:
    sets = ParameterSets(h265.NALS)
    other_vps, later_pps = b"\x40\x01\x1c\x01", b"\x44\x01\xe1"
    for nal in (other_vps, VPS, PPS, SPS, later_pps, VPS + b"\x01"):
        sets.note(nal)
    assert sets.all() == [VPS + b"\x01", other_vps, SPS, later_pps]


@pytest.mark.parametrize(
    ("format", "refusal"),
    [
        ({}, ""),
        ({"profile-id": "1", "tx-mode": "SRST", "sprop-max-don-diff": "0"}, ""),
        ({"sprop-max-don-diff": "2"}, "sprop-max-don-diff=2"),
        ({"sprop-depack-buf-nalus": "3"}, "sprop-depack-buf-nalus=3"),
        ({"tx-mode": "MRST"}, "tx-mode=MRST"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(format: dict[str, str], refusal: str) -> None:
    assert h265.refusal(Codec("h265", 90_000, 1, format)) == refusal
