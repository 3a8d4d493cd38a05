"""ICE and DTLS of one connection, by aiortc's ORTC objects, up to the socket and the SRTP keys.

Theory of operation. aiortc connects: it gathers candidates, checks pairs, and runs the DTLS
handshake on asyncio's sockets. Then `take` hands a duplicate of the nominated pair's socket, with
the SRTP keys, to the media path, and stops asyncio reading it: aiortc would otherwise decrypt and
parse each packet in Python. STUN and DTLS that the media path reads come back by `hand_back`, as if
asyncio had read them.

ICE may nominate another pair later, with another socket. Until `take_moved` has handed that one
over, asyncio reads it, and media on it arrives here, decrypted by aiortc; it goes to *receive*.

None of that is in aiortc's public interface. All private names that are used are listed in
`self_test`, which says whether the installed versions have them.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

from aioice import Candidate, stun
from aioice.ice import CandidatePair, StunProtocol, get_host_addresses
from aioice.ice import Connection as IceConnection
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
from slicer.webrtc.ice_servers import IceServer, Relay, usable
from slicer.webrtc.link import Address, IceCredentials, Link, SrtpKeys
from slicer.webrtc.parameters import Local, Remote

MAX_CANDIDATES = 32
"""Remote candidates taken; each costs connectivity checks."""
DTLS_PROFILES = {
    b"SRTP_AES128_CM_SHA1_80": 1,  # RFC 5764 4.1.2
    b"SRTP_AEAD_AES_128_GCM": 7,  # RFC 7714 14.2
    b"SRTP_AEAD_AES_256_GCM": 8,
}
"""OpenSSL's names of the protection profiles, and DTLS's numbers."""
_LOOPBACK = "127.0.0.1"
_NO_STUN = 4  # the first byte of what is no STUN is at least this (RFC 7983)
_WILDCARDS = {"0.0.0.0": False, "::": True}  # noqa: S104 (compared with, not bound)


class Transport:
    """ICE and DTLS, from gathering to the end. *receive* takes plain RTP and RTCP that came by
    another socket than the one taken. *ended* is called with the reason when a connected one ends.
    """

    def __init__(
        self,
        receive: Callable[[bytes], None],
        ended: Callable[[str], None],
        servers: Sequence[IceServer] = (),
    ) -> None:
        self.counters: Counter[str] = Counter()
        # Never aiortc's default, which is a server of others.
        self._gatherer = RTCIceGatherer(iceServers=usable(servers))
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._receive, self._ended = receive, ended
        # Media by another socket, or before ours is taken, arrives here decrypted.
        self._dtls._handle_rtp_data = self._on_rtp  # type: ignore[method-assign]
        self._dtls._handle_rtcp_data = self._on_rtcp  # type: ignore[method-assign]
        self._local: Local | None = None
        self._candidates: set[str] = set()
        self._taken: StunProtocol | None = None
        self._relay: Relay | None = None

    async def local(self, addresses: Sequence[str]) -> Local:
        """Our end, with host candidates for these addresses, and those that STUN and TURN servers
        give. Raises RoomError where there is none.

        They are gathered once; later calls give the same.
        """
        if self._local is None:
            candidates = await gather(self._gatherer, addresses)
            if not candidates:
                raise RoomError(f"none of the addresses can be used: {', '.join(addresses)}")
            ice = self._gatherer.getLocalParameters()
            fingerprints = self._dtls.getLocalParameters().fingerprints
            self._local = Local(
                ufrag=str(ice.usernameFragment),
                pwd=str(ice.password),
                fingerprints=tuple((one.algorithm, one.value) for one in fingerprints[:1]),
                address=candidates[0].ip,
                port=candidates[0].port,
                candidates=tuple(aiortc_sdp.candidate_to_sdp(one) for one in candidates),
            )
        return self._local

    async def add_candidates(self, lines: Iterable[str]) -> None:
        """Take the peer's candidates; those that are malformed or too many are counted."""
        for line in lines:
            if line in self._candidates:
                continue
            candidate = None if len(self._candidates) >= MAX_CANDIDATES else _candidate(line)
            if candidate is None:
                self.counters["candidates_ignored"] += 1
            else:
                self._candidates.add(line)
                await self._ice.addRemoteCandidate(candidate)

    async def connect(
        self, remote: Remote, offered: bool, seconds: float, connected: Callable[[], None]
    ) -> str:
        """Bring ICE and DTLS up, and call *connected*; give the reason where that fails.

        *offered*: by us, first.
        """
        self._dtls._set_role("client" if remote.our_setup == "active" else "server")
        # RFC 8445 section 6.1.1: who offered controls, but a full agent always a lite one.
        self._ice._connection.ice_controlling = offered or remote.lite
        fingerprints = [RTCDtlsFingerprint(*pair) for pair in remote.fingerprints]
        try:
            async with asyncio.timeout(seconds):
                await self._ice.start(RTCIceParameters(remote.ufrag, remote.pwd, remote.lite))
                if self._ice.state != "completed":
                    return "ICE failed"
                await self._dtls.start(RTCDtlsParameters(fingerprints))
        except TimeoutError:
            what = "DTLS was not done" if self._ice.state == "completed" else "not connected"
            return f"{what} within {seconds:g} s"
        if self._dtls.state != "connected":
            return "DTLS failed"
        connected()
        return ""

    def take(self, remote: Remote) -> Link:
        """The connected pair, for the media path to read."""
        self._dtls.on("statechange", lambda: self._ended("DTLS closed by the peer"))
        self._ice.on("statechange", lambda: self._ended("ICE consent lost"))
        connection = self._ice._connection
        pair = connection._nominated[1]
        ice = IceCredentials(
            connection.local_username,
            connection.local_password,
            remote.ufrag,
            remote.pwd,
            connection.ice_controlling,
            connection._tie_breaker,
        )
        sock, address = self._detach(pair)
        return Link(sock, address, srtp_keys(self._dtls), ice, self.hand_back)

    def take_moved(self) -> tuple[socket.socket, Address] | None:
        """Take the socket of the pair in use if it is another one than before; else None."""
        pair = self.pair
        if pair is None or pair.protocol is self._taken:
            return None
        return self._detach(pair)

    @property
    def pair(self) -> CandidatePair | None:
        """The pair in use."""
        found: CandidatePair | None = self._ice._connection._nominated.get(1)
        return found

    @property
    def address(self) -> Address | None:
        """Where the peer is by the socket taken; None where another one is in use."""
        pair = self.pair
        if pair is None or pair.protocol is not self._taken:
            return None
        return pair.remote_addr if self._relay is None else self._relay.address

    def hand_back(self, data: bytes, address: Address) -> bool:
        """Give STUN and DTLS to the protocol that asyncio would have called (RFC 7983); gives
        whether the peer has signed it."""
        assert self._taken is not None
        try:
            signed = data[0] < _NO_STUN and self._is_signed(data)
            if self._relay is not None:
                self._relay.hand_back(data)
            else:
                self._taken.datagram_received(data, address)
        except Exception:
            # Bytes from outside must not end the reader, and aioice does not catch all errors.
            self.counters["stun_malformed"] += 1
            return False
        return signed

    def _is_signed(self, data: bytes) -> bool:
        assert self._taken is not None
        connection = self._ice._connection
        ours, theirs = connection.local_password, connection.remote_password or ""
        return is_signed(data, ours, theirs, self._taken.transactions)

    def check_consent(self, wanted: bool) -> None:
        """Start or stop aioice's consent checks: every 5 s, and the end without an answer."""
        connection = self._ice._connection
        task = connection._query_consent_task
        if task is not None and not wanted:
            task.cancel()
        if wanted and (task is None or task.done()):
            connection._query_consent_task = asyncio.create_task(connection.query_consent())

    async def stop(self) -> None:
        """Tell the peer, close every socket that was not taken, and let go of who was told."""
        await self._dtls.stop()
        await self._ice.stop()
        if self._relay is not None:
            self._relay.close()
        self._dtls.remove_all_listeners()
        self._ice.remove_all_listeners()
        self._receive = self._ended = _nothing
        for name in ("_handle_rtp_data", "_handle_rtcp_data"):
            self._dtls.__dict__.pop(name, None)

    def _detach(self, pair: CandidatePair) -> tuple[socket.socket, Address]:
        """Stop asyncio reading this pair's socket; gives a duplicate of it, and where to send by
        it. One of a TURN server's is left alone: what it relays comes by a socket of our own."""
        protocol = self._taken = pair.protocol
        if self._relay is not None:
            self._relay.close()
            self._relay = None
        if protocol.local_candidate.type == "relay":
            self._relay = Relay(protocol, pair.remote_addr)
            return self._relay.near, self._relay.address
        # get_extra_info gives asyncio's wrapper, whose dup is a plain socket.
        sock: socket.socket = protocol.transport.get_extra_info("socket").dup()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        loop._remove_reader(sock_fd(protocol))  # type: ignore[attr-defined]
        return sock, pair.remote_addr

    async def _on_rtp(self, data: bytes, arrival_time_ms: int) -> None:
        self._receive(data)

    async def _on_rtcp(self, data: bytes) -> None:
        self._receive(data)


