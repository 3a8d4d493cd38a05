"""The heights that AV1's headers tell (AV1 specification 5.5 and 5.9).

They are read as far as the sizes, and for streams as live encoders make them: a header with timing
information, decoder models or frame ids is taken for one that tells nothing.
"""

from typing import NamedTuple

from slicer.rtp.codecs.bits import Bits

MAX_BYTES = 64
"""Of a header that are read; its sizes lie ahead of that."""
_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3
_CHOSEN = 2
"""SELECT_SCREEN_CONTENT_TOOLS and SELECT_INTEGER_MV: each frame has a flag of its own."""


class Sequence(NamedTuple):
    """What of a sequence header is needed to read the frame headers that follow it."""

    reduced: bool
    width_bits: int
    height_bits: int
    height: int
    """Pixels of the largest frames."""
    screen_content: int
    integer_motion: int
    order_bits: int
    """Of an order hint; 0 without them."""


def read_sequence(body: bytes) -> Sequence | None:
    """What a sequence header (5.5.1) says; None where it cannot be read."""
    try:
        return _sequence(Bits(body[:MAX_BYTES]))
    except ValueError:
        return None


def read_height(body: bytes, sequence: Sequence) -> int:
    """Pixels of the frame that a frame header (5.9.2) begins, before it is scaled for display; 0
    where it is that of a frame before it, or cannot be read."""
    try:
        return _height(Bits(body[:MAX_BYTES]), sequence)
    except ValueError:
        return 0


def _sequence(bits: Bits) -> Sequence:
    bits.take(4)  # seq_profile, still_picture
    reduced = bool(bits.take(1))
    if reduced:
        bits.take(5)
    else:
        _operating_points(bits)
    widths, heights = bits.take(4) + 1, bits.take(4) + 1
    bits.take(widths)
    height = bits.take(heights) + 1
    if reduced:
        return Sequence(True, widths, heights, height, _CHOSEN, _CHOSEN, 0)
    if bits.take(1):
        raise ValueError("frame ids")
    bits.take(3 + 4)  # superblocks, intra and inter tools
    ordered = bits.take(1)
    bits.take(2 * ordered)
    screen_content = _CHOSEN if bits.take(1) else bits.take(1)
    integer_motion = _CHOSEN
    if screen_content and not bits.take(1):
        integer_motion = bits.take(1)
    order_bits = bits.take(3) + 1 if ordered else 0
    return Sequence(False, widths, heights, height, screen_content, integer_motion, order_bits)


def _operating_points(bits: Bits) -> None:
    if bits.take(1):
        raise ValueError("timing information")
    delayed = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:  # seq_level_idx: with a tier
            bits.take(1)
        if delayed and bits.take(1):
            bits.take(4)


def _height(bits: Bits, sequence: Sequence) -> int:
    if sequence.reduced:
        return sequence.height
    if bits.take(1):  # show_existing_frame
        return 0
    kind, shown = bits.take(2), bits.take(1)
    if not shown:
        bits.take(1)
    whole = kind == _SWITCH or (kind == _KEY and bool(shown))
    resilient = whole or bool(bits.take(1))
    bits.take(1)  # disable_cdf_update
    own = sequence.screen_content == _CHOSEN
    if bits.take(1) if own else sequence.screen_content:
        bits.take(sequence.integer_motion == _CHOSEN)
    overridden = True if kind == _SWITCH else bool(bits.take(1))
    bits.take(sequence.order_bits)
    intra = kind in (_KEY, _INTRA_ONLY)
    if not (intra or resilient):
        bits.take(3)  # primary_ref_frame
    refreshed = 0xFF if whole else bits.take(8)
    if (not intra or refreshed != 0xFF) and resilient:
        bits.take(8 * sequence.order_bits)
    if not intra:
        short = bool(sequence.order_bits and bits.take(1))
        bits.take(6 if short else 7 * 3)
        if overridden and not resilient and _is_of_a_reference(bits):
            return 0
    if not overridden:
        return sequence.height
    bits.take(sequence.width_bits)
    return bits.take(sequence.height_bits) + 1


def _is_of_a_reference(bits: Bits) -> bool:
    """frame_size_with_refs (5.9.7): up to the first reference whose size this frame has."""
    return any(bits.take(1) for _ in range(7))
