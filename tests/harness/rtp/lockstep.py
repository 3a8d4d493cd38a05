"""The reference and the native Bundle in lock step: all that one gives, the other gives."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from slicer._hot import Bundle as Native
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.bundle import Bundle
from slicer.slicing.outputs import (
    AudioCut,
    GroupFrames,
    PictureCut,
    TrackKey,
    TrackOutput,
    Transmit,
)
from slicer.slicing.spec import AudioSpec, VideoSpec


def sealed(datagram: bytes) -> bytes:
    """As SRTP has it on the wire: the payload is not to be read, and a tag is behind it."""
    if len(datagram) < 12 or 192 <= datagram[1] <= 223:
        return datagram + bytes(10)
    start = 12 + 4 * (datagram[0] & 0x0F)
    if datagram[0] & 0x10 and len(datagram) >= start + 4:
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4])
    return datagram[:start] + bytes(byte ^ 0xA5 for byte in datagram[start:]) + bytes(10)


def alike(one: Counter[str], other: Counter[str]) -> bool:
    """Equality of counters: slow in Counter itself, for which a zero is as good as nothing."""
    return dict.__eq__(one, other) or one == other


class Lockstep:
    """Two Receivers with the face of one; every call compares them. *sealed*: the native one is
    shown each datagram as if it were still encrypted, and takes by its header what it will."""

    def __init__(
        self, sections: Sequence[RtpParameters] = (), ssrc: int = 9, sealed: bool = False
    ) -> None:
        self.sealed = sealed
        self.passed = 0
        self.reference = Bundle(ssrc)
        self.native = Native(ssrc)
        self.counters = self.reference.counters
        self.set_sections("ann", sections, 0.0)

    @property
    def face(self) -> Bundle:
        """For whoever takes a Bundle."""
        return cast(Bundle, self)

    def set_sections(
        self, anchor: str, sections: Sequence[RtpParameters], now: float
    ) -> list[TrackOutput | Transmit]:
        return self._both(lambda one: one.set_sections(anchor, sections, now))

    def attach(
        self, track: TrackKey, spec: AudioSpec | VideoSpec, now: float
    ) -> list[TrackOutput | Transmit]:
        return self._both(lambda one: one.attach(track, spec, now))

    def detach(self, track: TrackKey, now: float) -> list[TrackOutput | Transmit]:
        return self._both(lambda one: one.detach(track, now))

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[TrackOutput | Transmit]:
        if self.sealed:
            found = [output for one in datagrams for output in self._receive_sealed(one, now)]
            self._count()
            return found
        return self._both(lambda one: one.receive(datagrams, now))

    def handle_timer(self, now: float) -> list[TrackOutput | Transmit]:
        return self._both(lambda one: one.handle_timer(now))

    def flush(self, now: float) -> list[TrackOutput | Transmit]:
        return self._both(lambda one: one.flush(now))

    def deadline(self) -> float | None:
        expected, found = self.reference.deadline(), self.native.deadline()
        assert found == expected
        return found

    def _both(
        self, call: Callable[[Bundle], list[TrackOutput | Transmit]]
    ) -> list[TrackOutput | Transmit]:
        found = self._compared(call(self.reference), call(self.native))
        self._count()
        return found

    def _receive_sealed(self, datagram: bytes, now: float) -> list[TrackOutput | Transmit]:
        native: Any = self.native
        before = native.counters
        passes = bool(native.pass_over(sealed(datagram), now))
        # What is not taken has changed nothing.
        before["asleep"] += passes
        assert alike(native.counters, before)
        self.passed += passes
        found = native.handle_timer(now) if passes else native.receive([datagram], now)
        return self._compared(self.reference.receive([datagram], now), found)

    def _compared(
        self, expected: list[TrackOutput | Transmit], found: list[TrackOutput | Transmit]
    ) -> list[TrackOutput | Transmit]:
        assert found == expected
        for one, other in zip(found, expected, strict=True):
            if isinstance(one, AudioCut | PictureCut | GroupFrames):
                assert isinstance(other, AudioCut | PictureCut | GroupFrames)
                assert one.codec is other.codec
        self.deadline()
        return found

    def _count(self) -> None:
        self.counters = self.reference.counters
        assert alike(self.native.counters, self.counters)