def _nothing(_told: object) -> None:
    """Nobody is told any more."""


def is_signed(data: bytes, ours: str, theirs: str, waiting: Container[bytes]) -> bool:
    """Whether a STUN message is a check with our password, or the answer with the peer's to one of
    our checks that wait for it, by transaction (RFC 8445 7.1, 7.2.5). Raises ValueError."""
    message = stun.parse_message(data)
    if message.message_class is stun.Class.REQUEST:
        return message.check_message_integrity(ours.encode())
    return (
        message.transaction_id in waiting
        and message.message_class is stun.Class.RESPONSE
        and message.check_message_integrity(theirs.encode())
    )


def host_addresses(listening_on: str) -> list[str]:
    """The addresses to offer for a server listening there: that one, or all of a wildcard's."""
    if listening_on not in _WILDCARDS:
        return [listening_on]
    found = get_host_addresses(use_ipv4=True, use_ipv6=_WILDCARDS[listening_on])
    return found or [_LOOPBACK]


async def gather(gatherer: RTCIceGatherer, addresses: Sequence[str]) -> list[RTCIceCandidate]:
    """Gather host candidates for these addresses alone, and what the gatherer's STUN and TURN
    servers give; hosts first, in the order of their addresses.

    aioice asks the operating system for all addresses but loopback. Its only switch is a function
    of its module, which all connections share; so this one's candidates are filled in instead. An
    address that is not this host's own (1:1 NAT) gets a socket on the wildcard.
    """
    connection = gatherer._connection
    connection._local_candidates_start = True
    found: list[tuple[str, Candidate]] = []
    # One allocation is enough, whatever the number of addresses.
    turn_server, connection.turn_server = connection.turn_server, None
    for address in addresses:
        bound = await connection.get_component_candidates(component=1, addresses=[address])
        if not bound:
            wildcard = "::" if ":" in address else "0.0.0.0"  # noqa: S104 (asked for by the owner)
            bound = await connection.get_component_candidates(component=1, addresses=[wildcard])
        connection._local_candidates += bound
        found += [(address, candidate) for candidate in bound]
    if turn_server is not None:
        connection.turn_server = turn_server
        relayed = await connection.get_component_candidates(component=1, addresses=[])
        connection._local_candidates += relayed
        found += [("", candidate) for candidate in relayed]
    connection._local_candidates_end = True
    gathered = zip(found, gatherer.getLocalCandidates(), strict=True)
    return [
        replace(candidate, ip=address) if own.type == "host" else candidate
        for (address, own), candidate in gathered
    ]


def srtp_keys(dtls: RTCDtlsTransport) -> SrtpKeys:
    """The SRTP master keys of a connected DTLS transport (RFC 5764 4.2)."""
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
        (stun.Message, ["check_message_integrity"]),
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
