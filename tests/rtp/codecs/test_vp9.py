"""VP9 payload descriptors and spatial layers (RFC 9628); whole streams are in tests/contract."""

import pytest

from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import VP9
from tests.harness.media.video import decoded, encoded
from tests.harness.rtp.packetize import vp9
from tests.harness.rtp.parts import VIDEO

starts_keyframe, height = VIDEO["vp9"].starts_keyframe, VIDEO["vp9"].height
KEY = b"\x82\x49\x83\x42"
DELTA = b"\x86\x00\x40\x92"
INTRA_ONLY = DELTA  # frame_type 1 as well: what tells it apart comes later in the header


@pytest.mark.parametrize(
    "descriptor",
    [
        b"\x0c",
        b"\x8c\x01",
        b"\x8c\x81\x01",
        b"\x2c\x00\x07",  # layer indices, with TL0PICIDX
        b"\xbc\x81\x01\x00",  # flexible: without
        b"\x0e\x00",  # an empty scalability structure
        b"\x0e\x10\x01\x40\x00\xf0",  # one size
        b"\x0e\x38\x01\x40\x00\xf0\x02\x80\x01\xe0\x02\x04\x01\x08\x01\x02",  # two, and a group
    ],
)
def test_descriptors_of_every_length(descriptor: bytes) -> None:
    frame = VIDEO["vp9"].depacketizer(VP9).push(descriptor + KEY, 9, True, False)
    assert frame == Frame(9, KEY, True)
    assert starts_keyframe(descriptor + KEY)


@pytest.mark.parametrize("references", [b"\x02", b"\x03\x04", b"\x03\x05\x06"])
def test_flexible_mode_names_up_to_three_references(references: bytes) -> None:
    payload = b"\xdc\x01" + references + DELTA
    assert VIDEO["vp9"].depacketizer(VP9).push(payload, 0, True, True) == Frame(0, DELTA, False)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x0c",
        b"\x8c",
        b"\x8c\x81",
        b"\x8c\x81\x01",
        b"\x2c\x00",
        b"\xdc\x01\x03\x03\x03" + DELTA,
        b"\x0e\x10\x01\x40",
        b"\x0e\x08\x05\x04\x01",
        b"\x0c\x42",
    ],
)
def test_malformed_payloads_are_refused(payload: bytes) -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    with pytest.raises(ValueError, match=r"(?i)vp9"):
        depacketizer.push(payload, 0, True, True)
    assert not starts_keyframe(payload)
    assert depacketizer.push(b"\x0c" + KEY, 1, True, True) == Frame(1, KEY, True)


@pytest.mark.parametrize("head", [0x82, 0x92, 0xA2, 0xB1])
def test_key_frames_of_every_profile(head: int) -> None:
    assert starts_keyframe(b"\x0c" + bytes([head]) + KEY[1:])


def test_an_intra_only_frame_is_no_keyframe_though_p_is_clear() -> None:
    frame = VIDEO["vp9"].depacketizer(VP9).push(b"\x0c" + INTRA_ONLY, 0, True, True)
    assert frame == Frame(0, INTRA_ONLY, False)


@pytest.mark.parametrize("flexible", [False, True])
@pytest.mark.parametrize("mtu", [100, 1200])
def test_spatial_layers_become_a_superframe_that_ffmpeg_takes(flexible: bool, mtu: int) -> None:
    low = [unit.data for unit in encoded("vp9", 3, 96, 64)]
    high = [unit.data for unit in encoded("vp9", 3)]
    # Two streams of their own, laid out as layers: each layer frame must reach the decoder whole.
    layers = [low[0], high[0]]
    depacketizer, frames = VIDEO["vp9"].depacketizer(VP9), []
    parts = vp9(layers, mtu, 5, flexible)
    for index, part in enumerate(parts):
        frame = depacketizer.push(part, 0, index == len(parts) - 1, index > 0)
        frames += [frame] if frame else []
    assert len(frames) == 1
    assert frames[0].keyframe
    assert frames[0].data.startswith(low[0] + high[0])
    assert decoded("vp9", [frames[0].data]) == decoded("vp9", low[:1]) + decoded("vp9", high[:1])


def test_a_superframe_index_is_that_of_annex_b() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    assert depacketizer.push(b"\x2c\x00\x00" + KEY, 0, False, True) is None
    frame = depacketizer.push(b"\x2c\x03\x00" + KEY + bytes(300), 0, True, True)
    # Marker 110, two bytes a size less one, two frames less one; sizes are little-endian.
    index = b"\xc9\x04\x00\x30\x01\xc9"
    assert frame == Frame(0, KEY + KEY + bytes(300) + index, True)


