"""AV1 aggregation headers and fragments; whole streams are in tests/contract."""

import pytest

from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import AV1
from tests.harness.media.video import encoded
from tests.harness.rtp.packetize import av1, obus
from tests.harness.rtp.parts import VIDEO

starts_keyframe = VIDEO["av1"].starts_keyframe
SEQUENCE, SIZED_SEQUENCE = b"\x08\x00", b"\x0a\x01\x00"
KEY, SIZED_KEY = b"\x30\x10\x20", b"\x32\x02\x10\x20"
DELTA, SIZED_DELTA = b"\x30\x30\x20", b"\x32\x02\x30\x20"
DELIMITER = b"\x12\x00"
# A still picture's header, of 1 x 1: widths and heights of one bit.
REDUCED = b"\x18\x00\x00\x00"


def one(payload: bytes) -> Frame | None:
    """What a packet alone gives."""
    return VIDEO["av1"].depacketizer(AV1).push(payload, 0, True, False)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x28\x02" + SEQUENCE + KEY,  # W = 2: the last one without its size
        b"\x08\x02" + SEQUENCE + b"\x03" + KEY,  # W = 0: each with its size
        b"\x38\x02" + SEQUENCE + b"\x03" + KEY + b"\x10",  # W = 3: a delimiter at the end
        b"\x08\x01\x10\x02" + SEQUENCE + b"\x02\x40\x01\x00\x03" + KEY,  # delimiter, tile list
        b"\x28\x03" + SIZED_SEQUENCE + SIZED_KEY,  # OBUs with sizes of their own
    ],
)
def test_elements_become_a_temporal_unit_with_sizes(payload: bytes) -> None:
    assert one(payload) == Frame(0, DELIMITER + SIZED_SEQUENCE + SIZED_KEY, True)
    assert starts_keyframe(payload)


def test_a_sequence_header_before_another_frame_is_no_keyframe() -> None:
    frame = one(b"\x28\x02" + SEQUENCE + DELTA)
    assert frame == Frame(0, DELIMITER + SIZED_SEQUENCE + SIZED_DELTA, False)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("mtu", [9, 50, 1200])
def test_fragments_are_put_together(counted: bool, mtu: int) -> None:
    unit = encoded("av1")[0].data
    parts = av1(obus(unit), mtu, counted)
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    frames = [
        depacketizer.push(part, 0, index == len(parts) - 1, index > 0)
        for index, part in enumerate(parts)
    ]
    assert frames == [None] * (len(parts) - 1) + [Frame(0, unit, True)]


@pytest.mark.parametrize(
    "payload",
    [
        b"\x08",
        b"\x98\x08",  # N and Z
        b"\x28\x02" + SEQUENCE,  # one element of two
        b"\x08\x05" + KEY,
        b"\x08\x80",
        b"\x18\x80",  # forbidden bit
        b"\x18\x08",  # no frame in it
        b"\x58\x08",  # a marker inside an OBU
        b"\x18\x32\x07\x10",
    ],
)
def test_malformed_payloads_are_refused(payload: bytes) -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    with pytest.raises(ValueError, match=r"(?i)av1|OBU|leb128"):
        depacketizer.push(payload, 0, True, False)
    assert depacketizer.push(b"\x10" + DELTA, 1, True, True) == Frame(
        1, DELIMITER + SIZED_DELTA, False
    )


def test_fragments_that_do_not_fit_are_refused() -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    assert depacketizer.push(b"\x58" + SEQUENCE, 0, False, True) is None
    with pytest.raises(ValueError, match="fragments"):
        depacketizer.push(b"\x10" + KEY, 0, True, True)
    with pytest.raises(ValueError, match="fragments"):
        depacketizer.push(b"\x90" + KEY, 1, True, True)


def test_elements_of_no_bytes_are_bounded() -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    with pytest.raises(ValueError, match="over"):
        depacketizer.push(b"\x08" + bytes(40_000), 0, False, True)


@pytest.mark.parametrize("payload", [b"\x10" + KEY, b"\x98" + KEY, b"\x18" + KEY, b"\x08\x00", b""])
def test_other_payloads_start_no_keyframe(payload: bytes) -> None:
    assert not starts_keyframe(payload)


