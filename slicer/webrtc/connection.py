"""One WebRTC connection, from the first description to the end: the peer sends, we receive.

Theory of operation. Either end may offer, the first time and later (RFC 9429): m-lines come and go,
ICE and DTLS stay as they are. The first agreement starts ICE and DTLS. Once they are connected, the
media path takes the socket over; ICE and DTLS get only what is not media.

A peer that comes to us (`Network.port`) meets an ICE-lite agent and one port for all; to others we
go as a full agent, by aiortc.

From then on a peer is gone when nothing that is proven to be its own has come for `Network.silence`
seconds, or when DTLS or ICE end: what anybody can send keeps nobody here. We do not ask it for
consent (RFC 7675): that protects those to whom media is sent, and we send none. Only while no pair
is in use does aioice ask, because it decides whether there will be one; and a lite peer (RFC 8445
2.5), which sends no checks, is asked: it has nothing else to send while it sends no media, and
would be taken for gone.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from slicer.errors import BadInput
from slicer.rtp.parameters import Kind, RtpParameters
from slicer.webrtc.counts import HANDSHAKES, outcome_of
from slicer.webrtc.description import write_answer, write_fragment, write_offer
from slicer.webrtc.ice_servers import IceServer
from slicer.webrtc.link import Address, Link
from slicer.webrtc.lite.port import UdpPort
from slicer.webrtc.lite.transport import LiteTransport
from slicer.webrtc.negotiation import Agreement, Refused, negotiate
from slicer.webrtc.parameters import credentials
from slicer.webrtc.path import Media
from slicer.webrtc.profile import DEFAULT, Profile
from slicer.webrtc.proposal import Proposal, propose
from slicer.webrtc.sdp import parse, parse_fragment
from slicer.webrtc.transport import Transport

CONNECT_TIMEOUT = 20.0
"""Seconds that ICE and DTLS may take together."""
SILENCE = 15.0
"""Seconds without an authenticated datagram (SRTP, STUN) after which the peer is gone."""
QUIET = 4.0
"""Seconds without one after which the peer may be elsewhere: browsers check each 2.5 s."""
STALL = 1.0
"""Seconds by which a look at the peer may be late. If it is later, the process stood still, and
what came meanwhile is not read yet: its silence counts anew."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network of a connection: *addresses* to offer as candidates (see `host_addresses`).

    *silence*: seconds without an authenticated datagram that end it; *connect_timeout*: seconds to
    connect in; *ice_servers*: STUN and TURN servers that give further candidates. With *port* peers
    come to us, by ICE-lite, and neither addresses nor servers are used; else we are a full agent.
    """

    addresses: Sequence[str]
    silence: float = SILENCE
    connect_timeout: float = CONNECT_TIMEOUT
    ice_servers: Sequence[IceServer] = ()
    port: UdpPort | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """Callbacks of a connection, on the loop's thread. *closed* comes once, unless we close."""

    connected: Callable[[], None]
    closed: Callable[[str], None]


_NOBODY = Events(lambda: None, lambda _reason: None)


