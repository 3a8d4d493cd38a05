"""Requests that one account may have: so many a second and so many side by side, whoever makes
them.

Several may ask for one account, each for itself. Who has to wait is called when a request may go,
the one that has waited longest first, and takes one request in its turn: somebody with much to ask
takes nobody's turn. For the loop's thread.
"""

from collections.abc import Callable

from slicer.clock import Clock, Timer

Ask = Callable[[], None]
"""Makes the requests that it may, by `acquire`; perhaps none."""


class Limiter:
    """The limits of one account. *rate*: requests a second, 0 for any number; *concurrency*:
    requests side by side."""

    def __init__(self, clock: Clock, rate: float, concurrency: int) -> None:
        self._clock, self._rate, self._concurrency = clock, rate, concurrency
        self._under_way = 0
        self._next_at = 0.0
        self._waiting: dict[Ask, None] = {}  # in the order in which they came
        self._turn: Ask | None = None
        self._timer: Timer | None = None

    @property
    def under_way(self) -> int:
        """Requests that have not ended."""
        return self._under_way

    def acquire(self, ask: Ask) -> bool:
        """Whether a request may go now; then `release` follows when it has ended. If not, *ask* is
        called when one may."""
        now = self._clock.now()
        if not self._is_free(now) or (self._waiting and self._turn != ask):
            self._waiting.setdefault(ask)
            self._set_timer()
            return False
        self._turn = None
        self._under_way += 1
        if self._rate:
            self._next_at = max(now, self._next_at) + 1 / self._rate
        return True

    def release(self) -> None:
        """A request has ended."""
        self._under_way -= 1
        self._call()

    def _call(self) -> None:
        """Give those that wait their turns, as far as requests may go."""
        while self._waiting and self._is_free(self._clock.now()):
            self._turn = ask = next(iter(self._waiting))
            del self._waiting[ask]
            ask()
        self._turn = None
        self._set_timer()

    def _is_free(self, now: float) -> bool:
        return self._under_way < self._concurrency and now >= self._next_at

    def _set_timer(self) -> None:
        """Where the rate alone has them wait; the end of a request calls as well."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._under_way < self._concurrency:
            self._timer = self._clock.call_at(self._next_at, self._call)
