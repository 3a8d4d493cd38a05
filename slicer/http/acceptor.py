"""Takes connections in, and keeps their number within bounds from the moment they are accepted.

Theory of operation. asyncio's own server accepts whatever comes: a thousand connections that say
nothing take every descriptor of the process, and each accept that then fails is a traceback. Here
the listening socket is read by us, so that a connection is counted before it costs anything:

- Bounds: on all connections of a server, and on those of one address (of one /64 in IPv6, which one
  host has to itself). At a bound the connection that has waited for its peer longest makes room, of
  the same address where that one's bound is reached; where none waits, the new one is closed. To
  wait for the peer is to be kept without a request, in the midst of a head or a body, or before an
  answer that is not read: whoever holds places without asking for anything loses them to those who
  ask.
- Reserve: `accept` gives the lowest free descriptor, so its number tells how many are in use by the
  whole process. One within the reserve tells how many connections there may be, for a second. The
  rest is for media, disk and stores, which open theirs without asking here.
- No descriptor left at all, or another failure of `accept`: the listening socket is not looked at
  for a second. Who connects meanwhile waits in the kernel's backlog.
"""

import asyncio
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from slicer.http.connection import HEAD_TIMEOUT, Connection
from slicer.http.settings import HttpSettings
from slicer.http.source import source_of

BATCH = 64
"""Connections accepted before other events have their turn."""
PAUSE = 1.0
"""Seconds for which nothing is accepted after `accept` failed."""
TELL_EVERY = 60.0
"""Seconds between two log lines of one kind; the counters have every one."""

log = logging.getLogger(__name__)


class Acceptor:
    """Accepts at *listener*, with TLS if a context is given, until it is closed. *protocol* makes
    what speaks HTTP on a connection."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[Connection], asyncio.Protocol],
        settings: HttpSettings,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        """http_refused, http_idle_closed (to make room), http_slow_head, http_slow_request,
        http_slow_reader, http_accept_paused."""
        self._listener, self._protocol = listener, protocol
        self._settings, self._tls = settings, tls
        self._loop = asyncio.get_running_loop()
        # Both in the order in which connections were made, or answered last.
        self._open: dict[Connection, None] = {}
        self._of: dict[str, dict[Connection, None]] = {}
        self._starting: dict[Connection, asyncio.Task[None]] = {}
        self._told: dict[str, float] = {}
        self._resume: asyncio.TimerHandle | None = None
        self._allowed, self._relearn = settings.connections, 0.0
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    @property
    def connections(self) -> int:
        """Those that there are now, TLS handshakes included."""
        return len(self._open)

    def close(self) -> None:
        """Accept no more; what is open stays open. May be called twice."""
        if self._resume is not None:
            self._resume.cancel()
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()

    def abort(self) -> None:
        """Cut every connection off."""
        for connection in list(self._open):
            self._cut_off(connection)

    def idle(self, connection: Connection) -> None:
        """It has answered, and waits for another request."""
        if connection in self._open:
            for order in (self._open, self._of[connection.source]):
                del order[connection]
                order[connection] = None

    def ended(self, connection: Connection) -> None:
        """Free its place. May be called twice."""
        if connection in self._open:
            del self._open[connection]
            of = self._of[connection.source]
            del of[connection]
            if not of:
                del self._of[connection.source]

    def tell(self, counter: str, text: str) -> None:
        """Count, and log the first one and then one a minute: who floods us fills no disk."""
        self.counters[counter] += 1
        now = self._loop.time()
        if now - self._told.get(counter, -TELL_EVERY) >= TELL_EVERY:
            self._told[counter] = now
            log.warning("%s (%d so far)", text, self.counters[counter])

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            if not self._admit(accepted, source_of(address[0])):
                return

    def _pause(self, error: OSError) -> None:
        self._loop.remove_reader(self._listener)
        self._resume = self._loop.call_later(
            PAUSE, self._loop.add_reader, self._listener, self._accept
        )
        self.tell("http_accept_paused", f"nothing is accepted for {PAUSE:g} s: {error.strerror}")

    def _admit(self, accepted: socket.socket, source: str) -> bool:
        """Take it in, or close it. False at a bound: the descriptor of whoever made room is free
        only once the loop has had its turn."""
        accepted.setblocking(False)
        made_room = False
        self._notice(accepted.fileno())
        while bound := self._bound_reached(source):
            among = self._of[source] if bound == "per_address" else self._open
            waiting = next((one for one in among if one.waits_for_peer), None)
            if waiting is None:
                accepted.close()
                self.tell("http_refused", f"a connection is refused: http.{bound} is reached")
                return False
            self._cut_off(waiting)
            self.tell("http_idle_closed", f"an idle connection is closed: http.{bound} is reached")
            made_room = True
        connection = Connection(source, self._settings.keep_alive, self)
        self._open[connection] = None
        self._of.setdefault(source, {})[connection] = None
        starting = self._loop.create_task(self._start(accepted, connection))
        self._starting[connection] = starting
        starting.add_done_callback(lambda task: self._started(task, accepted, connection))
        return not made_room

    def _notice(self, descriptor: int) -> None:
        """Learn from the number of a new descriptor how many connections there may be.

        One that made room leaves a hole below, which the next one gets: so what was learnt holds
        for a while, whatever the next number is.
        """
        now = self._loop.time()
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        beyond = descriptor - int(most * (1 - self._settings.reserve))
        if most != resource.RLIM_INFINITY and beyond >= 0:
            self._allowed, self._relearn = max(len(self._open) - beyond, 0), now + PAUSE
        elif now >= self._relearn:
            self._allowed = self._settings.connections

    def _bound_reached(self, source: str) -> str:
        """The bound that one more connection would exceed; empty if none."""
        if len(self._of.get(source, ())) >= self._settings.per_address:
            return "per_address"
        if len(self._open) >= self._settings.connections:
            return "connections"
        return "reserve" if len(self._open) >= self._allowed else ""

    async def _start(self, accepted: socket.socket, connection: Connection) -> None:
        """Speak TLS, if that is wanted, and hand the connection over."""
        connection.protocol = self._protocol(connection)
        timeout = HEAD_TIMEOUT if self._tls else None
        await self._loop.connect_accepted_socket(
            lambda: connection,
            accepted,
            ssl=self._tls,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=timeout,
        )

    def _started(
        self, starting: asyncio.Task[None], accepted: socket.socket, connection: Connection
    ) -> None:
        del self._starting[connection]
        # No TLS, none that both speak, or cut off meanwhile.
        if starting.cancelled() or starting.exception() is not None:
            self.ended(connection)
            accepted.close()

    def _cut_off(self, connection: Connection) -> None:
        if connection in self._starting:
            self._starting[connection].cancel()
        connection.abort()
        self.ended(connection)
