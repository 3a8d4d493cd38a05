"""ICE-TCP (RFC 6544): peers without UDP connect to a TCP port, which takes and never opens.

Theory of operation. A connection carries datagrams in frames (RFC 4571): two bytes of length before
each. Its first frame must be a check that names a session and its password signed, within FIRST
seconds; whatever else comes first ends it. So a stranger holds one of few connections for a while,
and nothing more.

The media path reads sockets of datagrams. So a pair of them on loopback stands between: what comes
in a frame is sent from one to the other, which the path reads, and what the path sends comes back
and leaves in a frame. TCP loses nothing, and that pair must not either: while its buffer is more
than half full, the connection is not read, and the peer's TCP waits. In the other direction only
RTCP and answers leave; a peer that does not take them loses them, as by UDP.
"""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Sequence

from slicer.http import source_of
from slicer.webrtc.drain import MAX_DATAGRAM
from slicer.webrtc.link import Address
from slicer.webrtc.lite.agent import named_fragment
from slicer.webrtc.lite.port import UdpPort, bind_all

FIRST = 10.0
"""Seconds in which a new connection's check must come."""
IDLE = 30.0
"""Seconds without a frame that end a connection: a peer checks each few seconds."""
MAX_FRAMES_UNPROVEN = 16
"""Frames of a connection until one is a check that is authenticated; its peer has no reason to send
another one before it has an answer, and repeats that if it is late."""
MAX_UNPROVEN = 256
"""Connections at once that have not sent a check yet; one more is closed."""
MAX_UNPROVEN_OF_ADDRESS = 16
"""Of an IPv6 host: of its /64."""
PAUSE = 1.0
"""Seconds for which nothing is accepted after `accept` failed, say for want of a descriptor. Who
connects meanwhile waits in the kernel's backlog."""
MAX_OF_SESSION = 4
"""Connections that one session's checks may prove."""
MAX_READ = 65_536
"""Bytes of one read, so that one connection cannot hold up the others."""
MAX_UNSENT = 65_536
"""Bytes that wait for a peer to take them; what comes then is dropped."""
TICK = 0.005
"""Seconds after which a media path that is behind is looked at again."""
_BACKLOG = 128
_BATCH = 16
"""Frames that are handed on between two looks at the buffer."""
_LENGTH = struct.Struct("!H")
_SO_MEMINFO = 55  # asm-generic/socket.h; what it gives: linux/sock_diag.h, SK_MEMINFO_*
_MEMINFO = struct.Struct("=9I")
_LOOPBACK = "127.0.0.1"
# RFC 6544 4.2: a host candidate by TCP, direction preference of passive ones (4), below all UDP.
_PRIORITY = 1_671_430_143


class TcpPort:
    """The TCP port of the sessions that *port* knows, offered as further candidates of it.

    *addresses* are bound, with *number* (0: any that is free). Raises RoomError.
    """

    def __init__(
        self, port: UdpPort, addresses: Sequence[str], number: int, advertise: Sequence[str]
    ) -> None:
        self._sessions = port
        self._counters = port.counters
        self._connections: set[TcpConnection] = set()
        self._loop = asyncio.get_running_loop()
        self._sockets = bind_all(addresses, number, socket.SOCK_STREAM)
        self.port: int = self._sockets[0].getsockname()[1]
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        for sock in self._sockets:
            sock.listen(_BACKLOG)
            self._listen(sock)
        port.offer(
            f"{len(port.candidates.lines) + index} 1 tcp {_PRIORITY - 256 * index} {address} "
            f"{self.port} typ host tcptype passive"
            for index, address in enumerate(advertise or addresses)
        )

    @property
    def connections(self) -> int:
        return len(self._connections)

    def close(self) -> None:
        for pause in self._pauses.values():
            pause.cancel()
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        for connection in list(self._connections):
            connection.close()

    def take(self, connection: "TcpConnection", frame: bytes) -> None:
        """A frame that no media path reads: of a session that it names, or of nobody."""
        known = connection.proven or self._sessions.knows(named_fragment(frame))
        if not known or connection.frames > MAX_FRAMES_UNPROVEN:
            self._counters["tcp_connections_of_strangers"] += 1
            connection.close()
            return
        self._sessions.take(connection, frame, connection.peer)

    def prove(self, connection: "TcpConnection", fragment: str | None) -> bool:
        """Whether a session whose check was authenticated may have this connection, too."""
        others = sum(one.fragment == fragment for one in self._connections if one.proven)
        if others < MAX_OF_SESSION:
            return True
        self._counters["tcp_connections_refused"] += 1
        connection.close()
        return False

    def closed(self, connection: "TcpConnection") -> None:
        self._connections.discard(connection)

    def _listen(self, listening: socket.socket) -> None:
        self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, peer = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._counters["tcp_accepts_failed"] += 1
            self._loop.remove_reader(listening)
            self._pauses[listening] = self._loop.call_later(PAUSE, self._listen, listening)
            return
        unproven = [one for one in self._connections if not one.proven]
        source = source_of(peer[0])
        of_address = sum(source_of(one.peer[0]) == source for one in unproven)
        if len(unproven) >= MAX_UNPROVEN or of_address >= MAX_UNPROVEN_OF_ADDRESS:
            self._counters["tcp_connections_refused"] += 1
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(TcpConnection(sock, peer[:2], self, self._counters))


