"""Packets of RFC 2198 become the packets they carry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp.packet import Packet
from slicer.rtp.parameters import OPUS, Kind, RtpParameters
from slicer.rtp.red import MAX_REDUNDANT
from slicer.rtp.stream import PATIENCE_NACK
from tests.harness.rtp.line import Line
from tests.harness.rtp.packetize import redundant
from tests.harness.rtp.parts import undo

TYPE = 111
EXTENSION = b"\x10a\x00\x00"


def packet(payload: bytes) -> Packet:
    return Packet(63, True, 0, 500, 7, payload, 0xBEDE, EXTENSION, 1.5)


def test_a_packet_and_the_one_before_it() -> None:
    # As in RFC 2198 section 4: a redundant block's header, the primary's, then both blocks.
    payload = bytes([0x80 | TYPE, 960 >> 6, (960 & 0x3F) << 2, 3, TYPE]) + b"onetwo!"
    primary, before = undo(packet(payload), TYPE)
    assert primary == Packet(TYPE, True, 0, 500, 7, b"two!", 0xBEDE, EXTENSION, 1.5)
    assert before == Packet(TYPE, False, 65_535, 2**32 - 460, 7, b"one", arrival=1.5)


def test_a_primary_block_alone() -> None:
    (primary,) = undo(packet(bytes([TYPE]) + b"only"), TYPE)
    assert (primary.payload_type, primary.sequence, primary.payload) == (TYPE, 0, b"only")


def test_the_number_is_counted_back_and_does_not_follow_from_the_time() -> None:
    """In a pause packets come less often than every 20 ms, and their numbers do not jump."""
    blocks = [(TYPE, 16_383, b"a"), (TYPE, 9600, b"b"), (TYPE, 960, b"c")]
    found = undo(packet(redundant(TYPE, blocks, b"d")), TYPE)
    assert [one.payload for one in found] == [b"d", b"c", b"b", b"a"]
    assert [one.sequence for one in found] == [0, 65_535, 65_534, 65_533]
    assert [(500 - one.timestamp) & 0xFFFFFFFF for one in found] == [0, 960, 9600, 16_383]


def test_blocks_that_are_empty_or_not_earlier_or_of_another_type_are_left_out() -> None:
    """Each still counts: the first of these blocks is four packets back."""
    blocks = [(TYPE, 3840, b"a"), (0, 2880, b"b"), (TYPE, 1920, b""), (TYPE, 0, b"c")]
    found = undo(packet(redundant(TYPE, blocks, b"d")), TYPE)
    assert [one.payload for one in found] == [b"d", b"a"]
    assert found[1].sequence == 65_532


def test_a_primary_of_another_type_says_so() -> None:
    assert undo(packet(bytes([13]) + b"noise"), TYPE)[0].payload_type == 13


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes([0x80 | TYPE, 0, 0]),  # a header that is cut off
        bytes([0x80 | TYPE, 0, 4, 0]),  # no primary
        bytes([0x80 | TYPE, 0, 4, 9, TYPE]) + b"8 bytes.",  # a block longer than what is left
        redundant(TYPE, [(TYPE, 960, b"x")] * (MAX_REDUNDANT + 1), b"y"),
    ],
)
def test_what_is_malformed_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"block|malformed"):
        undo(packet(payload), TYPE)


def test_as_many_blocks_as_are_allowed() -> None:
    blocks = [(TYPE, 960 * back, bytes([back])) for back in range(MAX_REDUNDANT, 0, -1)]
    found = undo(packet(redundant(TYPE, blocks, b"y")), TYPE)
    assert [one.payload for one in found[1:]] == [bytes([n]) for n in range(1, MAX_REDUNDANT + 1)]


@given(st.binary(max_size=80))
def test_whatever_comes_the_blocks_lie_in_the_payload_in_their_order(payload: bytes) -> None:
    try:
        found = undo(packet(payload), TYPE)
    except ValueError:
        return
    assert payload.endswith(found[0].payload)
    end = len(payload)
    for one in found:
        end = payload.rindex(one.payload, 0, end)
    assert end > 0, "the headers come first"


RED = RtpParameters(Kind.AUDIO, {111: OPUS}, red={63: 111}, feedback=frozenset({"nack"}))


def red(sequence: int, back: int = 1) -> bytes:
    """A packet's payload with those of the *back* packets before it."""
    blocks = [(111, 960 * n, b"%d" % (sequence - n)) for n in range(back, 0, -1)]
    return redundant(111, blocks, b"%d" % sequence)


def put_red(line: Line, sequence: int, back: int = 1) -> None:
    line.put(sequence, 960 * sequence, payload_type=63, payload=red(sequence, back))


def test_what_is_missing_is_in_the_next_packet() -> None:
    line = Line(RED)
    for sequence in range(65_500, 65_560):
        if sequence not in (65_510, 65_535, 65_536):
            put_red(line, sequence)
    line.wait(PATIENCE_NACK)
    came = [ordered.packet for ordered in line.out]
    # Of two packets in a row one is lost for good; it was asked for, and the other was not.
    assert [packet.sequence for packet in came] == [n for n in range(65_500, 65_560) if n != 65_535]
    assert all(packet.payload == b"%d" % packet.sequence for packet in came)
    assert all(packet.timestamp == 960 * packet.sequence for packet in came)
    assert {packet.payload_type for packet in came} == {111}
    assert line.stream.counters == {"restored_by_red": 2}
    assert line.epochs == [0]


def test_what_a_later_packet_brings_is_not_asked_for() -> None:
    line = Line(RED)
    for sequence in (0, 1, 2, 4, 7):
        put_red(line, sequence)
    assert line.stream.missing(line.now + 0.1) == [5]


def test_what_has_come_is_not_taken_a_second_time() -> None:
    line = Line(RED)
    for sequence in range(30):
        put_red(line, sequence, min(sequence, 3))
    line.put(20, 960 * 20)  # late, and plain
    assert line.sequences == list(range(30))
    assert line.stream.counters == {"late": 1}


def test_the_way_of_sending_may_change_within_an_epoch() -> None:
    line = Line(RED)
    for sequence in range(20):
        if sequence % 2:
            put_red(line, sequence)
        else:
            line.put(sequence)
    assert line.sequences == list(range(20))
    assert line.epochs == [0]


def test_malformed_redundancy_and_other_types_are_counted() -> None:
    line = Line(RED)
    for sequence in range(4):
        put_red(line, sequence)
    line.put(4, payload_type=63, payload=b"")
    line.put(5, payload_type=63, payload=b"\x0dnoise")
    assert line.stream.counters == {"malformed_payload": 1, "unknown_payload_type": 1}
    assert line.sequences == list(range(4))


def test_asleep_nothing_is_restored() -> None:
    line = Line(RED)
    for sequence in range(4):
        put_red(line, sequence)
    line.stream.doze()
    for sequence in (4, 6, 8):
        put_red(line, sequence)
    assert line.stream.counters == {"asleep": 3}
