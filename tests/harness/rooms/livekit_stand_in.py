"""A stand-in for a LiveKit server: tokens are verified, messages are those of the real protocol,
and media comes by a real connection, as an SFU sends it.

Of VP9 in spatial layers it sends those that a participant's `UpdateTrackSettings` ask for, and
nothing of what they disable. What it does not do: simulcast, data. Against the real server, where
it is installed: tests/real/test_livekit.py.
"""

import asyncio
import base64
import contextlib
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import jwt
from livekit.protocol import models, rtc
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from slicer.webrtc.sdp import parse
from tests.harness.media.video import encoded
from tests.harness.rooms.descriptions import CODECS, Track, changed
from tests.harness.rooms.sfu import VP9, Sfu
from tests.harness.rooms.spatial_layers import SpatialLayers
from tests.harness.rtp.packetize import vp9

KEY, SECRET = "devkey", "a-secret-of-thirty-two-characters"
KINDS = {models.TrackType.AUDIO: "audio", models.TrackType.VIDEO: "video"}
FRAME = 0.02
"""Seconds of an audio packet; every fifth brings a picture."""


def info(
    identity: str, *tracks: models.TrackInfo, sid: str = "", **fields: object
) -> models.ParticipantInfo:
    """A participant as the server tells it."""
    told = models.ParticipantInfo(sid=sid or f"PA_{identity}", identity=identity, tracks=tracks)
    told.MergeFrom(models.ParticipantInfo(**fields))  # type: ignore[arg-type]
    return told


def audio(sid: str, **fields: object) -> models.TrackInfo:
    told = models.TrackInfo(sid=sid, type=models.TrackType.AUDIO)
    told.MergeFrom(models.TrackInfo(**fields))  # type: ignore[arg-type]
    return told


def video(sid: str, **fields: object) -> models.TrackInfo:
    told = models.TrackInfo(sid=sid, type=models.TrackType.VIDEO)
    told.MergeFrom(models.TrackInfo(**fields))  # type: ignore[arg-type]
    return told


def layered(sid: str, sizes: Mapping[int, int]) -> models.TrackInfo:
    """A video of VP9 in spatial layers: the width of each by its height, the lowest first."""
    layers = [
        models.VideoLayer(
            quality=models.VideoQuality.Name(at), width=width, height=height, spatial_layer=at
        )
        for at, (height, width) in enumerate(sizes.items())
    ]
    return video(sid, mime_type="video/VP9", layers=layers)


def ssrc_of(track: str) -> int:
    """The SSRC of a track. Packets bring no MID: the answer names it."""
    return int.from_bytes(track.encode()[-4:])


@dataclass
class Robot:
    """One participant's session: its connection, which track each MID carries, and how many m-lines
    of a kind it has or was asked for. *disabled*: the tracks that it wants nothing of for now;
    *layers*: of each track in spatial layers, what it gets. *sender*, *offering*: on `/rtc`, the
    connection that media comes by, and the m-lines of it that were offered."""

    sid: str
    sfu: Sfu = field(default_factory=Sfu)
    placed: dict[str, str] = field(default_factory=dict)
    subscribed: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    lines: Counter[str] = field(default_factory=lambda: Counter(audio=1, video=1))
    disabled: set[str] = field(default_factory=set)
    layers: dict[str, SpatialLayers] = field(default_factory=dict)
    sender: Sfu = field(default_factory=Sfu)
    offering: list[Track] = field(default_factory=list)