def test_a_hole_that_padding_reports_is_not_forgotten() -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    assert depacketizer.push(b"\x28\x02" + SEQUENCE + KEY, 0, True, True)
    assert depacketizer.push(b"", 0, False, False) is None
    assert depacketizer.push(b"\x10" + DELTA, 1, True, True) is None
    assert depacketizer.push(b"\x10" + DELTA, 2, True, True)


def test_a_temporal_unit_whose_marker_went_with_its_layers_ends_as_the_next_begins() -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    assert depacketizer.push(b"\x28\x02" + SEQUENCE + KEY, 0, False, True) is None
    frame = depacketizer.push(b"\x50" + DELTA[:2], 1, False, True)  # the next one is in two packets
    assert frame == Frame(0, DELIMITER + SIZED_SEQUENCE + SIZED_KEY, True)
    frame = depacketizer.push(b"\x90" + DELTA[2:], 1, True, True)
    assert frame == Frame(1, DELIMITER + SIZED_DELTA, False)


def test_of_two_units_that_end_at_once_the_second_waits_for_the_next_packet() -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    assert depacketizer.push(b"\x28\x02" + SEQUENCE + KEY, 0, False, True) is None
    frame = depacketizer.push(b"\x10" + DELTA, 1, True, True)
    assert frame == Frame(0, DELIMITER + SIZED_SEQUENCE + SIZED_KEY, True)
    frame = depacketizer.push(b"\x50" + DELTA[:1], 2, False, True)
    assert frame == Frame(1, DELIMITER + SIZED_DELTA, False)
    assert depacketizer.push(b"\x90" + DELTA[1:], 2, False, True) is None
    frame = depacketizer.push(b"\x10" + DELTA, 3, True, True)
    assert frame == Frame(2, DELIMITER + SIZED_DELTA, False)


@pytest.mark.parametrize("padding", [False, True])
def test_a_unit_that_waits_whole_is_given_though_a_hole_follows(padding: bool) -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    assert depacketizer.push(b"\x28\x02" + SEQUENCE + KEY, 0, False, True) is None
    frame = depacketizer.push(b"\x10" + DELTA, 1, True, True)
    assert frame == Frame(0, DELIMITER + SIZED_SEQUENCE + SIZED_KEY, True)
    if padding:
        assert depacketizer.push(b"", 2, False, False) is None
    frame = depacketizer.push(b"\x50" + DELTA[:1], 3, False, padding)
    assert frame == Frame(1, DELIMITER + SIZED_DELTA, False)


def test_a_temporal_unit_that_ends_inside_an_obu_is_given_up() -> None:
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    assert depacketizer.push(b"\x58" + SEQUENCE, 0, False, True) is None
    frame = depacketizer.push(b"\x10" + DELTA, 1, True, True)
    assert frame == Frame(1, DELIMITER + SIZED_DELTA, False)


def layer(spatial: int, body: bytes) -> bytes:
    return bytes([0x34, spatial << 3]) + body


def test_a_unit_of_layers_that_are_all_left_out_gives_nothing() -> None:
    """Its base layer was taken away by an SFU; the layers chosen hold until the next keyframe."""
    depacketizer = VIDEO["av1"].depacketizer(AV1)
    depacketizer.height = 1
    reduced = b"\x08" + REDUCED
    key = b"\x28" + bytes([len(reduced)]) + reduced + layer(0, b"\x10\x20")
    assert depacketizer.push(key, 0, True, True)
    assert depacketizer.push(b"\x10" + layer(1, b"\x30\x20"), 1, True, True) is None
    frame = depacketizer.push(b"\x10" + DELTA, 2, True, True)
    assert frame == Frame(2, DELIMITER + SIZED_DELTA, False)


def test_the_height_is_told_where_a_keyframe_begins() -> None:
    height = VIDEO["av1"].height
    sequence = b"\x08" + REDUCED
    assert height(b"\x18" + sequence) == 1
    assert height(b"\x28\x01\x10" + sequence) == 1, "after a delimiter"
    assert height(b"\x18\x0a" + bytes([len(REDUCED)]) + REDUCED) == 1, "with a size of its own"
    for other in (b"\x10" + sequence, b"\x18\x10", b"\x28\x02\x10\x00\x88", b"\x18\x08", b""):
        assert height(other) == 0
