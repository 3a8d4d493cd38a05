"""H.265 from RTP (RFC 7798): single NAL units, aggregation packets, fragmentation units.

A keyframe is a picture of an IRAP (ITU-T H.265 table 7-1): IDR, BLA or CRA, all of which a decoder
may begin with. The RASL pictures behind one refer to what was before it: they are left out.
"""

from slicer.rtp.codecs.access_unit import NalDepacketizer
from slicer.rtp.codecs.nal import NalFormat, exp_golomb
from slicer.rtp.parameters import Codec

_RASL_N, _RASL_R, _BLA_W_LP, _CRA = 8, 9, 16, 21
_VPS, _SPS, _PPS, _AUD, _AP, _FU = 32, 33, 34, 35, 48, 49
_LONGEST_HEAD = 160
"""Bytes that the id of an SPS is among, with those that prevent start codes."""


def _number(nal: bytes) -> int | None:
    """ITU-T H.265 7.3.2.1 to 7.3.2.3."""
    kind = NALS.kind(nal)
    if kind == _PPS:
        return exp_golomb(nal[2:])
    if kind == _VPS:
        return nal[2] >> 4 if len(nal) > 2 else None
    body = nal[2:_LONGEST_HEAD].replace(b"\0\0\3", b"\0\0")  # 7.4.2: emulation prevention
    return exp_golomb(body[_profiles_end(body) :])


def _profiles_end(body: bytes) -> int:
    """Where profile_tier_level ends in an SPS without its header (7.3.3): at a whole byte."""
    layers = body[0] >> 1 & 7 if body else 0
    flags = int.from_bytes(body[13:15].ljust(2, b"\0"), "big") if layers else 0
    end = 15 if layers else 13
    for layer in range(layers):
        end += 11 * (flags >> 15 - 2 * layer & 1) + (flags >> 14 - 2 * layer & 1)
    return end


NALS = NalFormat(
    name="H.265",
    header=2,
    shift=1,
    mask=0x3F,
    units=range(_AP),
    aggregation=_AP,
    fragmentation=_FU,
    delimiter=_AUD,
    sets=(_VPS, _SPS, _PPS),
    slices=frozenset({*range(_RASL_R + 1), *range(_BLA_W_LP, _CRA + 1)}),
    keyframes=frozenset(range(_BLA_W_LP, _CRA + 1)),
    skipped=frozenset({_RASL_N, _RASL_R}),
    number=_number,
)
starts_keyframe = NALS.starts_keyframe
unsupported = NALS.unsupported


def depacketizer(codec: Codec) -> NalDepacketizer:
    """One for each stream."""
    return NalDepacketizer(NALS, codec.parameter_sets)


def refusal(codec: Codec) -> str:
    """NAL units out of decoding order have numbers (DONL), and several streams have to be put
    together (RFC 7798 7.1): both are of no use to live media."""
    for name in ("sprop-max-don-diff", "sprop-depack-buf-nalus"):
        if codec.format.get(name, "0").strip() != "0":
            return f"{name}={codec.format[name]}"
    mode = codec.format.get("tx-mode", "SRST").strip()
    return "" if mode.upper() == "SRST" else f"tx-mode={mode}"