class TcpConnection:
    """One connection of a peer. It is where a session's datagrams come from, as a `Listener` is."""

    def __init__(
        self, sock: socket.socket, peer: Address, port: TcpPort, counters: Counter[str]
    ) -> None:
        self.address: Address = sock.getsockname()[:2]
        self.peer = peer
        self.proven = self.gone = False
        self.fragment: str | None = None
        """Our fragment in the check that proved it."""
        self.frames = 0
        """Until it was proven."""
        self._sock, self._port, self._counters = sock, port, counters
        self._loop = asyncio.get_running_loop()
        self._received, self._unsent = bytearray(), bytearray()
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None
        self._heard = self._loop.time()
        self._timer = self._loop.call_later(FIRST, self._watch)
        self._paused: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock, self._read)

    def mapped(self, _address: Address) -> Address:
        """What the peer's address is from here: not the pair's on loopback."""
        return self.peer

    def connect(self, _peer: Address) -> tuple[socket.socket, Address]:
        """A socket that gives and takes this connection's datagrams, and what it is connected to;
        until `release`. Raises OSError."""
        if not self._prove():
            raise OSError("the session has as many connections as one may have")
        self.release()
        near, far = _pair()
        self._far, self._near = far, near.dup()
        self._loop.add_reader(far, self._leave)
        return near, far.getsockname()

    def release(self) -> None:
        """The session reads and sends by another one; what it has just sent still leaves."""
        if self._far is None or self._near is None:
            return
        self._leave()
        self._loop.remove_reader(self._far)
        self._far.close()
        self._near.close()
        self._far = self._near = None

    def send(self, data: bytes, _address: Address) -> bool:
        """Whether this answer to an authenticated check will leave."""
        return self._prove() and self._write(data)

    def close(self) -> None:
        """May be called twice."""
        if self.gone:
            return
        self.release()
        self.gone = True
        self._timer.cancel()
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._port.closed(self)

    def _prove(self) -> bool:
        """Whether this is one of the session's connections, whose check was authenticated."""
        self.proven = self.proven or self._port.prove(self, self.fragment)
        return self.proven

    def _watch(self) -> None:
        left = self._heard + IDLE - self._loop.time()
        if self.proven and left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        else:
            self._counters["tcp_connections_silent"] += 1
            self.close()

    def _read(self) -> None:
        try:
            data = self._sock.recv(MAX_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        self._parse()

    def _parse(self) -> None:
        """Take the whole frames that are there, unless the media path is behind."""
        self._paused = None
        at = taken = 0
        while not self.gone and len(self._received) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._received, at)
            if size > MAX_DATAGRAM:
                self._counters["tcp_frames_too_long"] += 1
                self.close()
                return
            if len(self._received) < at + _LENGTH.size + size:
                break
            if taken % _BATCH == 0 and self._behind():
                self._pause()
                break
            at += _LENGTH.size
            self._take(bytes(self._received[at : at + size]))
            at += size
            taken += 1
        del self._received[:at]

    def _take(self, frame: bytes) -> None:
        self._heard = self._loop.time()
        if self._far is not None:
            try:
                self._far.send(frame)
            except OSError:
                self._counters["tcp_frames_lost"] += 1
            return
        if not self.proven:
            self.fragment = named_fragment(frame)
            self.frames += 1
        if frame:  # an empty one keeps a NAT's entry alive
            self._port.take(self, frame)

    def _behind(self) -> bool:
        """Whether more than half of the media path's buffer is full."""
        if self._near is None:
            return False
        try:
            info = self._near.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:  # a kernel before 4.12
            return False
        allocated, allowed = struct.unpack_from("=2I", info)
        return bool(allocated > allowed // 2)

    def _pause(self) -> None:
        self._loop.remove_reader(self._sock)
        self._paused = self._loop.call_later(TICK, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._sock, self._read)
        self._parse()

    def _leave(self) -> None:
        """Send what the session and its media path have sent."""
        for _ in range(_BATCH):
            try:
                data = self._far.recv(MAX_DATAGRAM) if self._far is not None else b""
            except OSError:  # nothing more
                return
            if not data or not self._write(data):
                return

    def _write(self, data: bytes) -> bool:
        if self.gone or len(self._unsent) > MAX_UNSENT:
            self._counters["tcp_frames_unsent"] += 1
            return False
        waiting = bool(self._unsent)
        self._unsent += _LENGTH.pack(len(data)) + data
        if not waiting:
            self._flush()
        return True

    def _flush(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:  # the peer is gone, which the next read tells
            self._loop.remove_writer(self._sock)
            self._unsent.clear()
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._sock, self._flush)
        else:
            self._loop.remove_writer(self._sock)


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two sockets of datagrams on loopback, connected to each other. Raises OSError."""
    near = socket.socket(type=socket.SOCK_DGRAM)
    far = socket.socket(type=socket.SOCK_DGRAM)
    try:
        for one in (near, far):
            one.setblocking(False)
            one.bind((_LOOPBACK, 0))
        near.connect(far.getsockname())
        far.connect(near.getsockname())
    except OSError:
        near.close()
        far.close()
        raise
    return near, far
