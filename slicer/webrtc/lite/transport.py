"""ICE-lite and DTLS of one peer that comes to our port, up to its socket and the SRTP keys.

Theory of operation. Until the peer is connected, the loop reads its socket, a datagram at a time.
At the one that ends the handshake the media path takes the socket over, in the same turn: media
comes right behind it, a keyframe at once, and the kernel holds little. From then on the path reads,
and what is not media comes back by `others`.

DTLS begins with the first authenticated check, since browsers nominate a pair late. The pair in use
changes with a nomination, and where nothing comes by it any more, with a fresh check from
elsewhere. aioice and FFmpeg nominate once, and go on with checks of consent (RFC 7675): after a NAT
has forgotten such a peer, these are what tells where it is now.

A client's first flight is repeated early: a publisher that is in ICE yet loses it, and OpenSSL
waits for a second before it sends it again.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from slicer.webrtc.drain import MAX_DATAGRAM
from slicer.webrtc.link import Address, Link
from slicer.webrtc.lite.agent import LiteAgent
from slicer.webrtc.lite.dtls import Dtls
from slicer.webrtc.lite.port import Listener, UdpPort
from slicer.webrtc.parameters import Local, Remote

EARLY = (0.03, 0.06, 0.12, 0.24)
"""Seconds after which a client's first flight is sent again while no answer has come."""


