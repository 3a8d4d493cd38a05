"""A robot for tests of our own room: it takes every track it is told of, and writes all down."""

import asyncio
from collections.abc import Callable

from slicer.rooms import parse_room
from slicer.rooms.whip.room import WhipConnector, WhipRoom
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorLeft, Fact, TrackPublished
from slicer.slicing.outputs import (
    AudioCut,
    Cut,
    GroupFrames,
    PictureCut,
    PictureMissing,
    Settled,
    Subscribe,
    TrackKey,
    TrackOutput,
)
from slicer.slicing.spec import AudioSpec, VideoSpec

ROOM = parse_room("whip://127.0.0.1:0/r1")


class Robot:
    """Watches a room, takes every track it is told of, and writes everything down."""

    def __init__(
        self, rooms: WhipConnector, task: str = "task", video: VideoSpec | None = None
    ) -> None:
        self.video = video or VideoSpec(1)
        self.rooms = rooms
        self.task = task
        self.told: list[Fact | TrackOutput] = []
        self.room: WhipRoom | None = None

    async def enter(self) -> None:
        self.room = await self.rooms.open(ROOM, self.task, self.listen)
        await self.room.enter()

    def listen(self, told: Fact | TrackOutput) -> None:
        self.told.append(told)
        if isinstance(told, TrackPublished) and self.room is not None:
            spec = AudioSpec(1) if told.kind is Kind.AUDIO else self.video
            self.room.subscribe(
                Subscribe(TrackKey(self.task, told.anchor, told.kind, told.role), spec)
            )

    def cuts(self, kind: type[Cut]) -> list[Cut]:
        return [one for one in self.told if isinstance(one, kind)]

    def facts(self) -> list[Fact]:
        return [
            one
            for one in self.told
            if not isinstance(one, AudioCut | PictureCut | GroupFrames | PictureMissing | Settled)
        ]

    def left(self) -> str | None:
        """Who left, if that is the last fact."""
        last = self.facts()[-1]
        return last.anchor if isinstance(last, AnchorLeft) else None

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
