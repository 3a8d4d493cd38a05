"""The suppliers of an engine: each account once for each application, shared by its tasks that name
it. What a supplier allows an account, all applications share."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from weakref import WeakValueDictionary

from slicer.background import Background
from slicer.clock import Clock
from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.judging import Judge, Judging, Outcome
from slicer.delivery.limiter import Limiter
from slicer.delivery.retry import Backoff
from slicer.engine.spec import Moderation
from slicer.errors import BadInput, ModerationError
from slicer.media.slice import File
from slicer.moderation import Supplier, SupplierSpec, one_that_judges, open_supplier
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.spec import SliceParams

Key = tuple[int, SupplierSpec]
"""Of whose account: the application's, and the account with its policies."""


class Judges:
    """Opens accounts, and closes each once no task uses it and nothing waits for it."""

    def __init__(
        self,
        clock: Clock,
        settings: ModerationSettings,
        trouble: Callable[[str, ModerationError], None],
        recovered: Callable[[str, str], None],
        used: Callable[[], Iterable[Moderation]],
        open_: Callable[[SupplierSpec, ModerationSettings], Supplier] = open_supplier,
    ) -> None:
        """*trouble* and *recovered* are told by task what `Judging` tells; *used*: what the tasks
        that run have."""
        self._clock, self._settings, self._open, self._used = clock, settings, open_, used
        self._trouble, self._recovered = trouble, recovered
        self._judgings: dict[Key, Judging] = {}
        self._limiters = WeakValueDictionary[SupplierSpec, Limiter]()
        self._kept = set[Key]()
        self._closing = Background()
        self._closed = Counter[str]()

    def check(self, moderation: Moderation, params: SliceParams) -> None:
        """Raise BadInput where the account can never judge what a task cuts; nothing is sent."""
        supplier = self.get(moderation).judging.supplier
        for kind in Kind:
            if params.of(kind) is not None and kind not in supplier.kinds:
                name = moderation.supplier.name
                raise BadInput("supplier", name, one_that_judges(kind, name, supplier.kinds))

    def get(self, moderation: Moderation) -> Judge:
        """The judge of a task. Raises BadInput."""
        key = _key(moderation)
        judging = self._judgings.get(key)
        if judging is None:
            judging = self._judgings[key] = Judging(
                self._open(moderation.supplier, self._settings),
                self._limiter(moderation.supplier),
                self._clock,
                self._settings,
                Backoff(),
                chance=random.random,
                trouble=self._trouble,
                recovered=self._recovered,
            )
        return Judge(judging, moderation.keep)

    def _limiter(self, supplier: SupplierSpec) -> Limiter:
        limiter = self._limiters.get(supplier.account)
        if limiter is None:
            limiter = Limiter(self._clock, self._settings.rate, self._settings.concurrency)
            self._limiters[supplier.account] = limiter
        return limiter

    async def judge(self, file: File, supplier: SupplierSpec) -> Outcome:
        """Have one file judged that is of no task, in its turn. Its account stays open, as the next
        one may follow. Raises BadInput."""
        moderation = Moderation(supplier)
        self._kept.add(_key(moderation))
        judging = self.get(moderation).judging
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        delivery = Delivery(file.info, len(file.data))
        delivery.enter(Phase.JUDGING)

        async def load() -> File:
            return file

        judging.add(delivery, load, outcome.set_result)
        try:
            return await outcome
        except asyncio.CancelledError:
            delivery.enter(Phase.GONE)  # who asked has given up
            raise

    def sweep(self) -> None:
        """Close the accounts that nobody uses any more."""
        used = {_key(moderation) for moderation in self._used()} | self._kept
        for key, judging in list(self._judgings.items()):
            if key not in used and not judging.waiting:
                self._close(key)

    def all(self) -> list[Judging]:
        """The accounts that are open, to be looked at."""
        return list(self._judgings.values())

    def hurry(self) -> None:
        """Try everything now that waits for its next try."""
        for judging in self._judgings.values():
            judging.hurry()

    @property
    def waiting(self) -> int:
        """Slices without an outcome."""
        return sum(judging.waiting for judging in self._judgings.values())

    @property
    def open_now(self) -> int:
        """Accounts that are open."""
        return len(self._judgings)

    @property
    def failing(self) -> int:
        """Accounts that fail, and are left alone."""
        return sum(judging.open for judging in self._judgings.values())

    @property
    def counters(self) -> Counter[str]:
        """What became of the slices of all accounts, those that are closed too."""
        counters = self._closed.copy()
        for judging in self._judgings.values():
            counters.update(asdict(judging.counters))
        return counters

    async def close(self) -> None:
        """Close all."""
        for key in list(self._judgings):
            self._close(key)
        await self._closing.wait()

    def _close(self, key: Key) -> None:
        judging = self._judgings.pop(key)
        self._closed.update(asdict(judging.counters))
        self._closing.start(judging.close())


def _key(moderation: Moderation) -> Key:
    return moderation.app, moderation.supplier