class LiteTransport:
    """ICE and DTLS, from our credentials to the end. *ended* is called with the reason when a
    connected one ends, *moved* when `take_moved` has another socket to give, *read* to have the
    media path read what is in the one that it has; *quiet* says whether nothing of the peer has
    come by that for a while."""

    def __init__(
        self,
        port: UdpPort,
        ended: Callable[[str], None],
        moved: Callable[[], object],
        read: Callable[[], None],
        quiet: Callable[[], bool],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.address: Address | None = None
        """Where the peer is."""
        self._port, self._ended, self._moved, self._read_taken = port, ended, moved, read
        self._quiet = quiet
        self._certificate = port.certificate
        self._agent = LiteAgent()
        self._listener: Listener | None = None
        self._sock: socket.socket | None = None
        self._dtls: Dtls | None = None
        self._answered = False
        self._proofs = 0  # checks of the peer that were none of before
        self._begun = self._hangs = False
        self._connected: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._taken = self._to_take = self._to_read = self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._early: list[asyncio.TimerHandle] = []
        self._on_connected: Callable[[], None] = lambda: None

    async def local(self, _addresses: Sequence[str] = ()) -> Local:
        """Our end. From now on checks that name it are answered."""
        self._port.name(self, self._agent.fragments)
        ours, offered = self._agent.credentials, self._port.candidates
        return Local(
            ufrag=ours.ufrag,
            pwd=ours.pwd,
            fingerprints=(("sha-256", self._certificate.fingerprint),),
            address=offered.address,
            port=offered.port,
            candidates=offered.lines,
            lite=True,
        )

    async def restart(self) -> Local:
        """Restart ICE (RFC 8445 section 9): our end with new credentials; media goes on."""
        self._agent.restart()
        return await self.local()

    async def add_candidates(self, lines: Iterable[str]) -> None:
        """The peer's candidates are of no use: it is known by the checks that it sends."""

    async def connect(
        self, remote: Remote, _offered: bool, seconds: float, connected: Callable[[], None]
    ) -> str:
        """Wait for the peer, and call *connected*; give the reason where that fails."""
        self._on_connected = connected
        client = remote.our_setup == "active"
        # FFmpeg's muxer, which alone offers to be the server and nothing else, takes an alert for a
        # reason to wait for a datagram before each packet from then on: it would hang, for our port
        # goes on listening and refuses nothing that it sends.
        self._hangs = remote.setup == "passive"
        self._dtls = Dtls(self._certificate, client, remote.fingerprints)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._connected)
        except TimeoutError:
            what = "no connectivity check came" if self._sock is None else "DTLS was not done"
            return f"{what} within {seconds:g} s"

    def take(self, _remote: Remote) -> Link:
        """The connected pair, for the media path to read."""
        assert self._dtls is not None
        self._taken = True
        sock, address = self._pair()
        return Link(sock, address, self._dtls.keys(), None, self.others)

    def take_moved(self) -> tuple[socket.socket, Address] | None:
        """Take the socket of the pair in use if it is another one than before; else None."""
        if not self._to_take:
            return None
        self._to_take = False
        return self._pair()

    def check_consent(self, wanted: bool) -> None:
        """A lite agent sends no checks."""

    def others(self, data: bytes, address: Address) -> bool:
        """What the media path read and is not media; gives whether it proves that the peer is
        there."""
        before = self._proofs
        if self._listener is not None:
            self._port.take(self._listener, data, address)
        return self._proofs > before

    def arrived(self, data: bytes, address: Address, listener: Listener) -> None:
        """STUN or DTLS of our peer (RFC 7983): see `UdpPort`."""
        if self._stopped or not data:
            return
        if data[0] < 4:
            self._check(data, address, listener)
        elif 20 <= data[0] < 64 and address == self.address and self._dtls is not None:
            self._answered = True
            self._handshake(self._dtls.receive(data))
        else:
            self.counters["datagrams_misplaced"] += 1

    async def stop(self) -> None:
        """Tell the peer if it can hear that, close the socket, and let go of who was told. May be
        called twice."""
        if self._stopped:
            return
        self._stopped = True
        for timer in (self._timer, *self._early):
            if timer is not None:
                timer.cancel()
        if self._dtls is not None:
            farewell = self._dtls.close()
            if not self._hangs:
                self._send(farewell)
        self._port.forget(self)
        self._release()
        if self._listener is not None:
            self._listener.release()
        self._ended = self._on_connected = self._moved = self._read_taken = _nothing
        self._quiet = lambda: False

    def _pair(self) -> tuple[socket.socket, Address]:
        assert self._sock is not None
        assert self.address is not None
        return self._sock.dup(), self.address

    def _check(self, data: bytes, address: Address, listener: Listener) -> None:
        there = self._listener is listener and self.address == address
        if self._taken and not there:
            # Who saw a check and sent it again must not be read before the peer's own, which waits
            # for the media path. Nor may the peer's last media by this socket be lost.
            self._read_taken()
        named = self._agent.fragments
        check = self._agent.check(data, listener.mapped(address))
        if check is None:
            self.counters["stun_unauthenticated"] += 1
            return
        self._proofs += check.fresh
        if self._agent.fragments != named:  # the old ones are over
            self._port.name(self, self._agent.fragments)
        lost = self._listener is None or self._listener.gone
        lost = lost or (self._taken and check.fresh and self._quiet())
        if not there and (lost or check.nominates):
            there = self._switch(listener, address)
        if there:
            self._send([check.answer])
        else:
            listener.send(check.answer, address)
        # Behind the answer: FFmpeg's muxer listens to nothing else before it has that.
        if there and not self._begun and self._dtls is not None:
            self._begun = True
            self._begin(self._dtls)

    def _switch(self, listener: Listener, address: Address) -> bool:
        """Go on by this pair; False where there is no socket for it."""
        try:
            sock, there = self._port.connect(listener, address, self)
        except OSError:
            self.counters["sockets_refused"] += 1
            return False
        if self._listener is not None and self._listener is not listener:
            self._listener.release()
        self._release()
        self._sock, self._listener, self.address = sock, listener, there
        self._port.hand_on(sock, listener)
        if self._taken:
            self._to_take = True
            self._moved()
            return True
        asyncio.get_running_loop().add_reader(sock, self._readable)
        return True

    def _begin(self, dtls: Dtls) -> None:
        flight = dtls.begin()
        loop = asyncio.get_running_loop()
        if flight:
            self._early = [loop.call_later(wait, self._repeat_early, flight) for wait in EARLY]
        self._handshake(flight)

    def _repeat_early(self, flight: list[bytes]) -> None:
        if not self._answered:
            self._send(flight)

    def _readable(self) -> None:
        """The socket has something, and says so again in each turn until it is read."""
        if not self._to_read:
            self._to_read = self._port.turns.add(self._read, self)

    def _read(self) -> None:
        """Read the socket until it is empty, or the handshake is over."""
        self._to_read = False
        while self._sock is not None and not self._connected.done():
            try:
                data, address = self._sock.recvfrom(MAX_DATAGRAM)
            except OSError:  # nothing more, or the ICMP error of an earlier datagram of ours
                return
            self.others(data, address[:2])

    def _handshake(self, out: list[bytes]) -> None:
        """Send what DTLS gave, and see where it is."""
        assert self._dtls is not None
        self._send(out)
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dtls.failure:
            if self._connected.done():
                self._ended(self._dtls.failure)
            else:
                self._connected.set_result(self._dtls.failure)
        elif self._dtls.connected and not self._connected.done():
            assert self._sock is not None
            loop.remove_reader(self._sock)
            self._on_connected()
            self._connected.set_result("")
        elif not self._dtls.connected and (wait := self._dtls.timeout) is not None:
            self._timer = loop.call_later(wait, self._repeat)

    def _repeat(self) -> None:
        assert self._dtls is not None
        self._handshake(self._dtls.repeat())

    def _send(self, datagrams: Iterable[bytes]) -> None:
        for data in datagrams:
            try:
                if self._sock is not None:
                    self._sock.send(data)
            except OSError:
                self.counters["datagrams_unsent"] += 1

    def _release(self) -> None:
        """Close our socket; the media path has a duplicate of its own."""
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
            self._sock = None


def _nothing(*_told: object) -> None:
    """Nobody is told any more."""
