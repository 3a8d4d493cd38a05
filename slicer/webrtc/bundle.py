"""A stand-in for the bundle: one anchor's receiver, which is told its sections once."""

from collections import Counter
from collections.abc import Sequence

from slicer.hot import Receiver
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.outputs import Cut, TrackKey, Transmit
from slicer.slicing.spec import AudioSpec, VideoSpec


class Bundle:
    """The face of a bundle over the one receiver there is so far."""

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self.receiver: Receiver | None = None

    @property
    def counters(self) -> Counter[str]:
        return Counter() if self.receiver is None else self.receiver.counters

    def set_sections(
        self, anchor: str, sections: Sequence[RtpParameters], now: float
    ) -> list[Cut | Transmit]:
        if self.receiver is None:
            self.receiver = Receiver(anchor, sections, self._ssrc)
        return []

    def attach(
        self, track: TrackKey, spec: AudioSpec | VideoSpec, now: float
    ) -> list[Cut | Transmit]:
        return [] if self.receiver is None else self.receiver.attach(track, spec, now)

    def detach(self, track: TrackKey, now: float) -> list[Cut | Transmit]:
        return [] if self.receiver is None else self.receiver.detach(track, now)

    def receive(self, datagrams: Sequence[bytes], now: float) -> list[Cut | Transmit]:
        return [] if self.receiver is None else self.receiver.receive(datagrams, now)

    def handle_timer(self, now: float) -> list[Cut | Transmit]:
        return [] if self.receiver is None else self.receiver.handle_timer(now)

    def flush(self, now: float) -> list[Cut | Transmit]:
        return [] if self.receiver is None else self.receiver.flush(now)

    def deadline(self) -> float | None:
        return None if self.receiver is None else self.receiver.deadline()
