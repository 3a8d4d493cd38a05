"""The decoder of one group of pictures: fed frame by frame, kept from one picture to the next.

Theory of operation. A frame is decoded when a picture that depends on it is wanted, and not before;
what was taken and never wanted costs its bytes alone. The context lives as long as its group: one
that went on to another group would decode a keyframe that lost its parameter sets with those of the
last. Any fault ends it, for FFmpeg would paint over what it could not decode.

A codec with B-frames gives frames later than it takes them. The last one is then only to be had by
flushing, and a decoder that was flushed needs a keyframe. Such a group is decoded anew from its
keyframe for each picture, within MAX_AGAIN_FRAMES and MAX_AGAIN_BYTES; other groups have no bound.
"""

from collections.abc import Sequence
from typing import Any, cast

import av

from slicer.errors import MediaError

MAX_PIXELS = 8_192 * 4_352
"""A larger frame is refused, by every way to a picture, before memory is taken for it; 8K fits."""
MAX_AGAIN_FRAMES = 1_800
MAX_AGAIN_BYTES = 16 << 20

_DECODERS = {"vp8": "vp8", "vp9": "vp9", "h264": "h264", "av1": "libdav1d", "h265": "hevc"}
CODECS = frozenset(_DECODERS)
# Stop at the first fault: FFmpeg would else paint over what it could not decode.
_ERRORS = "crccheck+bitstream+buffer+explode"


class GroupDecoder:
    """Decodes one group of pictures, of a codec of CODECS. On one thread at a time, and no longer
    once it has raised MediaError."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._context: av.VideoCodecContext | None = None
        self._fed = 0
        self._waiting: list[bytes] = []
        self._kept: list[bytes] | None = []  # what was fed, unless frames come out at once

    @property
    def fresh(self) -> bool:
        """Nothing was taken yet."""
        return not (self._fed or self._waiting)

    def add(self, frames: Sequence[bytes]) -> None:
        """Take the next frames, the first of all being the keyframe; nothing is decoded."""
        self._waiting += frames

    def advance(self) -> None:
        """Decode what was taken, ahead of a picture. Raises MediaError."""
        self._feed()

    def picture(self) -> av.VideoFrame:
        """The last frame taken. Raises MediaError."""
        frame = self._feed()
        return self._flush() if frame is None else frame

    def _feed(self) -> av.VideoFrame | None:
        """Decode what waits; the last frame of it, where that comes out at once."""
        context = self._context or self._open()
        last = None
        for data in self._waiting:
            packet = av.Packet(data)
            packet.pts = self._fed
            self._fed += 1
            last = self._decode(context, packet) or last
        if last is not None and last.pts == self._fed - 1:
            self._kept = None
        elif self._kept is not None:
            self._kept += self._waiting
            self._check_kept(self._kept)
            last = None
        self._waiting = []
        return last

    def _flush(self) -> av.VideoFrame:
        """The last frame, out of a decoder that holds it back and can then not go on."""
        assert self._context is not None
        context, self._context = self._context, None
        frame = self._decode(context, None)
        if frame is None:
            raise MediaError(
                f"{self._codec} decoder gave no picture for the last of {self._fed} frames"
            )
        return frame

    def _open(self) -> av.VideoCodecContext:
        # More threads than one cost more CPU for one frame.
        if self._fed:
            if self._kept is None:
                raise MediaError(f"{self._codec} decoder began to give frames late")
            self._waiting, self._kept, self._fed = self._kept + self._waiting, [], 0
        context = av.CodecContext.create(_DECODERS[self._codec], "r")
        self._context = cast(av.VideoCodecContext, context)
        self._context.thread_count = 1
        self._context.options = {"err_detect": _ERRORS, "max_pixels": str(MAX_PIXELS)}
        return self._context

    def _decode(
        self, context: av.VideoCodecContext, packet: "av.Packet[Any] | None"
    ) -> av.VideoFrame | None:
        """Of the frames that come out, the last one fed; others are let go. Of SVC in VP9 each
        spatial layer comes out, the highest one last."""
        size = 0 if packet is None else packet.size
        try:
            frames = context.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(f"{self._codec} frame of {size} bytes: {error}") from error
        if any(frame.is_corrupt for frame in frames):
            raise MediaError(f"{self._codec} frame decoded with errors")
        return next((frame for frame in reversed(frames) if frame.pts == self._fed - 1), None)

    def _check_kept(self, kept: Sequence[bytes]) -> None:
        size = sum(map(len, kept))
        if len(kept) > MAX_AGAIN_FRAMES or size > MAX_AGAIN_BYTES:
            came = f"{self._codec} group of {len(kept)} frames and {size} bytes, given late"
            raise MediaError(f"{came}; allowed: {MAX_AGAIN_FRAMES} and {MAX_AGAIN_BYTES}")
