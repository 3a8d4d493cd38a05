"""What is no IP packet is empty, whatever wraps it; what is one is in test_network.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms.replay.link import LINKS, MAX_WRAPPINGS, packet
from tests.harness.rooms.captures import ethernet, ipv4


@pytest.mark.parametrize("kind", [0x0806, 0x88CC, 0])
def test_other_protocols(kind: int) -> None:
    assert packet(kind, ipv4(b"")) == b""


def test_wrappings_are_bounded() -> None:
    frame = ipv4(b"")
    for _ in range(MAX_WRAPPINGS - 1):
        frame = ethernet(frame, 0x6558 if frame[0] != 0x45 else 0x0800)
    assert packet(0x6558, frame) == ipv4(b"")
    assert packet(0x6558, ethernet(frame, 0x6558)) == b""


@given(st.sampled_from(sorted(LINKS)), st.binary(max_size=60))
def test_any_frame_gives_some_part_of_itself(link: int, frame: bytes) -> None:
    assert frame.endswith(LINKS[link](frame))


PACKET = ipv4(b"payload")


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        (0x8100, b"\0\x05\x08\0" + PACKET),
        (0x9100, b"\0\x05\x81\0\0\x06\x08\0" + PACKET),
        (0x8864, b"\x11\0\0\1\0\x1b\0\x21" + PACKET),
        (0x8847, b"\0\1\0\x40" + b"\0\2\1\x40" + PACKET),
        (0x8848, b"\0\1\1\x40" + bytes(4) + bytes(12) + b"\x08\0" + PACKET),
    ],
    ids=["VLAN", "QinQ", "PPPoE", "two MPLS labels", "Ethernet over MPLS"],
)
def test_what_wraps_a_packet_is_taken_off(kind: int, frame: bytes) -> None:
    assert packet(kind, frame) == PACKET


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (0, b"\2\0\0\0" + PACKET),
        (9, b"\xff\x03\0\x21" + PACKET),
        (101, PACKET),
        (104, b"\x0f\0\x08\0" + PACKET),
        (113, bytes(14) + b"\x08\0" + PACKET),
        (276, b"\x08\0" + bytes(18) + PACKET),
    ],
)
def test_the_packet_of_each_kind_of_link(link: int, frame: bytes) -> None:
    assert LINKS[link](frame) == PACKET
