"""A store in memory, that fails, waits and counts as a test tells it to."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slicer.storage import Receipt


@dataclass
class MemoryStore:
    """A `Storage`. A put waits for *gate* and for its key's in *gates*, then raises what *fails*
    gives for its key or the next of its key's *faults*, then is stored.

    *tries*: the keys of all puts, *order*: of those that were stored, in that order; *busiest*: how
    many puts there ever were at a time.
    """

    fails: Callable[[str], Exception | None] | None = None
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    label: str = "memory:"
    there: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    tries: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0

    async def check(self) -> None: ...

    async def put(
        self, key: str, data: bytes, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> Receipt:
        self.tries.append(key)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await self._wait(key)
            self._fail(key)
        finally:
            self.busy -= 1
        self.there[key] = data
        self.metadata[key] = dict(metadata or {})
        self.order.append(key)
        return Receipt(key, len(data), f"etag of {key}")

    async def _wait(self, key: str) -> None:
        for gate in (self.gate, self.gates.get(key)):
            if gate is not None:
                await gate.wait()

    def _fail(self, key: str) -> None:
        if self.fails is not None and (error := self.fails(key)) is not None:
            raise error
        if faults := self.faults.get(key):
            raise faults.pop(0)

    async def close(self) -> None: ...
