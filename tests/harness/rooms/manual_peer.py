"""A publisher by hand for a port of ours: checks, DTLS and SRTP, one socket after another."""

import asyncio
import secrets
import socket

from aioice import stun

from slicer.webrtc.link import Address
from slicer.webrtc.lite.dtls import Dtls, certificate
from slicer.webrtc.parameters import Local, Remote
from slicer.webrtc.srtp import outbound

NOW = 1_700_000_000.0


class ManualPeer:
    """A full agent, which controls, and sends what the test tells it to and when."""

    def __init__(self, setup: str = "active") -> None:
        self.certificate = certificate(NOW)
        fingerprints = (("sha-256", self.certificate.fingerprint),)
        self.remote = Remote("peer", secrets.token_hex(16), False, fingerprints, setup, ())
        self.sock = self._socket()
        self.dtls: Dtls | None = None
        self.answers: list[stun.Message] = []

    @property
    def address(self) -> Address:
        host, port = self.sock.getsockname()
        return host, port

    def meet(self, ours: Local) -> None:
        """Take our end: where to send, and how to sign."""
        self.ours = ours
        self.dtls = Dtls(self.certificate, self.remote.setup == "active", ours.fingerprints)

    def meet_again(self, ours: Local) -> None:
        """Take our end after a restart of ICE: DTLS goes on."""
        self.ours = ours

    def move(self) -> None:
        """Go on by another port, as behind a NAT that has forgotten the first."""
        self.sock.close()
        self.sock = self._socket()

    def send(self, data: bytes) -> None:
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
        while True:
            try:
                data = self.sock.recv(2_048)
            except BlockingIOError:
                return
            if data[0] < 4:
                self.answers.append(stun.parse_message(data))
            elif self.dtls is not None:
                for out in self.dtls.receive(data):
                    self.send(out)

    async def connect(self) -> None:
        """Check until answered, then the handshake."""
        assert self.dtls is not None
        self.check()
        while not self.answers:
            await self.pump()
        for out in self.dtls.begin():
            self.send(out)
        while not self.dtls.connected:
            await self.pump()

    def media(self, packet: bytes) -> bytes:
        """Send this RTP packet, encrypted; gives what was sent."""
        assert self.dtls is not None
        data = outbound(self.dtls.keys()).protect(packet)
        self.send(data)
        return data

    def close(self) -> None:
        self.sock.close()

    @staticmethod
    def _socket() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        return sock
