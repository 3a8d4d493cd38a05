"""One UDP port for any number of peers: a listening socket, and a connected one for each peer.

Theory of operation. A peer's first authenticated check comes to the listening socket. From then on
the peer has a socket of its own, bound to the same address and port and connected to the peer's:
the kernel prefers it, so that strangers reach the listening socket alone, each peer has a receive
buffer of its own, and a media path reads it as if it were the only one.

All of them have SO_REUSEPORT: unlike SO_REUSEADDR, it lets no other user of the machine bind the
port. Between `bind` and `connect` a new socket is one of the group, and gets datagrams of others;
`UdpPort.hand_on` gives them back. Datagrams of the peer that came to the listening socket meanwhile
are handed to the peer's session.

There is a listening socket for each address: so an answer leaves from where its question came to.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from slicer.errors import RoomError
from slicer.webrtc.drain import MAX_DATAGRAM, Datagram, Drain
from slicer.webrtc.link import Address
from slicer.webrtc.lite.admission import Read, reader
from slicer.webrtc.lite.agent import named_fragment
from slicer.webrtc.lite.dtls import Certificate, certificate
from slicer.webrtc.lite.turns import Turns

RENEW = 7 * 86_400.0
"""Seconds after which new sessions get a new certificate."""
RECEIVE_BUFFER = 1 << 20
"""Bytes asked of the kernel for each socket; it may give less (`net.core.rmem_max`)."""
MAX_STRAY = 64
"""Datagrams read from a new socket before it is the peer's alone."""
TRIES = 8
"""Free ports tried until one is free at every address."""
_TOP_PRIORITY = 2_130_706_431  # a host candidate's of component 1 (RFC 8445 5.1.2.1)


class Session(Protocol):
    """Who takes a peer's datagrams."""

    def arrived(self, data: bytes, address: Address, listener: "Listener") -> None:
        """A check that names this session, or anything from the address it is connected to."""
        ...


class Listener(Protocol):
    """Where a peer's datagrams come to: a listening socket, or a connection of the peer."""

    address: Address
    """Ours."""

    @property
    def gone(self) -> bool:
        """Whether nothing comes by it any more."""
        ...

    def mapped(self, address: Address) -> Address:
        """The peer's address as it is seen from outside, of one that `Session.arrived` gave."""
        ...

    def send(self, data: bytes, address: Address) -> bool:
        """Answer an authenticated check from there; whether that could be sent."""
        ...

    def connect(self, peer: Address) -> tuple[socket.socket, Address]:
        """A connected socket for this peer alone, and the address that its datagrams come from.
        Raises OSError."""
        ...

    def release(self) -> None:
        """The session no longer uses the socket that `connect` gave."""
        ...


class UdpListener:
    """The listening socket at one of our addresses."""

    gone = False

    def __init__(
        self, sock: socket.socket, take: Callable[[Listener, list[Datagram]], None], read: Read
    ):
        self.address: Address = sock.getsockname()[:2]
        self.sock = sock
        self._drain = Drain(sock, lambda batch: take(self, batch), read)

    def mapped(self, address: Address) -> Address:
        return address

    def connect(self, peer: Address) -> tuple[socket.socket, Address]:
        sock = _bind(self.address, socket.SOCK_DGRAM)
        try:
            sock.connect(peer)
        except OSError:
            sock.close()
            raise
        return sock, peer

    def release(self) -> None:
        """The socket is whole by itself."""

    def send(self, data: bytes, address: Address) -> bool:
        """Whether the kernel took it."""
        try:
            return self.sock.sendto(data, address) == len(data)
        except OSError:
            return False

    def close(self) -> None:
        self._drain.close()


@dataclass(frozen=True, slots=True)
class Candidates:
    """What to offer: *lines* as in `a=candidate`, and the address of the first."""

    address: str
    port: int
    lines: tuple[str, ...]


