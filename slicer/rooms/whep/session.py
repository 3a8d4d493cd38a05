"""One playback of one anchor by WHEP: the offer, the answer, the connection, the end.

We offer audio and video, with all candidates: nothing is trickled. A server of an older draft may
refuse the offer with 406 and make one itself, which we answer by PATCH
(draft-murillo-whep-01 4.2).
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from slicer.errors import BadInput, RoomError, SlicerError
from slicer.rooms.silence import MediaSilence
from slicer.rooms.whep.client import SDP, UNANSWERED, Answer, Client
from slicer.rtp.parameters import Kind
from slicer.slicing.keyframe_requests import RequestsOf
from slicer.slicing.outputs import AnchorTrouble, Subscribe, TrackKey, TrackOutput
from slicer.webrtc.connection import Connection, Events, Network
from slicer.webrtc.ice_servers import IceServer
from slicer.webrtc.path import MediaPath
from slicer.webrtc.profile import Profile

PROFILE = Profile(sections=dict.fromkeys(Kind, 1))
LEAVE_TIMEOUT = 2.0
"""Seconds that a server may take to be told of the end."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no session. *status*: what the server answered, UNANSWERED where it did not;
    None where its answer, or the connection, was of no use. *retry_after*: seconds to wait, if the
    server says how many."""

    reason: str
    status: int | None = None
    retry_after: float = 0.0

    @property
    def absent(self) -> bool:
        """Whether nobody publishes there now."""
        return self.status in {404, 409}


class Session:
    """From `start` to `close`. `over` gives the reason once its connection has ended by itself.
    *requests_of*: those for keyframes to the room's anchors, of all tasks."""

    def __init__(
        self,
        client: Client,
        path: MediaPath,
        network: Network,
        deliver: Callable[[TrackOutput], None],
        requests_of: RequestsOf,
    ) -> None:
        self._client, self._bound = client, network.silence
        self._silence: MediaSilence | None = None
        self._attached: set[TrackKey] = set()
        self._resource = ""
        self._started = asyncio.Event()
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._media = path.open(deliver, requests_of)
        events = Events(self._started.set, self._on_closed)
        self._connection = Connection(network, self._media, events, PROFILE)
        self._closed = False
        self.ice_servers: tuple[IceServer, ...] = ()  # those of the server's answer

    @property
    def counters(self) -> Counter[str]:
        """What its connection and its media refused, lost or found odd, by reason."""
        silent = Counter[str]() if self._silence is None else self._silence.counters
        return self._media.counters + self._connection.counters + silent

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the server sends."""
        return tuple(stream.kind for stream in self._connection.streams)

    @property
    def refused(self) -> tuple[tuple[Kind, str], ...]:
        """What the server offered beyond that, each kind and reason once."""
        refusals = [
            (Kind(one.kind), one.reason)
            for one in self._connection.refused
            if one.kind in set(Kind)
        ]
        return tuple(dict.fromkeys(refusals))

    async def start(self, url: str, anchor: str) -> Failure | None:
        """Play what is at this endpoint; connected when this returns None."""
        try:
            return await self._start(url, anchor)
        except BadInput as error:
            return Failure(f"the server's description cannot be taken: {error}")
        except RoomError as error:
            return Failure(str(error))

    async def _start(self, url: str, anchor: str) -> Failure | None:
        answer = await self._client.post(
            url, await self._connection.offer((Kind.AUDIO, Kind.VIDEO))
        )
        if answer.status == 201:
            self._resource = answer.resource()
            await self._connection.accept(answer.text)
        elif answer.status == 406 and answer.headers.get("content-type", "").startswith(SDP):
            self._resource = answer.resource()
            ours = await self._connection.answer(answer.text)
            answer = await self._client.patch(self._resource, SDP, ours)
            if answer.status not in {200, 204}:
                return _failure(answer)
        else:
            return _failure(answer)
        self._media.set_sections(anchor, self._connection.streams)
        self._silence = MediaSilence(anchor, self._bound)
        await self._started.wait()
        return Failure(f"no connection: {self.over.result()}") if self.over.done() else None

    def attach(self, subscribe: Subscribe) -> None:
        if subscribe.track.kind in self.kinds:
            self._attached.add(subscribe.track)
            self._expect()
            self._media.attach(subscribe)

    def detach(self, track: TrackKey) -> None:
        self._attached.discard(track)
        self._expect()
        self._media.detach(track)

    def silences(self) -> list[AnchorTrouble]:
        """What is to be told of media that does not come."""
        if self._silence is None:
            return []
        return self._silence.look(self._media.media_heard(self._silence.anchor), self._media.heard)

    def _expect(self) -> None:
        if self._silence is not None:
            self._silence.expect(bool(self._attached), asyncio.get_running_loop().time())

    def flush(self) -> None:
        """The media is over: the last cuts."""
        self._media.close()

    async def close(self) -> None:
        """End it, and tell the server. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self.flush()
        await self._connection.close()
        if self._resource:
            try:
                async with asyncio.timeout(LEAVE_TIMEOUT):
                    await self._client.delete(self._resource)
            except (TimeoutError, SlicerError):
                return  # it sees that we are gone by the silence

    def _on_closed(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_result(reason)
        self._started.set()


def _failure(answer: Answer) -> Failure:
    if answer.status == UNANSWERED:
        return Failure(answer.reason, UNANSWERED)
    words = {
        401: "it wants other credentials",
        403: "it forbids it",
        404: "nobody publishes there",
        409: "nobody publishes there now",
    }
    retry_after = answer.headers.get("retry-after", "")
    seconds = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 6 else 0.0
    reason = words.get(answer.status, "it gives no session")
    return Failure(f"{reason}: the server answers {answer.reason}", answer.status, seconds)
