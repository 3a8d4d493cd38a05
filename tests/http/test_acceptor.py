"""Connections over real sockets: how many there may be, whose place is given away, and what happens
when no descriptor is left."""

import asyncio
import contextlib
import errno
import logging
import os
import resource as limits
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from slicer.http import HttpSettings, Server, resource
from slicer.http import acceptor as module

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Site:
    """A server whose requests stay under way until `answer` is set."""

    def __init__(self, settings: HttpSettings) -> None:
        self.answer = asyncio.Event()
        self.answer.set()
        self.began, self.asked = asyncio.Semaphore(0), asyncio.Semaphore(0)
        app = Starlette(routes=[resource("/", {"GET": self._get, "POST": self._get})])
        self.server = Server("127.0.0.1", 0, app, settings=settings)
        self.open: list[asyncio.StreamWriter] = []

    async def _get(self, request: Request) -> Response:
        self.began.release()
        await request.body()
        self.asked.release()
        await self.answer.wait()
        return PlainTextResponse("hello")

    async def connect(self, sent: bytes = b"", local: str = "127.0.0.1") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.port, local_addr=(local, 0)
        )
        writer.write(sent)
        self.open.append(writer)
        return reader

    async def gets(self, local: str = "127.0.0.1") -> bool:
        """Whether a new client is answered."""
        reader = await self.connect(GET, local)
        return b"200 OK" in await read(reader)


async def read(reader: asyncio.StreamReader) -> bytes:
    """What comes first; nothing where the other side closes or cuts off."""
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(10_000), 20)
    return b""


@asynccontextmanager
async def site(**settings: float) -> AsyncIterator[Site]:
    made = Site(HttpSettings(**settings))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        for writer in made.open:
            writer.close()
        made.answer.set()
        await made.server.close()


async def test_at_the_bound_the_longest_idle_makes_room() -> None:
    async with site(connections=3) as there:
        silent = [await there.connect(), await there.connect(b"GET / HT"), await there.connect()]
        assert await there.gets()
        assert await read(silent[0]) == b""
        assert there.server.counters == {"http_idle_closed": 1}
        assert await there.gets()
        assert await read(silent[1]) == b""
        assert there.server.counters == {"http_idle_closed": 2}


async def test_who_has_just_been_answered_has_been_idle_for_the_shortest_time() -> None:
    async with site(connections=2) as there:
        kept, writer = await asyncio.open_connection("127.0.0.1", there.server.port)
        there.open.append(writer)
        silent = await there.connect()
        writer.write(GET)
        assert b"200 OK" in await read(kept)
        await there.connect()
        assert await read(silent) == b""
        writer.write(GET)
        assert b"200 OK" in await read(kept)


async def test_where_none_is_idle_the_new_one_is_closed() -> None:
    async with site(connections=2) as there:
        there.answer.clear()
        busy = [await there.connect(GET), await there.connect(GET)]
        for _ in busy:
            await there.asked.acquire()
        assert not await there.gets()
        assert there.server.counters == {"http_refused": 1}
        there.answer.set()
        for reader in busy:
            assert b"200 OK" in await read(reader)
        assert await there.gets()


async def test_a_body_that_does_not_come_makes_room_too(caplog: pytest.LogCaptureFixture) -> None:
    post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"
    async with site(connections=2) as there:
        slow = [await there.connect(post), await there.connect(post)]
        for _ in slow:
            await there.began.acquire()
        assert await there.gets()
        assert await read(slow[0]) == b""
        assert there.server.counters == {"http_idle_closed": 1}
    # Who is cut off, or leaves, in the midst of a body is no fault of ours.
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_what_is_no_http_is_no_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    async with site() as there:
        for sent in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"SSH-2.0-x\r\n\r\n"):
            assert b"400" in await read(await there.connect(sent + b"\r\n\r\n"))
        assert await there.gets()
    assert caplog.records == []


async def test_one_address_takes_only_its_own_places() -> None:
    async with site(connections=10, per_address=2) as there:
        other = await there.connect(local="127.0.0.2")
        flood = [await there.connect() for _ in range(5)]
        for reader in flood[:3]:
            assert await read(reader) == b""
        there.answer.clear()
        there.open[0].write(GET)
        await there.asked.acquire()
        there.answer.set()
        assert b"200 OK" in await read(other)
        assert there.server.counters == {"http_idle_closed": 3}


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    before = limits.getrlimit(limits.RLIMIT_NOFILE)
    limits.setrlimit(limits.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        limits.setrlimit(limits.RLIMIT_NOFILE, before)


@contextmanager
def holes_filled() -> Iterator[int]:
    """Take every free descriptor below the highest in use, so that numbers count what is in use
    whatever the process holds already. Gives the next number."""
    with contextlib.ExitStack() as stack:
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        number = -1
        while number <= highest:
            number = os.dup(0)
            stack.callback(os.close, number)
        yield number + 1


@pytest.mark.parametrize("held", [0, 100], ids=["as it is", "many, and holes below"])
async def test_a_part_of_the_descriptors_is_left_to_others(held: int) -> None:
    with contextlib.ExitStack() as others:
        sockets = [socket.socket() for _ in range(held)]
        for number, one in enumerate(sockets):
            if number < 5:
                one.close()
            else:
                others.enter_context(one)
        first = others.enter_context(holes_filled())
        most, reserve = first + 50, 30
        # A connection of the test takes two descriptors: its own end, and the server's.
        async with site(reserve=reserve / most) as there:
            with descriptors(most):
                for _ in range(12):
                    await there.connect()
                assert await there.gets()
                assert there.server.counters["http_idle_closed"] > 0
                for _ in range(reserve - 10):
                    others.enter_context(socket.socket())


async def test_without_descriptors_accept_pauses_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    caplog.set_level(logging.INFO)
    async with site() as there:
        refusals = iter(range(5))
        accept = socket.socket.accept

        def failing(self: socket.socket) -> tuple[socket.socket, object]:
            if self.getsockname()[1] == there.server.port and next(refusals, None) is not None:
                raise OSError(errno.EMFILE, "Too many open files")
            return accept(self)

        monkeypatch.setattr(socket.socket, "accept", failing)
        assert await there.gets()
        assert there.server.counters == {"http_accept_paused": 5}
    (line,) = [record for record in caplog.records if record.name.startswith("slicer.http")]
    assert "nothing is accepted" in line.getMessage()
    assert "Too many open files" in line.getMessage()
    assert line.exc_info is None


async def test_it_closes_while_accept_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: socket.socket) -> tuple[socket.socket, object]:
        raise OSError(errno.EMFILE, "Too many open files")

    there = Site(HttpSettings())
    monkeypatch.setattr(socket.socket, "accept", failing)
    await there.connect()
    while not there.server.counters:
        await asyncio.sleep(0)
    await there.server.close()
    there.open[0].close()


async def test_a_flood_is_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with site(connections=1) as there:
        for _ in range(30):
            await there.connect()
        assert await there.gets()
        assert there.server.counters["http_idle_closed"] == 30
    lines = [record for record in caplog.records if record.name.startswith("slicer.http")]
    assert len(lines) == 1
