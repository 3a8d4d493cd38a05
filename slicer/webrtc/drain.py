"""Reads a UDP socket in batches, not datagram by datagram; knows nothing of what it reads."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

TICK = 0.01
"""Seconds between two looks while traffic flows."""
MAX_BATCH = 512
"""Datagrams taken in one look, so that one socket cannot hold up the others."""
MAX_DATAGRAM = 2_048
"""No path on the way carries more; a longer one is cut off, and fails its authentication."""

Datagram = tuple[bytes, tuple[str, int]]


class Drain:
    """Owns a non-blocking socket and gives what arrives to *take*, a list each tick.

    A readable socket is emptied, then left alone for a tick: at 200 packets a second, waking for
    each of them costs more than all the work on it. A tick that finds nothing goes back to sleep.
    """

    def __init__(self, sock: socket.socket, take: Callable[[list[Datagram]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        # By number: the selector would otherwise write out the whole socket on each registration.
        self._fd = sock.fileno()
        self._take = take
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._fd, self._wake)

    def close(self) -> None:
        """Stop reading and close the socket. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._fd)
        self._sock.close()

    def _wake(self) -> None:
        self._loop.remove_reader(self._fd)
        self._tick()

    def _tick(self) -> None:
        batch = self._read()
        if batch:
            self._timer = self._loop.call_later(TICK, self._tick)
            self._take(batch)
        elif self._sock.fileno() >= 0:
            self._loop.add_reader(self._fd, self._wake)

    def _read(self) -> list[Datagram]:
        batch: list[Datagram] = []
        # OSError: nothing more (EWOULDBLOCK), or the ICMP error of something sent earlier.
        with suppress(OSError):
            while len(batch) < MAX_BATCH:
                batch.append(self._sock.recvfrom(MAX_DATAGRAM))
        return batch
