"""Tries again, for a while, what failed for a reason that may pass."""

from collections.abc import Awaitable, Callable

from slicer.clock import Clock
from slicer.delivery.retry import Backoff
from slicer.errors import BadInput, SlicerError
from slicer.service.leave_code import LeaveCode

PATIENCE = 600.0
"""Seconds for which a room that a task was in before a restart may stay closed to it."""
BACKOFF = Backoff(first=1.0, most=30.0)


async def retry(
    attempt: Callable[[], Awaitable[None]],
    on_trouble: Callable[[SlicerError], Awaitable[None]],
    clock: Clock,
) -> LeaveCode | None:
    """Attempt until it works (None) or has lasted too long: the code to leave with. *on_trouble* is
    told the first failure, and one that will not pass."""
    deadline, failures = clock.now() + PATIENCE, 0
    while True:
        try:
            await attempt()
        except BadInput as error:
            await on_trouble(error)
            return LeaveCode.KICKED_BY_SERVER
        except SlicerError as error:
            failures += 1
            if failures == 1:
                await on_trouble(error)
            if clock.now() >= deadline:
                return LeaveCode.ROOM_TIMEOUT
        else:
            return None
        await clock.sleep(BACKOFF.after_failure(failures, 1.0))
