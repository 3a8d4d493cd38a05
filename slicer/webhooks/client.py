"""One POST to one subscriber: once, within 5 s, to an address that was looked at, no redirect.

The name is resolved first and the connection made to that very address, so that a name that
changes its mind in between (DNS rebinding) gains nothing; `Host` and SNI keep the name.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from slicer.http.connections import Connections
from slicer.webhooks.addresses import Resolver, is_public

TIMEOUT = 5.0
MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read, so that its connection can be used again."""
MAX_IDLE = 16
"""Idle connections that are kept to each subscriber."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Reply:
    """Whether the webhook was taken, and the status or the error that the try ended with."""

    taken: bool
    detail: str


class WebhookClient:
    """Posts. Connections are of one host each: a connection whose certificate was checked for
    one name must not carry another's webhooks."""

    def __init__(
        self,
        allow_private: bool = False,
        *,
        resolve: Resolve | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._allow_private, self._timeout = allow_private, timeout
        self._resolver = Resolver()
        self._resolve = resolve or self._resolver
        self._trust = ssl.create_default_context()
        self._connections: dict[tuple[str, str, int | None], Connections] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send; 200 means taken. Never raises for what a subscriber or the network does."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(httpx.URL(url), body, headers)
        except TimeoutError:
            return Reply(False, f"no answer within {self._timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Reply(False, f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Close all connections."""
        self._resolver.close()
        opened, self._connections = list(self._connections.values()), {}
        for each in opened:
            await each.close()

    async def _post(self, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> Reply:
        addresses = await self._resolve(url.host)
        chosen = next((one for one in addresses if self._allow_private or is_public(one)), None)
        if chosen is None:
            return Reply(False, f"{url.host} has no public address; webhooks.allow_private is off")
        request = httpx.Request(
            "POST",
            url.copy_with(host=chosen),
            content=body,
            headers={
                **headers,
                "Host": url.netloc.decode("ascii"),
                "User-Agent": "rtc-slicer",
            },
            extensions={"sni_hostname": url.host},
        )
        answer, _ = await self._connections_to(url).send(request, MAX_ANSWER)
        return Reply(answer.status_code == httpx.codes.OK, str(answer.status_code))

    def _connections_to(self, url: httpx.URL) -> Connections:
        name = url.scheme, url.host, url.port
        if name not in self._connections:
            self._connections[name] = Connections(self._trust, MAX_IDLE)
        return self._connections[name]
