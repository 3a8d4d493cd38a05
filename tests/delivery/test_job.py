"""What a cut holds, in bytes."""

import tracemalloc

from slicer.delivery.job import OBJECT_BYTES, memory_of
from slicer.rtp.parameters import OPUS, VP8, Kind
from slicer.slicing.outputs import AudioCut, AudioPacket, PictureCut, TrackKey

ANNA = TrackKey("task", "anna", Kind.AUDIO)


def audio(packets: tuple[AudioPacket, ...]) -> AudioCut:
    return AudioCut(ANNA, OPUS, 0, 960, packets, 0.0)


def test_audio_counts_its_packets() -> None:
    packets = (AudioPacket(0, 960, b"abc"), AudioPacket(960, 960, b"defgh"))
    assert memory_of(audio(packets)) == 8 + 2 * OBJECT_BYTES


def test_a_picture_counts_its_frames() -> None:
    cut = PictureCut(ANNA, VP8, 0, 0, (b"key", b"frame"), 0.0)
    assert memory_of(cut) == 8 + 2 * OBJECT_BYTES


def test_the_size_is_about_what_python_takes() -> None:
    """A bound on memory is only as good as its measure."""
    tracemalloc.start()
    try:
        packets = tuple(AudioPacket(2**40 + i, 960 + i, bytes(120)) for i in range(5000))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.7 <= memory_of(audio(packets)) / taken <= 1.5
