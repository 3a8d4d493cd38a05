"""Work that goes on beside its owner: coroutines that are kept until they are done."""

import asyncio
import logging
from collections.abc import Coroutine

logger = logging.getLogger(__name__)


class Background:
    """The coroutines that one owner has started and that have not ended.

    asyncio keeps only weak references to tasks, so whoever starts one has to hold it; an error that
    nobody awaits is logged here.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Have this done; the task may be awaited, shielded or cancelled."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def release(self) -> None:
        """Count the coroutine that calls this as ended: what it leaves may be taken up at once."""
        current = asyncio.current_task()
        if current is not None:
            self._tasks.discard(current)

    def cancel(self) -> None:
        """Cancel all."""
        for task in list(self._tasks):
            task.cancel()

    async def finish(self, seconds: float) -> None:
        """Wait for what has been started, and cancel what is not done in time."""
        tasks = list(self._tasks)
        if tasks and seconds:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def wait(self) -> None:
        """Until all is done, also what is started meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("! work in the background failed", exc_info=error)
