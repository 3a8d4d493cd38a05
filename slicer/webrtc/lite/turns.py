"""The work of joining and leaving: a bounded time of it in each turn of the event loop.

Theory of operation. In one turn a loop runs all that is ready, and a slice takes a turn or more for
each step between its cut and its event. A handshake takes a millisecond or two, and so does an end.
Where hundreds join at once, or leave, all of that is ready in the same turn: it takes a tenth of a
second, on a busy machine several, and for that long the outbox begins `outbox.uploads` slices; more
are cut meanwhile, until it is full. So what is done for peers that are not connected yet, or no
longer, waits here in the order it came, and a turn takes it for BUDGET seconds. While nothing else
is to be done, turns follow one another at once; else those who join are the ones who can wait. One
of them has a few places, and not all.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Hashable

logger = logging.getLogger(__name__)

BUDGET = 0.002
"""Seconds of one turn; what has begun is finished."""
MAX_WAITING = 1_024
"""Pieces of work; peers repeat checks and handshakes of which one is refused."""
MAX_OF_ONE = 16
"""Of them, of one peer: browsers send a check each 50 ms until they are answered."""
_GIVEN = object()


class Turns:
    """Work in the order it came. For the loop's thread."""

    def __init__(self, time: Callable[[], float] | None = None) -> None:
        """*time* in seconds: the loop's, unless a test has another."""
        self._loop = asyncio.get_running_loop()
        self._time = time or self._loop.time
        self._waiting: deque[tuple[Callable[[], object], Hashable]] = deque()
        self._of: Counter[Hashable] = Counter()

    def add(self, work: Callable[[], object], of: Hashable) -> bool:
        """Have this done in its turn; False where too much waits, or too much *of* this peer. What
        it raises is logged."""
        if len(self._waiting) >= MAX_WAITING or self._of[of] >= MAX_OF_ONE:
            return False
        self._put(work, of)
        return True

    async def wait(self) -> None:
        """Wait for a turn that is the caller's alone, up to its next `await`. How many wait is for
        callers to bound."""
        turn = self._loop.create_future()
        self._put(lambda: _give(turn), turn)
        await turn

    def _put(self, work: Callable[[], object], of: Hashable) -> None:
        self._waiting.append((work, of))
        self._of[of] += 1
        if len(self._waiting) == 1:
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        until = self._time() + BUDGET
        over = False
        while self._waiting and not over:
            # It keeps its place until it is done: it may add more.
            work, of = self._waiting[0]
            over = _do(work) is _GIVEN or self._time() >= until
            self._waiting.popleft()
            self._of[of] -= 1
            if not self._of[of]:
                del self._of[of]
        if self._waiting:
            self._loop.call_soon(self._go_on)


def _do(work: Callable[[], object]) -> object:
    try:
        return work()
    except Exception:
        logger.exception("! a peer that joins or leaves: work failed")
        return None


def _give(future: asyncio.Future[None]) -> object:
    if future.done():  # cancelled: nobody waits
        return None
    future.set_result(None)
    return _GIVEN
