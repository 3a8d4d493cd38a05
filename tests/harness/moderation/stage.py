"""A judging with everything around it, on a clock that a test moves."""

import asyncio
from dataclasses import replace

from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.judging import Judging, Load, Outcome
from slicer.delivery.limiter import Limiter
from slicer.delivery.retry import Backoff
from slicer.errors import ModerationError
from slicer.media.slice import File
from slicer.media.thumbnail import SIZE
from slicer.moderation import Supplier
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.spooling import delivery_of, file_of
from tests.harness.moderation.scripted import ScriptedSupplier

BACKOFF = Backoff(first=2.0, factor=2.0, most=16.0, refused=60.0)


class Stage:
    """What it is told, and what it tells."""

    def __init__(
        self,
        supplier: ScriptedSupplier | None = None,
        remote: Supplier | None = None,
        **changed: float,
    ) -> None:
        """*remote*: who judges instead, by requests that take a time of their own."""
        self.clock, self.supplier = ManualClock(), supplier or ScriptedSupplier()
        self.remote = remote
        self.troubles: list[tuple[str, ModerationError]] = []
        self.recovered: list[tuple[str, str]] = []
        self.outcomes: list[tuple[str, Outcome]] = []
        self.settings = replace(ModerationSettings(), **changed)  # type: ignore[arg-type]
        self.limiter = Limiter(self.clock, self.settings.rate, self.settings.concurrency)
        self.judging = self.of_application()

    def of_application(self) -> Judging:
        """One more that judges by the same account."""
        return Judging(
            self.remote or self.supplier,
            self.limiter,
            self.clock,
            self.settings,
            BACKOFF,
            chance=lambda: 0.0,
            trouble=lambda task, error: self.troubles.append((task, error)),
            recovered=lambda task, supplier: self.recovered.append((task, supplier)),
        )

    def add(self, *keys: str) -> list[Delivery]:
        """Slices whose tracks are the first parts of their keys."""
        return [self.add_one(key) for key in keys]

    def add_one(self, key: str, grey: int | None = None) -> Delivery:
        """One of audio, or a picture of one grey."""
        kind = Kind.AUDIO if grey is None else Kind.VIDEO
        delivery = delivery_of(key, kind=kind)
        delivery.thumbnail = b"" if grey is None else bytes([grey]) * SIZE
        self.add_delivery(delivery)
        return delivery

    def add_delivery(
        self, delivery: Delivery, load: Load | None = None, judging: Judging | None = None
    ) -> None:
        """One that is there already; *load*: gives its file; *judging*: another application's."""
        key = delivery.info.key
        delivery.enter(Phase.JUDGING)

        async def usual() -> File | None:
            return file_of(key, kind=delivery.kind)

        told = lambda outcome: self.outcomes.append((key, outcome))  # noqa: E731
        (judging or self.judging).add(delivery, load or usual, told)

    async def advance(self, seconds: float) -> None:
        await self._idle()
        end = self.clock.now() + seconds
        while (due := [*self.clock.timers, end][0]) < end:
            self.clock.advance(max(0.0, due - self.clock.now()))
            await self._idle()
        self.clock.advance(end - self.clock.now())
        await self._idle()

    async def _idle(self) -> None:
        """Until nothing more happens at this moment."""
        if self.remote is None:
            await settle()
        else:
            while self.judging.busy:
                await asyncio.sleep(0)

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.outcomes]

    def balanced(self) -> bool:
        counts = self.judging.counters
        done = counts.judged + counts.unjudged + counts.left_out + counts.gone
        return counts.taken == done + self.judging.waiting
