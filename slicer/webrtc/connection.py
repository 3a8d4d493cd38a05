"""Receives from one WebRTC peer: ICE, DTLS, SRTP; plain RTP and RTCP come out in batches.

Built on aiortc's ORTC objects, without its peer connection, codecs and jitter buffer. It knows no
room and no codec. Private names of aiortc and aioice are used; `self_test` says whether they exist.
Once connected, a carrier may take socket and keys over; media then goes by it, not through here.
"""

import asyncio
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pylibsrtp
from aioice import stun
from aioice.ice import Connection as IceConnection
from aioice.ice import StunProtocol, get_host_addresses
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)
from aiortc import sdp as aiortc_sdp
from aiortc.rtcdtlstransport import SRTP_PROFILES

from slicer.errors import RoomError
from slicer.rtp.parameters import RtpParameters
from slicer.rtp.srtp import unprotect
from slicer.webrtc.carrier import Address, Carrier, Carry, IceCredentials, Link, SrtpKeys
from slicer.webrtc.drain import Datagram, Drain
from slicer.webrtc.negotiation import Ours, Peer, negotiate, write_answer
from slicer.webrtc.sdp import Description, parse, parse_fragment

CONNECT_TIMEOUT = 20.0
"""Seconds that ICE and DTLS may take together."""
SILENCE = 15.0
"""Seconds without any datagram, STUN included, after which a peer is gone."""
MAX_CANDIDATES = 32
"""Remote candidates taken; each costs connectivity checks."""
DTLS_PROFILES = {
    b"SRTP_AES128_CM_SHA1_80": 1,  # RFC 5764 4.1.2
    b"SRTP_AEAD_AES_128_GCM": 7,  # RFC 7714 14.2
    b"SRTP_AEAD_AES_256_GCM": 8,
}
"""OpenSSL's names of the protection profiles, and DTLS's numbers."""
_LOOPBACK = "127.0.0.1"
_WILDCARDS = {"0.0.0.0": False, "::": True}  # noqa: S104 (compared with, not bound)


@dataclass(frozen=True, slots=True)
class Events:
    """Whom a connection tells, on the loop's thread. *closed* comes once, unless we close."""

    media: Callable[[list[bytes]], None]
    connected: Callable[[], None]
    closed: Callable[[str], None]


