"""Audio that no WebRTC receiver takes (AAC, MP3, …), decoded by FFmpeg and encoded to Opus.

Theory of operation. The encoder counts samples; a container's timestamps are rounded, to
milliseconds in RTMP. So the Opus has the samples' own time, and follows the timestamps only where
they part from it by more than APART: then audio is missing or was repeated, and a new encoder
begins at the new place.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from slicer.rooms.frames import EncodedFrame
from slicer.rtp.parameters import OPUS, Kind

APART = 0.1
"""Seconds by which timestamps and samples may disagree."""
FRAME = 960
"""Samples of an Opus packet, 20 ms."""
BIT_RATE = 64_000
"""Bits a second of each channel: as good as AAC of twice the rate."""
COMPLEXITY = "5"
"""Of libopus, 0 to 10: half of the CPU of 10."""


class Transcoder:
    """Audio packets of one stream in, Opus out."""

    codec = OPUS

    def __init__(self, stream: av.AudioStream, counters: Counter[str]) -> None:
        self._stream, self._counters = stream, counters
        self._resampler: AudioResampler | None = None
        self._encoder: AudioCodecContext
        self._format: tuple[str, str, int] | None = None
        self._zero = 0.0  # seconds at which the encoder's first sample is
        self._heard = 0.0  # seconds of audio given to it
        self._samples = 0

    def frames(self, packet: "av.Packet[Any]") -> Iterator[EncodedFrame]:
        """The Opus packets that are whole by now. What cannot be decoded is counted."""
        try:
            decoded = self._stream.decode(packet)
        except av.error.FFmpegError:
            self._counters["undecodable_audio"] += 1
            return
        for frame in decoded:
            if frame.pts is None or frame.time_base is None or not frame.sample_rate:
                self._counters["no_timestamp"] += 1
                continue
            self._place(frame, float(frame.pts * frame.time_base))
            self._heard += frame.samples / frame.sample_rate
            yield from self._encode(frame)

    def _place(self, frame: AudioFrame, at: float) -> None:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        apart = abs(at - (self._zero + self._heard))
        if self._resampler is not None and form == self._format and apart <= APART:
            return
        if self._resampler is not None:
            self._counters["audio_restarted"] += 1
        layout = "stereo" if frame.layout.nb_channels > 1 else "mono"
        self._resampler = AudioResampler("s16", layout, OPUS.clock_rate, FRAME)
        self._encoder = _encoder(layout)
        self._format, self._zero, self._heard, self._samples = form, at, 0.0, 0

    def _encode(self, frame: AudioFrame) -> Iterator[EncodedFrame]:
        assert self._resampler is not None
        origin = round(self._zero * OPUS.clock_rate)
        # The resampler would have it count in the container's own time.
        frame.pts = None
        for resampled in self._resampler.resample(frame):
            resampled.pts = self._samples
            self._samples += resampled.samples
            for encoded in self._encoder.encode(resampled):
                # Negative at first: the encoder looks ahead, and says so by its timestamps.
                yield EncodedFrame(Kind.AUDIO, origin + (encoded.pts or 0), bytes(encoded))


def _encoder(layout: str) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = OPUS.clock_rate, layout, "s16"
    encoder.bit_rate = BIT_RATE * encoder.layout.nb_channels
    encoder.options = {"compression_level": COMPLEXITY}
    return encoder
