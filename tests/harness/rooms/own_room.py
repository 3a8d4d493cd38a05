"""A robot in a room of ours, without an engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from slicer.clock import LoopClock
from slicer.rooms import Context
from slicer.rooms.whip.room import WhipConnector
from slicer.rooms.whip.settings import WhipSettings
from slicer.webrtc import path as paths
from slicer.webrtc.path import media_path
from tests.harness.rooms.visitor import Visitor

ROOM = "whip://127.0.0.1:0/r"


@asynccontextmanager
async def visiting(
    settings: WhipSettings, room: str = ROOM, loop_path: bool = False
) -> AsyncIterator[tuple[Visitor, str]]:
    """A robot in a room of ours, and the room's WHIP URL."""
    with pytest.MonkeyPatch.context() as patched:
        if loop_path:
            patched.setattr(paths, "native_path", lambda: None)
        media_path()  # it is chosen once for this loop
    rooms = WhipConnector(Context(LoopClock(), settings))
    visitor = Visitor(rooms)
    await visitor.enter(room)
    yield visitor, rooms.endpoint(urlsplit(room))
    assert visitor.room is not None
    await visitor.room.leave()
    await rooms.close()
