"""Slices are read as they are: trimmed to the sample, pixel for pixel."""

import io
import struct
from typing import Literal

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from tests.harness.media.picture import Painter, Rgb, read_frame_number
from tests.harness.media.slices import decode_ogg, mono, read_picture, snr_db
from tests.harness.media.test_audio import audio_of_packets, opus_packets

Decoder = Literal["opus", "libopus"]
SECONDS = 2


def ogg_page(sequence: int, flags: int, granule: int, packets: list[bytes]) -> bytes:
    """One page, RFC 3533 section 6."""
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = b"OggS\0" + bytes([flags]) + struct.pack("<qII", granule, 1, sequence)
    tail = bytes([len(lacing)]) + lacing + b"".join(packets)
    crc = 0
    for byte in head + bytes(4) + tail:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc >> 31 else crc << 1
    return head + struct.pack("<I", crc) + tail


def ogg_file(packets: list[bytes], pre_skip: int, samples: int) -> bytes:
    """20 ms packets as Ogg/Opus that plays *samples* samples after *pre_skip*."""
    opus_head = b"OpusHead\x01\x01" + struct.pack("<HIhB", pre_skip, 48_000, 0, 0)
    pages = [ogg_page(0, 2, 0, [opus_head]), ogg_page(1, 0, 0, [b"OpusTags" + bytes(8)])]
    for start in range(0, len(packets), 50):
        part, last = packets[start : start + 50], start + 50 >= len(packets)
        granule = pre_skip + samples if last else (start + len(part)) * 960
        pages.append(ogg_page(len(pages), 4 if last else 0, granule, part))
    return b"".join(pages)


@pytest.mark.parametrize("decoder", ["opus", "libopus"])
@pytest.mark.parametrize(
    ("pre_skip", "samples"), [(312, 48_000), (3_840, 48_000), (3_853, 40_001), (0, 96_000)]
)
def test_samples_are_trimmed_exactly(decoder: Decoder, pre_skip: int, samples: int) -> None:
    packets = opus_packets(SECONDS)[: -(-(pre_skip + samples) // 960)]
    heard = mono(decode_ogg(ogg_file(packets, pre_skip, samples), decoder))
    whole = audio_of_packets(packets, decoder)
    assert np.array_equal(heard, whole[pre_skip : pre_skip + samples])


@pytest.mark.parametrize(("bit_rate", "late", "agree"), [(64_000, 0, 60), (32_000, 2, 25)])
def test_both_decoders_hear_the_same(bit_rate: int, late: int, agree: float) -> None:
    # In hybrid mode (32 kbit/s) FFmpeg's own decoder resamples SILK two samples later than libopus.
    file = ogg_file(opus_packets(SECONDS, bit_rate), 312, 95_000)
    own, reference = decode_ogg(file, "opus"), decode_ogg(file, "libopus")
    assert snr_db(reference[: reference.size - late], own[late:]) > agree


def test_snr() -> None:
    audio = np.ones((100, 1), np.float32)
    assert snr_db(audio, audio) == float("inf")
    assert snr_db(audio, audio * np.float32(0.9)) == pytest.approx(20, abs=0.01)
    assert snr_db(audio * 0, audio) == -float("inf")
    with pytest.raises(ValueError, match="shapes differ"):
        snr_db(audio, audio[1:])


def picture_file(picture: Rgb, codec: str, pix_fmt: str, container: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=1)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], pix_fmt
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


FORMATS = [
    ("png", "rgb24", "image2pipe"),
    ("mjpeg", "yuvj420p", "image2pipe"),
    ("libwebp", "yuv420p", "image2pipe"),
]


@pytest.mark.parametrize(("codec", "pix_fmt", "container"), FORMATS)
def test_pictures_are_read(codec: str, pix_fmt: str, container: str) -> None:
    drawn = Painter(width=320, height=180).draw(4_711)
    read = read_picture(picture_file(drawn, codec, pix_fmt, container))
    assert read.shape == (180, 320, 3)
    assert read_frame_number(read) == 4_711
    assert np.abs(read.astype(int) - drawn).mean() < (0.01 if codec == "png" else 8)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(av.FFmpegError):
        read_picture(b"not a picture")
