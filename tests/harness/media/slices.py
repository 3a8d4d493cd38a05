"""Reads slices as a customer's player would: audio to samples, pictures to pixels."""

import io
import math
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext
from av.video.stream import VideoStream

from tests.harness.media.picture import Rgb

Samples = npt.NDArray[np.float32]


def decode_ogg(data: bytes, decoder: Literal["opus", "libopus"] = "opus") -> Samples:
    """The samples of an Ogg/Opus file, (samples, channels), full scale 1, at 48 kHz.

    Pre-skip and end trimming (RFC 7845 section 4) are applied by FFmpeg, with its own decoder or
    with libopus; the test beside this module holds that to a trimming by hand.
    """
    with av.open(io.BytesIO(data), "r", format="ogg") as container:
        stream = container.streams.audio[0]
        context = av.CodecContext.create(decoder, "r")
        assert isinstance(context, AudioCodecContext)
        context.extradata = stream.codec_context.extradata
        context.layout, context.sample_rate = stream.layout, stream.sample_rate
        parts = [
            _interleaved(frame, frame.layout.nb_channels)
            for packet in container.demux(stream)
            for frame in context.decode(packet if packet.size else None)
        ]
        channels = stream.layout.nb_channels
    return np.concatenate(parts) if parts else np.empty((0, channels), np.float32)


def _interleaved(frame: av.AudioFrame, channels: int) -> Samples:
    samples = frame.to_ndarray()
    columns = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    scale = np.float32(1 / 32_768 if samples.dtype == np.int16 else 1)
    return np.asarray(columns * scale, np.float32)


def mono(samples: Samples) -> Samples:
    """The mean of all channels, (samples,)."""
    return np.asarray(samples.mean(axis=1), np.float32)


def snr_db(reference: Samples, heard: Samples) -> float:
    """How far the difference lies below *reference*, in dB; infinite where they are equal.

    Raises ValueError where the shapes differ.
    """
    if reference.shape != heard.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {heard.shape}")
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(np.subtract(reference, heard, dtype=np.float64)).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def read_picture(data: bytes) -> Rgb:
    """The pixels of a PNG, JPEG or WebP file. Raises av.FFmpegError where it is none."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams[0]
        assert isinstance(stream, VideoStream)
        frame = next(container.decode(stream))
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