class Connection:
    """One connection. Its transport starts with the first agreement."""

    def __init__(
        self, network: Network, media: Media, events: Events, profile: Profile = DEFAULT
    ) -> None:
        self._network, self._media, self._events = network, media, events
        self._profile = profile
        self._transport = (
            LiteTransport(network.port, self._end, self._follow, media.read, self._is_quiet)
            if network.port is not None
            else Transport(lambda data: media.receive([data]), self._end, network.ice_servers)
        )
        self.counters = self._transport.counters
        self._agreement: Agreement | None = None
        self._proposal: Proposal | None = None
        self._session = secrets.randbits(62)
        self._version = 0
        # One description at a time: two must not be negotiated against the same last agreement.
        self._describing = asyncio.Lock()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._run_task: asyncio.Task[None] | None = None
        self._release_task: asyncio.Task[None] | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._restarted = ""
        """The peer's fragment since its last restart of ICE."""

    @property
    def streams(self) -> tuple[RtpParameters, ...]:
        """What the peer sends as of the last agreement, in the order of its m-lines."""
        return () if self._agreement is None else self._agreement.streams

    @property
    def refused(self) -> tuple[Refused, ...]:
        """The m-lines of the peer's last offer that we do not receive."""
        return () if self._agreement is None else self._agreement.refused

    async def answer(self, offer: str) -> str:
        """Take an offer, the first or a later one, and answer it. The first begins to connect.

        If an offer of ours waits for its answer, it is withdrawn (RFC 9429 4.1.10.2). Raises
        RoomError, and BadInput, after which everything is as before.
        """
        async with self._describing:
            agreement = negotiate(parse(offer), self._profile, self._agreement)
            if agreement.remote.lite and self._network.port is not None:
                raise BadInput("sdp", "a=ice-lite", "a full ICE agent: this end is lite itself")
            local = await self._transport.local(self._network.addresses)
            self._proposal = None
            await self._agree(agreement, offered=False)
            self._version += 1
            return write_answer(agreement, local, self._session, self._version)

    async def offer(self, wants: Sequence[Kind] = (), stop: Collection[str] = ()) -> str:
        """Offer to receive what is agreed on so far, less the MIDs in *stop*, and one track more of
        each kind in *wants*; `accept` takes the answer. Raises BadInput, LimitReached, RoomError.
        """
        async with self._describing:
            proposal = propose(wants, stop, self._profile, self._agreement)
            local = await self._transport.local(self._network.addresses)
            self._proposal = proposal
            self._version += 1
            return write_offer(proposal, local, self._session, self._version)

    async def accept(self, answer: str) -> None:
        """Take the answer to our offer; the first begins to connect. Raises BadInput, after which
        the offer is withdrawn and everything is as before.
        """
        async with self._describing:
            proposal, self._proposal = self._proposal, None
            if proposal is None:
                raise BadInput("sdp", "an answer", "one to an offer of ours that waits for it")
            await self._agree(proposal.conclude(parse(answer)), offered=True)

    async def add_candidates(self, fragment: str) -> bool:
        """Take trickled candidates (RFC 8840 section 9); False for an ICE restart. Raises BadInput.

        A fragment with other credentials than the offer's is a restart: see `restart`.
        """
        description = parse_fragment(fragment)
        if self._agreement is None:
            return False
        remote = self._agreement.remote
        if not set(description.all("ice-ufrag")) <= {self._restarted or remote.ufrag}:
            return False
        if not self._restarted and not set(description.all("ice-pwd")) <= {remote.pwd}:
            return False
        await self._transport.add_candidates(description.all("candidate"))
        return True

    async def restart(self, fragment: str) -> str | None:
        """Restart ICE as the peer asks (RFC 9725 4.3.3); gives our fragment. None where we are no
        lite agent, or there is no agreement yet. Raises BadInput. Media goes on meanwhile.
        """
        description = parse_fragment(fragment)
        if self._agreement is None or not isinstance(self._transport, LiteTransport):
            return None
        ufrag, _ = credentials(
            [description.attributes, *(one.attributes for one in description.sections)]
        )
        self._restarted = ufrag
        return write_fragment(self._agreement, await self._transport.restart())

    async def close(self) -> None:
        """End the connection and tell the peer; no event and no cut follows. May be called twice.

        Nothing of it stays in a cycle of references: its keys, certificates and packets are some
        200 kB, and the garbage collector, which counts objects and not bytes, comes late.
        """
        # A task that was cancelled keeps its error, and so the frames that hold us.
        running, self._run_task = self._run_task, None
        if running is not None and running is not asyncio.current_task():
            running.cancel()
            await asyncio.wait([running])
        await self._release()
        self._media.discard()
        self._events = _NOBODY

    async def _agree(self, agreement: Agreement, offered: bool) -> None:
        self._agreement = agreement
        await self._transport.add_candidates(agreement.remote.candidates)
        if self._run_task is None and self._release_task is None:
            self._run_task = asyncio.create_task(self._run(agreement, offered))

    async def _run(self, agreement: Agreement, offered: bool) -> None:
        timeout = self._network.connect_timeout

        def connected() -> None:
            # In one turn, and first: who listens is attached when the first keyframe is read.
            self._events.connected()
            if not self._ended.done():
                self._take_over(self._transport.take(agreement.remote), agreement.remote.lite)

        outcome = "closed"  # by us, before it came to an end of its own
        try:
            reason = await self._transport.connect(agreement.remote, offered, timeout, connected)
            outcome = outcome_of(reason)
        finally:
            self.counters[f"{HANDSHAKES}{outcome}"] += 1
        if not reason:
            reason = await self._ended
            if self._network.port is not None:  # a crowd may leave at once
                await self._network.port.turns.wait()
        await self._release()
        events, self._events = self._events, _NOBODY
        events.closed(reason)

    def _take_over(self, link: Link, lite: bool) -> None:
        """Have the media path read the nominated socket instead of asyncio."""

        def others(data: bytes, address: Address) -> bool:
            """Give ICE and DTLS their datagrams; they may change the pair in use."""
            proven = link.others(data, address)
            if (peer := self._transport.address) is not None:
                self._media.redirect(peer)
            return proven

        self._media.carry(Link(link.sock, link.address, link.keys, link.ice, others))
        # FFmpeg's muxer answers no check, and we send no media: silence ends a connection.
        self._transport.check_consent(lite)
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        self._watch_at(self._heard + self._network.silence)

    def _watch_at(self, when: float) -> None:
        self._watching = asyncio.get_running_loop().call_at(when, self._watch, when)

    def _watch(self, due: float) -> None:
        """End a silent peer, and follow one to another socket."""
        if self._ended.done():
            return
        loop, silence = asyncio.get_running_loop(), self._network.silence
        self._heard = max(self._heard, self._media.heard)
        if loop.time() - due >= STALL:
            self._heard = loop.time()
        if not self._follow() and self._transport.address is None:
            # No pair is in use: aioice decides whether there will be one.
            self._transport.check_consent(True)
            self._heard = loop.time()
        if loop.time() - self._heard >= silence:
            self._end(f"nothing received for {silence:g} s")
        else:
            self._watch_at(self._heard + silence)

    def _follow(self) -> bool:
        """Read another socket if the peer is there now."""
        moved = self._transport.take_moved()
        if moved is not None:
            self._media.move(*moved)
            self._heard = asyncio.get_running_loop().time()
        return moved is not None

    def _is_quiet(self) -> bool:
        """Whether nothing of the peer has come by the pair in use for a while."""
        heard = max(self._heard, self._media.heard)
        return asyncio.get_running_loop().time() - heard >= QUIET

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    async def _release(self) -> None:
        """Release everything, once; it goes on even if the caller is cancelled."""
        if self._release_task is None:
            self._release_task = asyncio.create_task(self._shut())
        await asyncio.shield(self._release_task)

    async def _shut(self) -> None:
        self._end("closed")
        if self._watching is not None:
            self._watching.cancel()
        self._media.release()
        await self._transport.stop()