@dataclass
class StandIn:
    """*participants*: who is there. *status*: what joining is answered instead. *first*: the first
    message instead of the join. *older*: there is only `/rtc`. *mute*: answer no offer.
    *deaf*: connect to nobody. *hurried*: updates that come while a robot connects. *frozen*: SIDs
    of what is not sent. *pictures*: SIDs of what is VP9 in spatial layers, and the key frame of
    each by its height, which are sent over and over. *requests*: all messages of all robots.
    *sent*: frames, by SID."""

    port: int = 0
    participants: dict[str, models.ParticipantInfo] = field(default_factory=dict)
    status: int = 0
    first: rtc.SignalResponse | None = None
    mute: bool = False
    deaf: bool = False
    older: bool = False
    hurried: list[models.ParticipantInfo] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    pictures: dict[str, dict[int, bytes]] = field(default_factory=dict)
    ping_interval: int = 5
    ping_timeout: int = 15
    claims: list[dict[str, object]] = field(default_factory=list)
    joins: list[rtc.JoinRequest] = field(default_factory=list)
    requests: list[rtc.SignalRequest] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    robots: dict[str, Robot] = field(default_factory=dict)
    sockets: list[ServerConnection] = field(default_factory=list)
    _server: Server | None = None
    _sending: asyncio.Task[None] | None = None

    def url(self, options: str = f"key={KEY}&secret={SECRET}") -> str:
        return f"livekit://127.0.0.1:{self.port}/lobby?{options}"

    async def start(self) -> None:
        self._server = await serve(self._serve, "127.0.0.1", self.port, process_request=self._admit)
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self._sending = self._sending or asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Answer nothing any more; media goes on."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def hang_up(self) -> None:
        """End all media."""
        robots, self.robots = list(self.robots.values()), {}
        for robot in robots:
            await robot.sfu.close()
            await robot.sender.close()

    async def close(self) -> None:
        await self.hang_up()
        await self.stop()
        if self._sending is not None:
            self._sending.cancel()

    def paint(self, sid: str, sizes: Mapping[int, int]) -> None:
        """Have what this video shows be of these sizes, as in `layered`."""
        self.pictures[sid] = {
            height: encoded("vp9", 1, width, height)[0].data for height, width in sizes.items()
        }

    async def tell(self, response: rtc.SignalResponse) -> None:
        """Send a message to everyone."""
        for socket in self.sockets:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(response.SerializeToString())

    async def update(self, *told: models.ParticipantInfo) -> None:
        """Participants have changed."""
        here = {track.sid for one in told for track in one.tracks}
        for robot in self.robots.values():
            before = {track.sid for one in told for track in self._tracks_of(one.identity)}
            gone = before - here
            robot.subscribed = [sid for sid in robot.subscribed if sid not in gone]
        for one in told:
            if one.state == models.ParticipantInfo.State.DISCONNECTED:
                self.participants.pop(one.identity, None)
            else:
                self.participants[one.identity] = one
        await self.tell(rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=told)))

    def _tracks_of(self, identity: str) -> list[models.TrackInfo]:
        known = self.participants.get(identity)
        return [] if known is None else list(known.tracks)

    async def leave(self, reason: models.DisconnectReason, **fields: object) -> None:
        """Send everyone away."""
        leave = rtc.LeaveRequest(reason=reason)
        leave.MergeFrom(rtc.LeaveRequest(**fields))  # type: ignore[arg-type]
        await self.tell(rtc.SignalResponse(leave=leave))

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        if self.status:
            return socket.respond(HTTPStatus(self.status), "refused by a test\n")
        if urlsplit(request.path).path != ("/rtc" if self.older else "/rtc/v1"):
            return socket.respond(HTTPStatus.NOT_FOUND, "404 page not found\n")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=KEY)
        except jwt.InvalidTokenError as error:
            return socket.respond(HTTPStatus.UNAUTHORIZED, f"invalid token: {error}\n")
        self.claims.append(claims)
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        join = _join(parse_qs(urlsplit(socket.request.path).query))
        self.joins.append(join)
        robot = self.robots.get(join.participant_sid)
        first = self.first or self._first(join, robot is not None)
        if robot is None:
            sid = first.join.participant.sid
            robot = self.robots[sid] = Robot(sid, Sfu(self.deaf))
        await socket.send(first.SerializeToString())
        if join.HasField("publisher_offer"):
            for response in await self._describe(robot, join.publisher_offer):
                await socket.send(response.SerializeToString())
        if first.HasField("reconnect"):
            everyone = rtc.ParticipantUpdate(participants=self.participants.values())
            await socket.send(rtc.SignalResponse(update=everyone).SerializeToString())
        for one in self.hurried:
            self.participants[one.identity] = one
            hurried = rtc.ParticipantUpdate(participants=[one])
            await socket.send(rtc.SignalResponse(update=hurried).SerializeToString())
        self.sockets = [socket]
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                request = rtc.SignalRequest()
                assert isinstance(data, bytes)
                request.ParseFromString(data)
                self.requests.append(request)
                for response in await self._answer(robot, request):
                    await socket.send(response.SerializeToString())

    def _first(self, join: rtc.JoinRequest, known: bool) -> rtc.SignalResponse:
        if join.reconnect and known:
            return rtc.SignalResponse(reconnect=rtc.ReconnectResponse())
        if join.reconnect:
            reason, action = models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT
            return rtc.SignalResponse(leave=rtc.LeaveRequest(reason=reason, action=action))
        sid = f"PA_robot{len(self.joins)}"
        return rtc.SignalResponse(
            join=rtc.JoinResponse(
                room=models.Room(name="lobby"),
                participant=info("robot", sid=sid),
                other_participants=self.participants.values(),
                ping_interval=self.ping_interval,
                ping_timeout=self.ping_timeout,
            )
        )

    async def _answer(self, robot: Robot, request: rtc.SignalRequest) -> list[rtc.SignalResponse]:
        match request.WhichOneof("message"):
            case "answer":
                await robot.sender.accept(request.answer.sdp)
            case "offer" if not self.mute:
                return await self._describe(robot, request.offer)
            case "subscription":
                asked = self._subscribe(robot, request.subscription)
                return [await self._offer(robot)] if self.older else asked
            case "track_setting":
                self._set(robot, request.track_setting)
            case "sync_state":
                return self._subscribe(robot, request.sync_state.subscription)
            case "trickle":
                target = request.trickle.target
                subscriber = self.older and target == rtc.SignalTarget.SUBSCRIBER
                candidate = json.loads(request.trickle.candidateInit)["candidate"]
                sfu = robot.sender if subscriber else robot.sfu
                await sfu.add_candidate(candidate)
            case "ping_req" if not self.mute:
                return [rtc.SignalResponse(pong_resp=rtc.Pong())]
        return []

    def _subscribe(self, robot: Robot, update: rtc.UpdateSubscription) -> list[rtc.SignalResponse]:
        known = {track.sid: track for one in self.participants.values() for track in one.tracks}
        for sid in update.track_sids:
            if update.subscribe and sid in known and sid not in robot.subscribed:
                robot.subscribed.append(sid)
                robot.kinds[sid] = KINDS[known[sid].type]
            elif not update.subscribe and sid in robot.subscribed:
                robot.subscribed.remove(sid)
        wanted = Counter(robot.kinds[sid] for sid in robot.subscribed)
        missing = wanted - robot.lines
        robot.lines += missing
        needed = rtc.MediaSectionsRequirement(
            num_audios=missing["audio"], num_videos=missing["video"]
        )
        return [rtc.SignalResponse(media_sections_requirement=needed)]

    def _set(self, robot: Robot, setting: rtc.UpdateTrackSettings) -> None:
        for sid in setting.track_sids:
            if setting.disabled:
                robot.disabled.add(sid)
                robot.layers.pop(sid, None)  # what comes next begins with a keyframe
            else:
                robot.disabled.discard(sid)
                layers = robot.layers.setdefault(sid, SpatialLayers(setting.quality))
                layers.target = setting.quality

    async def _offer(self, robot: Robot) -> rtc.SignalResponse:
        """Offer all that is subscribed to, by m-lines that stay; msid names the tracks."""
        for sid in robot.subscribed:
            if sid not in robot.placed.values():
                mid = str(len(robot.offering))
                robot.offering.append(Track(robot.kinds[sid], mid))
                robot.placed[mid] = sid
        gone = {mid for mid, sid in robot.placed.items() if sid not in robot.subscribed}
        robot.placed = {mid: sid for mid, sid in robot.placed.items() if mid not in gone}
        robot.offering = changed(robot.offering, "inactive", *gone)
        lines = (await robot.sender.offer(robot.offering)).splitlines()
        for mid, sid in robot.placed.items():
            at = lines.index(f"a=mid:{mid}") + 1
            lines[at:at] = self._sent(sid)
        offer = rtc.SessionDescription(type="offer", sdp="\r\n".join([*lines, ""]))
        return rtc.SignalResponse(offer=offer)

    def _sent(self, sid: str) -> list[str]:
        """What an m-line says of the track it carries: whose it is, and its SSRC."""
        everyone = self.participants.values()
        whose = next((one.sid for one in everyone if sid in {t.sid for t in one.tracks}), "PA_x")
        return [f"a=msid:{whose}|{sid} {sid}", f"a=ssrc:{ssrc_of(sid)} cname:{sid}"]

    async def _describe(
        self, robot: Robot, offer: rtc.SessionDescription
    ) -> list[rtc.SignalResponse]:
        live = {mid: sid for mid, sid in robot.placed.items() if sid in robot.subscribed}
        free = [one for one in parse(offer.sdp).sections if one.mid not in live]
        for sid in robot.subscribed:
            of_kind = (one for one in free if one.kind == robot.kinds[sid])
            if sid not in live.values() and (found := next(of_kind, None)):
                live[found.mid] = sid
                free.remove(found)
        if self.older:
            live, free = {}, list(parse(offer.sdp).sections)
        else:
            robot.placed = live
        silent = {one.mid for one in free}
        sdp = await robot.sfu.answer(offer.sdp, inactive=silent, codecs=(*CODECS, VP9))
        lines = sdp.splitlines()
        candidates = dict.fromkeys(line[2:] for line in lines if line.startswith("a=candidate:"))
        bare = [line for line in lines if not line.startswith("a=candidate:")]
        for mid, sid in live.items():
            at = bare.index(f"a=mid:{mid}") + 1
            bare[at:at] = self._sent(sid)
        answer = rtc.SessionDescription(
            type="answer", sdp="\r\n".join([*bare, ""]), id=offer.id, mid_to_track_id=live
        )
        target = rtc.SignalTarget.PUBLISHER
        trickled = [
            rtc.TrickleRequest(
                candidateInit=json.dumps({"candidate": one, "sdpMid": "0", "sdpMLineIndex": 0}),
                target=target,
            )
            for one in candidates
        ]
        return [
            *(rtc.SignalResponse(trickle=one) for one in trickled),
            rtc.SignalResponse(answer=answer),
        ]

    async def _send(self) -> None:
        """Send what is subscribed to, for ever, in real time."""
        number = 0
        while True:
            await asyncio.sleep(FRAME)
            number += 1
            for robot in list(self.robots.values()):
                sfu = robot.sender if self.older else robot.sfu
                if not sfu.ready:
                    continue
                for mid, sid in list(robot.placed.items()):
                    if sid in self.frozen | robot.disabled:
                        continue
                    track = Track(robot.kinds[sid], mid)
                    if track.kind == "audio" or number % 5 == 0:
                        with contextlib.suppress(ConnectionError):
                            await self._send_one(robot, sfu, track, sid, number)

    async def _send_one(self, robot: Robot, sfu: Sfu, track: Track, sid: str, number: int) -> None:
        seconds = number * FRAME
        self.sent[sid] += 1
        if sid in self.pictures:
            frames = self.pictures[sid]
            payloads = vp9([*frames.values()], picture=number, heights=[*frames])
            layers = robot.layers.setdefault(sid, SpatialLayers(models.VideoQuality.HIGH))
            await sfu.send_layers(track, payloads, layers, ssrc_of(sid), seconds)
        else:
            await sfu.send(track, number, ssrc_of(sid), seconds, named=False)


def _join(query: dict[str, list[str]]) -> rtc.JoinRequest:
    """What a URL asks, of `/rtc/v1` or of `/rtc`."""
    join = rtc.JoinRequest()
    if "join_request" in query:
        wrapped = rtc.WrappedJoinRequest()
        wrapped.ParseFromString(base64.urlsafe_b64decode(query["join_request"][0]))
        zipped = wrapped.compression == rtc.WrappedJoinRequest.Compression.GZIP
        join.ParseFromString(
            gzip.decompress(wrapped.join_request) if zipped else wrapped.join_request
        )
    else:
        join.participant_sid = query.get("sid", [""])[0]
        join.reconnect = "reconnect" in query
        join.connection_settings.auto_subscribe = query["auto_subscribe"] != ["0"]
    return join


@contextlib.asynccontextmanager
async def stand_in(*participants: models.ParticipantInfo) -> AsyncIterator[StandIn]:
    """A server on a free port of 127.0.0.1, with these participants."""
    server = StandIn(participants={one.identity: one for one in participants})
    await server.start()
    try:
        yield server
    finally:
        await server.close()
