"""An audio slice as a WAV file, for who takes no Opus; and a WAV file as if it was a slice."""

import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import av
import numpy as np
from av.container import InputContainer

OPUS_RATE = 48_000
"""Hz."""
MAX_SECONDS = 3_660.0
"""A slice has an hour at most; a megabyte of Opus may say that it is longer than a day."""
RATES = range(4_000, 400_001)
"""Hz that a file may have: what a resampler makes of one sample, or what it needs, has a bound."""

# FFmpeg reads lists of further files and addresses, too, whatever a file is called.
_OPTIONS = {"format_whitelist": "ogg,wav,mp3,mov", "protocol_whitelist": ""}


def mono_pcm(data: bytes, rate: int) -> bytes:
    """The audio of an Ogg or WAV file as samples of 16 bits (little-endian), mono, at *rate* Hz.
    Raises ValueError for none, and for one longer than MAX_SECONDS."""
    return b"".join(
        np.asarray(frame.to_ndarray(), "<i2").tobytes()
        for frame in _frames(data, None, rate, MAX_SECONDS)
    )


def mono_wav(data: bytes, rate: int) -> bytes:
    """The same as a WAV file."""
    samples, buffer = mono_pcm(data, rate), io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return buffer.getvalue()


def to_ogg(data: bytes, container: str | None = None, most: float = MAX_SECONDS) -> bytes:
    """An audio file as Ogg/Opus, mono. *container*: FFmpeg's name of the one format that it may
    be; *most*: seconds. Raises ValueError for none, and for a longer one."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg") as ogg:
        stream = ogg.add_stream("libopus", rate=OPUS_RATE, layout="mono")
        for frame in _frames(data, container, OPUS_RATE, most):
            ogg.mux(stream.encode(frame))
        ogg.mux(stream.encode(None))
    return buffer.getvalue()


def seconds_of(data: bytes) -> float:
    """How long an audio file says it is, without what players skip at its start (the pre-skip of
    Ogg Opus, RFC 7845 4.2, which holds our pre-roll). Raises ValueError for none."""
    with _opened(data) as source:
        if source.duration is None:
            raise ValueError("no audio file: its length is not known")
        head = source.streams.audio[0].codec_context.extradata or b""
        ogg_opus = source.format.name == "ogg" and head.startswith(b"OpusHead")
        skipped = int.from_bytes(head[10:12], "little") / 48_000 if ogg_opus else 0.0
        return max(0.0, source.duration / av.time_base - skipped)


def _frames(data: bytes, container: str | None, rate: int, most: float) -> Iterator[av.AudioFrame]:
    """The audio of a file, mono, in 16 bits at *rate* Hz."""
    resampler, samples = av.AudioResampler("s16", "mono", rate), 0
    with _opened(data, container) as source:
        for frame in chain(source.decode(audio=0), [None]):
            for resampled in resampler.resample(frame):
                samples += resampled.samples
                if samples > most * rate:
                    raise ValueError(f"longer than {most:g} s")
                yield resampled


@contextmanager
def _opened(data: bytes, container: str | None = None) -> Iterator[InputContainer]:
    """A file that has audio; opening reads nothing but *data*."""
    try:
        with av.open(io.BytesIO(data), "r", format=container, options=_OPTIONS) as source:
            rate = source.streams.audio[0].rate
            if rate not in RATES:
                raise ValueError(f"{rate} Hz; allowed are {RATES[0]} to {RATES[-1]}")
            yield source
    except (av.FFmpegError, IndexError) as error:
        why = getattr(error, "strerror", None) or "there is no audio in it"
        raise ValueError(f"no audio file: {why}") from error