class Connection:
    """One peer, from its offer to its end."""

    def __init__(
        self,
        addresses: Sequence[str],
        events: Events,
        silence: float = SILENCE,
        connect_timeout: float = CONNECT_TIMEOUT,
        carry: Carry | None = None,
    ) -> None:
        """*addresses*: those to offer as candidates, as `host_addresses` gives them.

        *carry* takes the connected peer over; without it media is read on the loop.
        """
        self.counters: Counter[str] = Counter()
        self.streams: tuple[RtpParameters, ...] = ()
        self._addresses = addresses
        self._events = events
        self._silence = silence
        self._connect_timeout = connect_timeout
        # No STUN server: nobody outside is asked who we are.
        self._gatherer = RTCIceGatherer(iceServers=[])
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        # What comes by another socket, or before the take-over, arrives here decrypted.
        self._dtls._handle_rtp_data = self._on_stray_rtp  # type: ignore[method-assign]
        self._dtls._handle_rtcp_data = self._on_stray_rtcp  # type: ignore[method-assign]
        self._peer: Peer | None = None
        self._carry = carry
        self._carrier: Carrier | None = None
        self._drain: Drain | None = None
        self._taken: StunProtocol | None = None
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._run_task: asyncio.Task[None] | None = None
        self._release_task: asyncio.Task[None] | None = None
        self._heard = 0.0

    async def answer(self, offer: str) -> str:
        """Take the offer, begin to connect, and give the answer. Raises BadInput and RoomError."""
        agreement = negotiate(parse(offer))
        candidates = await gather(self._gatherer, self._addresses)
        if not candidates:
            raise RoomError(f"none of the addresses can be used: {', '.join(self._addresses)}")
        self._peer = agreement.peer
        self.streams = tuple(agreement.streams.values())
        await self._add(agreement.peer.candidates)
        self._run_task = asyncio.create_task(self._run(agreement.peer))
        return write_answer(agreement, self._ours(candidates), secrets.randbits(62))

    async def add_candidates(self, fragment: str) -> bool:
        """Take trickled candidates (RFC 8840 section 9); False for an ICE restart. Raises BadInput.

        A fragment with other credentials than the offer's is one; it is not supported.
        """
        told = parse_fragment(fragment)
        if self._peer is None or not {*_everywhere(told, "ice-ufrag")} <= {self._peer.ufrag}:
            return False
        if not {*_everywhere(told, "ice-pwd")} <= {self._peer.pwd}:
            return False
        await self._add(_everywhere(told, "candidate"))
        return True

    def send_rtcp(self, data: bytes) -> None:
        """Protect and send a compound. Never raises: what cannot be sent is counted."""
        pair = self._ice._connection._nominated.get(1)
        if pair is None or self._dtls._tx_srtp is None:
            self.counters["rtcp_unsent"] += 1
            return
        try:
            protected = self._dtls._tx_srtp.protect_rtcp(data)
            pair.protocol.transport.sendto(protected, pair.remote_addr)
        except (pylibsrtp.Error, ValueError, OSError):
            self.counters["rtcp_unsent"] += 1

    async def close(self) -> None:
        """End the connection and tell the peer; no event follows. May be called twice."""
        if self._run_task is not None and self._run_task is not asyncio.current_task():
            self._run_task.cancel()
            await asyncio.wait([self._run_task])
        await self._release()

    def _ours(self, candidates: Sequence[RTCIceCandidate]) -> Ours:
        local = self._gatherer.getLocalParameters()
        fingerprints = self._dtls.getLocalParameters().fingerprints
        return Ours(
            ufrag=str(local.usernameFragment),
            pwd=str(local.password),
            fingerprints=tuple((one.algorithm, one.value) for one in fingerprints[:1]),
            address=candidates[0].ip,
            port=candidates[0].port,
            candidates=tuple(aiortc_sdp.candidate_to_sdp(one) for one in candidates),
        )

    async def _add(self, lines: Sequence[str]) -> None:
        for line in lines:
            candidate = _candidate(line)
            known = len(self._ice.getRemoteCandidates())
            if candidate is None or known >= MAX_CANDIDATES:
                self.counters["candidates_ignored"] += 1
            else:
                await self._ice.addRemoteCandidate(candidate)

    async def _run(self, peer: Peer) -> None:
        reason = await self._connect(peer)
        if not reason:
            self._take_over()
            self._events.connected()
            reason = await self._ended
        await self._release()
        self._events.closed(reason)

    async def _connect(self, peer: Peer) -> str:
        """Bring ICE and DTLS up; give the reason where that fails."""
        self._dtls._set_role("client" if peer.setup == "active" else "server")
        # RFC 8445 section 6.1.1: the full agent controls a lite one.
        self._ice._connection.ice_controlling = peer.lite
        fingerprints = [RTCDtlsFingerprint(*pair) for pair in peer.fingerprints]
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._ice.start(RTCIceParameters(peer.ufrag, peer.pwd, peer.lite))
                if self._ice.state != "completed":
                    return "ICE failed"
                await self._dtls.start(RTCDtlsParameters(fingerprints))
        except TimeoutError:
            return f"not connected within {self._connect_timeout:g} s"
        return "" if self._dtls.state == "connected" else "DTLS failed"

    def _take_over(self) -> None:
        """Take the nominated socket from asyncio's reader, and read it in batches."""
        loop = asyncio.get_running_loop()
        self._dtls.on("statechange", lambda: self._end("DTLS closed by the peer"))
        self._ice.on("statechange", lambda: self._end("ICE consent lost"))
        protocol = self._ice._connection._nominated[1].protocol
        sock = self._detach(protocol)
        if self._carry is None:
            self._drain = Drain(sock, partial(self._on_batch, protocol))
        else:
            self._carrier = self._carry(self._link(sock))
        # FFmpeg's muxer answers no check. RFC 7675 is for those who send media, and we do not: that
        # a peer has gone is told by its silence.
        self._check_consent(False)
        self._heard = loop.time()
        loop.call_later(self._silence, self._watch)

    def _detach(self, protocol: StunProtocol) -> socket.socket:
        """Have asyncio read this protocol's socket no more; gives another handle on it."""
        self._taken = protocol
        # get_extra_info gives asyncio's wrapper, whose dup is a plain socket.
        sock: socket.socket = protocol.transport.get_extra_info("socket").dup()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        loop._remove_reader(sock_fd(protocol))  # type: ignore[attr-defined]
        return sock

    def _link(self, sock: socket.socket) -> Link:
        assert self._peer is not None
        connection = self._ice._connection
        return Link(
            sock,
            connection._nominated[1].remote_addr,
            srtp_keys(self._dtls),
            IceCredentials(
                connection.local_username,
                connection.local_password,
                self._peer.ufrag,
                self._peer.pwd,
                connection.ice_controlling,
                connection._tie_breaker,
            ),
            self._on_other,
        )

    def _on_other(self, data: bytes, address: Address) -> None:
        """What the carrier leaves to ICE and DTLS; the pair in use may change by it."""
        assert self._taken is not None
        self._hand_back(self._taken, data, address)
        pair = self._ice._connection._nominated.get(1)
        if self._carrier is not None and pair is not None and pair.protocol is self._taken:
            self._carrier.redirect(pair.remote_addr)

    def _check_consent(self, wanted: bool) -> None:
        """Have aioice ask the peer for consent every 5 s, and end without an answer; or not."""
        connection = self._ice._connection
        task = connection._query_consent_task
        if task is not None and not wanted:
            task.cancel()
        if wanted and (task is None or task.done()):
            connection._query_consent_task = asyncio.create_task(connection.query_consent())

    def _watch(self) -> None:
        """End a silent peer; one on another socket is left to aioice's consent checks."""
        if self._ended.done():
            return
        loop = asyncio.get_running_loop()
        if self._carrier is not None:
            self._heard = max(self._heard, self._carrier.heard)
        pair = self._ice._connection._nominated.get(1)
        if pair is not None and pair.protocol is not self._taken and self._carrier is not None:
            self._carrier.move(self._detach(pair.protocol), pair.remote_addr)
        elif pair is None or pair.protocol is not self._taken:
            self._check_consent(True)
            self._heard = loop.time()
        if loop.time() - self._heard >= self._silence:
            self._end(f"nothing received for {self._silence:g} s")
        else:
            loop.call_at(self._heard + self._silence, self._watch)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    def _on_batch(self, protocol: StunProtocol, batch: list[Datagram]) -> None:
        self._heard = asyncio.get_running_loop().time()
        protected = []
        for data, address in batch:
            if data and 128 <= data[0] < 192:
                protected.append(data)
            else:
                self._hand_back(protocol, data, address)
        session = self._dtls._rx_srtp
        plain = unprotect(session, protected, pylibsrtp.Error, self.counters)
        if plain:
            self._events.media(plain)

    def _hand_back(self, protocol: StunProtocol, data: bytes, address: tuple[str, int]) -> None:
        """Give STUN and DTLS to whom asyncio would have given them (RFC 7983)."""
        try:
            protocol.datagram_received(data, address)
        except Exception:
            # Bytes from outside must not end the reader; aioice lets some of them through.
            self.counters["stun_malformed"] += 1

    async def _on_stray_rtp(self, data: bytes, arrival_time_ms: int) -> None:
        self._events.media([data])

    async def _on_stray_rtcp(self, data: bytes) -> None:
        self._events.media([data])

    async def _release(self) -> None:
        """Give everything back, once, and to the end even if who waits for it is cancelled."""
        if self._release_task is None:
            self._release_task = asyncio.create_task(self._shut())
        await asyncio.shield(self._release_task)

    async def _shut(self) -> None:
        self._end("closed")
        if self._drain is not None:
            self._drain.close()
        if self._carrier is not None:
            self._carrier.release()
        await self._dtls.stop()
        await self._ice.stop()