class UdpPort:
    """The port: who listens on it, and whose datagrams go where. Used on the loop's thread.

    *addresses* are bound, with *port* (0: any that is free), and offered as candidates unless
    *advertise* names others, behind which these are (1:1 NAT). Raises RoomError.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        port: int,
        advertise: Sequence[str],
        time: Callable[[], float],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.turns = Turns()
        """What is done for peers that are not connected yet, or no longer."""
        self._time = time
        self._certificate: Certificate | None = None
        self._by_fragment: dict[str, Session] = {}
        self._by_address: dict[tuple[Address, Address], Session] = {}
        # The same by session: with hundreds of them, none is searched for.
        self._fragments: dict[Session, Sequence[str]] = {}
        self._addresses: dict[Session, tuple[Address, Address]] = {}
        self._peers: Counter[Address] = Counter()  # of those, the peers'
        sockets = bind_all(addresses, port)
        self._listeners = [UdpListener(sock, self._take, self._reader(sock)) for sock in sockets]
        self.port: int = self._listeners[0].address[1]
        lines = [
            f"{index} 1 udp {_TOP_PRIORITY - 256 * index} {address} {self.port} typ host"
            for index, address in enumerate(advertise or addresses)
        ]
        self.candidates = Candidates((*advertise, *addresses)[0], self.port, tuple(lines))

    @property
    def certificate(self) -> Certificate:
        """The one for a new session."""
        now = self._time()
        if self._certificate is None or not 0 <= now - self._certificate.created < RENEW:
            self._certificate = certificate(now)
        return self._certificate

    def name(self, session: Session, fragments: Sequence[str]) -> None:
        """Give checks that name one of these to this session, and none that names another."""
        for fragment in self._fragments.pop(session, ()):
            if self._by_fragment.get(fragment) is session:
                del self._by_fragment[fragment]
        if fragments:
            self._fragments[session] = fragments
            self._by_fragment |= dict.fromkeys(fragments, session)

    def offer(self, lines: Iterable[str]) -> None:
        """Further candidates, as in `a=candidate`."""
        self.candidates = replace(self.candidates, lines=(*self.candidates.lines, *lines))

    def knows(self, fragment: str | None) -> bool:
        """Whether a session is named so."""
        return fragment in self._by_fragment

    def connect(
        self, listener: Listener, peer: Address, session: Session
    ) -> tuple[socket.socket, Address]:
        """A socket of this peer alone, and the address that its datagrams come from, for the
        session; `hand_on` follows. Raises OSError."""
        sock, address = listener.connect(peer)
        self.disconnect(session)
        self._by_address[listener.address, address] = session
        self._addresses[session] = listener.address, address
        self._peers[address] += 1
        return sock, address

    def hand_on(self, sock: socket.socket, listener: Listener) -> None:
        """Give what came to a new socket before it was connected to whose it is."""
        for _ in range(MAX_STRAY):
            try:
                data, address = sock.recvfrom(MAX_DATAGRAM)
            except OSError:  # nothing more
                return
            self.take(listener, data, address[:2])

    def disconnect(self, session: Session) -> None:
        """The session has no socket of a peer any more."""
        if (key := self._addresses.pop(session, None)) is not None:
            if self._by_address.get(key) is session:  # another one may be there since
                del self._by_address[key]
            # In place: who reads the listening sockets has to see it.
            self._peers[key[1]] -= 1
            if not self._peers[key[1]]:
                del self._peers[key[1]]

    def forget(self, session: Session) -> None:
        """The session is over."""
        self.name(session, ())
        self.disconnect(session)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()

    def take(self, listener: Listener, data: bytes, address: Address) -> None:
        """One datagram that came to this address of ours."""
        connected = self._by_address.get((listener.address, address))
        if connected is not None:
            connected.arrived(data, address, listener)
            return
        fragment = named_fragment(data)
        session = None if fragment is None else self._by_fragment.get(fragment)
        if session is None:
            self.counters["datagrams_of_strangers"] += 1
        else:
            session.arrived(data, address, listener)

    def _reader(self, sock: socket.socket) -> Read:
        """Reads a listening socket, and counts what it leaves out."""
        read = reader(sock, self._peers, self._by_fragment)

        def counted() -> tuple[list[Datagram], int]:
            batch, count = read()
            if count > len(batch):
                self.counters["datagrams_of_strangers"] += count - len(batch)
            return batch, count

        return counted

    def _take(self, listener: Listener, batch: list[Datagram]) -> None:
        named: dict[Address, str] = {}
        for data, address in batch:
            if (fragment := named_fragment(data)) in self._by_fragment:
                named[address] = fragment
            # Addresses can be forged, any number of them; the session that is named cannot.
            of = named.get(address, address)
            if not self.turns.add(partial(self.take, listener, data, address), of):
                self.counters["datagrams_of_joins_dropped"] += 1


def bind_all(
    addresses: Sequence[str], port: int, kind: socket.SocketKind = socket.SOCK_DGRAM
) -> list[socket.socket]:
    """A socket at each address, all with one port number. Raises RoomError."""
    reason = "no address"
    for _ in range(TRIES if port == 0 else 1):
        sockets: list[socket.socket] = []
        chosen = port
        try:
            for address in addresses:
                if kind == socket.SOCK_DGRAM:
                    _refuse_taken((address, chosen))
                sockets.append(_bind((address, chosen), kind))
                chosen = sockets[0].getsockname()[1]
        except OSError as error:
            reason = f"{address} port {chosen or 'any'}: {error.strerror}"
            for sock in sockets:
                sock.close()
        else:
            return sockets
    name = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
    raise RoomError(f"the {name} port cannot be had: {reason}")


def _refuse_taken(address: Address) -> None:
    """Raise OSError where somebody has the port: SO_REUSEPORT would share it with our own user."""
    with socket.socket(_family(address), socket.SOCK_DGRAM) as sock:
        sock.bind(address)


def _bind(address: Address, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(_family(address), kind)
    try:
        sock.setblocking(False)
        if kind == socket.SOCK_DGRAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        else:
            # Connections of before that linger (TIME_WAIT) do not hold the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET
