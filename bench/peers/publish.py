"""Publishes by WHIP over ICE and DTLS, then hands socket and keys to the senders' loop in C.

What browsers do is done by aiortc's ORTC objects until an anchor is connected. From then on the
loop in C has the socket: it protects and sends media, reads RTCP, and gives STUN and DTLS back, so
that aioice goes on asking for consent and answering checks for as long as it runs.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import httpx
from aioice.ice import StunProtocol
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.sdp import SessionDescription, candidate_to_sdp

from bench.peers.sender import PAYLOAD_TYPES, Keys, Lane
from slicer.webrtc.transport import gather, sock_fd

LOOPBACK = "127.0.0.1"
AT_ONCE = 4
TRANSPORT_WIDE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
EXTENSIONS = {TRANSPORT_WIDE: 3, SEND_TIME: 2}
FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
PROFILES = {
    b"SRTP_AES128_CM_SHA1_80": 1,
    b"SRTP_AEAD_AES_128_GCM": 7,
    b"SRTP_AEAD_AES_256_GCM": 8,
}
_FORMATS = {
    "h264": "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    "opus": "minptime=10;useinbandfec=1",
}
_MAX_DATAGRAM = 4 + 2048


class KeptKeys(RTCDtlsTransport):
    """A DTLS transport that keeps the keys it agrees on."""

    keys: tuple[Keys, Keys]
    """For sending, for receiving."""

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        assert self._ssl is not None
        name = self._ssl.get_selected_srtp_profile()
        profile = next(one for one in SRTP_PROFILES if one.openssl_profile == name)
        size = 2 * (profile.key_length + profile.salt_length)
        view = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        # RFC 5764 section 4.2: the client's keys come first.
        client, server = (
            Keys(PROFILES[name], profile.get_key_and_salt(view, which)) for which in (0, 1)
        )
        self.keys = (client, server) if self._role == "client" else (server, client)


@dataclass
class Publisher:
    """One anchor's connection."""

    ice: RTCIceTransport
    dtls: KeptKeys
    lane: Lane
    protocol: StunProtocol
    address: tuple[str, int]

    async def close(self) -> None:
        """Tell the other side, and end."""
        await self.dtls.stop()
        await self.ice.stop()


class Published(NamedTuple):
    """The lanes of all; where the loop hands out what is not media; how many were lost since."""

    lanes: list[Lane]
    hand_out: int
    lost: Callable[[], int]


def write_offer(gatherer: RTCIceGatherer, dtls: RTCDtlsTransport, codec: str) -> str:
    """Sound and video in one bundle, as a browser offers them for sending."""
    ice = gatherer.getLocalParameters()
    fingerprint = dtls.getLocalParameters().fingerprints[0]
    candidates = gatherer.getLocalCandidates()
    common = [
        f"c=IN IP4 {LOOPBACK}",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=ice-ufrag:{ice.usernameFragment}",
        f"a=ice-pwd:{ice.password}",
        f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
        "a=setup:actpass",
        *(f"a=extmap:{number} {uri}" for uri, number in EXTENSIONS.items()),
    ]
    lines = ["v=0", f"o=- 1 1 IN IP4 {LOOPBACK}", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
    lines += _section("audio", 0, "opus", "opus/48000/2", common, FEEDBACK[1:2])
    lines += [f"a=candidate:{candidate_to_sdp(one)}" for one in candidates]
    lines += ["a=end-of-candidates"]
    lines += _section("video", 1, codec, f"{codec.upper()}/90000", common, FEEDBACK)
    return "".join(f"{line}\r\n" for line in lines)


def _section(
    kind: str, mid: int, codec: str, rtpmap: str, common: list[str], feedback: Sequence[str]
) -> list[str]:
    number = PAYLOAD_TYPES[codec]
    return [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {number}",
        *common,
        f"a=mid:{mid}",
        f"a=rtpmap:{number} {rtpmap}",
        *([f"a=fmtp:{number} {_FORMATS[codec]}"] if codec in _FORMATS else []),
        *(f"a=rtcp-fb:{number} {what}" for what in feedback),
    ]


async def publish(client: httpx.AsyncClient, url: str, codec: str) -> Publisher:
    """Offer, connect, take the socket. Raises RuntimeError where that fails."""
    gatherer = RTCIceGatherer(iceServers=[])
    ice = RTCIceTransport(gatherer)
    # Before the first check comes.
    ice._connection.ice_controlling = True  # noqa: SLF001 (aiortc has no verb for it)
    dtls = KeptKeys(ice, [RTCCertificate.generateCertificate()])
    await gather(gatherer, [LOOPBACK])
    offer = write_offer(gatherer, dtls, codec)
    response = await client.post(url, content=offer, headers={"Content-Type": "application/sdp"})
    if response.status_code != 201:
        raise RuntimeError(f"{url}: {response.status_code} {response.text}")
    answer = SessionDescription.parse(response.text)
    media = answer.media[0]
    assert media.dtls is not None
    assert media.ice is not None
    role = "server" if media.dtls.role == "client" else "client"
    dtls._set_role(role)  # noqa: SLF001 (aiortc has no verb for it)
    for candidate in media.ice_candidates:
        await ice.addRemoteCandidate(candidate)
    await ice.addRemoteCandidate(None)
    await ice.start(RTCIceParameters(media.ice.usernameFragment, media.ice.password))
    if ice.state != "completed":
        raise RuntimeError(f"{url}: ICE {ice.state}")
    await dtls.start(media.dtls)
    if dtls.state != "connected":
        raise RuntimeError(f"{url}: DTLS {dtls.state}")
    agreed = {one.uri for section in answer.media for one in section.rtp.headerExtensions}
    return _take(ice, dtls, agreed)


def _take(ice: RTCIceTransport, dtls: KeptKeys, agreed: set[str]) -> Publisher:
    pair = ice._connection._nominated[1]  # noqa: SLF001 (aiortc has no verb for it)
    # asyncio's own verb refuses a transport's socket.
    remove = asyncio.get_running_loop()._remove_reader  # type: ignore[attr-defined]  # noqa: SLF001
    remove(sock_fd(pair.protocol))
    with socket.socket(fileno=pair.protocol.transport.get_extra_info("socket").dup().detach()) as s:
        s.connect(pair.remote_addr)  # of the one socket that both descriptors name
        descriptor = s.detach()
    ids = [EXTENSIONS[uri] if uri in agreed else 0 for uri in (TRANSPORT_WIDE, SEND_TIME)]
    both = (descriptor, descriptor)
    lane = Lane(both, both, dtls.keys[0], dtls.keys[1], (0, ids[0], ids[1]))
    return Publisher(ice, dtls, lane, pair.protocol, pair.remote_addr)


@asynccontextmanager
async def published(urls: Sequence[str], codec: str) -> AsyncIterator[Published]:
    """Connect one anchor for each URL."""
    turns = asyncio.Semaphore(AT_ONCE)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:

        async def connect(url: str) -> Publisher:
            async with turns:
                return await publish(client, url, codec)

        publishers = await asyncio.gather(*map(connect, urls))

    def hand_back() -> None:
        """Give STUN and DTLS to whom asyncio would have given them."""
        data = ours.recv(_MAX_DATAGRAM)
        one = publishers[struct.unpack_from("=I", data)[0]]
        one.protocol.datagram_received(data[4:], one.address)

    def lost() -> int:
        return sum(one.ice.state != "completed" for one in publishers)

    loop = asyncio.get_running_loop()
    loop.add_reader(ours, hand_back)
    try:
        yield Published([one.lane for one in publishers], theirs.fileno(), lost)
    finally:
        loop.remove_reader(ours)
        for one in publishers:
            await one.close()
        ours.close()
        theirs.close()
