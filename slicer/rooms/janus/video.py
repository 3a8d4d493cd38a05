"""One video of a publisher as Janus is to send it: whether it is paused, and in which substream.

What is wanted changes at any time; Janus is told when somebody talks to it.
"""

from collections.abc import Callable

from slicer.clock import Clock
from slicer.hot import KeyframeRequests
from slicer.rooms.janus.layers import TOP, Layers
from slicer.rooms.keyframes import Resumption


class Video:
    """*changed* is called where Janus may have to be told something, by a timer too. *requests*:
    those for keyframes to this video, of all tasks."""

    def __init__(
        self, clock: Clock, changed: Callable[[], None], requests: KeyframeRequests
    ) -> None:
        self._clock, self._changed, self._requests = clock, changed, requests
        self.layers = Layers()
        self.paused = False
        self.shared = False
        """Whether another task's request was in the way of a resumption. Then it is better not
        paused: it gets the keyframes that others ask for."""
        self._told_paused, self._told_substream = False, TOP
        self._resuming: Resumption | None = None

    def pause(self, until: float, interval: float) -> None:
        """Pause it until then, or until another keyframe may be asked for: *interval* seconds after
        the last request."""
        self._cancel()
        self.paused = True
        self._resuming = Resumption(self._clock, until, self._requests, interval, self._resume)
        self._changed()

    def flow(self) -> None:
        """Have it flow."""
        self._cancel()
        self.paused = False
        self._changed()

    def end(self) -> None:
        """Its publisher has left: its timer ends, and nobody is called, so that nobody is kept."""
        self.flow()
        self._changed = lambda: None

    def replaced(self) -> None:
        """Another stream has its place, or none: it flows, and Janus begins with its highest
        substream. Of those who may ask for it nothing is known."""
        self.layers = self.layers.anew()
        self._told_paused, self._told_substream = False, TOP
        self.shared = False

    def requests(self) -> list[dict[str, object]]:
        """What Janus has not been told by now; each is given once."""
        found: list[dict[str, object]] = []
        if self.paused != self._told_paused:
            self._told_paused = self.paused
            found.append({"send": not self.paused})
        if self.layers.wanted != self._told_substream:
            self._told_substream = self.layers.wanted
            found.append({"substream": self._told_substream})
        return found

    def _cancel(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None

    def _resume(self, waited: bool) -> None:
        self.shared |= waited
        self.flow()
