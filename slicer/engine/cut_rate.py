"""How often one anchor's media may be cut. Pure: *now* is an argument.

Theory of operation. A change of SSRC, clock or codec ends a slice and wants a picture at once, and
a sender may have one in every second packet. So each anchor has a token bucket: what the task's own
lengths ask for, and a little more. An honest anchor, whose network breaks now and then, never
empties it. What is beyond it is left out and told together: an event for each would be the flood
again.
"""

from slicer.slicing.spec import SliceParams

EXTRA_RATE = 2.0
"""Slices a second that an anchor may have beyond those that the task's lengths give."""
BURST = 60.0
"""Slices that it may have at once."""
TOLD_EVERY = 60.0
"""Seconds between two times of telling of one anchor."""
WORDS = "slices left out: its stream begins anew too often"


class _Bucket:
    def __init__(self, now: float) -> None:
        self.tokens = BURST
        self.filled = now
        self.left_out = 0
        self.last_news: float | None = None


class CutRate:
    """The buckets of one task's anchors."""

    def __init__(self, params: SliceParams) -> None:
        asked = 0.0
        if params.audio is not None:
            asked += 1 / params.audio.seconds
        if params.video is not None:
            asked += 1 / params.video.seconds
        self.rate = (2 * asked if params.aux else asked) + EXTRA_RATE
        self._buckets: dict[str, _Bucket] = {}

    def take(self, anchor: str, now: float) -> bool:
        """Whether another slice of this anchor may be made."""
        bucket = self._buckets.get(anchor)
        if bucket is None:
            bucket = self._buckets[anchor] = _Bucket(now)
        bucket.tokens = min(BURST, bucket.tokens + self.rate * max(0.0, now - bucket.filled))
        bucket.filled = now
        if bucket.tokens < 1:
            bucket.left_out += 1
            return False
        bucket.tokens -= 1
        return True

    def news(self, anchor: str, now: float) -> int:
        """How many were left out, where it is time to tell that; else 0."""
        bucket = self._buckets.get(anchor)
        if bucket is None or bucket.left_out == 0:
            return 0
        if bucket.last_news is not None and now < bucket.last_news + TOLD_EVERY:
            return 0
        bucket.last_news = now
        count, bucket.left_out = bucket.left_out, 0
        return count

    def forget(self, anchor: str) -> int:
        """The anchor has left: how many were left out and not told yet."""
        bucket = self._buckets.pop(anchor, None)
        return 0 if bucket is None else bucket.left_out
