"""What packets hold: the native way gives what Python's way gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.hot import IMPLEMENTATION
from slicer.media.extent import extent, extent_by_python
from slicer.slicing.outputs import AudioPacket

PACKETS = st.builds(
    AudioPacket, st.integers(0, 2**60), st.integers(0, 2**31), st.binary(max_size=99)
)


@given(st.lists(PACKETS, max_size=30))
def test_both_find_the_same(packets: list[AudioPacket]) -> None:
    found = extent(packets)
    assert found == extent(tuple(packets)) == extent_by_python(packets)
    assert found == (sum(len(one[2]) for one in packets), sum(one[1] for one in packets))


@pytest.mark.skipif(IMPLEMENTATION != "native", reason="not handled by the native plane")
@pytest.mark.parametrize(
    "packets", [[(1, 2)], [(1, 2, "text")], [(1, "2", b"")], [b"123"], [(1, 2**70, b"")], 5]
)
def test_what_is_no_packet_is_refused(packets: list[AudioPacket]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        extent(packets)
