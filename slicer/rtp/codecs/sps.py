"""The height of pictures in an H.264 sequence parameter set (ITU-T H.264 7.3.2.1.1)."""

from itertools import repeat

from slicer.rtp.codecs.bits import Bits

MAX_BYTES = 128
"""Of a set that are read; the height lies far ahead of that where there are no scaling lists."""
MAX_ZEROS = 24
"""Leading zeros of a number; one with more is absurd."""
# Profiles with chroma formats, bit depths and scaling lists in the set.
_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_MAX_HEIGHT = 0xFFFF


class _Bits(Bits):
    """With the numbers of 9.1."""

    def number(self) -> int:
        """ue(v); an se(v) is as long."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > MAX_ZEROS:
                raise ValueError("an absurd number")
        return (1 << zeros) - 1 + self.take(zeros)


def height_of(nal: bytes) -> int:
    """Pixels, cropped, of this NAL unit's pictures; 0 where it is malformed, or has scaling lists
    ahead of the size, which no sender of live media is known to use."""
    # 7.4.1: an emulation prevention byte behind two zeros is no part of the content.
    content = nal[1:MAX_BYTES].replace(b"\0\0\3", b"\0\0")
    try:
        height = _read(_Bits(content), content[0] if content else 0)
    except ValueError:
        return 0
    return height if 0 < height <= _MAX_HEIGHT else 0


def _read(bits: _Bits, profile: int) -> int:
    bits.take(24)  # profile, constraints, level
    bits.number()  # the set's id
    chroma = _chroma_format(bits) if profile in _HIGH else 1
    bits.number()  # log2_max_frame_num_minus4
    order = bits.number()
    if order == 0:
        bits.number()  # log2_max_pic_order_cnt_lsb_minus4
    elif order == 1:
        bits.take(1)
        bits.number()
        bits.number()
        for _ in repeat(None, min(bits.number(), 255)):
            bits.number()
    bits.number()  # max_num_ref_frames
    bits.take(1)
    bits.number()  # width, in macroblocks
    rows = bits.number() + 1
    fields = 2 - bits.take(1)  # map units are pairs of fields where there may be any
    if fields == 2:
        bits.take(1)
    bits.take(1)
    crop = 0
    if bits.take(1):
        bits.number()
        bits.number()
        crop = bits.number() + bits.number()
    unit = fields * (2 if chroma == 1 else 1)
    return 16 * rows * fields - crop * unit


def _chroma_format(bits: _Bits) -> int:
    chroma = bits.number()
    if chroma == 3:
        bits.take(1)
    bits.number()  # bit depths
    bits.number()
    bits.take(1)
    if bits.take(1):
        raise ValueError("scaling lists")
    return chroma
