"""A place for copies of slices, in memory, that fails and waits as a test tells it to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from slicer.errors import StorageUnavailable


@dataclass
class ScriptedPlace:
    """*failing*: whether it refuses; *gate*: what each put waits for, once it was sent."""

    there: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    label: str = "s3://copies"

    async def put(self, key: str, data: bytes) -> None:
        self._ask("put", key)
        await self.gate.wait()
        self.there[key] = data

    async def keys(self, under: str) -> Sequence[str]:
        self._ask("keys", under)
        return [key for key in self.there if key.startswith(f"{under}/")]

    async def read(self, key: str) -> bytes | None:
        self._ask("read", key)
        return self.there.get(key)

    async def delete(self, key: str) -> None:
        self._ask("delete", key)
        self.there.pop(key, None)

    def _ask(self, verb: str, key: str) -> None:
        self.asked.append(f"{verb} {key}")
        if self.failing:
            raise StorageUnavailable(key, "503 SlowDown", "it is tried again")
