"""Frames out of pcap files of every form, written here byte by byte."""

import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rooms.replay.pcap import MAX_RECORD, Frame, pcap_frames
from tests.harness.rooms.captures import BEGAN, pcap

FRAME = bytes(range(60))


def read(data: bytes) -> tuple[list[Frame], Counter[str]]:
    file, counters = io.BytesIO(data), Counter[str]()
    return list(pcap_frames(file.read(4), file, counters)), counters


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_byte_orders_and_units(order: str, nanoseconds: bool) -> None:
    found, counters = read(pcap(*[FRAME] * 3, order=order, nanoseconds=nanoseconds))
    expected = pytest.approx([BEGAN, BEGAN + 0.02, BEGAN + 0.04], abs=1e-6)
    assert [frame.seconds for frame in found] == expected
    assert {frame[1:] for frame in found} == {(101, FRAME, True)}
    assert not counters


def test_a_frame_that_was_cut_off_says_so() -> None:
    assert [frame.complete for frame in read(pcap(FRAME, cut=9))[0]] == [False]


@pytest.mark.parametrize("missing", range(1, 16))
def test_a_file_that_breaks_off_gives_what_is_whole(missing: int) -> None:
    found, counters = read(pcap(FRAME, FRAME)[:-missing])
    assert (len(found), counters) == (1, Counter(["truncated"]))


def test_a_record_is_believed_up_to_the_bound() -> None:
    largest = bytes(MAX_RECORD)
    assert len(read(pcap(largest))[0]) == 1
    assert read(pcap(largest + b"\0")) == ([], Counter(["truncated"]))


@pytest.mark.parametrize(
    ("data", "says"),
    [(pcap()[:20], "24 bytes"), (pcap(link=147), "link type 147")],
)
def test_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(data)


def test_a_file_without_records_is_empty() -> None:
    assert read(pcap()) == ([], Counter())


@given(st.lists(st.binary(max_size=80)), st.binary(max_size=40))
def test_garbage_behind_the_frames_ends_the_file(frames: list[bytes], rest: bytes) -> None:
    found, counters = read(pcap(*frames) + rest)
    assert [frame.data for frame in found[: len(frames)]] == frames
    assert counters in (Counter(), Counter(["truncated"]))
