"""A customer's HTTP receiver of callbacks: keeps what comes, checks `Sign`, fails when told to."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request. *signed*: whether its Sign is right for the receiver's key; *at*: when it came,
    in seconds of `time.time`."""

    path: str
    headers: dict[str, str]
    body: bytes
    signed: bool
    at: float = field(default_factory=time.time)

    @property
    def told(self) -> dict[str, Any]:
        parsed = json.loads(self.body)
        assert isinstance(parsed, dict)
        return parsed

    @property
    def event(self) -> int:
        number = self.told["EventType"]
        assert isinstance(number, int)
        return number

    @property
    def task(self) -> str:
        return str(self.told["EventInfo"]["TaskId"])


@dataclass
class Receiver:
    """*answer*: what to say to a request, as raw HTTP; b"" says nothing and hangs."""

    key: str
    answer: Callable[[Received], bytes]
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    server_names: list[str | None] = field(default_factory=list)
    url: str = ""
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    request = await self._read(reader)
                    self.received.append(request)
                    self._news.set()
                    answer = self.answer(request)
                    if not answer:
                        await asyncio.get_running_loop().create_future()
                    writer.write(answer)
                    await writer.drain()
        except asyncio.CancelledError:
            pass  # the receiver closes
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Received:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
            if name
        }
        data = await reader.readexactly(int(headers["content-length"]))
        right = base64.b64encode(hmac.digest(self.key.encode(), data, hashlib.sha256)).decode()
        return Received(first.split()[1], headers, data, headers.get("sign") == right)

    async def until(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        """Return when *done* is true, looked at after every request. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reply(status: int, body: bytes = b'{"code":0}', *more: str) -> bytes:
    """An answer as raw HTTP."""
    head = "\r\n".join([f"HTTP/1.1 {status} Told", f"Content-Length: {len(body)}", *more])
    return f"{head}\r\n\r\n".encode() + body


@contextlib.asynccontextmanager
async def receiver(
    key: str = "key",
    answer: Callable[[Received], bytes] = lambda _: reply(200),
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Receiver]:
    """A receiver on loopback; with *tls*, the names that clients asked for are kept."""
    made = Receiver(key, answer)
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: made.server_names.append(name)
    server = await asyncio.start_server(made.serve, "127.0.0.1", port, ssl=tls)
    scheme = "https" if tls else "http"
    made.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
