"""Turns G.711 and G.722 packets into an Ogg/Opus file of the same length."""

from collections.abc import Iterator, Sequence
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from slicer.errors import MediaError
from slicer.media import ogg
from slicer.slicing.outputs import AudioPacket

BIT_RATE = 32_000
"""Bits a second of the Opus: more than these codecs can fill."""
COMPLEXITY = "5"
"""Of libopus, 0 to 10: for G.722, 10 takes 2.6 times as long and saves 3 % of the bytes."""
PRE_ROLL = 640
"""Ticks of 8 kHz, 80 ms: the encoder's input before the slice begins."""

# By codec: FFmpeg's decoder, and samples a tick of its 8 kHz RTP clock (RFC 3551 4.5.2 for G.722).
_DECODERS = {"pcmu": ("pcm_mulaw", 1), "pcma": ("pcm_alaw", 1), "g722": ("g722", 2)}
CODECS = frozenset(_DECODERS)
_OPUS_TICKS = 6

Samples = npt.NDArray[np.int16]


def write(
    codec: str,
    packets: Sequence[AudioPacket],
    start: int,
    end: int,
    comments: Sequence[str] = (),
    pre_roll: int = PRE_ROLL,
) -> bytes:
    """Make the file that plays exactly (*end* - *start*) x 6 samples of 48 kHz; holes are silent.

    *codec* is one of CODECS; times are 8 kHz ticks; *pre_roll* takes effect up to PRE_ROLL. Raises
    MediaError.
    """
    if not packets:
        raise MediaError(f"no {codec} packet to write")
    decoder, rate = _DECODERS[codec]
    began = start - min(pre_roll, PRE_ROLL)
    audio = np.zeros((end - began) * rate, np.int16)
    for timestamp, samples in _decode(decoder, packets):
        _paste(audio, samples, (timestamp - began) * rate)
    coded = _encode(audio, 8_000 * rate, began * _OPUS_TICKS)
    return ogg.write(coded, start * _OPUS_TICKS, end * _OPUS_TICKS, comments)


def _decode(decoder: str, packets: Sequence[AudioPacket]) -> Iterator[tuple[int, Samples]]:
    context = cast(AudioCodecContext, av.CodecContext.create(decoder, "r"))
    context.layout = "mono"
    context.sample_rate = 8_000
    for packet in packets:
        try:
            frames = context.decode(av.Packet(packet.payload))
        except av.FFmpegError as error:
            raise MediaError(f"{decoder}: {error}") from error
        for frame in frames:
            yield packet.timestamp, cast(Samples, frame.to_ndarray()).reshape(-1)


def _paste(audio: Samples, samples: Samples, at: int) -> None:
    """Lay *samples* over *audio* from *at* on; what sticks out at either end is left out."""
    samples = samples[max(-at, 0) : max(len(audio) - at, 0)]
    at = max(at, 0)
    audio[at : at + len(samples)] = samples


def _encode(audio: Samples, sample_rate: int, began: int) -> list[AudioPacket]:
    """Opus packets at the media time (48 kHz) of what is heard in them: *began* less the delay."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate = sample_rate
    context.layout = "mono"
    context.format = "s16"
    context.bit_rate = BIT_RATE
    context.options = {"compression_level": COMPLEXITY}
    context.open()
    frame = av.AudioFrame.from_ndarray(audio.reshape(1, -1), "s16", "mono")
    frame.sample_rate = sample_rate
    frame.pts = 0
    coded = context.encode(frame) + context.encode(None)
    # RFC 7845 5.1.1: the head of a stream says how much its encoder lags, 312 samples in libopus.
    delay = int.from_bytes((context.extradata or b"")[10:12], "little")
    return [
        AudioPacket(began - delay + number * 960, 960, bytes(packet))
        for number, packet in enumerate(coded)
    ]
