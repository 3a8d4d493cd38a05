"""Keeps the wall, the history and the pictures by what the engine tells and makes."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from slicer.clock import Clock
from slicer.console.history import Entry, History
from slicer.console.media import Media, MediaCache, identity_of
from slicer.console.speech import heard
from slicer.console.task_troubles import TaskTroubles
from slicer.console.verdict import Judgement, judgement_of
from slicer.console.wall import Tile, Wall, lateness
from slicer.engine.events import (
    AnchorLeft,
    AnchorTrouble,
    AnchorWaits,
    Event,
    EventsMissed,
    PicturesMissing,
    RobotLeft,
    SliceJudged,
    SliceLost,
    SliceSettled,
    SliceStored,
    SliceUnjudged,
    TaskFinished,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.media.slice import File, SliceInfo
from slicer.rtp.parameters import Kind, Role
from slicer.service.operations import TaskView
from slicer.slicing.outputs import whose

logger = logging.getLogger(__name__)


class Observer:
    """For the loop's thread. *tasks*: those that have not ended."""

    def __init__(self, tasks: Callable[[], list[TaskView]], clock: Clock, memory: int) -> None:
        self.wall, self.history, self.media = Wall(), History(), MediaCache(memory)
        self._tasks, self._clock = tasks, clock
        self._rooms: dict[str, str] = {}
        self._troubles = TaskTroubles()
        self.read_anew()

    def read_anew(self) -> None:
        """Make the wall what the tasks say they cut: at the start, and where events were missed."""
        views = self._tasks()
        self._rooms = {view.task: view.room for view in views}
        for tile in self.wall.retain(self._rooms):
            self.media.let_go(tile.identity)
        self._troubles.retain(self._rooms)
        for view in views:
            tracks = view.status.tracks if view.status is not None else ()
            present = {whose(anchor, role) for anchor, _, role in tracks}
            for tile in self.wall.of_task(view.task):
                if tile.anchor not in present and not tile.waits:
                    self._take_down(tile)
            for anchor, kind, role in tracks:
                self._started(view.task, whose(anchor, role), kind)

    def on_event(self, event: Event) -> None:
        """Something has happened."""
        if (troubled := self._troubles.on_event(event)) is not None:
            self._on_task_trouble(troubled)
        match event:
            case TrackStarted():
                self._started(event.task, whose(event.anchor, event.role), event.kind)
            case TrackEnded() | AnchorLeft() | RobotLeft() | TaskFinished():
                self._on_end(event)
            case AnchorWaits():
                self._on_waits(event)
            case TrackRefused() | PicturesMissing() | AnchorTrouble():
                self._on_trouble(event)
            case SliceStored() | SliceLost() | SliceJudged() | SliceUnjudged() | SliceSettled():
                self._on_slice(event)
            case EventsMissed():
                self.read_anew()

    def looked_at(self) -> bool:
        """Whether an operator looks, or has a while ago."""
        return self.media.wanted(self._clock.now())

    def on_file(self, file: File) -> None:
        """A file was made: for its tile, and to be looked at if somebody does. It may be one that
        is made once more for another try, and older than what its tile shows."""
        if not isinstance(file.info, SliceInfo):
            return
        info = file.info
        tile = self.wall.find(info.task, whose(info.anchor, info.role))
        if tile is None:  # a file that is judged alone, or an anchor that the wall has no room for
            return
        identity, now = identity_of(info.key), self._clock.now()
        self.history.note(info)
        is_picture, ready = info.kind is Kind.VIDEO, self._clock.wall(now)
        newest = _is_newer(info, tile.taken if is_picture else tile.recorded, ready)
        if self.media.wanted(now):
            of = tile.identity if is_picture and (newest or identity == tile.picture) else ""
            self.media.put(identity, Media(file.data, file.content_type), of)
        if not newest:
            return
        if is_picture:
            tile.picture, tile.taken, tile.trouble = identity, info.began, ""
            tile.late = lateness(info, ready)
        else:
            tile.recorded, tile.heard = info.began, heard(file.data)
        self.wall.changed(tile)

    def _on_end(self, event: TrackEnded | AnchorLeft | RobotLeft | TaskFinished) -> None:
        if isinstance(event, RobotLeft | TaskFinished):
            for each in self.wall.of_task(event.task):
                self._take_down(each)
            return
        if isinstance(event, AnchorLeft):
            for role in Role:
                if tile := self.wall.find(event.task, whose(event.anchor, role)):
                    self._take_down(tile)
        elif tile := self.wall.find(event.task, whose(event.anchor, event.role)):
            self._on_track_end(tile, event.kind)

    def _on_track_end(self, tile: Tile, kind: Kind) -> None:
        tile.tracks.discard(kind)
        if kind is Kind.AUDIO:
            tile.heard = None
        if not (tile.tracks or tile.waits):
            self._take_down(tile)
        else:
            self.wall.changed(tile)

    def _on_waits(self, event: AnchorWaits) -> None:
        if tile := self._take(event.task, event.anchor):
            tile.waits = True

    def _on_trouble(self, event: TrackRefused | PicturesMissing | AnchorTrouble) -> None:
        role = Role.MAIN if isinstance(event, AnchorTrouble) else event.role
        if tile := self.wall.find(event.task, whose(event.anchor, role)):
            tile.trouble = event.reason
            self.wall.changed(tile)

    def _on_task_trouble(self, task: str) -> None:
        troubles = self._troubles.of(task)
        for tile in self.wall.of_task(task):
            tile.task_troubles = troubles
            self.wall.changed(tile)

    def _on_slice(
        self, event: SliceStored | SliceLost | SliceJudged | SliceUnjudged | SliceSettled
    ) -> None:
        entry = self.history.note(event.slice)
        match event:
            case SliceStored():
                entry.state, entry.store = "stored", event.destination
            case SliceLost():
                entry.state, entry.reason = "lost", event.reason
            case SliceSettled():
                entry.slice = replace(entry.slice, began=event.slice.began)
            case SliceJudged():
                self._judged(entry, judgement_of(event.verdict, event.at), event.kept)
            case SliceUnjudged() if not event.by_choice:
                unjudged = Judgement("unjudged", event.at, text=event.reason)
                self._judged(entry, unjudged, event.kept)

    def _judged(self, entry: Entry, judgement: Judgement, kept: bool) -> None:
        entry.judgement = judgement
        if not kept:
            entry.state = "unkept"
        owner = whose(entry.slice.anchor, entry.slice.role)
        if tile := self.wall.find(entry.slice.task, owner):
            tile.judgement = judgement
            if judgement.hit:
                tile.hit = judgement
            self.wall.changed(tile)

    def _started(self, task: str, anchor: str, kind: Kind) -> None:
        if tile := self._take(task, anchor):
            tile.tracks.add(kind)
            tile.waits = False

    def _take(self, task: str, anchor: str) -> Tile | None:
        if task not in self._rooms:
            self._rooms = {view.task: view.room for view in self._tasks()}
        tile = self.wall.take(task, anchor, self._rooms.get(task, ""))
        if tile is not None:
            tile.task_troubles = self._troubles.of(task)
        return tile

    def _take_down(self, tile: Tile) -> None:
        self.media.let_go(tile.identity)
        self.wall.remove(tile)


def _is_newer(info: SliceInfo, shown: datetime | None, now: datetime) -> bool:
    """Whether a slice began after the one that is shown; or that one is of the future, since a
    clock was set back, and would stay for long."""
    return shown is None or info.began > shown or shown > now
