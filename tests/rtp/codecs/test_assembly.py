"""Frames in pieces: their bounds, and how their boundaries are known."""

import pytest

from slicer.rtp.codecs.assembly import MAX_FRAME, MAX_PIECES, Assembly, Boundary


def test_pieces_are_joined_in_order() -> None:
    assembly = Assembly(7)
    for piece in (b"ab", b"", b"c"):
        assembly.add(piece)
    assert (assembly.timestamp, assembly.size, assembly.join()) == (7, 3, b"abc")


def test_a_frame_of_the_largest_size_fits_and_a_byte_more_does_not() -> None:
    assembly = Assembly(0)
    assembly.add(bytes(MAX_FRAME))
    with pytest.raises(ValueError, match="over"):
        assembly.add(b"x")


def test_the_number_of_pieces_is_bounded_too() -> None:
    assembly = Assembly(0)
    for _ in range(MAX_PIECES):
        assembly.add(b"x")
    with pytest.raises(ValueError, match="over"):
        assembly.add(b"")


def test_a_frame_begins_after_a_marker_or_under_a_new_timestamp() -> None:
    boundary = Boundary()
    assert not boundary.passed(0, False, True)  # nothing is known of what came before
    assert not boundary.passed(0, True, True)
    assert boundary.passed(0, False, True)  # after a marker, under the same timestamp
    assert boundary.passed(1, True, True)
    assert not boundary.passed(2, True, False)  # after a hole
    assert boundary.passed(3, True, True)
    boundary.forget()
    assert not boundary.passed(4, True, True)
