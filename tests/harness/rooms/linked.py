"""A connected peer without ICE and DTLS: a socket, keys that both know, and media opened for it."""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

import pylibsrtp

from slicer.rtp import rtcp
from slicer.rtp.parameters import RtpParameters
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import AudioCut, Cut, PictureCut, TrackOutput
from slicer.webrtc.link import Address, IceCredentials, Link, SrtpKeys
from slicer.webrtc.path import MediaPath
from tests.harness.rtp.call import datagram, opus

KEYS = SrtpKeys(1, bytes(range(30)), bytes(range(60, 90)))
ICE = IceCredentials("ours", "our-password-of-22-chr", "thrs", "their-password-22-char", False, 77)
UDP_SEGMENT = 103  # of Linux; the socket module has no name for it
SIGNED = b"\x00signed"
"""A datagram that ICE takes for a check of the peer's; it takes nothing else for one."""


class Linked:
    """A peer that is connected already: its socket, its keys, and our media of it."""

    def __init__(
        self,
        path: MediaPath,
        streams: Sequence[RtpParameters],
        secure: bool = False,
        requests_of: RequestsOf | None = None,
    ) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.cuts: list[Cut] = []
        self.others: list[tuple[bytes, Address]] = []
        self.path = path
        self.media = path.open(self._take, requests_of)
        self.media.set_sections("ann", streams)
        self.secure = secure
        theirs, ours = (policy(KEYS.inbound), policy(KEYS.outbound))
        theirs.ssrc_type = pylibsrtp.Policy.SSRC_ANY_OUTBOUND
        ours.ssrc_type = pylibsrtp.Policy.SSRC_ANY_INBOUND
        self.protecting, self.unprotecting = pylibsrtp.Session(theirs), pylibsrtp.Session(ours)
        link, self.address = self.link()
        self.media.carry(link)

    def _take(self, given: TrackOutput) -> None:
        if isinstance(given, AudioCut | PictureCut):
            self.cuts.append(given)

    def link(self) -> tuple[Link, Address]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        keys, ice = (KEYS, ICE) if self.secure else (None, None)
        told = self.sock.getsockname()
        return Link(sock, told, keys, ice, self._other), sock.getsockname()

    def _other(self, data: bytes, address: Address) -> bool:
        self.others.append((data, address))
        return data == SIGNED

    def send(self, data: bytes) -> None:
        if self.secure and 128 <= data[0] < 192:
            protect = self.protecting
            data = protect.protect_rtcp(data) if rtcp.is_rtcp(data) else protect.protect(data)
        self.send_raw(data)

    def send_joined(self, datagrams: Sequence[bytes]) -> None:
        """All by one system call: of one size, but for the last, which may be shorter. The kernel
        may give them to whoever takes several at once as they are (Linux, UDP_SEGMENT)."""
        sent = [self.protecting.protect(one) if self.secure else one for one in datagrams]
        size = struct.pack("H", len(sent[0]))
        self.sock.sendmsg(
            [b"".join(sent)], [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, self.address
        )

    def send_raw(self, data: bytes) -> None:
        self.sock.sendto(data, self.address)

    def received(self) -> list[bytes]:
        """What came back so far."""
        got = []
        with suppress(BlockingIOError):
            while True:
                got.append(self.sock.recv(2048))
        return got

    def compounds(self) -> list[rtcp.RtcpPacket]:
        """The RTCP that came back so far."""
        found = []
        for data in self.received():
            plain = self.unprotecting.unprotect_rtcp(data) if self.secure else data
            found += rtcp.parse(plain)
        return found

    def close(self) -> None:
        self.media.close()
        self.sock.close()


def policy(key: bytes) -> pylibsrtp.Policy:
    return pylibsrtp.Policy(key=key, srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80)


async def until(done: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.01)


async def talk(peer: Linked, frames: range) -> None:
    """Audio in its own time: 20 ms a packet."""
    for number in frames:
        peer.send(datagram(opus(number), number, number * 960))
        await asyncio.sleep(0.02)
