"""Our offers to a LiveKit server, one at a time, and the track of each m-line of its answers.

The first offer has an m-line of each kind, so that there is a connection. When the server has more
to send it asks for m-lines (`MediaSectionsRequirement`), or for an offer as such, and answers with
the track of each MID. What it sends no longer is inactive, and its m-line is used again.
"""

from collections.abc import Callable, Mapping, Sequence

from livekit.protocol import rtc

from slicer.rtp.parameters import Kind, RtpParameters
from slicer.slicing.bundle import MAX_SECTIONS
from slicer.webrtc.connection import Connection
from slicer.webrtc.sdp import parse

Sections = Mapping[str, RtpParameters]
"""What the server sends, by the SID of the track."""


def offered(offer: rtc.SessionDescription, streams: Sequence[RtpParameters]) -> Sections:
    """The same of an offer of a server that makes them. One that does not map MIDs names the track
    in the msid of each m-line (RFC 8830), after the stream."""
    tracks = dict(offer.mid_to_track_id)
    for section in parse(offer.sdp).sections:
        msid = (section.attributes.first("msid") or "").split()
        if len(msid) == 2:
            tracks.setdefault(section.mid, msid[1])
    return {tracks[one.mid]: one for one in streams if one.mid in tracks}


class Negotiation:
    """Asks for what is needed. *send* takes a message to the server."""

    def __init__(self, connection: Connection, send: Callable[[rtc.SignalRequest], None]) -> None:
        self._connection, self._send = connection, send
        self._needed: list[Kind] = []
        self._wanted = self._waiting = False
        self._number = 0
        self.offer, self.answer = rtc.SessionDescription(), rtc.SessionDescription()

    async def require(self, audios: int, videos: int) -> None:
        """Offer so many m-lines more, now or after the answer that is waited for.

        Raises LimitReached, RoomError.
        """
        self._needed += [Kind.AUDIO] * min(audios, MAX_SECTIONS)
        self._needed += [Kind.VIDEO] * min(videos, MAX_SECTIONS)
        self._wanted = True
        if not self._waiting:
            await self._offer()

    async def again(self) -> None:
        """Offer anew after messages may have been lost, the last answer among them."""
        self._waiting = False
        await self.require(0, 0)

    async def accept(self, answer: rtc.SessionDescription) -> Sections | None:
        """Take an answer; None where it is to an older offer. Raises BadInput, LimitReached,
        RoomError."""
        if not self._waiting or (answer.id and answer.id != self._number):
            return None
        await self._connection.accept(answer.sdp)
        self._waiting, self.answer = False, answer
        streams = {stream.mid: stream for stream in self._connection.streams}
        tracks = answer.mid_to_track_id
        sections = {tracks[mid]: stream for mid, stream in streams.items() if mid in tracks}
        if self._wanted:
            await self._offer()
        return sections

    async def _offer(self) -> None:
        needed, self._needed = self._needed, []
        self._wanted, self._waiting = False, True
        sdp = await self._connection.offer(needed)
        self._number += 1
        self.offer = rtc.SessionDescription(type="offer", sdp=sdp, id=self._number)
        self._send(rtc.SignalRequest(offer=self.offer))