def test_a_lost_layer_loses_the_picture() -> None:
    layers = [unit.data for unit in encoded("vp9", 2)]
    parts = vp9(layers, 700)
    for lost in range(len(parts)):
        depacketizer, contiguous = VIDEO["vp9"].depacketizer(VP9), True
        for index, part in enumerate(parts):
            if index == lost:
                contiguous = False
                continue
            assert depacketizer.push(part, 0, index == len(parts) - 1, contiguous) is None
            contiguous = True


def test_a_picture_without_its_base_layer_counts_only_right_after_another() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    upper = b"\x6c\x02\x00" + DELTA
    assert depacketizer.push(upper, 0, True, False) is None
    assert depacketizer.push(upper, 1, True, True) == Frame(1, DELTA, False)
    assert depacketizer.push(upper, 2, True, False) is None


def test_more_layers_than_a_superframe_holds_are_refused() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    depacketizer.push(b"\x2c\x00\x00" + KEY, 0, False, True)
    for _ in range(7):
        depacketizer.push(b"\x2c\x03\x00" + KEY, 0, False, True)
    with pytest.raises(ValueError, match="layer"):
        depacketizer.push(b"\x2c\x03\x00" + KEY, 0, True, True)


def test_a_hole_that_padding_reports_is_not_forgotten() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    upper = b"\x6c\x02\x00" + DELTA
    assert depacketizer.push(b"\x4c" + DELTA, 0, True, True) == Frame(0, DELTA, False)
    assert depacketizer.push(b"", 0, False, False) is None
    assert depacketizer.push(upper, 1, True, True) is None


def test_a_picture_without_its_marker_and_its_end_is_given_up() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    assert depacketizer.push(b"\x08" + KEY, 0, False, True) is None
    assert depacketizer.push(b"\x04" + b"tail", 1, True, True) is None
    assert depacketizer.push(b"\x4c" + DELTA, 2, True, True) == Frame(2, DELTA, False)


# What L3T3 looks like: the sizes of 180, 360 and 720 lines, told where a keyframe begins.
STRUCTURE = b"\x50\x01\x40\x00\xb4\x02\x80\x01\x68\x05\x00\x02\xd0"
HEIGHTS = (180, 360, 720)


def svc(
    spatial: int, data: bytes, predicted: bool, begins: bool = True, ends: bool = True
) -> bytes:
    """A payload of a layer; that of a keyframe's base layer tells the sizes."""
    first = spatial == 0 and begins and not predicted
    head = 0x20 | 0x40 * predicted | 0x08 * begins | 0x04 * ends | 0x02 * first
    return bytes([head, spatial << 1, 0]) + STRUCTURE * first + data


def pictures(wanted: list[int], last: bytes = DELTA) -> list[Frame | None]:
    """What becomes of pictures of three layers, the first of them a keyframe; before each, so many
    pixels are said to be enough."""
    depacketizer, found = VIDEO["vp9"].depacketizer(VP9), list[Frame | None]()
    for number, enough in enumerate(wanted):
        depacketizer.height = enough
        base = DELTA if number else KEY
        parts = [svc(0, base, number > 0), svc(1, DELTA, True), svc(2, last, True)]
        given = [depacketizer.push(part, number, at == 2, True) for at, part in enumerate(parts)]
        frames = [frame for frame in given if frame is not None]
        assert len(frames) <= 1, "a picture is given once"
        found.append(frames[0] if frames else None)
    return found


def superframe(*layers: bytes) -> bytes:
    marker = bytes([0xC0 | len(layers) - 1])
    return b"".join(layers) + (marker + bytes(map(len, layers)) + marker) * (len(layers) > 1)


@pytest.mark.parametrize(
    ("enough", "layers"),
    [(0, 3), (1, 1), (180, 1), (181, 2), (360, 2), (361, 3), (720, 3), (2160, 3)],
)
def test_the_lowest_layer_that_is_high_enough_is_the_highest_taken(
    enough: int, layers: int
) -> None:
    key = Frame(0, superframe(*[KEY, DELTA, DELTA][:layers]), True)
    assert pictures([enough] * 2) == [key, Frame(1, superframe(*[DELTA] * layers), False)]


def test_layers_are_chosen_where_a_keyframe_begins() -> None:
    """A decoder that was not given a layer's frames cannot take it up."""
    assert [frame and len(frame.data) for frame in pictures([180, 720, 720])] == [4, 4, 4]
    whole = len(superframe(DELTA, DELTA, DELTA))
    assert [frame and len(frame.data) for frame in pictures([0, 180, 180])] == [whole] * 3


