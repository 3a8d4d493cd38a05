"""Fragments in any order give the packet; what is lost, overlaps or is too much is counted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.fragments import MAX_PACKETS, MAX_PARTS, MAX_SIZE, Fragments


@given(st.permutations(range(6)))
def test_any_order(order: list[int]) -> None:
    counters = Counter[str]()
    fragments = Fragments(counters)
    whole = bytes(range(48))
    given_ = [
        fragments.put(b"a", index * 8, whole[index * 8 :][:8], last=index == 5) for index in order
    ]
    assert given_ == [None] * 5 + [whole]
    fragments.close()
    assert not counters


def test_a_fragment_that_never_comes_loses_the_others() -> None:
    counters = Counter[str]()
    fragments = Fragments(counters)
    assert fragments.put(b"a", 0, bytes(8), last=False) is None
    assert fragments.put(b"a", 16, bytes(8), last=True) is None
    fragments.close()
    assert counters == {"fragment": 2}


def test_overlapping_fragments_give_nothing() -> None:
    counters = Counter[str]()
    fragments = Fragments(counters)
    for offset, size, last in ((0, 16, False), (8, 16, False), (24, 8, True)):
        assert fragments.put(b"a", offset, bytes(size), last=last) is None
    assert counters == {"fragment": 3}


def test_packets_that_wait_are_bounded() -> None:
    counters = Counter[str]()
    fragments = Fragments(counters)
    for key in range(MAX_PACKETS + 1):
        fragments.put(bytes([key]), 0, bytes(8), last=False)
    assert counters == {"fragment": 1}
    assert fragments.put(b"\0", 8, bytes(8), last=True) is None, "the first one made room"
    assert fragments.put(b"\5", 8, bytes(8), last=True) == bytes(16)


def test_parts_are_bounded() -> None:
    counters = Counter[str]()
    fragments = Fragments(counters)
    for index in range(MAX_PARTS + 3):
        fragments.put(b"a", index * 8, bytes(8), last=False)
    assert counters == {"fragment": 3}


def test_no_packet_is_longer_than_ip_allows() -> None:
    with pytest.raises(ValueError, match="longest"):
        Fragments(Counter()).put(b"a", MAX_SIZE - 7, bytes(8), last=True)
