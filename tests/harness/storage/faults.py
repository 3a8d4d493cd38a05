"""A TCP front before a real store that hangs, cuts or answers by itself when a test says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK = 65_536


@dataclass(frozen=True)
class Answer:
    """Read the request and answer so, every time."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def error(cls, status: int, code: str, message: str = "as the test wants it") -> "Answer":
        """An error as S3 says it."""
        xml = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return cls(status, xml.encode(), (("Content-Type", "application/xml"),))


@dataclass(frozen=True)
class Hang:
    """Take everything, say nothing."""


@dataclass(frozen=True)
class Cut:
    """Pass so many bytes of the request on, then break the connection."""

    after: int


@dataclass(frozen=True)
class CutAnswer:
    """Pass the request on, and so many bytes of what is answered; then break the connection."""

    after: int


@dataclass(frozen=True)
class Slow:
    """Pass the request on at so many bytes a second."""

    rate: int


Fault = Answer | Hang | Cut | CutAnswer | Slow


@dataclass
class Front:
    """Passes connections on to *upstream* (host, port), unless *fault* is set."""

    upstream: tuple[str, int] | None
    fault: Fault | None = None
    requests: int = 0
    """Connections taken while a fault was set."""
    endpoint: str = ""
    up: int = 0
    """Bytes passed on to the store."""
    down: int = 0
    """Bytes passed back."""
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the front closes
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self.fault
        self.requests += fault is not None
        match fault:
            case Hang():
                while await reader.read(CHUNK):
                    pass
                await asyncio.get_running_loop().create_future()
            case Answer():
                await answer(fault, reader, writer)
            case _:
                await self._pass_on(reader, writer, fault)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        fault: Cut | CutAnswer | Slow | None,
    ) -> None:
        assert self.upstream is not None
        up_reader, up_writer = await asyncio.open_connection(*self.upstream)
        limit = fault.after if isinstance(fault, Cut) else None
        back_limit = fault.after if isinstance(fault, CutAnswer) else None
        rate = fault.rate if isinstance(fault, Slow) else None
        try:
            there = asyncio.ensure_future(pump(reader, up_writer, limit, self.count_up, rate))
            back = asyncio.ensure_future(pump(up_reader, writer, back_limit, self.count_down))
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            there.cancel()
            back.cancel()
        finally:
            up_writer.transport.abort()

    def count_up(self, size: int) -> None:
        self.up += size

    def count_down(self, size: int) -> None:
        self.down += size

    async def set(self, fault: Fault | None) -> None:
        """Set the fault for all connections to come, and break those there are."""
        self.fault = fault
        self.requests = 0
        await self.break_all()

    async def break_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    limit: int | None,
    count: Callable[[int], None],
    rate: int | None = None,
) -> None:
    """Pass on what comes, at *rate* bytes a second; return at the end, or after *limit* bytes."""
    left, chunk = limit, rate // 10 if rate else CHUNK
    while data := await reader.read(chunk if left is None else min(chunk, left)):
        writer.write(data)
        await writer.drain()
        count(len(data))
        if rate:
            await asyncio.sleep(len(data) / rate)
        if left is not None:
            left -= len(data)
            if left == 0:
                return


async def answer(told: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one request and answer it; the connection ends with it."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"expect" in fields:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await reader.readexactly(int(fields.get(b"content-length", b"0")))
    headers = "".join(f"{name}: {value}\r\n" for name, value in told.headers)
    writer.write(
        f"HTTP/1.1 {told.status} Told\r\nContent-Length: {len(told.body)}\r\n"
        f"Connection: close\r\n{headers}\r\n".encode()
        + told.body
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def front_of(endpoint: str | None) -> AsyncIterator[Front]:
    """A front before the store at *endpoint*; None: before nothing, so a fault must be set."""
    target = urlsplit(endpoint) if endpoint else None
    front = Front((target.hostname or "", target.port or 80) if target else None)
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    front.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield front
    finally:
        server.close()
        await front.break_all()
        await server.wait_closed()