def test_what_is_left_out_may_be_lost() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    depacketizer.height = 300
    for number in range(2):
        base = DELTA if number else KEY
        assert depacketizer.push(svc(0, base, number > 0), number, False, True) is None
        frame = depacketizer.push(svc(1, DELTA, True), number, False, True)
        assert frame == Frame(number, superframe(base, DELTA), number == 0)
        # The third layer's first packet is lost, and its last one comes.
        tail = svc(2, b"tail", True, begins=False)
        assert depacketizer.push(tail, number, True, False) is None


def test_a_picture_without_the_layer_chosen_ends_at_its_marker() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    depacketizer.height = 300
    assert depacketizer.push(svc(0, KEY, False), 0, True, True) == Frame(0, KEY, True)
    upper = svc(2, DELTA, True)
    assert depacketizer.push(upper, 1, True, True) is None, "an SFU took the two below away"
    assert depacketizer.push(svc(0, DELTA, True), 2, False, True) is None
    assert depacketizer.push(svc(1, DELTA, True, ends=False), 2, False, True) is None
    frame = depacketizer.push(svc(1, DELTA, True, begins=False), 2, False, True)
    assert frame == Frame(2, superframe(DELTA, DELTA + DELTA), False)


def test_a_picture_whose_marker_went_with_its_layers_ends_as_the_next_begins() -> None:
    """An SFU goes down to a lower layer in the midst of picture 1."""
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    assert depacketizer.push(svc(0, KEY, False), 0, False, True) is None
    frame = depacketizer.push(svc(1, DELTA, True), 0, True, True)
    assert frame == Frame(0, superframe(KEY, DELTA), True)
    assert depacketizer.push(svc(0, DELTA, True), 1, False, True) is None
    assert depacketizer.push(svc(1, DELTA, True), 1, False, True) is None
    begun = depacketizer.push(svc(0, DELTA, True, ends=False), 2, False, True)
    assert begun == Frame(1, superframe(DELTA, DELTA), False)
    frame = depacketizer.push(svc(0, b"tail", True, begins=False), 2, True, True)
    assert frame == Frame(2, DELTA + b"tail", False)


def test_of_two_pictures_that_end_at_once_the_second_waits_for_the_next_packet() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    assert depacketizer.push(svc(0, KEY, False), 0, False, True) is None
    assert depacketizer.push(svc(0, DELTA, True), 1, True, True) == Frame(0, KEY, True)
    assert depacketizer.push(svc(0, DELTA, True), 2, False, True) == Frame(1, DELTA, False)
    assert depacketizer.push(svc(1, DELTA, True), 2, True, True) == Frame(
        2, superframe(DELTA, DELTA), False
    )


@pytest.mark.parametrize("padding", [False, True])
def test_a_picture_that_waits_whole_is_given_though_a_hole_follows(padding: bool) -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    assert depacketizer.push(svc(0, DELTA, True), 0, False, True) is None
    assert depacketizer.push(svc(0, KEY, False), 1, True, True) == Frame(0, DELTA, False)
    if padding:
        assert depacketizer.push(b"", 2, False, False) is None
    assert depacketizer.push(svc(0, DELTA, True), 3, False, padding) == Frame(1, KEY, True)
    frame = depacketizer.push(svc(0, DELTA, True), 4, True, False)
    assert frame == Frame(4, DELTA, False), "3 may have lost a layer"


def test_a_layer_frame_that_is_not_whole_ends_no_picture() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    assert depacketizer.push(svc(0, KEY, False), 0, False, True) is None
    assert depacketizer.push(svc(1, DELTA, True, ends=False), 0, False, True) is None
    assert depacketizer.push(svc(0, DELTA, True), 1, False, True) is None
    assert depacketizer.push(svc(0, DELTA, True), 2, False, False) is None, "after a hole"
    assert depacketizer.push(svc(0, DELTA, True), 3, False, True) == Frame(2, DELTA, False)


def test_all_layers_are_taken_where_no_sizes_are_told() -> None:
    depacketizer = VIDEO["vp9"].depacketizer(VP9)
    depacketizer.height = 1
    assert depacketizer.push(b"\x2c\x00\x00" + KEY, 0, False, True) is None
    frame = depacketizer.push(svc(1, DELTA, True), 0, True, True)
    assert frame == Frame(0, superframe(KEY, DELTA), True)


def test_the_height_is_that_of_the_highest_layer_where_a_keyframe_begins() -> None:
    assert height(svc(0, KEY, False)) == max(HEIGHTS)
    assert height(b"\x0e\x10\x01\x40\x00\xf0" + KEY) == 240
    for other in (svc(0, DELTA, True), svc(1, KEY, False), b"\x0c" + KEY, b"\x0e\x10\x01", b""):
        assert height(other) == 0
