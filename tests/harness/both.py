"""The reference and the native Receiver in lock step: all that one gives, the other gives."""

from collections.abc import Callable, Sequence
from typing import cast

from slicer._hot import Receiver as Native
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackKey, Transmit
from slicer.slicing.receiver import Receiver
from slicer.slicing.spec import AudioSpec, VideoSpec


class Both:
    """Has the face of both; every call compares them."""

    def __init__(self, streams: Sequence[RtpParameters], ssrc: int = 9) -> None:
        self.reference = Receiver("ann", streams, ssrc)
        self.native = Native("ann", streams, ssrc)
        self.counters = self.reference.counters

    @property
    def face(self) -> Receiver:
        """For whoever takes a Receiver."""
        return cast(Receiver, self)

    def attach(
        self, track: TrackKey, spec: AudioSpec | VideoSpec, now: float
    ) -> list[Cut | Transmit]:
        return self._both(lambda one: one.attach(track, spec, now))

    def detach(self, track: TrackKey, now: float) -> list[Cut | Transmit]:
        return self._both(lambda one: one.detach(track, now))

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[Cut | Transmit]:
        return self._both(lambda one: one.receive(datagrams, now))

    def handle_timer(self, now: float) -> list[Cut | Transmit]:
        return self._both(lambda one: one.handle_timer(now))

    def flush(self, now: float) -> list[Cut | Transmit]:
        return self._both(lambda one: one.flush(now))

    def deadline(self) -> float | None:
        expected, found = self.reference.deadline(), self.native.deadline()
        assert found == expected
        return found

    def _both(self, call: Callable[[Receiver], list[Cut | Transmit]]) -> list[Cut | Transmit]:
        expected, found = call(self.reference), call(self.native)
        assert found == expected
        for one, other in zip(found, expected, strict=True):
            if isinstance(one, AudioCut | PictureCut):
                assert isinstance(other, AudioCut | PictureCut)
                assert one.codec is other.codec
        self.deadline()
        self.counters = self.reference.counters
        assert self.native.counters == self.counters
        return found
