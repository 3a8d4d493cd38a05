"""Whether an anchor that should send media sends none. Without I/O and clock.

Theory of operation. An SFU sends us STUN and RTCP of its own, so its connection stays alive while a
publisher behind it is frozen. Only RTP is the publisher's. It is expected while a track flows: one
that is subscribed to, is not muted and is not paused by ourselves. Silence counts from the last RTP
packet, or from the time since which one is expected, whichever is later; and it counts only as far
as the connection itself was heard, since a path that is held up says nothing about the publisher.

It is told and nothing else: the subscription stays, so that a publisher that thaws, or that had
muted itself without a word, is cut on at once. The SFU's own time-outs say when it is gone.
"""

from collections import Counter

from slicer.slicing.outputs import AnchorTrouble


class MediaSilence:
    """Watches one anchor. *bound*: seconds without RTP after which it is told. All times are of one
    clock, that of the media path."""

    def __init__(self, anchor: str, bound: float) -> None:
        self.anchor, self._bound = anchor, bound
        self._expected_since: float | None = None
        self._told = False
        self.counters: Counter[str] = Counter()

    def expect(self, flows: bool, now: float) -> None:
        """Whether any of its tracks flows, as of now."""
        if not flows:
            self._expected_since = None
        elif self._expected_since is None:
            self._expected_since = now

    def look(self, media: float, connection: float) -> list[AnchorTrouble]:
        """What is to be told, once for each silence. *media*: when RTP of this anchor last came;
        *connection*: when anything did."""
        since = self._expected_since
        if since is None:
            return []
        silent = connection - max(since, media) >= self._bound
        first = silent and not self._told
        self._told = silent
        if not first:
            return []
        self.counters["media_silent"] += 1
        reason = f"no media for {self._bound:g} s, and nothing says that it is muted"
        return [AnchorTrouble(self.anchor, reason, 1)]
