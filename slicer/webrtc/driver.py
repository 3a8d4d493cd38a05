"""Drives one bundle on the event loop: media and subscriptions in, every output out, one timer.

The bundle is a state machine without I/O and without a clock. Here it gets both. Each call gives
the bundle one input and the present time, sends and delivers all that comes out, and sets the timer
to the bundle's new deadline. Nothing else may call the bundle, or its deadline would pass unseen.

What came before a timer counts before it: *read* takes what waits to be received, and gives whether
that was all. While it was not, the timer waits.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from slicer.clock import Clock, Timer
from slicer.hot import Bundle
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.outputs import Subscribe, TrackKey, TrackOutput, Transmit

AGAIN = 0.01
"""Seconds until a timer tries again, before which there was more to receive."""


class BundleDriver:
    """One input, every output, the timer set again; then the next input."""

    def __init__(
        self,
        bundle: Bundle,
        clock: Clock,
        transmit: Callable[[bytes], None],
        deliver: Callable[[TrackOutput], None],
        read: Callable[[], bool] = lambda: True,
    ) -> None:
        self._bundle = bundle
        self._clock = clock
        self._transmit = transmit
        self._deliver = deliver
        self._read = read
        self._timer: Timer | None = None
        self._armed: float | None = None

    @property
    def counters(self) -> Counter[str]:
        """What was refused, lost or odd, by reason."""
        return self._bundle.counters

    def set_sections(self, anchor: str, sections: Sequence[RtpParameters]) -> None:
        self._drive(self._bundle.set_sections(anchor, sections, self._clock.now()))

    def attach(self, subscribe: Subscribe) -> None:
        now = self._clock.now()
        self._drive(self._bundle.attach(subscribe.track, subscribe.spec, now))

    def detach(self, track: TrackKey) -> None:
        self._drive(self._bundle.detach(track, self._clock.now()))

    def receive(self, datagrams: Sequence[bytes]) -> None:
        """Take plain RTP and RTCP, mixed as they came."""
        self._drive(self._bundle.receive(datagrams, self._clock.now()))

    def close(self) -> None:
        """The media is over: give every output, and stop."""
        self._drive(self._bundle.flush(self._clock.now()))
        self.stop()

    def stop(self) -> None:
        """Set no timer any more."""
        self._arm(None)

    def _fire(self) -> None:
        self._armed = None
        if self._read():
            self._drive(self._bundle.handle_timer(self._clock.now()))
        else:
            self._arm(self._clock.now() + AGAIN)

    def _drive(self, outputs: Sequence[TrackOutput | Transmit]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self._transmit(output.data)
            else:
                self._deliver(output)
        self._arm(self._bundle.deadline())

    def _arm(self, deadline: float | None) -> None:
        if deadline == self._armed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed = deadline
        self._timer = None if deadline is None else self._clock.call_at(deadline, self._fire)
