"""The live capture that everybody is sent: 20 s of 720p30 and Opus, as RTP payloads; made once.

The pictures carry their frame number (`tests.harness.media.picture`), so that what a peer wrote
tells by itself how late it was. Two encodings of the same pictures are kept: one as a camera
sends it, with a keyframe every two seconds, and one of keyframes alone: who asks for a keyframe
gets the current frame from there.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import numpy.typing as npt

from tests.harness.media.audio import SAMPLE_RATE, make_audio
from tests.harness.media.picture import Painter, Rgb
from tests.harness.rtp.packetize import payloads

WIDTH, HEIGHT, FPS = 1280, 720, 30
SECONDS = 20
FRAMES = SECONDS * FPS
GOP = 2 * FPS
VIDEO_RATE = 1_500_000
AUDIO_RATE = 64_000
AUDIO_FRAME = 960
CODECS = ("h264", "vp8")
ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "peers"

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.uint32]

_NOISES = 16
_NOISE = 3.0
# Half a pixel a frame: a slow pan, whose every block moves by a fraction of a pixel.
_PAN = 0.5
_X264 = {"preset": "veryfast", "profile": "baseline", "tune": "zerolatency"}
_VPX = {"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0", "auto-alt-ref": "0"}
_ENCODERS = {"h264": "libx264", "vp8": "libvpx"}
# What makes keyframes alone as large as those in between.
_KEY_OPTIONS = {
    "h264": _X264 | {"qp": "32", "x264-params": "keyint=1:scenecut=0"},
    "vp8": _VPX | {"qmin": "30", "qmax": "30"},
}
_OPTIONS = {
    "h264": _X264 | {"x264-params": f"keyint={GOP}:scenecut=0:ipratio=1"},
    "vp8": _VPX | {"qmin": "4", "qmax": "50", "max-intra-rate": "1500"},
}


@dataclass(frozen=True)
class Track:
    """RTP payloads: *packets* has where each begins in *data*, *frames* the first one of each."""

    data: Bytes
    packets: Offsets
    frames: Offsets

    @classmethod
    def of(cls, frames: Sequence[Sequence[bytes]]) -> "Track":
        """Join the payloads of frames."""
        sizes = [len(payload) for frame in frames for payload in frame]
        counts = [len(frame) for frame in frames]
        joined = b"".join(payload for frame in frames for payload in frame)
        return cls(np.frombuffer(joined, np.uint8), _starts(sizes), _starts(counts))

    @property
    def frame_count(self) -> int:
        return len(self.frames) - 1

    def sizes(self) -> npt.NDArray[np.int64]:
        """Bytes of each frame."""
        return np.asarray(np.diff(self.packets[self.frames].astype(np.int64)), np.int64)


@dataclass(frozen=True)
class Capture:
    """What one anchor sends, round and round."""

    codec: str
    video: Track
    keyframes: Track
    audio: Track

    def describe(self) -> dict[str, float | str]:
        """Its measures, for the report."""
        sizes, alone = self.video.sizes(), self.keyframes.sizes()
        return {
            "codec": self.codec,
            "picture": f"{WIDTH}x{HEIGHT}, {FPS} a second",
            "video_kbit_s": round(float(sizes.sum()) * 8 / SECONDS / 1000),
            "video_packets_s": round((len(self.video.packets) - 1) / SECONDS),
            "keyframe_kB": round(float(sizes[::GOP].mean()) / 1000, 1),
            "keyframe_asked_for_kB": round(float(alone.mean()) / 1000, 1),
            "audio_kbit_s": round(len(self.audio.data) * 8 / SECONDS / 1000, 1),
            "audio_packets_s": round((len(self.audio.packets) - 1) / SECONDS),
        }


def load(codec: str, cache: Path = CACHE) -> Capture:
    """The capture of this codec, made where the cache has none of this program's."""
    source = Path(__file__).read_bytes()
    path = cache / f"{codec}-{hashlib.sha256(source).hexdigest()[:12]}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = make(codec)
        arrays = {
            f"{name}_{part}": getattr(getattr(made, name), part)
            for name in ("video", "keyframes", "audio")
            for part in ("data", "packets", "frames")
        }
        staged = path.with_suffix(".part.npz")
        np.savez(staged, **arrays)
        staged.replace(path)
    with np.load(path) as file:
        tracks = [
            Track(*(file[f"{name}_{part}"] for part in ("data", "packets", "frames")))
            for name in ("video", "keyframes", "audio")
        ]
    return Capture(codec, *tracks)


