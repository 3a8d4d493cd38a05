"""One connection: how long it may take over a head, a request, and reading what it asked for.

It stands between the transport and the protocol that speaks HTTP. That one closes a kept connection
that says nothing; it has no timer for one that says a byte now and then, or reads no answer.
"""

import asyncio
from typing import Protocol

HEAD_TIMEOUT = 10.0
"""Seconds from the connection, or from the first byte after an answer, to the end of a head."""
REQUEST_TIMEOUT = 30.0
"""Seconds from the end of a head to the answer's end. A last resort: every resource is done
sooner, or answers why it is not; a peer that reads nothing can hold it up."""
LINGER = 5.0
"""Seconds beyond the keep-alive time after which a connection that is not closed yet is cut off:
its peer does not read the end."""


class Owner(Protocol):
    """Who keeps the connection."""

    def idle(self, connection: "Connection") -> None: ...

    def ended(self, connection: "Connection") -> None: ...

    def tell(self, counter: str, text: str) -> None: ...


class Connection(asyncio.Protocol):
    """Forwards everything between a transport and *protocol*, which is set before it is made."""

    protocol: asyncio.Protocol

    def __init__(self, source: str, keep_alive: float, owner: Owner) -> None:
        self.source = source
        self._keep_alive, self._owner = keep_alive, owner
        self._loop = asyncio.get_running_loop()
        self._under_way = 0
        self._awaits_head = self._awaits_body = self._is_unread = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waits_for_peer(self) -> bool:
        """Whether it is the peer's turn: to ask, to go on with a head or a body, or to read."""
        return self._under_way == 0 or self._awaits_body or self._is_unread

    def abort(self) -> None:
        """Cut it off, if it is made and not over."""
        if self._transport is not None:
            self._transport.abort()

    def request_began(self) -> None:
        """A head is complete. Several requests may be under way: HTTP/1.1 has pipelining."""
        self._under_way += 1
        self._awaits_head, self._awaits_body = False, True
        self._limit(REQUEST_TIMEOUT, "http_slow_request")

    def request_received(self) -> None:
        """Its body is complete, too."""
        self._awaits_body = False

    def request_ended(self) -> None:
        """Its answer is handed to the transport."""
        self._under_way -= 1
        if not self._under_way:
            self._owner.idle(self)
            self._limit(self._keep_alive + LINGER, "http_slow_reader")

    def renew(self) -> None:
        """An answer without an end has come a step further, and its peer has read so far: its time
        begins anew."""
        if self._under_way:
            self._limit(REQUEST_TIMEOUT, "http_slow_request")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._await_head()
        self.protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._under_way and not self._awaits_head:
            self._await_head()
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()

    def pause_writing(self) -> None:
        self._is_unread = True
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self._is_unread = False
        self.protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_timer()
        self._owner.ended(self)
        self.protocol.connection_lost(exc)

    def _await_head(self) -> None:
        self._awaits_head = True
        self._limit(HEAD_TIMEOUT, "http_slow_head")

    def _limit(self, seconds: float, counter: str) -> None:
        """What goes on now must be over in time; what was before is. A request may outlive its
        connection."""
        self._stop_timer()
        if self._transport is not None:
            self._timer = self._loop.call_later(seconds, self._cut_off, counter)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut_off(self, counter: str) -> None:
        self._owner.tell(counter, "a connection that is too slow is cut off")
        self.abort()
