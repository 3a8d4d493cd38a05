"""When a connection was heard, so that a track's silence can be told from a path that is held up.

Theory of operation. Where one track is silent while others of its connection go on, its sender has
stopped. Where nothing comes at all, the path may be held up, and all that was sent may still come:
in a burst, whose first packets need not be this track's. So a track's silence counts from the time
at which the connection was heard again.
"""

QUIET = 2.0
"""Seconds without any datagram after which a path counts as held up."""


class Activity:
    """When a connection was heard. *heard*: last; *resumed*: first after it had been quiet."""

    def __init__(self) -> None:
        self.heard = self.resumed = float("-inf")

    def note(self, now: float) -> None:
        """A datagram came."""
        if now - self.heard > QUIET:
            self.resumed = now
        self.heard = now

    def silent(self, last: float, now: float) -> float:
        """Seconds of silence of a track, last heard at *last*, in which others were heard."""
        return now - max(last, self.resumed) if now - self.heard <= QUIET else 0.0
