"""HTTP clients that are used again, each with one connection.

A pool of httpx looks at every connection it has whenever a request begins or ends (httpcore
1.0.9, `AsyncConnectionPool._assign_requests_to_connections`: it polls each socket). At 32 requests
side by side that took twice the CPU of all the rest. A client of one connection has nothing to
look through, and which client is next is one step here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

KEEP_ALIVE = 30.0
"""Seconds for which an idle connection is kept."""
ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE)
"""The limits that *make* has to give each client."""


class Clients:
    """As many clients as requests are under way side by side, of one peer. The latest used is
    used first, so that the connections of a burst are idle after it, and closed."""

    def __init__(self, make: Callable[[], httpx.AsyncClient], max_idle: int) -> None:
        self._make, self._max_idle = make, max_idle
        self._idle = deque[tuple[float, httpx.AsyncClient]]()
        self._closed = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for a single request."""
        client = self._idle.pop()[1] if self._idle else self._make()
        try:
            yield client
        finally:
            await self._give_back(client)

    async def close(self) -> None:
        """Close all that are idle; the others when their request ends. May be called twice."""
        self._closed = True
        while self._idle:
            await self._idle.popleft()[1].aclose()

    async def _give_back(self, client: httpx.AsyncClient) -> None:
        now = asyncio.get_running_loop().time()
        if self._closed or len(self._idle) >= self._max_idle:
            await client.aclose()
            return
        self._idle.append((now, client))
        if self._idle[0][0] < now - KEEP_ALIVE:
            await self._idle.popleft()[1].aclose()
