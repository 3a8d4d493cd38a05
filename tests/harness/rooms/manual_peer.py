"""A publisher by hand for a port of ours: checks, DTLS and SRTP, by UDP or by TCP."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Iterator

from aioice import stun

from slicer.webrtc.link import Address
from slicer.webrtc.lite.dtls import Dtls, certificate
from slicer.webrtc.parameters import Local, Remote
from slicer.webrtc.srtp import outbound

CHECK_AGAIN = 1.0
"""Seconds without an answer after which a check is sent again."""
NOW = 1_700_000_000.0


class ManualPeer:
    """A full agent, which controls, and sends what the test tells it to and when."""

    def __init__(self, setup: str = "active", tcp: bool = False, host: str = "127.0.0.1") -> None:
        self._tcp, self._host = tcp, host
        self._frames = b""
        self.certificate = certificate(NOW)
        fingerprints = (("sha-256", self.certificate.fingerprint),)
        self.remote = Remote("peer", secrets.token_hex(16), False, fingerprints, setup, ())
        self.sock = self._socket()
        self.dtls: Dtls | None = None
        self.answers: list[stun.Message] = []

    @property
    def address(self) -> Address:
        host, port = self.sock.getsockname()[:2]
        return host, port

    def meet(self, ours: Local) -> None:
        """Take our end: where to send, and how to sign."""
        self.ours = ours
        if self._tcp:
            self._connect()
        self.dtls = Dtls(self.certificate, self.remote.setup == "active", ours.fingerprints)

    def meet_again(self, ours: Local) -> None:
        """Take our end after a restart of ICE: DTLS goes on."""
        self.ours = ours

    def move(self, host: str = "") -> None:
        """Go on by another port, as behind a NAT that has forgotten the first, or address."""
        self.sock.close()
        self._host = host or self._host
        self.sock = self._socket()
        if self._tcp:
            self._connect()

    def send(self, data: bytes) -> None:
        if self._tcp:
            self.sock.send(len(data).to_bytes(2, "big") + data)
        else:
            self.sock.sendto(data, (self.ours.address, self.ours.port))

    def check(self, nominate: bool = True, pwd: str = "", ours: Local | None = None) -> bytes:
        """Send a connectivity check, and give it; the answer is read by `pump`."""
        to = ours or self.ours
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{to.ufrag}:{self.remote.ufrag}"
        request.attributes["PRIORITY"] = 1
        request.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity((pwd or to.pwd).encode())
        self.send(bytes(request))
        return bytes(request)

    async def pump(self) -> None:
        """Read what has come, and answer it."""
        await asyncio.sleep(0.01)
        self._read()

    def _read(self) -> None:
        for data in self._arrived():
            if data[0] < 4:
                self.answers.append(stun.parse_message(data))
            elif self.dtls is not None:
                for out in self.dtls.receive(data):
                    self.send(out)

    async def connect(self) -> None:
        """Check until answered, then the handshake; what is lost is sent again."""
        assert self.dtls is not None
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self.answers:
            if loop.time() >= due:
                self.check()
                due += CHECK_AGAIN
            await self._come(due - loop.time())
            self._read()
        for out in self.dtls.begin():
            self.send(out)
        while not self.dtls.connected:
            await self._come(self.dtls.timeout)
            self._read()
            if self.dtls.timeout == 0.0:
                for out in self.dtls.repeat():
                    self.send(out)

    async def _come(self, seconds: float | None) -> None:
        """Wait until something is there, for so long at most. Hundreds may wait in one process, so
        none of them looks now and then."""
        loop, there = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.sock, there.set)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await there.wait()
        finally:
            loop.remove_reader(self.sock)

    def media(self, packet: bytes) -> bytes:
        """Send this RTP packet, encrypted; gives what was sent."""
        assert self.dtls is not None
        data = outbound(self.dtls.keys()).protect(packet)
        self.send(data)
        return data

    def close(self) -> None:
        self.sock.close()

    def _arrived(self) -> Iterator[bytes]:
        while True:
            try:
                data = self.sock.recv(2_048)
            except BlockingIOError:
                return
            if not self._tcp:
                yield data
                continue
            self._frames += data
            while len(self._frames) >= 2:
                end = 2 + int.from_bytes(self._frames[:2], "big")
                if len(self._frames) < end:
                    break
                frame, self._frames = self._frames[2:end], self._frames[end:]
                yield frame
            if not data:
                return

    def _connect(self) -> None:
        """To the first passive candidate (RFC 6544 4.5)."""
        line = next(line for line in self.ours.candidates if "tcptype passive" in line)
        _, _, _, _, host, number, *_ = line.split()
        self.sock.setblocking(True)
        self.sock.connect((host, int(number)))
        self.sock.setblocking(False)
        self._frames = b""

    def _socket(self) -> socket.socket:
        kind = socket.SOCK_STREAM if self._tcp else socket.SOCK_DGRAM
        sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, kind)
        sock.setblocking(False)
        sock.bind((self._host, 0))
        return sock
