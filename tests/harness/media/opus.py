"""Encodes test audio to Opus packets, decodes files with both decoders; knows no slicing."""

import io
from collections.abc import Mapping
from enum import IntEnum

import av
import numpy as np
import numpy.typing as npt

from slicer.media import libopus
from slicer.media.libopus import Setting
from slicer.slicing.outputs import AudioPacket

Samples = npt.NDArray[np.float32]
"""Decoded audio: (samples, channels), full scale 1."""


class _Fec(IntEnum):
    """Requests of `opus_encoder_ctl` for what senders do, and we never (opus_defines.h)."""

    INBAND = 4_012
    LOSS_PERCENT = 4_014


DECODERS = ("opus", "libopus")
"""FFmpeg's own decoder and the reference one."""


def encode(
    audio: npt.NDArray[np.int16],
    frame_ms: float = 20,
    application: str = "audio",
    bit_rate: int = 64_000,
    first: int = 0,
    cutoff: int = 0,
) -> list[AudioPacket]:
    """Opus packets of 48 kHz audio, (samples,) or (samples, 2); the first has timestamp *first*.

    *cutoff* 8000 (Hz) with *application* "voip" makes a SILK stream. The decoded audio lags by 312
    samples, with "lowdelay" by 120.
    """
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = 48_000
    encoder.layout = "mono" if audio.ndim == 1 else "stereo"
    encoder.format = "s16"
    encoder.bit_rate = bit_rate
    encoder.options = {
        "frame_duration": f"{frame_ms:g}",
        "application": application,
        "cutoff": f"{cutoff}",
    }
    frame = av.AudioFrame.from_ndarray(audio.reshape(1, -1), "s16", encoder.layout.name)
    frame.sample_rate = 48_000
    frame.pts = 0
    coded = encoder.encode(frame) + encoder.encode(None)
    ticks = round(48 * frame_ms)
    return [AudioPacket(first + i * ticks, ticks, bytes(p)) for i, p in enumerate(coded)]


def encode_with_fec(
    audio: npt.NDArray[np.int16],
    settings: Mapping[Setting, int],
    frame_ms: int = 20,
    loss: int = 20,
) -> list[AudioPacket]:
    """As `encode` with "voip", from timestamp 0, each packet with a copy of the frame before it.

    *settings* of the encoder go beyond those of FEC; *loss*: per cent that it reckons with.
    """
    found = libopus.library()
    assert found is not None
    audio = audio.reshape(len(audio), -1)
    ticks = 48 * frame_ms
    with libopus.Encoder(found, audio.shape[1], settings, voip=True) as encoder:
        encoder.set(_Fec.INBAND, 1)
        encoder.set(_Fec.LOSS_PERCENT, loss)
        return [
            AudioPacket(at, ticks, encoder.encode(audio[at : at + ticks]))
            for at in range(0, len(audio) - ticks + 1, ticks)
        ]


def decode(file: bytes, decoder: str = "opus") -> Samples:
    """What a player hears: pre-skip and end trimmed by FFmpeg, as the file says."""
    with av.open(io.BytesIO(file), "r") as container:
        stream = container.streams.audio[0]
        context = av.CodecContext.create(decoder, "r")
        assert isinstance(context, av.AudioCodecContext)
        context.extradata = stream.codec_context.extradata
        context.sample_rate = 48_000
        context.layout = stream.layout.name
        blocks: list[Samples] = []
        for packet in container.demux(stream):
            for frame in context.decode(packet if packet.size else None):
                block = frame.to_ndarray().astype(np.float32)
                if not frame.format.is_planar:
                    block = block.reshape(-1, len(frame.layout.channels)).T
                scale = 32_768 if "16" in frame.format.name else 1
                blocks.append((block / scale).astype(np.float32))
    return np.concatenate(blocks, axis=1, dtype=np.float32).T


def snr(reference: Samples, heard: Samples) -> float:
    """Decibels of *reference* over its difference from *heard*; both have one shape."""
    noise = np.mean((reference - heard) ** 2)
    return float(10 * np.log10((np.mean(reference**2) + 1e-20) / (noise + 1e-20)))
