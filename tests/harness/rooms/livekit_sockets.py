"""The sockets of a robot's signalling in rooms of LiveKit, to be broken as a network does it."""

from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from slicer.rooms.livekit import signalling


def sockets_of_signalling(monkeypatch: pytest.MonkeyPatch) -> list[ClientConnection]:
    """Those that are opened from now on."""
    sockets: list[ClientConnection] = []

    async def connecting(*arguments: Any, **options: Any) -> ClientConnection:
        sockets.append(await connect(*arguments, **options))
        return sockets[-1]

    monkeypatch.setattr(signalling, "connect", connecting)
    return sockets
