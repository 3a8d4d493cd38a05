"""One POST to one subscriber: once, within 5 s, to an address that was looked at, no redirect.

The name is resolved first and the connection made to that very address, so that a name that
changes its mind in between (DNS rebinding) gains nothing; `Host` and SNI keep the name.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from slicer.http.clients import ONE, Clients
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
        self._clients: dict[tuple[str, str, int | None], Clients] = {}

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
        clients, self._clients = list(self._clients.values()), {}
        for each in clients:
            await each.close()

    async def _post(self, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> Reply:
        addresses = await self._resolve(url.host)
        chosen = next((one for one in addresses if self._allow_private or is_public(one)), None)
        if chosen is None:
            return Reply(False, f"{url.host} has no public address; webhooks.allow_private is off")
        async with self._clients_of(url).one() as client:
            request = client.build_request(
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
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                await _read(response)
            finally:
                await response.aclose()
        return Reply(response.status_code == httpx.codes.OK, str(response.status_code))

    def _clients_of(self, url: httpx.URL) -> Clients:
        name = url.scheme, url.host, url.port
        if name not in self._clients:
            self._clients[name] = Clients(self._make, MAX_IDLE)
        return self._clients[name]

    def _make(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._trust, trust_env=False, timeout=self._timeout, limits=ONE
        )


async def _read(response: httpx.Response) -> None:
    """Read an answer to its end or its bound; as it came, for what is packed may unpack to much."""
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > MAX_ANSWER:
            return
