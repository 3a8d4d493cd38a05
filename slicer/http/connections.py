"""Requests by HTTP connections that are used again.

A pool of httpx looks at every connection it has whenever a request begins or ends (httpcore
1.0.9, `AsyncConnectionPool._assign_requests_to_connections`: it polls each socket). At 32 requests
side by side that took twice the CPU of all the rest. A transport of one connection has nothing to
look through, and which one is next is one step here. What a client of httpx adds to a transport,
redirects, cookies, authentication and a log of URLs, nobody here wants, and costs as much again.
"""

import asyncio
import ssl
from collections import deque

import httpx

KEEP_ALIVE = 30.0
"""Seconds for which an idle connection is kept."""
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE)


class Connections:
    """As many as requests are under way side by side, to one peer. The latest used is used first,
    so that the connections of a burst are idle after it, and closed. No proxy is asked, and no
    redirect is followed."""

    def __init__(self, trust: ssl.SSLContext, max_idle: int) -> None:
        self._trust, self._max_idle = trust, max_idle
        self._idle = deque[tuple[float, httpx.AsyncHTTPTransport]]()
        self._closed = False

    @property
    def idle(self) -> int:
        """Connections that are kept for a next request."""
        return len(self._idle)

    async def send(self, request: httpx.Request, most: int) -> tuple[httpx.Response, bytes]:
        """The answer, and its content as it came, for what is packed may unpack to any size: to its
        end, or else over *most* bytes of it. Raises httpx.TransportError. It sets no time-out."""
        transport = self._idle.pop()[1] if self._idle else self._make()
        try:
            response = await transport.handle_async_request(request)
            try:
                data = await _read(response, most)
            finally:
                await response.aclose()
        except BaseException:
            # A request that was given up may keep the one place of httpcore's pool: whoever came
            # next would wait for it for good.
            await transport.aclose()
            raise
        await self._give_back(transport)
        return response, data

    async def close(self) -> None:
        """Close all that are idle; the others when their request ends. May be called twice."""
        self._closed = True
        while self._idle:
            await self._idle.popleft()[1].aclose()

    def _make(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False, limits=_ONE)

    async def _give_back(self, transport: httpx.AsyncHTTPTransport) -> None:
        now = asyncio.get_running_loop().time()
        if self._closed or len(self._idle) >= self._max_idle:
            await transport.aclose()
            return
        self._idle.append((now, transport))
        if self._idle[0][0] < now - KEEP_ALIVE:
            await self._idle.popleft()[1].aclose()


async def _read(response: httpx.Response, most: int) -> bytes:
    data = bytearray()
    async for part in response.aiter_raw():
        data += part
        if len(data) > most:
            break
    return bytes(data)
