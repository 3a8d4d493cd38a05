"""A line between a browser and a server that a test cuts and mends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Line:
    """Passes connections on, until it is cut."""

    host: str
    target: int
    port: int = 0
    down: bool = False
    _at: bytes | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Break every connection, and refuse new ones until it is mended."""
        self.down, self._at = True, None
        for writer in self._open:
            writer.transport.abort()

    def cut_at(self, words: bytes) -> None:
        """The same as soon as these are on their way in either direction; half of what they came
        with still passes."""
        self._at = words

    def mend(self) -> None:
        """Pass on again."""
        self.down = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.down:
            writer.transport.abort()
            return
        with contextlib.suppress(ConnectionError):
            far_reader, far_writer = await asyncio.open_connection(self.host, self.target)
            ends = {writer, far_writer}
            self._open |= ends
            try:
                await asyncio.gather(
                    self._pass_on(reader, far_writer), self._pass_on(far_reader, writer)
                )
            finally:
                self._open -= ends
                for one in ends:
                    one.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            cut = self._at is not None and self._at in data
            writer.write(data[: len(data) // 2] if cut else data)
            await writer.drain()
            if cut:
                self.cut()
        raise ConnectionResetError  # one end has gone: so does the other


@contextlib.asynccontextmanager
async def line(url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to the server of a URL, and the URL at its near end."""
    split = urlsplit(url)
    assert split.hostname is not None
    assert split.port is not None
    made = Line(split.hostname, split.port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made, split._replace(netloc=f"127.0.0.1:{made.port}").geturl()
    finally:
        server.close()
        made.cut()
