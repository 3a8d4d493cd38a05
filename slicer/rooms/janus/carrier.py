"""What carries messages to Janus and back, and the choice between its two ways."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from slicer.errors import RoomError
from slicer.rooms.janus.address import Carrier, JanusAddress
from slicer.rooms.janus.long_poll import LongPoll
from slicer.rooms.janus.websocket import WebSocket


class Channel(Protocol):
    """A way to one Janus. Whatever ends it is a RoomError that says why."""

    async def send(self, message: Mapping[str, Any]) -> None: ...

    async def receive(self) -> object:
        """The next message, decoded from JSON: answers and events, in Janus' order."""
        ...

    async def close(self) -> None: ...


_WAYS: Mapping[Carrier, Callable[[str], Awaitable[Channel]]] = {
    Carrier.WEBSOCKET: WebSocket.open,
    Carrier.HTTP: LongPoll.open,
}


async def open_channel(address: JanusAddress) -> Channel:
    """Open the first way that there is. Raises RoomError that says what is wrong with each."""
    refusals = []
    for carrier in address.carriers:
        url = address.url(carrier)
        try:
            return await _WAYS[carrier](url)
        except RoomError as error:
            refusals.append(f"{url}: {error}")
    raise RoomError(f"Janus cannot be reached; {'; '.join(refusals)}")
