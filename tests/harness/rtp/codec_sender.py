"""A sender of every codec: as `rtp.Sender`, but with payloads that only look like the codec's."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from slicer.rtp.parameters import Kind
from tests.harness.rtp import packetize
from tests.harness.rtp.call import Sender, h264, opus, vp8

# One Opus payload of each way to say its length (RFC 6716 3.2), and two that are malformed.
TOCS = (
    b"\xf8",  # 20 ms
    b"\xe0",  # 2.5 ms
    b"\x18",  # 60 ms
    b"\xf9",  # two frames of equal size: 4 bytes follow
    b"\x1b\x02",  # 120 ms
    b"\xe3\x84\x01\x01\x01",  # four frames, each with its size
    b"\xff",  # no frame count behind it, but for what follows
    b"\x03\x00",  # no frame at all
)


def vp9(number: int, keyframe: bool, size: int) -> bytes:
    """A frame whose uncompressed header says what it is (the first bits of it)."""
    return (bytes([0x82 if keyframe else 0x86]) + number.to_bytes(4)).ljust(size, b"\xaa")


def av1(number: int, keyframe: bool, size: int) -> bytes:
    """A temporal unit: a sequence header before a keyframe, and one frame."""
    frame = (bytes([0x10 if keyframe else 0x30]) + number.to_bytes(4)).ljust(size, b"\xaa")
    head = b"\x0a\x03\x00\x00\x00" if keyframe else b""
    return head + b"\x32" + packetize.leb128(len(frame)) + frame


def h265(number: int, keyframe: bool, size: int) -> bytes:
    """An access unit of one slice; a keyframe, now an IDR and now a CRA, with parameter sets."""
    kind = (19 if number % 2 else 21) if keyframe else 1
    slice_ = bytes([kind << 1, 1, 0x80]) + number.to_bytes(4).replace(b"\0", b"\x55")
    nals = [*(H265_SETS if keyframe else ()), slice_.ljust(size, b"\xaa")]
    return b"".join(b"\0\0\0\1" + nal for nal in nals)


H265_SETS = (b"\x40\x01\x0c\x01", b"\x42\x01\x01" + b"\x60" * 12 + b"\xa0", b"\x44\x01\xc1")


def without_sets(codec: str, frame: bytes) -> bytes:
    """An access unit without parameter sets: they are in the session description."""
    kinds = {nal[0] for nal in H265_SETS} if codec == "h265" else {0x67, 0x68}
    units = [nal for nal in packetize.annexb(frame) if nal[0] not in kinds]
    return b"".join(b"\0\0\0\1" + nal for nal in units)


MAKE = {"vp8": vp8, "vp9": vp9, "h264": h264, "av1": av1, "h265": h265}


@dataclass
class CodecSender(Sender):
    """*markers*: whether a frame's last packet is marked; *bare*: keyframes go without their
    parameter sets; *tocs*: what Opus payloads begin with, in turn."""

    markers: bool = True
    bare: bool = False
    tocs: tuple[bytes, ...] = (b"\xf8",)
    mtu: int = 50
    pictures: Iterator[int] = field(default_factory=itertools.count)

    def use(self, payload_type: int) -> None:
        """Go on with another of the codecs agreed on."""
        self.payload_type, self.codec = payload_type, self.parameters.codecs[payload_type]
        self.ticks = round(self.every * self.codec.clock_rate)

    def _frame(self, now: float) -> Iterator[bytes]:
        self.sent.append(self.number)
        if self.parameters.kind is Kind.AUDIO:
            yield self.packet(self._audio(), False)
            return
        natural = self.group and (self.number - self._begin) % self.group == 0
        keyframe = bool(natural) or self._key_due
        if keyframe:
            self._key_due, self._key_at = False, now
            self.keyframes.append(self.number)
        frame = MAKE[self.codec.name](self.number, keyframe, self.size * (4 if keyframe else 1))
        if self.bare and self.codec.name in {"h264", "h265"}:
            frame = without_sets(self.codec.name, frame)
        parts = packetize.payloads(self.codec.name, frame, self.mtu, next(self.pictures))
        for index, part in enumerate(parts):
            yield self.packet(part, self.markers and index == len(parts) - 1)

    def _audio(self) -> bytes:
        if self.codec.name != "opus":
            return self.number.to_bytes(4).ljust(self.ticks, b"\xd5")
        return self.tocs[self.number % len(self.tocs)] + opus(self.number)[1:]