def host_addresses(listening_on: str) -> list[str]:
    """The addresses to offer for a server listening there: that one, or all of a wildcard's."""
    if listening_on not in _WILDCARDS:
        return [listening_on]
    found = get_host_addresses(use_ipv4=True, use_ipv6=_WILDCARDS[listening_on])
    return found or [_LOOPBACK]


async def gather(gatherer: RTCIceGatherer, addresses: Sequence[str]) -> list[RTCIceCandidate]:
    """Gather host candidates for these addresses alone; best one first.

    aioice asks the operating system for all addresses, loopback excepted; its only switch is a
    function of the module, which is everybody's. Filling the connection in is this gatherer's own
    affair. An address that is not this host's own (NAT 1:1) gets a socket on the wildcard.
    """
    connection = gatherer._connection
    connection._local_candidates_start = True
    found = []
    for address in addresses:
        bound = await connection.get_component_candidates(component=1, addresses=[address])
        if not bound:
            wildcard = "::" if ":" in address else "0.0.0.0"  # noqa: S104 (asked for by the owner)
            bound = await connection.get_component_candidates(component=1, addresses=[wildcard])
        connection._local_candidates += bound
        found += [(address, candidate) for candidate in bound]
    connection._local_candidates_end = True
    gathered = zip(found, gatherer.getLocalCandidates(), strict=True)
    return [replace(candidate, ip=address) for (address, _), candidate in gathered]


