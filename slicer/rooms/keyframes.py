"""Tasks in the same room of an SFU, each a participant of its own, count their requests for
keyframes to a publisher together.

A video that is resumed is a request, too: the SFU makes it. So it waits as others do.
"""

from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

from slicer.clock import Clock
from slicer.hot import KeyframeRequests
from slicer.rtp.parameters import Slot
from slicer.slicing.keyframe_requests import RequestsOf


class SharedRequests:
    """The requests of all rooms of a connector, by their source. They are forgotten with the last
    connection that has that."""

    def __init__(self) -> None:
        self._sources: WeakValueDictionary[tuple[Hashable, str, Slot], KeyframeRequests]
        self._sources = WeakValueDictionary()

    def of(self, room: Hashable) -> RequestsOf:
        """Those to the anchors of a room, which all tasks in it name alike."""

        def requests_of(anchor: str, slot: Slot) -> KeyframeRequests:
            return self._sources.setdefault((room, anchor, slot), KeyframeRequests())

        return requests_of


class Resumption:
    """Calls back at a time, or as soon after it as another request may go out; with whether it had
    to wait for that."""

    def __init__(
        self,
        clock: Clock,
        at: float,
        requests: KeyframeRequests,
        interval: float,
        resume: Callable[[bool], None],
    ) -> None:
        self._clock, self._requests, self._interval = clock, requests, interval
        self._resume, self._waited = resume, False
        self._timer = clock.call_at(at, self._try)

    def cancel(self) -> None:
        """Do not call back."""
        self._timer.cancel()

    def _try(self) -> None:
        if self._requests.claim(self._clock.now(), self._interval):
            self._resume(self._waited)
            return
        self._waited = True
        self._timer = self._clock.call_at(self._requests.last + self._interval, self._try)
