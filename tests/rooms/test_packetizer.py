"""Frames into payloads: whatever is wrapped, the depacketizer of its codec gives back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rooms import packetizer
from slicer.rtp.codecs import VIDEO
from slicer.rtp.codecs.frame import Frame
from slicer.rtp.parameters import Codec
from tests.harness.media.video import encoded
from tests.harness.rtp.packetize import annexb

NALS = st.lists(st.binary(min_size=1, max_size=4000), min_size=1, max_size=4)


def unwrapped(codec: str, units: list[bytes]) -> list[Frame]:
    """What a receiver makes of the payloads of these access units."""
    depacketizer = VIDEO[codec].depacketizer(Codec(codec, 90_000))
    frames = []
    for number, unit in enumerate(units):
        payloads = packetizer.video(codec, unit)
        assert all(0 < len(payload) <= packetizer.MAX_PAYLOAD for payload in payloads)
        for payload in payloads:
            last = payload is payloads[-1]
            frames.append(depacketizer.push(payload, number * 3000, last, True))
    return [frame for frame in frames if frame is not None]


@pytest.mark.parametrize("codec", ["vp8", "h264", "h265"])
def test_what_an_encoder_writes_comes_back_as_it_was(codec: str) -> None:
    units = encoded(codec, width=640, height=480)
    assert max(len(unit.data) for unit in units) > 3 * packetizer.MAX_PAYLOAD
    frames = unwrapped(codec, [unit.data for unit in units])
    assert [frame.keyframe for frame in frames] == [unit.keyframe for unit in units]
    for frame, unit in zip(frames, units, strict=True):
        if codec == "vp8":
            assert frame.data == unit.data
        else:
            assert annexb(frame.data) == annexb(unit.data)


@pytest.mark.parametrize(
    ("codec", "ahead", "slice_", "head"),
    [
        ("h264", [b"\x06\x05\x01\x80", b"\x67sps", b"\x68pps"], b"\x65\x88", b"\x78"),
        ("h265", [b"\x40\x01vps", b"\x42\x01sps", b"\x44\x01pps"], b"\x26\x01\x80", b"\x60\x01"),
    ],
)
def test_what_is_ahead_of_a_keyframe_is_one_payload_that_proves_its_start(
    codec: str, ahead: list[bytes], slice_: bytes, head: bytes
) -> None:
    unit = b"".join(b"\0\0\0\1" + nal for nal in [*ahead, slice_])
    first, second = packetizer.video(codec, unit)
    assert first == head + b"".join(bytes([0, len(nal)]) + nal for nal in ahead)
    assert second == slice_
    assert VIDEO[codec].starts_keyframe(first)
    large = b"\0\0\1" + ahead[0] + bytes(packetizer.MAX_PAYLOAD) + b"\x80" + unit
    assert packetizer.video(codec, large)[2:] == [*ahead, slice_]


@given(NALS)
def test_nal_units_of_any_content_are_found_again(units: list[bytes]) -> None:
    slices = [b"\x41" + unit.replace(b"\0", b"\1") for unit in units]
    stream = b"".join(b"\0\0\0\1" + unit for unit in slices)
    assert packetizer.annex_b(stream) == annexb(stream) == slices


@pytest.mark.parametrize("size", [1199, 1200, 1201, 2399, 2400, 12_345])
def test_fragments_are_whole_at_every_edge(size: int) -> None:
    """Of H.264 the fragment's header is two bytes, of H.265 three, and its kind is in the last."""
    for codec, head, header in (("h264", b"\x61", 1), ("h265", b"\x02\x01", 2)):
        unit = head + b"\xa5" * (size - len(head))
        payloads = packetizer.video(codec, b"\0\0\1" + unit)
        if size <= packetizer.MAX_PAYLOAD:
            assert payloads == [unit]
            continue
        kinds = [payload[header] for payload in payloads]
        kind = 1
        assert kinds == [0x80 | kind, *[kind] * (len(kinds) - 2), 0x40 | kind]
        assert head + b"".join(payload[header + 1 :] for payload in payloads) == unit
        assert {payload[:header] for payload in payloads} == (
            {b"\x7c"} if codec == "h264" else {b"\x62\x01"}
        )
    (frame,) = unwrapped("vp8", [b"\x5b" * size])
    assert frame.data == b"\x5b" * size


@pytest.mark.parametrize(
    ("codec", "frame", "says"),
    [
        ("h264", b"", "no start code"),
        ("h264", b"\0\0\0\x20\x65" + b"a" * 31, "no start code"),
        ("h264", b"\0\0\1\x7c\x85", "H.264 unit that can be no payload"),
        ("h265", b"\0\0\1\x02", "H.265 unit that can be no payload"),
        ("vp8", b"", "empty VP8 frame"),
    ],
)
def test_what_is_no_frame_is_refused(codec: str, frame: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        packetizer.video(codec, frame)


@pytest.mark.parametrize("size", [0, packetizer.MAX_AUDIO + 1])
def test_audio_is_one_payload_of_bounded_size(size: int) -> None:
    largest = bytes(packetizer.MAX_AUDIO)
    assert packetizer.audio("opus", largest) == [largest]
    with pytest.raises(ValueError, match=f"opus frame of {size} bytes; allowed: 1 to 8000"):
        packetizer.audio("opus", bytes(size))
