"""Reads a UDP socket in batches instead of datagram by datagram.

Theory of operation. Waking the event loop for a datagram costs more than all the work on it. So the
selector wakes for the first datagram only; then the socket leaves the selector, and is emptied once
each TICK until it is found empty. The kernel's buffer holds what comes meanwhile. A connection that
is idle costs nothing, a busy one a hundred wake-ups a second at most.

MAX_BATCH bounds one look, so that no peer can hold the loop by sending fast. What is left in the
kernel is read at the next tick, or dropped there: congestion of one socket stays with that socket.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

TICK = 0.01
"""Seconds between two reads while datagrams come."""
MAX_BATCH = 512
"""Datagrams of one read, so that one socket cannot hold up the others."""
MAX_DATAGRAM = 2_048
"""Bytes. More than a real path carries; a longer one is cut off, and fails authentication."""

Datagram = tuple[bytes, tuple[str, int]]


class Drain:
    """Owns a non-blocking socket and gives what arrives to *take*, as a list each tick.

    *read*: what reads the socket, in place of `read_batch`, and may leave out some: what is left,
    and how many there were.
    """

    def __init__(
        self,
        sock: socket.socket,
        take: Callable[[list[Datagram]], None],
        read: Callable[[], tuple[list[Datagram], int]] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        # By number: asyncio would otherwise format the socket's repr on each registration.
        self._fd = sock.fileno()
        self._take, self._chosen = take, read
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._fd, self._wake)

    def read(self) -> bool:
        """Read out of turn, a batch at most; whether the socket is empty now."""
        if self._sock.fileno() < 0:
            return True
        batch, count = self._read()
        if batch:
            self._take(batch)
        return count < MAX_BATCH

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
        # Set before anything can raise: a port that is never looked at again is deaf.
        self._timer = self._loop.call_later(TICK, self._tick)
        batch, count = self._read()
        if batch:
            self._take(batch)
        elif count == 0:
            self._timer.cancel()
            if self._sock.fileno() >= 0:
                self._loop.add_reader(self._fd, self._wake)

    def _read(self) -> tuple[list[Datagram], int]:
        if self._chosen is not None:
            return self._chosen()
        batch = read_batch(self._sock)
        return batch, len(batch)


def read_batch(sock: socket.socket) -> list[Datagram]:
    """What is in a non-blocking socket, MAX_BATCH at most."""
    batch: list[Datagram] = []
    # OSError: nothing more (EWOULDBLOCK), or the ICMP error of an earlier datagram of ours.
    with suppress(OSError):
        while len(batch) < MAX_BATCH:
            batch.append(sock.recvfrom(MAX_DATAGRAM))
    return batch
