"""When a webhook is sent again: every 10 s for a minute, then after growing waits."""

from dataclasses import dataclass

INTERVAL = 10.0
MINUTE = 60.0
DAY = 86_400.0
LONGEST = 3_600.0
_MINUTE_TRIES = 7
"""Tries of the first minute at most: two at once, then every 10 s."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """All times in seconds of one clock. *max_age*: the age at which a webhook is given up;
    *longest*: the longest wait between two tries."""

    max_age: float = DAY
    longest: float = LONGEST

    def next_try(self, since: float, tries: int, tried: float, now: float) -> float | None:
        """When to try again after *tries* ≥ 1 failures, or None to give up.

        *since* is when the webhook's age began, *tried* when the last try did. Once again at once;
        every 10 s until the webhook is a minute old; then each wait is twice the one before, up to
        *longest*.
        """
        if tries == 1:
            return now
        wait = INTERVAL
        if now - since >= MINUTE:
            doublings = max(tries - _MINUTE_TRIES, 0)
            wait = min(INTERVAL * 2 ** min(doublings, 16), self.longest)
        due = max(tried + wait, now)
        return due if due <= since + self.max_age else None
