"""Janus' messages over a WebSocket, by `websockets` (extra `janus`)."""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from slicer.errors import RoomError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OPEN_TIMEOUT = 5.0
"""Seconds that TCP, TLS and the handshake may take."""
CLOSE_TIMEOUT = 1.0
MAX_MESSAGE = 1 << 20
"""Bytes of a message from Janus: a room of some thousand publishers."""
SUBPROTOCOL = "janus-protocol"

# The library logs every frame at DEBUG, and ours hold secrets. This one is nobody's child: no level
# that somebody sets reaches it.
_frames = logging.Logger(f"{__name__}.frames", logging.WARNING)


class WebSocket:
    """One connection. Messages come in the order in which Janus sent them."""

    def __init__(self, connection: "ClientConnection") -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect. Raises RoomError."""
        try:
            from websockets.asyncio.client import connect  # noqa: PLC0415 (an extra)
            from websockets.exceptions import WebSocketException  # noqa: PLC0415
            from websockets.typing import Subprotocol  # noqa: PLC0415
        except ImportError:
            raise RoomError("websockets is missing: pip install 'rtc-slicer[janus]'") from None
        try:
            connection = await connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                open_timeout=OPEN_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
                ping_interval=None,  # the session has its own keepalive
                max_size=MAX_MESSAGE,
                proxy=None,  # media would not go by it either
                logger=_frames,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise RoomError(str(error) or type(error).__name__) from None
        return cls(connection)

    async def send(self, message: Mapping[str, Any]) -> None:
        """Raises RoomError where the connection has ended."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 (an extra)

        try:
            await self._connection.send(json.dumps(message))
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def receive(self) -> object:
        """The next message. Raises RoomError where the connection has ended, or it is no JSON."""
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 (an extra)

        try:
            data = await self._connection.recv()
        except ConnectionClosed as error:
            raise _closed(error) from None
        try:
            return json.loads(data)
        except ValueError:
            raise RoomError("Janus sent what is no JSON") from None

    async def close(self) -> None:
        await self._connection.close()


def _closed(error: Exception) -> RoomError:
    """What the library says: the code and reason of each end's close frame, if there were any."""
    return RoomError(f"the WebSocket ended: {error}")
