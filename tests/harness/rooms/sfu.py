"""A peer that bundles many tracks, as an SFU does: real ICE and DTLS, descriptions as told, and RTP
of which a test writes every packet.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from slicer.rtp.parameters import MID
from slicer.webrtc.sdp import parse
from slicer.webrtc.transport import gather
from tests.harness.rooms.descriptions import CODECS, Track, answer, described
from tests.harness.rooms.spatial_layers import SpatialLayers
from tests.harness.rtp.call import datagram, opus, vp8
from tests.harness.rtp.packetize import vp8 as packetized

PAYLOAD_TYPES = {"audio": 111, "video": 96}
VP9 = "VP9/90000"
CLOCKS = {"audio": 48_000, "video": 90_000}


class Sfu:
    """Its end of one connection. *deaf*: it describes itself, and connects to nobody."""

    def __init__(self, deaf: bool = False) -> None:
        self._deaf = deaf
        self._gatherer = RTCIceGatherer(iceServers=[])
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._mid_id = 4
        self._vp9: dict[str, int] = {}
        self._sequence: Counter[int] = Counter()
        self._sctp: RTCSctpTransport | None = None
        self.tracks: list[Track] = []
        self._connecting: asyncio.Task[None] | None = None

    async def transport(self) -> list[str]:
        """What its descriptions say of it."""
        if not self._gatherer.getLocalCandidates():
            await gather(self._gatherer, ["127.0.0.1"])
        ice = self._gatherer.getLocalParameters()
        (fingerprint, *_) = self._dtls.getLocalParameters().fingerprints
        return [
            f"a=ice-ufrag:{ice.usernameFragment}",
            f"a=ice-pwd:{ice.password}",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
            *(f"a=candidate:{candidate_to_sdp(c)}" for c in self._gatherer.getLocalCandidates()),
        ]

    async def offer(self, tracks: Sequence[Track]) -> str:
        """Offer these m-lines, all of them each time."""
        self.tracks = list(tracks)
        self._ice._connection.ice_controlling = True  # noqa: SLF001 (aiortc has no verb for it)
        return described(tracks, transport=await self.transport())

    async def accept(self, answered: str) -> None:
        """Take the answer; the first time, connect."""
        await self._connect(answered)

    async def answer(
        self, offer: str, inactive: Collection[str] = (), codecs: Collection[str] = CODECS
    ) -> str:
        """Send by every m-line of an offer but those of the MIDs in *inactive*; the first time,
        connect. *codecs*: as in `descriptions.answer`."""
        description = parse(offer)
        self.tracks = [
            Track(one.kind, one.mid, "sendonly" if one.port else "stopped")
            for one in description.sections
            if one.kind in PAYLOAD_TYPES
        ]
        if len(self.tracks) < len(description.sections) and self._sctp is None:
            self._sctp = RTCSctpTransport(self._dtls)
        for told in description.all("extmap"):
            if told.endswith(MID):
                self._mid_id = int(told.split()[0])
        transport = await self.transport()
        answered = answer(offer, inactive=inactive, transport=transport, codecs=codecs)
        self._vp9 = {
            one.mid: int(pt)
            for one in parse(answered).sections
            for pt, codec in one.attributes.by_payload_type("rtpmap").items()
            if codec == VP9
        }
        if not self._deaf:
            self._connecting = asyncio.create_task(self._connect(offer))
        return answered

    async def _connect(self, remote: str) -> None:
        if self._dtls.state != "new":
            return
        description = parse(remote)
        ufrag, pwd = (next(description.all(name)) for name in ("ice-ufrag", "ice-pwd"))
        for line in description.all("candidate"):
            await self._ice.addRemoteCandidate(candidate_from_sdp(line))
        # Active, as it answers; passive is how we answer.
        self._dtls._set_role("client")  # noqa: SLF001 (aiortc has no verb for it)
        await self._ice.start(RTCIceParameters(ufrag, pwd))
        algorithm, value = next(description.all("fingerprint")).split()
        await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(algorithm, value)]))
        if self._sctp is not None:
            await self._sctp.start(RTCSctpCapabilities(maxMessageSize=65_536), 5000)

    async def add_candidate(self, line: str) -> None:
        """Take a candidate that the peer trickles."""
        await self._ice.addRemoteCandidate(candidate_from_sdp(line.removeprefix("candidate:")))

    @property
    def ready(self) -> bool:
        """Both ends have keys."""
        return bool(self._dtls.state == "connected")

    async def connected(self) -> None:
        """Until both ends have keys."""
        async with asyncio.timeout(20):
            while not self.ready:
                await asyncio.sleep(0.01)

    async def send(
        self, track: Track, number: int, ssrc: int, seconds: float, named: bool = True
    ) -> None:
        """One packet of a track: 20 ms of audio or a keyframe, *number* in it.

        *seconds*: its media time. *named*: whether its header has the MID.
        """
        if track.kind == "audio":
            payload = opus(number)
        else:
            (payload,) = packetized(vp8(number, True), 1000)
        head = mid_extension(self._mid_id, track.mid) if named else b""
        kind = PAYLOAD_TYPES[track.kind]
        await self._send(track, kind, payload, ssrc, seconds, track.kind == "video", head)

    async def send_layers(
        self,
        track: Track,
        payloads: Iterable[bytes],
        layers: SpatialLayers,
        ssrc: int,
        seconds: float,
    ) -> None:
        """Of one picture of VP9 in several spatial layers, what this subscriber gets."""
        *before, last = payloads
        for payload in (*before, last):
            marker = layers.forward(payload, payload is last)
            if marker is not None:
                await self._send(track, self._vp9[track.mid], payload, ssrc, seconds, marker)

    async def _send(
        self,
        track: Track,
        payload_type: int,
        payload: bytes,
        ssrc: int,
        seconds: float,
        marker: bool,
        head: bytes = b"",
    ) -> None:
        sequence = self._sequence[ssrc]
        self._sequence[ssrc] += 1
        timestamp = int(seconds * CLOCKS[track.kind])
        await self.send_raw(
            datagram(payload, sequence, timestamp, ssrc, payload_type, marker, head)
        )

    async def send_raw(self, data: bytes) -> None:
        """These bytes of RTP or RTCP, protected."""
        await self._dtls._send_rtp(data)  # noqa: SLF001 (aiortc has no verb for it)

    def stop_checks(self) -> None:
        """Ask for no consent any more (RFC 7675), and only answer."""
        asking = self._ice._connection._query_consent_task  # noqa: SLF001 (aiortc has no verb for it)
        assert asking is not None
        asking.cancel()

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._sctp is not None:
            await self._sctp.stop()
        await self._dtls.stop()
        await self._ice.stop()


def mid_extension(number: int, mid: str) -> bytes:
    """A header extension with the MID alone (RFC 8285 4.2)."""
    element = bytes([number << 4 | len(mid) - 1]) + mid.encode()
    padded = element + bytes(-len(element) % 4)
    return struct.pack("!HH", 0xBEDE, len(padded) // 4) + padded
