"""One video of a publisher as Janus is to send it: whether it is paused, and in which substream.

What is wanted changes at any time; Janus is told when somebody talks to it.
"""

from collections.abc import Callable

from slicer.clock import Clock, Timer
from slicer.rooms.janus.layers import TOP, Layers


class Video:
    """*changed* is called where Janus may have to be told something, by a timer too."""

    def __init__(self, clock: Clock, changed: Callable[[], None]) -> None:
        self._clock, self._changed = clock, changed
        self.layers = Layers()
        self.paused = False
        self._told_paused, self._told_substream = False, TOP
        self._resuming: Timer | None = None

    def pause(self, until: float | None) -> None:
        """Pause it until then; None: have it flow."""
        if self._resuming is not None:
            self._resuming.cancel()
        self.paused = until is not None
        on_time = None if until is None else self._clock.call_at(until, lambda: self.pause(None))
        self._resuming = on_time
        self._changed()

    def end(self) -> None:
        """Its publisher has left: its timer ends, and nobody is called, so that nobody is kept."""
        self.pause(None)
        self._changed = lambda: None

    def replaced(self) -> None:
        """Another stream has its place: it flows, and Janus begins with its highest substream."""
        self.layers = self.layers.anew()
        self._told_paused, self._told_substream = False, TOP

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
