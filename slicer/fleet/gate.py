"""The fence at work: barriers on the bus, and an answer for each slice that waits for one."""

import asyncio
import logging

from slicer.delivery.sharing import Permission
from slicer.errors import BusUnavailable, counted
from slicer.fleet.fence import Fence, Ticket
from slicer.fleet.ownership import Ownership
from slicer.fleet.table import Table

logger = logging.getLogger(__name__)

AGAIN = 0.25
"""Seconds until a barrier that failed is written again."""


class Gate:
    """Of one worker, for the loop's thread: the Permits of its engine."""

    def __init__(self, table: Table, owns: Ownership, worker: str) -> None:
        self.refused = 0
        """Slices that may not be delivered."""
        self._table, self._owns, self._worker = table, owns, worker
        self._fence = Fence(owns.epoch, table.is_certain)
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._shut = set[str]()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        table.on_read.append(self._read)
        table.on_record.append(lambda _: self._news.set())  # what was uncertain may be known now
        self._running = asyncio.ensure_future(self._run())

    def __len__(self) -> int:
        """Slices that wait."""
        return len(self._fence)

    def ask(self, task: str) -> Permission:
        """Whether a slice that was cut just now may be delivered, once that is known."""
        answer = asyncio.get_running_loop().create_future()
        epoch = self._owns.epoch(task)
        if epoch is None or task in self._shut:
            self.refused += 1
            answer.set_result(False)
            return Permission(epoch or 0, answer)
        self._answers[self._fence.add(task, epoch).number] = answer
        self._news.set()
        return Permission(epoch, answer)

    def can_say(self, task: str) -> bool:
        """Whether what lies on the bus of a task can be verified: else nobody knows who has it."""
        return self._table.is_certain(task)

    def held(self, task: str, epoch: int) -> bool:
        """Whether a slice that an earlier process of this worker cut in this epoch may be
        delivered: the table was read after it, and nobody had the task since."""
        record = self._table.records.get(task)
        held = record is not None and record.epoch == epoch
        self.refused += not held
        return held

    def shut(self, task: str) -> None:
        """Permit nothing that is cut of a task from now on: its robot is leaving, for others have
        the task, or had it meanwhile."""
        self._shut.add(task)

    def reopen(self, task: str) -> None:
        """Another robot is sent."""
        self._shut.discard(task)

    async def passed(self, task: str) -> None:
        """Wait until no slice of a task waits."""
        while self._fence.waits_for(task):
            self._idle.clear()
            await self._idle.wait()

    async def close(self) -> None:
        """Slices that wait go on waiting, in the spool."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._fence.begin():
                continue
            try:
                revision = await self._table.barrier(self._worker)
            except BusUnavailable as error:
                logger.debug("%s waiting: %s", counted(len(self._fence), "slice"), error)
                self._fence.failed()
                await asyncio.sleep(AGAIN)
                self._news.set()
            else:
                self._settle(self._fence.written(revision))

    def _read(self, revision: int) -> None:
        self._settle(self._fence.seen(revision))

    def _settle(self, settled: list[tuple[Ticket, bool]]) -> None:
        for ticket, permitted in settled:
            answer = self._answers.pop(ticket.number)
            self.refused += not permitted
            if not answer.done():  # who waited may have been cancelled
                answer.set_result(permitted)
        if settled:
            self._idle.set()
            self._news.set()
