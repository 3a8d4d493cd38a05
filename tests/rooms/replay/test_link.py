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
