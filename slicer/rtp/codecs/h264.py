"""H.264 from RTP (RFC 6184, packetization modes 0 and 1)."""

from slicer.rtp.codecs.access_unit import NalDepacketizer
from slicer.rtp.codecs.nal import NalFormat, exp_golomb
from slicer.rtp.codecs.sps import height_of
from slicer.rtp.parameters import Codec

_IDR, _SPS, _PPS, _AUD, _STAP_A, _FU_A = 5, 7, 8, 9, 24, 28


def _number(nal: bytes) -> int | None:
    """An SPS has profile, constraints and level ahead of its id (ITU-T H.264 7.3.2.1.1)."""
    return exp_golomb(nal[4:] if NALS.kind(nal) == _SPS else nal[1:])


NALS = NalFormat(
    name="H.264",
    header=1,
    shift=0,
    mask=0x1F,
    units=range(1, _STAP_A),
    aggregation=_STAP_A,
    fragmentation=_FU_A,
    delimiter=_AUD,
    sets=(_SPS, _PPS),
    slices=frozenset(range(1, 6)),
    keyframes=frozenset({_IDR}),
    skipped=frozenset(),
    number=_number,
)
starts_keyframe = NALS.starts_keyframe
unsupported = NALS.unsupported


def height(payload: bytes) -> int:
    """Pixels of the pictures, where this payload holds an SPS that can be read; else 0."""
    try:
        found = [height_of(nal) for nal in NALS.whole_nals(payload) if NALS.kind(nal) == _SPS]
    except ValueError:
        return 0
    return found[-1] if found else 0


def depacketizer(codec: Codec) -> NalDepacketizer:
    """One for each stream."""
    return NalDepacketizer(NALS, codec.parameter_sets)


def refusal(codec: Codec) -> str:
    """Mode 2 interleaves (RFC 6184 6.4), and is of no use to live media."""
    mode = codec.format.get("packetization-mode", "0")
    return "" if mode in {"0", "1"} else f"packetization-mode={mode}"
