"""An audio slice as a WAV file, for who takes no Opus; and a WAV file as if it was a slice."""

import io
import wave
from itertools import chain
from math import inf

import av
import numpy as np

OPUS_RATE = 48_000
"""Hz."""


def mono_pcm(data: bytes, rate: int) -> bytes:
    """The audio of an Ogg file as samples of 16 bits (little-endian), mono, at *rate* Hz. Raises
    ValueError for none."""
    resampler = av.AudioResampler("s16", "mono", rate)
    try:
        with av.open(io.BytesIO(data), "r") as container:
            return b"".join(
                np.asarray(resampled.to_ndarray(), "<i2").tobytes()
                for frame in [*container.decode(audio=0), None]
                for resampled in resampler.resample(frame)
            )
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"no audio file: {error}") from error


def mono_wav(data: bytes, rate: int) -> bytes:
    """The same as a WAV file."""
    samples, made = mono_pcm(data, rate), io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return made.getvalue()


def to_ogg(data: bytes, container: str | None = None, most: float = inf) -> bytes:
    """An audio file as Ogg/Opus, mono. *container*: FFmpeg's name of the one format that it may
    be; *most*: seconds. Raises ValueError for none, and for a longer one."""
    resampler = av.AudioResampler("s16", "mono", OPUS_RATE)
    made = io.BytesIO()
    try:
        with (
            av.open(io.BytesIO(data), "r", format=container) as source,
            av.open(made, "w", format="ogg") as ogg,
        ):
            stream = ogg.add_stream("libopus", rate=OPUS_RATE, layout="mono")
            samples = 0
            for frame in chain(source.decode(audio=0), [None]):
                for resampled in resampler.resample(frame):
                    samples += resampled.samples
                    if samples > most * OPUS_RATE:
                        raise ValueError(f"longer than {most:g} s")
                    ogg.mux(stream.encode(resampled))
            ogg.mux(stream.encode(None))
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"no audio file: {error}") from error
    return made.getvalue()


def seconds_of(data: bytes) -> float:
    """How long an audio file is. Raises ValueError for none."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            if not container.streams.audio or container.duration is None:
                raise ValueError("no audio file: its length is not known")
            return container.duration / av.time_base
    except av.FFmpegError as error:
        raise ValueError(f"no audio file: {error}") from error
