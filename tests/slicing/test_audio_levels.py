"""What packets say of how loud they are (RFC 6464), and what a slice says then."""

import struct
from collections.abc import Sequence

import pytest

from slicer.rtp.parameters import OPUS, Kind, RtpParameters
from tests.slicing.test_audio import Bench


def level(dB: int, spoken: bool = False, profile: int = 0xBEDE) -> bytes:
    """The header extension of RFC 6464: the bit V, and dB below overload."""
    value = spoken << 7 | dB
    element = [0x50, value, 0, 0] if profile == 0xBEDE else [5, 1, value, 0]
    return struct.pack("!HH", profile, 1) + bytes(element)


def levels_of(told: Sequence[bytes], first: int = 0) -> list[int | None]:
    """What slices of a second say of packets of 20 ms, the first at the time *first*."""
    bench = Bench()
    for number, extension in enumerate(told):
        bench.put(first + 960 * number, extension=extension)
    return [cut.level for cut in bench.end()]


@pytest.mark.parametrize("profile", [0xBEDE, 0x1000], ids=["one byte", "two bytes"])
def test_a_slice_is_as_loud_as_its_loudest_packet(profile: int) -> None:
    told = [level(127, profile=profile)] * 150
    told[70] = level(31, True, profile)
    told[20] = level(0, True, profile)
    assert levels_of(told) == [0, 31, 127]


def test_a_slice_has_no_level_where_a_packet_does_not_tell_its_own() -> None:
    told = [level(127)] * 150
    told[99] = b""
    assert levels_of(told) == [127, None, 127]
    assert levels_of([b""] * 50) == [None]
    empty = struct.pack("!HH", 0x1000, 1) + bytes([5, 0, 0, 0])
    assert levels_of([*[level(127)] * 49, empty]) == [None]


def test_a_loud_packet_across_the_cut_is_in_both_slices() -> None:
    bench = Bench()
    for number in range(101):
        at = 960 * number + (480 if number else 0)
        bench.put(at, extension=level(5 if number == 49 else 100))
    assert [cut.level for cut in bench.end()] == [5, 5, 100]


def test_a_level_that_was_not_agreed_is_not_read() -> None:
    bench = Bench()
    bench.take(bench.bundle.set_sections("ann", [RtpParameters(Kind.AUDIO, {111: OPUS})], 0.0))
    bench.put(0, extension=level(127))
    bench.put(960, extension=level(127))
    assert [cut.level for cut in bench.end()] == [None]
