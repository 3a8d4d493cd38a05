"""A robot for tests of rooms of others: it takes every track it is told of, and writes all down.
It declines those of the anchors in `declined`.
"""

import asyncio
from collections.abc import Callable

from slicer.rooms import Connector, Room, parse_room
from slicer.rtp.parameters import Kind, Role, Slot
from slicer.slicing.facts import Fact, TrackPublished, TrackUnpublished
from slicer.slicing.outputs import (
    AnchorTrouble,
    AudioCut,
    Cut,
    PictureCut,
    Subscribe,
    TrackKey,
    TrackOutput,
)
from slicer.slicing.outputs import TrackRefused as Refused
from slicer.slicing.spec import AudioSpec, VideoSpec


class Visitor:
    """Watches a room, and does with its tracks what a task would do."""

    def __init__(self, connector: Connector, name: str = "robot") -> None:
        self.connector, self.name = connector, name
        self.told: list[Fact | TrackOutput] = []
        self.room: Room | None = None
        self.declined: set[str] = set()
        self.max_height: int | None = None
        self.keyframe_interval: float | None = None
        self.seconds = 1

    async def enter(self, url: str) -> None:
        split = parse_room(url)
        self.connector.check(split)
        self.room = await self.connector.open(split, self.name, self.listen)
        await self.room.enter()

    def listen(self, told: Fact | TrackOutput) -> None:
        self.told.append(told)
        assert self.room is not None
        if isinstance(told, TrackPublished) and told.anchor not in self.declined:
            self.subscribe(told.anchor, told.kind, told.role)
        elif isinstance(told, TrackUnpublished):
            self.room.unsubscribe(TrackKey("task", told.anchor, told.kind, told.role))

    def subscribe(self, anchor: str, kind: Kind, role: Role = Role.MAIN) -> None:
        assert self.room is not None
        spec = (
            AudioSpec(self.seconds)
            if kind is Kind.AUDIO
            else VideoSpec(self.seconds, None, self.max_height, self.keyframe_interval)
        )
        self.room.subscribe(Subscribe(TrackKey("task", anchor, kind, role), spec))

    def facts(self) -> list[Fact]:
        return [one for one in self.told if isinstance(one, Fact)]

    def refusals(self) -> list[Refused]:
        return [one for one in self.told if isinstance(one, Refused)]

    def cuts(self, anchor: str) -> set[Kind]:
        """The kinds of which this anchor has given a slice."""
        return {kind for kind, _ in self.slots(anchor)}

    def slots(self, anchor: str) -> set[Slot]:
        """The tracks of which this anchor has given a slice."""
        return {one.track.slot for one in self.slices(anchor)}

    def slices(self, anchor: str) -> list[Cut]:
        """What this anchor has given."""
        found = (one for one in self.told if isinstance(one, AudioCut | PictureCut))
        return [one for one in found if one.track.anchor == anchor]

    def pictures(self) -> list[PictureCut]:
        return [one for one in self.told if isinstance(one, PictureCut)]

    def troubles(self) -> list[str]:
        return [one.reason for one in self.told if isinstance(one, AnchorTrouble)]

    async def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def told_of(self, *facts: Fact) -> None:
        await self.until(lambda: all(fact in self.told for fact in facts))
