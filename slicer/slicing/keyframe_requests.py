"""The requests for keyframes to one source, which all tasks that watch it count together.

Tasks on one connection share a track, and so its requests. In an SFU's room each task has a
connection of its own; the requests of all of them come to the publisher, and so do the keyframes
to all of them. So their tracks are given the same object, by whoever knows that it is one source.
"""

from collections.abc import Callable

from slicer.rtp.parameters import Slot


class KeyframeRequests:
    """When the last one went out, by whichever task."""

    __slots__ = ("__weakref__", "last")

    def __init__(self) -> None:
        self.last = float("-inf")

    def claim(self, now: float, interval: float) -> bool:
        """Whether one may go out now, *interval* seconds after the last; it is noted then."""
        if now < self.last + interval:
            return False
        self.last = now
        return True


RequestsOf = Callable[[str, Slot], KeyframeRequests]
"""Gives those to one anchor's video of this slot."""
