"""Threads for one store's blocking work, so that the loop never waits for it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from slicer.errors import StorageRefused
from slicer.threads import ThreadPool

T = TypeVar("T")


class Threads:
    """Threads of one store's own: a store that hangs takes nobody else's (asyncio's default pool
    also resolves names)."""

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPool(name, count)
        self._closed = False

    async def run(self, key: str, work: Callable[[], T]) -> T:
        """Do *work* in a thread. Raises StorageRefused once closed; a cancelled call's thread
        ends by itself."""
        if self._closed:
            raise StorageRefused(key, "this store was closed", "open it again")
        return await self._pool.run(work)

    async def close(self) -> None:
        """Take nothing more, wait for what is under way. May be called twice."""
        self._closed = True
        await asyncio.to_thread(self._pool.join)
