"""Frames out of pcapng files: sections, interfaces, three packet blocks, secrets, damage."""

import io
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import BadInput
from slicer.rooms.replay.pcap import Frame
from slicer.rooms.replay.pcapng import MAX_BLOCK, MAX_INTERFACES, pcapng_frames
from tests.harness.rooms.captures import block, enhanced, interface, pcapng, section

FRAME = bytes(range(61))


def read(data: bytes) -> tuple[list[Frame], Counter[str], list[bytes]]:
    file, counters, secrets = io.BytesIO(data), Counter[str](), list[bytes]()
    file.read(4)
    return list(pcapng_frames(file, counters, secrets.append)), counters, secrets


@pytest.mark.parametrize("order", ["<", ">"])
def test_enhanced_packets_of_several_interfaces(order: str) -> None:
    nanoseconds = struct.pack(f"{order}HHBxxxHHqHH", 9, 1, 9, 14, 8, 1_000, 0, 0)
    halves = struct.pack(f"{order}HHBxxx", 9, 1, 0x81)
    data = section(order) + interface(1, order) + interface(101, order, nanoseconds)
    data += interface(113, order, halves) + block(5, bytes(12), order)
    data += enhanced(FRAME, 2_500_000, 0, order) + enhanced(FRAME, 10**9, 1, order, missing=7)
    found, counters, _ = read(data + enhanced(FRAME, 3, 2, order))
    assert found == [
        Frame(2.5, 1, FRAME, True), Frame(1_001.0, 101, FRAME, False), Frame(1.5, 113, FRAME, True)
    ]  # fmt: skip
    assert not counters


def test_a_simple_packet_came_with_the_one_before() -> None:
    simple = block(3, struct.pack("<I", len(FRAME)) + FRAME)
    found, counters, _ = read(pcapng(simple, enhanced(FRAME, 5_000_000), simple))
    assert [frame.seconds for frame in found] == [0.0, 5.0, 5.0]
    assert {frame[1:] for frame in found} == {(101, FRAME, True)}
    assert not counters


def test_a_simple_packet_is_cut_at_the_interfaces_bound() -> None:
    bounded = section() + block(1, struct.pack("<HHI", 101, 0, 20))
    found, _, _ = read(bounded + block(3, struct.pack("<I", len(FRAME)) + FRAME[:20]))
    assert found == [Frame(0.0, 101, FRAME[:20], False)]


def test_the_obsolete_packet_block() -> None:
    old = block(2, struct.pack("<HHIIII", 0, 0, 0, 7_000_000, len(FRAME), len(FRAME)) + FRAME)
    assert read(pcapng(old))[0] == [Frame(7.0, 101, FRAME, True)]


def test_a_new_section_has_its_own_order_and_interfaces() -> None:
    second = section(">") + interface(1, ">") + enhanced(FRAME, 10**6, 0, ">")
    found, counters, _ = read(pcapng(enhanced(FRAME, 10**6)) + second)
    assert [frame.link for frame in found] == [101, 1]
    assert not counters


def test_secrets_are_handed_over() -> None:
    log = b"CLIENT_RANDOM 00 11\n"
    blocks = [block(10, struct.pack("<II", kind, len(log)) + log) for kind in (0x544C534B, 7)]
    assert read(pcapng(*blocks))[2] == [log]


@pytest.mark.parametrize(
    "odd",
    [
        enhanced(FRAME, 0, number=1),
        block(6, bytes(12)),
        block(6, struct.pack("<IIIII", 0, 0, 0, 5_000, 5_000)),
        block(1, bytes(4)),
    ],
)
def test_a_block_that_makes_no_sense_is_passed_over(odd: bytes) -> None:
    found, counters, _ = read(pcapng(odd, enhanced(FRAME, 0)))
    assert (len(found), counters) == (1, Counter(malformed=1))


def test_interfaces_are_bounded() -> None:
    data = pcapng(*[interface()] * MAX_INTERFACES)
    found, counters, _ = read(
        data + enhanced(FRAME, 0, MAX_INTERFACES - 1) + enhanced(FRAME, 0, MAX_INTERFACES)
    )
    assert (len(found), counters) == (1, Counter(malformed=1))


@pytest.mark.parametrize("length", [0, 8, 13, MAX_BLOCK + 4])
def test_a_length_that_cannot_be_ends_the_file(length: int) -> None:
    data = pcapng(enhanced(FRAME, 0)) + struct.pack("<II", 6, length) + bytes(40)
    found, counters, _ = read(data)
    assert (len(found), counters) == (1, Counter(truncated=1))


@pytest.mark.parametrize("missing", range(1, 40))
def test_a_file_that_breaks_off_gives_what_is_whole(missing: int) -> None:
    found, counters, _ = read(pcapng(enhanced(FRAME, 0), enhanced(FRAME, 1))[:-missing])
    assert (len(found), counters) == (1, Counter(truncated=1))


def test_refused() -> None:
    with pytest.raises(BadInput, match="section header"):
        read(b"\x0a\x0d\x0d\x0a" + bytes(20))


@given(st.binary(max_size=200))
def test_garbage_never_raises(rest: bytes) -> None:
    found, _, _ = read(pcapng(enhanced(FRAME, 0)) + rest)
    assert found[0].data == FRAME
