"""The registry of a fleet: the records on the bus, which all its processes read.

An order is sealed as a whole, with its secrets, before it is on the bus: servers and whoever may
read their disks see ids, times and names of workers. All processes have the same keys.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

from slicer.errors import BadInput, BusUnavailable
from slicer.fleet.record import TaskRecord
from slicer.fleet.table import Table
from slicer.service.encryption import Encryption
from slicer.service.leave_code import LeaveCode
from slicer.service.order import Order
from slicer.service.order_json import from_json, secrets_of, to_json
from slicer.service.registry import Record
from slicer.slicing.subscription import Subscription

logger = logging.getLogger(__name__)

MAX_ENDED = 100_000
"""Ended tasks that are kept, whatever the days."""
TRIES = 50
"""Compare-and-sets of one record that may be lost in a row."""
AT_ONCE = 32
"""Records that are encrypted anew at the same time."""
_ORDER = "order"
_NO_SECRETS = dict.fromkeys(
    ("access_key", "secret_key", "supplier_id", "supplier_key", "stream_url"), ""
)


class FleetRegistry:
    """A Registry. *worker*: whose tasks `unfinished` gives, where that is one worker's; *place*:
    which worker a new task is given to; it may raise LimitReached; *together*: with which others a
    task has to be (`TaskRecord.together`)."""

    def __init__(
        self,
        table: Table,
        encryption: Encryption,
        place: Callable[[Record], str] = lambda _record: "",
        together: Callable[[Record], str] = lambda _record: "",
        worker: str = "",
    ) -> None:
        """Raises BadInput where a record cannot be read with these keys."""
        self._table, self._encryption = table, encryption
        self._place, self._together, self._worker = place, together, worker
        self._records: dict[str, Record] = {}
        self._open: dict[str, None] = {}
        self._of_app: defaultdict[int, dict[str, None]] = defaultdict(dict)
        for found in table.records.values():
            self._take(found)
        table.on_record.append(self._learn)

    def get(self, task: str) -> Record | None:
        """The record of this id."""
        return self._records.get(task)

    def unfinished(self) -> Iterator[Record]:
        """Those that have not ended, oldest first; a worker's own alone."""
        records = [self._records[task] for task in self._open if self._is_mine(task)]
        return iter(sorted(records, key=lambda record: record.created))

    def unfinished_of(self, app: int) -> Iterator[Record]:
        """Those of one application; other applications' tasks cost nothing."""
        return iter([self._records[task] for task in self._of_app.get(app, ())])

    def epoch(self, task: str) -> int | None:
        """In which epoch a worker has a task, or None where it has it not; of a copy of the API,
        the task's own."""
        found = self._table.records.get(task)
        return found.epoch if found is not None and self._is_mine(task) else None

    def told(self, task: str) -> int:
        """Up to which of its first callbacks (1, 3) a task's workers have told them."""
        return self._table.told.get(task, 0)

    async def note_told(self, task: str, number: int) -> None:
        """Keep that for who has the task next, if that can be kept just now."""
        try:
            await self._table.note_told(task, number)
        except BusUnavailable as error:
            logger.debug("task %s: what was told is not noted: %s", task, error)

    def worker_of(self, task: str) -> str:
        """Who has a task now; nothing where nobody has."""
        found = self._table.records.get(task)
        return found.worker if found is not None else ""

    async def add(self, record: Record) -> None:
        """Keep a new task, and give it to a worker. Raises LimitReached and BusUnavailable."""
        kept = TaskRecord(
            record.task,
            record.app,
            1,
            self._place(record),
            sealed=self._seal(record.task, record.order),
            created=record.created,
            expires=record.expires,
            together=self._together(record),
        )
        if await self._table.write(kept) is None:
            raise BusUnavailable(f"task {record.task} is there already")

    async def modify(self, task: str, lists: Subscription) -> None:
        """Keep a task's new lists; one that has ended meanwhile stays as it is."""

        def change(found: TaskRecord) -> TaskRecord | None:
            if found.ended is not None:
                return None
            order = self._unseal(found)
            order = replace(order, params=replace(order.params, subscription=lists))
            return replace(found, sealed=self._seal(task, order))

        await self._change(task, change)

    async def leave(self, task: str, code: LeaveCode) -> None:
        """Keep that a task is being left: it is never taken up again. The first code stays. A
        worker whose task another one has, or has had meanwhile, keeps nothing: its robot is not the
        task's any more."""
        epoch = self.epoch(task)

        def change(found: TaskRecord) -> TaskRecord | None:
            settled = found.code is not None or found.ended is not None
            return None if settled or self._is_lost(epoch, task) else replace(found, code=int(code))

        await self._change(task, change)

    async def end(self, task: str, now: float, *, forget: bool = True) -> None:
        """Keep that a task is over, and forget its secrets, unless slices of it may still wait:
        here, or with an earlier worker that died. Those go with the record (`prune`). A worker
        whose task another one has keeps nothing, as in `leave`; nor is one kept that was
        discarded."""
        epoch = self.epoch(task)

        def change(found: TaskRecord) -> TaskRecord | None:
            if self._is_lost(epoch, task) or not found.sealed:
                return None
            sealed = found.sealed
            if forget and found.epoch <= 1:
                order = from_json(to_json(self._unseal(found)), _NO_SECRETS)
                sealed = self._seal(task, order)
            return replace(found, ended=now, sealed=sealed)

        await self._change(task, change)

    async def discard(self, task: str) -> None:
        """Forget a task whose creation failed, also while it is being added."""
        await self._table.latest(task)
        await self._change(task, lambda one: replace(one, ended=one.created, sealed=""))

    async def hand_over(self, task: str, worker: str) -> bool:
        """Keep that *worker* has a task no more, and another one is to have it. Gives whether it
        had it until then."""

        def change(found: TaskRecord) -> TaskRecord | None:
            mine = found.worker == worker and found.ended is None
            return replace(found, worker="", previous=worker) if mine else None

        return await self._change(task, change)

    async def prune(self, before: float) -> int:
        """Forget tasks that ended earlier, and the oldest of too many. Gives how many. Copies of
        the API take them out of the table, which a worker may not, nor need it."""
        ended = sorted(
            (found.ended, task)
            for task, found in self._table.records.items()
            if found.ended is not None
        )
        too_many = len(ended) - MAX_ENDED
        old = [task for number, (at, task) in enumerate(ended) if number < too_many or at < before]
        for task in old:
            if self._worker:
                self._table.drop(task)
            else:
                await self._table.forget(task)
            self._records.pop(task, None)
        return len(old)

    async def rekey(self) -> int:
        """Have all records encrypted and signed by the first key. Gives how many there are. Raises
        BusUnavailable: what was done by then stays."""

        def change(found: TaskRecord) -> TaskRecord:
            sealed = self._encryption.rotate(found.sealed.encode()) if found.sealed else b""
            return replace(found, sealed=sealed.decode("ascii"))

        tasks = list(self._table.records)
        for first in range(0, len(tasks), AT_ONCE):
            some = tasks[first : first + AT_ONCE]
            marks = {task: self._table.told[task] for task in some if task in self._table.told}
            await asyncio.gather(
                *(self._change(task, change) for task in some),
                *(self._table.note_told(task, number) for task, number in marks.items()),
            )
        return len(tasks)

    async def close(self) -> None:
        """The table is closed by who opened it. May be called twice."""

    def _is_mine(self, task: str) -> bool:
        return not self._worker or self.worker_of(task) == self._worker

    def _is_lost(self, epoch: int | None, task: str) -> bool:
        """Whether another worker has a task that this one had in this epoch."""
        return bool(self._worker) and (epoch is None or self.epoch(task) != epoch)

    async def _change(self, task: str, change: Callable[[TaskRecord], TaskRecord | None]) -> bool:
        """Write what *change* makes of the latest record, if anything. Gives whether it did."""
        for _ in range(TRIES):
            found = self._table.records.get(task)
            changed = change(found) if found is not None else None
            if changed is None:
                return False
            if await self._table.write(changed) is not None:
                return True
            await self._table.latest(task)
        raise BusUnavailable(f"task {task} is changed by others all the time")

    def _learn(self, found: TaskRecord) -> None:
        try:
            self._take(found)
        except BadInput as error:
            logger.error("! %s", error)  # noqa: TRY400 (its words say it all)

    def _take(self, found: TaskRecord) -> None:
        """Raises BadInput."""
        if not found.sealed:  # its creation failed
            self._records.pop(found.task, None)
        else:
            try:
                code = None if found.code is None else LeaveCode(found.code)
                order = self._unseal(found)
            except (ValueError, KeyError, TypeError) as error:
                allowed = f"an order that this version understands ({type(error).__name__})"
                raise BadInput("fleet.bucket", f"task {found.task}", allowed) from None
            times = (found.created, found.expires)
            record = Record(found.task, found.app, order, *times, code, found.ended)
            self._records[found.task] = record
        if found.sealed and found.ended is None:
            self._open[found.task] = self._of_app[found.app][found.task] = None
        else:
            self._open.pop(found.task, None)
            self._of_app[found.app].pop(found.task, None)

    def _seal(self, task: str, order: Order) -> str:
        secrets = {_ORDER: to_json(order), **secrets_of(order)}
        return self._encryption.seal(task, secrets).decode("ascii")

    def _unseal(self, found: TaskRecord) -> Order:
        secrets = self._encryption.unseal(found.task, found.sealed.encode())
        return from_json(secrets.pop(_ORDER), secrets)
