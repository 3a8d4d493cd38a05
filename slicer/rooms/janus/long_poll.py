"""Janus' messages over HTTP: requests are posted, events come by a GET that waits for them.

https://janus.conf.meetecho.com/docs/rest.html, "Plain HTTP REST interface".
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from slicer.errors import RoomError
from slicer.http.connections import Connections

MAX_EVENTS = 10
"""Events of one answer."""
MAX_QUEUED = 1_000
"""Messages that may wait to be received; then no more are fetched."""
MAX_BODY = 1 << 20
POST_TIMEOUT = 5.0
POLL_TIMEOUT = 45.0
"""Seconds a poll may take: Janus answers one after 30 s where nothing happens."""


class LongPoll:
    """One session's requests and events. The poll begins once Janus has named the session."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        # The system's authorities, as for the WebSocket, and not those that httpx brings. Two: the
        # poll, and what is posted beside it.
        self._connections = Connections(ssl.create_default_context(), max_idle=2)
        self._queue: asyncio.Queue[object] = asyncio.Queue(MAX_QUEUED)
        self._poll_task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        """See whether Janus is there. Raises RoomError."""
        channel = cls(url)
        try:
            info = await channel._exchange("GET", f"{channel._url}/info", POST_TIMEOUT)
        except RoomError:
            await channel.close()
            raise
        if not isinstance(info, dict) or info.get("janus") not in {"server_info", "error"}:
            await channel.close()
            raise RoomError("what answers is no Janus")
        return channel

    async def send(self, message: Mapping[str, Any]) -> None:
        """Post a message; its answer is received. Raises RoomError."""
        body = dict(message)
        path = [str(body.pop(name)) for name in ("session_id", "handle_id") if name in body]
        answer = await self._exchange("POST", "/".join([self._url, *path]), POST_TIMEOUT, body)
        if self._poll_task is None and isinstance(answer, dict) and body.get("janus") == "create":
            self._begin(answer, body)
        await self._queue.put(answer)

    async def receive(self) -> object:
        """The next message. Raises RoomError where Janus cannot be reached any more."""
        message = await self._queue.get()
        if isinstance(message, RoomError):
            raise message
        return message

    async def close(self) -> None:
        if self._poll_task is not None:
            self._poll_task.cancel()
            await asyncio.wait([self._poll_task])
        await self._connections.close()

    def _begin(self, answer: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        """Poll the session that was created; the secrets are in the query, as Janus wants them."""
        data = answer.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("id"), int):
            return
        secrets = {name: request[name] for name in ("apisecret", "token") if name in request}
        query = urlencode({"maxev": MAX_EVENTS, **secrets})
        self._poll_task = asyncio.create_task(self._poll(f"{self._url}/{data['id']}?{query}"))

    async def _poll(self, url: str) -> None:
        try:
            while True:
                found = await self._exchange("GET", url, POLL_TIMEOUT)
                for event in found if isinstance(found, list) else [found]:
                    await self._queue.put(event)
        except RoomError as error:
            await self._queue.put(error)

    async def _exchange(
        self, method: str, url: str, seconds: float, body: Mapping[str, Any] | None = None
    ) -> object:
        """One request; its answer, decoded. Raises RoomError, which never holds the URL."""
        request = httpx.Request(method, url, json=body)
        try:
            async with asyncio.timeout(seconds):
                response, data = await self._connections.send(request, MAX_BODY)
        except TimeoutError:
            raise RoomError(f"no answer within {seconds:g} s") from None
        except httpx.TransportError as error:
            raise RoomError(str(error) or type(error).__name__) from None
        if len(data) > MAX_BODY:
            raise RoomError(f"Janus' answer is larger than {MAX_BODY} bytes")
        if response.status_code != httpx.codes.OK:
            raise RoomError(f"HTTP {response.status_code}")
        try:
            return json.loads(data)
        except ValueError:
            raise RoomError("Janus sent what is no JSON") from None