def srtp_keys(dtls: RTCDtlsTransport) -> SrtpKeys:
    """What both ends of a connected DTLS transport derive their SRTP keys from (RFC 5764 4.2)."""
    assert dtls._ssl is not None
    name = dtls._ssl.get_selected_srtp_profile()
    profile = next(one for one in SRTP_PROFILES if one.openssl_profile == name)
    size = 2 * (profile.key_length + profile.salt_length)
    material = dtls._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
    client, server = (profile.get_key_and_salt(material, index) for index in (0, 1))
    theirs, ours = (client, server) if dtls._role == "server" else (server, client)
    return SrtpKeys(DTLS_PROFILES[name], theirs, ours)


def sock_fd(protocol: StunProtocol) -> int:
    """The file descriptor asyncio reads for this protocol."""
    descriptor: int = protocol.transport.get_extra_info("socket").fileno()
    return descriptor


def _candidate(line: str) -> RTCIceCandidate | None:
    """Read an `a=candidate` value; None for what is malformed or of no use here.

    Names ending in .local are not resolved: that would open a multicast socket, and such a peer
    is found by its own checks (RFC 8445 section 7.3.1.3).
    """
    try:
        candidate = aiortc_sdp.candidate_from_sdp(line.removeprefix("candidate:"))
    except (ValueError, AssertionError, IndexError):
        return None
    usable = candidate.protocol.lower() == "udp" and candidate.component == 1
    if not usable or candidate.ip.endswith(".local") or not 0 < candidate.port < 65_536:
        return None
    return candidate


def _everywhere(description: Description, name: str) -> list[str]:
    places = [description.attributes, *(one.attributes for one in description.sections)]
    return [value for place in places for given, value in place if given == name]


def self_test() -> list[str]:
    """The private names used here that the installed aiortc, aioice and asyncio lack."""
    gatherer = RTCIceGatherer(iceServers=[])
    ice = RTCIceTransport(gatherer)
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    wanted: list[tuple[object, Sequence[str]]] = [
        (asyncio.get_running_loop(), ["_remove_reader"]),
        (gatherer, ["_connection"]),
        (ice, ["_connection"]),
        (
            ice._connection,
            [
                "_nominated",
                "_local_candidates",
                "_local_candidates_start",
                "_local_candidates_end",
                "_query_consent_task",
                "_tie_breaker",
            ],
        ),
        (IceConnection, ["get_component_candidates"]),
        (StunProtocol, ["datagram_received"]),
        (
            dtls,
            [
                "_handle_rtp_data",
                "_handle_rtcp_data",
                "_rx_srtp",
                "_tx_srtp",
                "_set_role",
                "_ssl",
                "_role",
            ],
        ),
        (stun, ["parse_message"]),
    ]
    return [
        f"{type(owner).__name__}.{name}"
        for owner, names in wanted
        for name in names
        if not hasattr(owner, name)
    ]
