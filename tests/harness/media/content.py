"""Test content: pictures and audio of one anchor as files a browser, a muxer or a decoder takes."""

import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import numpy.typing as npt

from tests.harness.media.audio import OPUS_DELAY, SAMPLE_RATE, find_beeps, make_audio
from tests.harness.media.picture import Painter, Rgb, is_grey, read_frame_number

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = [
    "OPUS_DELAY",
    "SAMPLE_RATE",
    "Content",
    "Encoding",
    "Painter",
    "Rgb",
    "encode",
    "find_beeps",
    "is_grey",
    "make_audio",
    "read_frame_number",
    "read_pictures",
    "write_wav",
    "write_y4m",
]

BLUE = (36, 99, 235)
AMBER = (245, 158, 11)
AUDIO_FRAME = SAMPLE_RATE // 50


@dataclass(frozen=True)
class Content:
    """What one test anchor shows and says: frame *n* at n/fps seconds, a beep on each full second.

    It can be looped after *seconds*: the audio goes on without a click, frame numbers start again.
    """

    painter: Painter = field(default_factory=Painter)
    seconds: int = 20
    seed: int = 1

    @property
    def frames(self) -> int:
        return self.seconds * self.painter.fps

    @cached_property
    def audio(self) -> npt.NDArray[np.int16]:
        """Mono 48 kHz, (seconds x 48000,)."""
        return make_audio(self.seconds, self.seed)

    def pictures(self) -> Iterator[Rgb]:
        return (self.painter.draw(frame) for frame in range(self.frames))


def write_y4m(path: Path, content: Content) -> None:
    """Raw 4:2:0 for Chromium's --use-file-for-fake-video-capture; it loops the file by itself."""
    painter = content.painter
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{painter.width} H{painter.height} F{painter.fps}:1 C420\n".encode())
        for picture in content.pictures():
            planes = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            file.write(b"FRAME\n" + planes.to_ndarray().tobytes())


def write_wav(path: Path, content: Content) -> None:
    """48 kHz stereo for Chromium's --use-file-for-fake-audio-capture; it loops the file itself."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.repeat(content.audio, 2).tobytes())


@dataclass(frozen=True)
class Encoding:
    """How test content is encoded. *gop* in frames, rates in bit/s; a codec of None leaves it out.

    *video* is "vp8", "vp9" or "h264" (constrained baseline); *audio* is "opus" or "aac", in stereo
    as FFmpeg's WHIP muxer demands. No frame is delayed or reordered: every packet decodes at once.
    """

    video: str | None = "vp8"
    audio: str | None = "opus"
    gop: int = 15
    video_rate: int = 150_000
    audio_rate: int = 32_000


_ENCODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9", "h264": "libx264"}
_AUDIO_ENCODERS = {"opus": "libopus", "aac": "aac"}
_VPX = {"deadline": "good", "cpu-used": "2", "lag-in-frames": "0", "auto-alt-ref": "0"}
_X264 = {"preset": "veryfast", "profile": "baseline", "tune": "zerolatency", "sc_threshold": "0"}
_OPTIONS = {"vp8": _VPX, "vp9": _VPX | {"deadline": "realtime", "cpu-used": "8"}, "h264": _X264}


class Writer:
    """Encodes content into an open container, frame by frame, so that the caller sets the pace."""

    def __init__(self, container: "OutputContainer", content: Content, encoding: Encoding) -> None:
        self._container, self._content = container, content
        self._video = self._add_video(encoding) if encoding.video else None
        self._audio = self._add_audio(encoding) if encoding.audio else None
        self._samples = 0

    def _add_video(self, encoding: Encoding) -> "VideoStream":
        painter = self._content.painter
        codec = encoding.video or ""
        name, options = _ENCODERS[codec], dict(_OPTIONS[codec])
        stream = cast(
            "VideoStream", self._container.add_stream(name, rate=painter.fps, options=options)
        )
        context = stream.codec_context
        context.width, context.height = painter.width, painter.height
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, painter.fps)
        context.bit_rate, context.gop_size = encoding.video_rate, encoding.gop
        context.max_b_frames = 0
        # Several threads would make the bytes depend on the machine.
        context.thread_count = 1
        return stream

    def _add_audio(self, encoding: Encoding) -> "AudioStream":
        encoder = _AUDIO_ENCODERS[encoding.audio or ""]
        stream = cast("AudioStream", self._container.add_stream(encoder, rate=SAMPLE_RATE))
        stream.codec_context.layout = "stereo"
        if encoding.audio == "opus":
            stream.codec_context.format = "s16"
        stream.codec_context.bit_rate = encoding.audio_rate
        return stream

    def write(self, frame: int) -> None:
        """Encode and mux frame *frame* and the audio up to its end; frames in order, from 0."""
        if self._video is not None:
            picture = self._content.painter.draw(frame)
            shown = av.VideoFrame.from_ndarray(picture, format="rgb24")
            shown.pts, shown.time_base = frame, Fraction(1, self._content.painter.fps)
            self._container.mux(self._video.encode(shown))
        while self._audio is not None and self._samples < self._samples_until(frame + 1):
            self._write_audio()

    def close(self) -> None:
        """Mux the pictures the encoder still holds; the container stays open."""
        # The audio's last 6.5 ms stay in the encoder: a packet more, and a loop would stumble.
        if self._video is not None:
            self._container.mux(self._video.encode(None))

    def _samples_until(self, frame: int) -> int:
        return frame * SAMPLE_RATE // self._content.painter.fps

    def _write_audio(self) -> None:
        assert self._audio is not None
        audio = self._content.audio
        chunk = np.take(audio, range(self._samples, self._samples + AUDIO_FRAME), mode="wrap")
        heard = av.AudioFrame.from_ndarray(
            np.repeat(chunk, 2).reshape(1, -1), format="s16", layout="stereo"
        )
        heard.sample_rate, heard.pts = SAMPLE_RATE, self._samples
        heard.time_base = Fraction(1, SAMPLE_RATE)
        self._container.mux(self._audio.encode(heard))
        self._samples += AUDIO_FRAME


def encode(path: Path, content: Content, encoding: Encoding) -> None:
    """Write *content* as what its suffix names (.webm, .mp4, .mkv); same input, same bytes."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        writer = Writer(container, content, encoding)
        for frame in range(content.frames):
            writer.write(frame)
        writer.close()


def read_pictures(path: Path) -> Iterator[Rgb]:
    """Every picture of a video file, in order."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
