"""The wall and the history, made of what an engine tells."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slicer.console.media import LOOKED_AT, identity_of
from slicer.console.observer import Observer
from slicer.engine.events import (
    AnchorLeft,
    AnchorTrouble,
    AnchorWaits,
    EventsMissed,
    PicturesMissing,
    RobotLeft,
    SliceJudged,
    SliceLost,
    SliceSettled,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    SupplierTrouble,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.engine.task_status import TaskStatus
from slicer.media.slice import File, ManifestInfo, SliceInfo
from slicer.moderation import Label, Suggest, Verdict
from slicer.rtp.parameters import Kind, Role
from slicer.service.operations import TaskView
from slicer.slicing.outputs import EndReason, State, TrackKey
from slicer.slicing.subscription import Subscription
from tests.harness.clock import ManualClock

AUDIO, VIDEO = Kind.AUDIO, Kind.VIDEO
TASK = "task"
MEMORY = 1_000_000
Tracks = tuple[tuple[str, Kind], ...]


def view(*tracks: tuple[str, Kind], task: str = TASK) -> TaskView:
    cut = tuple((anchor, kind, Role.MAIN) for anchor, kind in tracks)
    status = TaskStatus(task, State.RUNNING, (), cut, Subscription.of(), 0, 0, 0)
    return TaskView(task, 1, "slice", "150", "robot", 0.0, status)


class World:
    """An observer, what it believes the tasks to be, and its clock."""

    def __init__(self, *views: TaskView) -> None:
        self.views = list(views or (view(),))
        self.clock = ManualClock()
        self.observer = Observer(lambda: self.views, self.clock, MEMORY)
        self.wall = self.observer.wall
        self.tell = self.observer.on_event

    @property
    def at(self) -> datetime:
        return self.clock.wall(self.clock.now())

    def info(self, kind: Kind = VIDEO, anchor: str = "ada", ago: float = 1.5) -> SliceInfo:
        key = f"{TASK}/{anchor}/{kind}"
        began = self.at - timedelta(seconds=ago)
        return SliceInfo(key, TrackKey(TASK, anchor, kind), began, 0.0, 3)

    def make(self, info: SliceInfo, data: bytes = b"abc") -> None:
        self.observer.on_file(File(info, data, "image/jpeg"))


@pytest.fixture
def world() -> World:
    made = World()
    for kind in (AUDIO, VIDEO):
        made.tell(TrackStarted(TASK, made.at, "ada", kind))
    return made


async def test_an_anchor_comes_and_goes(world: World) -> None:
    tile = world.wall.find(TASK, "ada")
    assert tile
    assert (tile.tracks, tile.room) == ({AUDIO, VIDEO}, "150")
    world.tell(TrackEnded(TASK, world.at, "ada", AUDIO))
    assert tile.tracks == {VIDEO}
    world.tell(TrackEnded(TASK, world.at, "ada", VIDEO))
    assert len(world.wall) == 0
    world.tell(TrackEnded(TASK, world.at, "ada", VIDEO))


@pytest.mark.parametrize(
    "end",
    [
        lambda at: AnchorLeft(TASK, at, "ada", ""),
        lambda at: RobotLeft(TASK, at, EndReason.STOPPED),
        lambda at: TaskFinished(TASK, at, EndReason.STOPPED, 0, 0),
    ],
)
async def test_what_ends_a_tile(
    world: World, end: Callable[[datetime], AnchorLeft | RobotLeft | TaskFinished]
) -> None:
    world.tell(end(world.at))
    assert len(world.wall) == 0


async def test_a_screen_has_a_tile_of_its_own(world: World) -> None:
    world.tell(TrackStarted(TASK, world.at, "ada", VIDEO, Role.AUX))
    screen = world.wall.find(TASK, "ada (aux)")
    camera = world.wall.find(TASK, "ada")
    assert screen
    assert camera
    info = world.info()
    world.make(replace(info, key="screen", track=TrackKey(TASK, "ada", VIDEO, Role.AUX)))
    assert screen.picture
    assert not camera.picture
    world.tell(TrackEnded(TASK, world.at, "ada", VIDEO, "", Role.AUX))
    assert [tile.anchor for tile in world.wall.of_task(TASK)] == ["ada"]
    world.tell(TrackStarted(TASK, world.at, "ada", VIDEO, Role.AUX))
    world.tell(AnchorLeft(TASK, world.at, "ada", ""))
    assert len(world.wall) == 0


async def test_who_waits_is_on_the_wall(world: World) -> None:
    world.tell(AnchorWaits(TASK, world.at, "bo"))
    tile = world.wall.find(TASK, "bo")
    assert tile
    assert tile.waits
    world.tell(TrackStarted(TASK, world.at, "bo", AUDIO))
    assert not tile.waits


async def test_trouble_is_shown_until_there_is_a_picture(world: World) -> None:
    tile = world.wall.find(TASK, "ada")
    assert tile
    for event in (
        TrackRefused(TASK, world.at, "ada", VIDEO, "codec"),
        PicturesMissing(TASK, world.at, "ada", "no keyframe"),
        AnchorTrouble(TASK, world.at, "ada", "bad packets", 3),
    ):
        seen = world.wall.number
        world.tell(event)
        assert tile.trouble == event.reason
        assert world.wall.since(seen).tiles == [tile]
    world.make(world.info())
    assert tile.trouble == ""
    world.tell(AnchorTrouble(TASK, world.at, "nobody", "bad packets", 3))


async def test_what_concerns_a_task_is_on_all_of_its_tiles(world: World) -> None:
    world.tell(TaskTrouble(TASK, world.at, "HTTP 503", "s3://bucket"))
    world.tell(TrackStarted(TASK, world.at, "bo", AUDIO))
    tiles = world.wall.of_task(TASK)
    assert [tile.task_troubles for tile in tiles] == [
        (("Store fails", "s3://bucket: HTTP 503"),)
    ] * 2
    world.make(world.info())
    assert tiles[0].task_troubles, "a picture is made, and not stored"
    seen = world.wall.number
    world.tell(StoreRecovered(TASK, world.at, "s3://bucket"))
    assert [tile.task_troubles for tile in world.wall.since(seen).tiles] == [(), ()]
    world.tell(SupplierTrouble("none of these", world.at, "no balance"))


async def test_a_picture_is_on_its_tile_and_kept_while_somebody_looks(world: World) -> None:
    info = world.info()
    identity = identity_of(info.key)
    world.make(info)
    tile = world.wall.find(TASK, "ada")
    assert tile
    assert tile.picture == identity
    assert tile.late == pytest.approx(1.5)
    assert world.observer.media.get(identity) is None, "nobody looks"
    world.observer.media.looked(world.clock.now())
    world.make(info)
    media = world.observer.media.get(identity)
    assert media
    assert (media.data, media.content_type) == (b"abc", "image/jpeg")
    world.clock.advance(LOOKED_AT + 1)
    world.make(world.info())
    assert world.observer.media.bytes == 0


async def test_audio_says_whether_somebody_speaks(world: World) -> None:
    tile = world.wall.find(TASK, "ada")
    assert tile
    world.make(world.info(AUDIO), b"no opus")
    assert (tile.heard, tile.recorded) == (None, world.info(AUDIO).began)
    tile.heard = True
    world.tell(TrackEnded(TASK, world.at, "ada", AUDIO))
    assert tile.heard is None


async def test_files_of_nobody_are_left_alone(world: World) -> None:
    world.observer.on_file(File(ManifestInfo("m", TASK, world.at), b"{}", "application/json"))
    world.make(world.info(anchor="nobody"))
    assert len(world.observer.history) == 0


async def test_what_becomes_of_a_slice(world: World) -> None:
    info = world.info()
    world.make(info)
    entry = world.observer.history.find(identity_of(info.key))
    assert entry
    world.tell(SliceStored(TASK, world.at, info, "etag", "file:///out"))
    assert (entry.state, entry.store) == ("stored", "file:///out")
    began = info.began + timedelta(seconds=1)
    world.tell(SliceSettled(TASK, world.at, replace(info, began=began, size=0), info.began, True))
    assert (entry.slice.began, entry.slice.size) == (began, 3)
    world.tell(SliceLost(TASK, world.at, info, "the disk is full"))
    assert (entry.state, entry.reason) == ("lost", "the disk is full")


async def test_verdicts(world: World) -> None:
    info, tile = world.info(), world.wall.find(TASK, "ada")
    assert tile
    world.tell(SliceJudged(TASK, world.at, info, Verdict(Suggest.BLOCK, Label.PORN, 97), True))
    hit = tile.hit
    assert hit
    assert (hit.suggest, hit.score) == ("block", 97)
    world.tell(SliceJudged(TASK, world.at, info, Verdict(), False))
    assert tile.judgement
    assert tile.judgement.suggest == "pass"
    assert tile.hit is hit, "the last hit stays"
    entry = world.observer.history.find(identity_of(info.key))
    assert entry
    assert entry.state == "unkept"
    world.tell(SliceUnjudged(TASK, world.at, info, "left out", True, by_choice=True))
    assert tile.judgement.suggest == "pass"
    world.tell(SliceUnjudged(TASK, world.at, info, "nobody could", True))
    assert (tile.judgement.suggest, tile.judgement.text) == ("unjudged", "nobody could")
    world.tell(SliceJudged(TASK, world.at, world.info(anchor="gone"), Verdict(), True))


async def test_what_was_there_before_and_what_was_missed() -> None:
    world = World(view(("ada", AUDIO)), view(("cy", VIDEO), task="other"))
    assert len(world.wall) == 2
    world.tell(AnchorWaits(TASK, world.at, "dan"))
    world.views = [view(("bo", AUDIO)), replace(view(task="third"), status=None)]
    world.tell(EventsMissed("", world.at, 7))
    assert sorted(tile.anchor for tile in world.wall.since(-1).tiles) == ["bo", "dan"]
    world.tell(TaskState(TASK, world.at, State.RUNNING))


async def test_a_task_that_begins_later_has_its_room() -> None:
    world = World()
    world.views.append(replace(view(task="new"), room="160"))
    world.tell(TrackStarted("new", datetime.now(UTC), "eve", AUDIO))
    tile = world.wall.find("new", "eve")
    assert tile
    assert tile.room == "160"


async def test_a_picture_made_anew_for_another_try_is_neither_new_nor_late(world: World) -> None:
    tile = world.wall.find(TASK, "ada")
    assert tile
    first = replace(world.info(), key="first")
    world.make(first)
    world.clock.advance(10)
    second = replace(world.info(), key="second")
    world.make(second)
    number = tile.number
    world.clock.advance(50)
    for again in (first, second):
        world.make(again)
    assert tile.picture == identity_of("second")
    assert (tile.taken, tile.late) == (second.began, 1.5)
    assert tile.number == number, "no page is told of it"


async def test_a_tile_goes_on_where_a_clock_was_set_back(world: World) -> None:
    tile = world.wall.find(TASK, "ada")
    assert tile
    world.make(replace(world.info(ago=-3600.0), key="ahead"))
    world.make(replace(world.info(), key="set back"))
    assert tile.picture == identity_of("set back")


async def test_a_remade_picture_keeps_its_place_in_memory(world: World) -> None:
    assert not world.observer.looked_at()
    world.observer.media.looked(world.clock.now())
    assert world.observer.looked_at()
    info = world.info()
    world.make(info)
    world.make(info)
    recorded = replace(world.info(AUDIO), key="recorded")
    world.make(recorded, bytes(MEMORY))  # there is room for one of the two
    assert world.observer.media.get(identity_of(info.key)), "it is on the wall"
    assert world.observer.media.get(identity_of(recorded.key)) is None
