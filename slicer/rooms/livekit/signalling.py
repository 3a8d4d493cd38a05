"""LiveKit's signalling: protobuf messages over one WebSocket.

A server since December 2025 takes the request to join as a message in the URL of `/rtc/v1`, and
then we offer. An older one has only `/rtc`, with parameters, and then it offers. The messages are
those of livekit/protocol: livekit_rtc.proto.
"""

import asyncio
import base64
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from slicer.errors import RoomError
from slicer.rooms.livekit.settings import LiveKitSettings

PROTOCOL = 16
"""The version of the protocol that we speak: LeaveRequest has actions and regions since 13."""
OLDER_PROTOCOL = 2
"""The one that we speak on `/rtc`. From 3 on, a server first offers data channels there, and lets
nobody in by a connection without them."""
NEWER, OLDER = "/rtc/v1", "/rtc"
_MAX_DETAIL = 200
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Entry:
    """What to join by. *sid*: of the participant that comes back; empty: as a new one."""

    server: str
    token: str
    sid: str = ""


class Signalling:
    """One WebSocket. *offers*: whether the server offers, and not we."""

    def __init__(self, socket: ClientConnection, offers: bool) -> None:
        self._socket = socket
        self.offers = offers

    @classmethod
    async def open(cls, entry: Entry, settings: LiveKitSettings) -> "Signalling":
        """Connect; the request to join goes along. Raises RoomError."""
        found = await _connect(f"{NEWER}?{_join_request(entry)}", entry, settings)
        if isinstance(found, ClientConnection):
            return cls(found, offers=False)
        if found.status == _NOT_FOUND:
            found = await _connect(f"{OLDER}?{_parameters(entry)}", entry, settings)
            if isinstance(found, ClientConnection):
                return cls(found, offers=True)
        raise RoomError(found.reason)

    @classmethod
    async def begin(
        cls, entry: Entry, settings: LiveKitSettings
    ) -> tuple["Signalling", rtc.SignalResponse]:
        """Connect, and take the first message. Raises RoomError, also where it takes too long."""
        signalling = None
        try:
            async with asyncio.timeout(settings.timeout):
                signalling = await cls.open(entry, settings)
                return signalling, await signalling.receive()
        except BaseException as error:
            if signalling is not None:
                await signalling.close()
            if isinstance(error, TimeoutError):
                raise RoomError(f"no answer within {settings.timeout:g} s") from None
            raise

    async def send(self, request: rtc.SignalRequest) -> None:
        """Send a message. One that cannot be sent is lost: `receive` tells that it is over."""
        with suppress(ConnectionClosed):
            await self._socket.send(request.SerializeToString())

    async def receive(self) -> rtc.SignalResponse:
        """The next message. Raises RoomError once there is none, and for what is no message."""
        try:
            data = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise RoomError(f"the signalling ended: {closed}") from None
        response = rtc.SignalResponse()
        try:
            response.ParseFromString(data)
        except DecodeError:
            raise RoomError("the server speaks no protocol of LiveKit's") from None
        return response

    async def ping(self, round_trip: float) -> None:
        """Ask for a pong; *round_trip* in seconds, of the last one."""
        ping = rtc.Ping(timestamp=int(time.time() * 1000), rtt=int(round_trip * 1000))
        await self.send(rtc.SignalRequest(ping_req=ping))

    async def close(self) -> None:
        await self._socket.close()


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    reason: str


def _join_request(entry: Entry) -> str:
    request = rtc.JoinRequest(
        client_info=models.ClientInfo(protocol=PROTOCOL, os="linux"),
        connection_settings=rtc.ConnectionSettings(auto_subscribe=False),
        reconnect=bool(entry.sid),
        participant_sid=entry.sid,
    )
    wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString())
    return urlencode(
        {"join_request": base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()}
    )


def _parameters(entry: Entry) -> str:
    again = {"reconnect": 1, "sid": entry.sid} if entry.sid else {}
    return urlencode({"auto_subscribe": 0, "protocol": OLDER_PROTOCOL, "os": "linux", **again})


async def _connect(
    resource: str, entry: Entry, settings: LiveKitSettings
) -> ClientConnection | _Refusal:
    try:
        return await connect(
            entry.server + resource,
            additional_headers={"Authorization": f"Bearer {entry.token}"},
            open_timeout=settings.timeout,
            close_timeout=1.0,
            max_size=settings.max_message,
            ping_interval=None,  # the protocol has its own
            proxy=None,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        return _Refusal(status, _words(status, bytes(refused.response.body or b"")))
    except (OSError, TimeoutError, WebSocketException) as error:
        reason = str(error) or type(error).__name__
        return _Refusal(0, f"{entry.server} cannot be asked: {reason}")


def _words(status: int, body: bytes) -> str:
    words = {
        401: "the token is not accepted",
        403: "the token does not allow it",
        _NOT_FOUND: "there is no such room",
        429: "the room or the server is full",
    }
    detail = " ".join(body.decode(errors="replace").split())[:_MAX_DETAIL]
    return f"{words.get(status, 'the server refuses')}: it answers {status} {detail}".rstrip()