def make(codec: str) -> Capture:
    """Draw and encode; half a minute."""
    normal = _encoder(codec, _OPTIONS[codec])
    alone = _encoder(codec, _KEY_OPTIONS[codec])
    alone.gop_size = 1
    units: list[bytes] = []
    keyframes: list[bytes] = []
    for number, picture in enumerate(draw()):
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p", threads=1)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        units += [bytes(packet) for packet in normal.encode(frame)]
        frame.pict_type = av.video.frame.PictureType.I
        keyframes += [bytes(packet) for packet in alone.encode(frame)]
    units += [bytes(packet) for packet in normal.encode(None)]
    keyframes += [bytes(packet) for packet in alone.encode(None)]
    if not len(units) == len(keyframes) == FRAMES:
        raise RuntimeError(f"{codec}: {len(units)} and {len(keyframes)} of {FRAMES} frames came")
    return Capture(codec, _packed(codec, units), _packed(codec, keyframes), _sound())


def keyframe(codec: str) -> bytes:
    """The first picture alone, as whoever asks for a keyframe gets it."""
    encoder = _encoder(codec, _KEY_OPTIONS[codec])
    frame = av.VideoFrame.from_ndarray(next(draw()), "rgb24").reformat(format="yuv420p", threads=1)
    frame.pts, frame.time_base = 0, Fraction(1, FPS)
    (packet,) = [*encoder.encode(frame), *encoder.encode(None)]
    return bytes(packet)


def draw() -> Iterator[Rgb]:
    """A textured scene under a slow pan, with a camera's noise and the frame's number."""
    painter = Painter(width=WIDTH, height=HEIGHT, fps=FPS)
    scene = _texture(np.random.default_rng(7), HEIGHT, WIDTH)
    random = np.random.default_rng(8)
    noises = random.normal(0, _NOISE, (_NOISES, HEIGHT, WIDTH, 1)).astype(np.float32)
    readable = np.ones((HEIGHT, WIDTH, 1), np.float32)
    readable[int(HEIGHT * 0.8) :] = 0
    for number in range(FRAMES):
        whole, part = divmod(number * _PAN, 1)
        moved = np.roll(scene, int(whole), axis=1) * (1 - part)
        moved += np.roll(scene, int(whole) + 1, axis=1) * part
        painted = painter.draw(number).astype(np.float32)
        painted += (moved + noises[number % _NOISES]) * readable
        yield np.clip(painted, 0, 255).astype(np.uint8)


def _texture(random: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    """Noise whose power falls with the frequency, as natural pictures' does; it tiles."""
    down = np.fft.fftfreq(height)[:, None]
    across = np.fft.fftfreq(width)[None, :]
    frequency = np.sqrt(down**2 + across**2)
    weight = 1 / np.maximum(frequency, 1 / width) ** 1.15
    phase = random.uniform(0, 2 * np.pi, (height, width))
    field = np.fft.ifft2(weight * np.exp(1j * phase)).real
    scaled = 30 * (field - field.mean()) / field.std()
    return np.asarray(scaled[..., None], np.float32)


def _encoder(codec: str, options: dict[str, str]) -> av.VideoCodecContext:
    context = cast(av.VideoCodecContext, av.CodecContext.create(_ENCODERS[codec], "w"))
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS)
    context.gop_size, context.max_b_frames, context.thread_count = GOP, 0, 1
    if "qp" not in options:
        context.bit_rate = VIDEO_RATE
    context.options = options
    return context


def _packed(codec: str, units: Sequence[bytes]) -> Track:
    return Track.of([payloads(codec, unit, picture=n) for n, unit in enumerate(units)])


def _sound() -> Track:
    """Opus of SECONDS; the encoder's delay is sent along, as every sender does."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "stereo", "s16"
    encoder.bit_rate = AUDIO_RATE
    sound = np.repeat(make_audio(SECONDS), 2)
    frames: list[list[bytes]] = []
    for number in range(SECONDS * SAMPLE_RATE // AUDIO_FRAME):
        chunk = sound[number * AUDIO_FRAME * 2 :][: AUDIO_FRAME * 2]
        frame = av.AudioFrame.from_ndarray(chunk.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, number * AUDIO_FRAME
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frames += [[bytes(packet)] for packet in encoder.encode(frame)]
    frames += [[bytes(packet)] for packet in encoder.encode(None)]
    return Track.of(frames[: SECONDS * SAMPLE_RATE // AUDIO_FRAME])


def _starts(sizes: Sequence[int]) -> Offsets:
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.uint32)
