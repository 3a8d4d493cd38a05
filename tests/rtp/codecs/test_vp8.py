"""VP8 payload descriptors (RFC 7741 4.2); whole streams are in tests/contract."""

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor

from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import VP8
from tests.harness.rtp.parts import VIDEO

starts_keyframe, height = VIDEO["vp8"].starts_keyframe, VIDEO["vp8"].height
KEY = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00"
DELTA = b"\x11\x02\x00\x55"


@pytest.mark.parametrize(
    "descriptor",
    [
        b"\x10",
        b"\x90\x80\x01",
        b"\x90\x80\x81\x01",
        b"\x90\x40\x05",
        b"\x90\x20\x05",
        b"\x90\x10\x05",
        b"\x90\xf0\x81\x01\x05\x05",
        b"\xb0\xe0\x7f\x01\x20",
    ],
)
def test_descriptors_of_every_length(descriptor: bytes) -> None:
    frame = VIDEO["vp8"].depacketizer(VP8).push(descriptor + KEY, 9, True, False)
    assert frame == Frame(9, KEY, True)
    assert starts_keyframe(descriptor + KEY)
    assert not starts_keyframe(descriptor + DELTA)


@pytest.mark.parametrize("picture_id", [None, 0, 127, 128, 32_767])
@pytest.mark.parametrize("tl0picidx", [None, 200])
@pytest.mark.parametrize("tid", [None, (2, 1)])
@pytest.mark.parametrize("keyidx", [None, 31])
def test_descriptors_written_by_aiortc(
    picture_id: int | None, tl0picidx: int | None, tid: tuple[int, int] | None, keyidx: int | None
) -> None:
    descriptor = VpxPayloadDescriptor(1, 0, picture_id, tl0picidx, tid, keyidx)
    frame = VIDEO["vp8"].depacketizer(VP8).push(bytes(descriptor) + DELTA, 0, True, True)
    assert frame == Frame(0, DELTA, False)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x10",
        b"\x90",
        b"\x90\x80",
        b"\x90\x80\x80",
        b"\x90\xf0\x01\x02\x03",
        b"\x10" + KEY[:3] + b"\x9d\x01\x2b" + KEY[6:],
        b"\x10" + KEY[:9],
    ],
)
def test_malformed_payloads_are_refused(payload: bytes) -> None:
    depacketizer = VIDEO["vp8"].depacketizer(VP8)
    with pytest.raises(ValueError, match=r"(?i)vp8"):
        depacketizer.push(payload, 0, True, True)
    assert not starts_keyframe(payload)
    assert depacketizer.push(b"\x10" + KEY, 1, True, True) == Frame(1, KEY, True)


def test_later_partitions_belong_to_the_frame() -> None:
    depacketizer = VIDEO["vp8"].depacketizer(VP8)
    assert depacketizer.push(b"\x10" + KEY, 0, False, True) is None
    assert depacketizer.push(b"\x11" + b"one", 0, False, True) is None
    assert depacketizer.push(b"\x02" + b"two", 0, True, True) == Frame(0, KEY + b"onetwo", True)


def test_a_frame_without_its_marker_is_given_up() -> None:
    depacketizer = VIDEO["vp8"].depacketizer(VP8)
    assert depacketizer.push(b"\x10" + KEY, 0, False, True) is None
    assert depacketizer.push(b"\x00" + b"tail", 1, True, True) is None
    assert depacketizer.push(b"\x10" + DELTA, 2, True, True) == Frame(2, DELTA, False)


def test_the_height_is_told_where_a_keyframe_begins() -> None:
    """The two bits over it are the scale (RFC 6386 9.1)."""
    assert height(b"\x10" + KEY) == 240
    assert height(b"\x90\xf0\x81\x01\x05\x05" + KEY[:8] + b"\xd0\xc2") == 0x2D0
    for other in (b"\x10" + DELTA, b"\x01" + KEY, b"\x10" + KEY[:9], b"\x90", b""):
        assert height(other) == 0


def test_padding_ends_no_frame() -> None:
    depacketizer = VIDEO["vp8"].depacketizer(VP8)
    assert depacketizer.push(b"\x10" + KEY, 5, False, True) is None
    assert depacketizer.push(b"", 5, False, True) is None
    assert depacketizer.push(b"\x00tail", 5, True, True) == Frame(5, KEY + b"tail", True)
    # After a hole nothing is open that padding could keep.
    assert depacketizer.push(b"\x10" + KEY, 6, False, True) is None
    assert depacketizer.push(b"", 6, False, False) is None
    assert depacketizer.push(b"\x00tail", 6, True, True) is None
