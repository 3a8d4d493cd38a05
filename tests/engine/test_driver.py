"""One fact in, every output out, the timer set again: with a room that answers on the spot."""

from dataclasses import dataclass, field

import pytest

from slicer.engine import driver as module
from slicer.engine.driver import Driver
from slicer.rtp.parameters import OPUS, Kind
from slicer.slicing.facts import (
    AnchorJoined,
    AnchorLeft,
    Modified,
    RoomEntered,
    Stopped,
    TrackPublished,
)
from slicer.slicing.outputs import (
    AudioCut,
    Cut,
    EndReason,
    Finished,
    GroupFrames,
    PictureMissing,
    Settled,
    State,
    StateChanged,
    Subscribe,
    TrackKey,
    Unsubscribe,
)
from slicer.slicing.spec import SliceParams
from slicer.slicing.subscription import Subscription
from slicer.slicing.task import SliceTask
from tests.harness.clock import ManualClock

AUDIO = TrackKey("t", "ada", Kind.AUDIO)


def a_cut(track: TrackKey) -> AudioCut:
    return AudioCut(track, OPUS, 0, 960, (), 0.0)


@dataclass
class FakeRoom:
    """A room and a watcher in one; everything that happens, in order."""

    log: list[object] = field(default_factory=list)
    driver: Driver | None = None
    kicks: bool = False
    fails: bool = False

    async def enter(self) -> None: ...

    async def leave(self) -> None: ...

    def subscribe(self, subscribe: Subscribe) -> None:
        self.log.append(("room", subscribe.track))
        if self.kicks:
            assert self.driver is not None
            self.driver.deliver(Stopped(EndReason.KICKED))

    def unsubscribe(self, track: TrackKey) -> None:
        self.log.append(("room lets go", track))
        assert self.driver is not None
        self.driver.deliver(a_cut(track))

    def on_cut(self, cut: Cut) -> None:
        self.log.append(("cut", cut.track))

    def on_frames(self, frames: GroupFrames) -> None:
        self.log.append(("frames", frames.track))

    def on_missing(self, missing: PictureMissing) -> None:
        self.log.append(("missing", missing.reason))

    def on_settled(self, settled: Settled) -> None:
        self.log.append(("settled", settled.start))

    def on_output(self, output: object) -> None:
        self.log.append(output)
        if self.fails:
            self.fails = False
            assert self.driver is not None
            self.driver.deliver(AnchorLeft("ada"))
            raise ZeroDivisionError

    def on_discarded(self, count: int) -> None:
        self.log.append(("discarded", count))

    def on_finished(self, finished: Finished) -> None:
        self.log.append(finished)


def driven(max_idle: int | None = 30, kicks: bool = False) -> tuple[Driver, FakeRoom, ManualClock]:
    clock = ManualClock()
    room = FakeRoom(kicks=kicks)
    driver = Driver(SliceTask("t", SliceParams(max_idle=max_idle), clock.now()), clock, room)
    room.driver = driver
    driver.bind(room)
    return driver, room, clock


def test_a_track_is_told_and_subscribed() -> None:
    driver, room, _ = driven()
    driver.deliver(RoomEntered())
    driver.deliver(TrackPublished("ada", Kind.AUDIO))
    assert room.log[0] == StateChanged(State.RUNNING)
    assert [type(one) for one in room.log[1:]] == [Subscribe, tuple]
    assert room.log[2] == ("room", AUDIO)


def test_the_last_cut_comes_before_the_track_is_said_to_have_ended() -> None:
    driver, room, _ = driven()
    driver.deliver(TrackPublished("ada", Kind.AUDIO))
    room.log.clear()
    driver.deliver(Modified(Subscription.of(block_audio=["ada"])))
    why = "the lists do not want it any more"
    assert room.log == [("room lets go", AUDIO), ("cut", AUDIO), Unsubscribe(AUDIO, why)]


def test_a_fact_told_while_an_output_is_carried_out_waits_its_turn() -> None:
    driver, room, _ = driven(kicks=True)
    driver.deliver(TrackPublished("ada", Kind.AUDIO))
    assert room.log[-1] == Finished(EndReason.KICKED)
    # The subscription was carried out whole before the kick was looked at.
    assert room.log.index(("room", AUDIO)) < room.log.index(
        Unsubscribe(AUDIO, "the task ended: removed from the room")
    )


def test_everything_is_cut_before_the_task_is_over() -> None:
    driver, room, _ = driven()
    for kind in Kind:
        driver.deliver(TrackPublished("ada", kind))
    driver.deliver(Stopped(EndReason.STOPPED))
    cuts = [one for one in room.log if isinstance(one, tuple) and one[0] == "cut"]
    assert len(cuts) == 2
    assert room.log[-1] == Finished(EndReason.STOPPED)


def test_nobody_for_too_long_ends_the_task() -> None:
    driver, room, clock = driven(max_idle=30)
    driver.deliver(RoomEntered())
    clock.advance(29.9)
    assert Finished(EndReason.IDLE) not in room.log
    clock.advance(0.2)
    assert room.log[-1] == Finished(EndReason.IDLE)
    assert clock.timers == []


def test_company_stops_the_timer_and_parting_starts_it() -> None:
    driver, room, clock = driven(max_idle=30)
    driver.deliver(RoomEntered())
    clock.advance(20)
    driver.deliver(AnchorJoined("ada"))
    driver.deliver(TrackPublished("ada", Kind.AUDIO))
    clock.advance(100)
    assert Finished(EndReason.IDLE) not in room.log
    driver.deliver(AnchorLeft("ada"))
    clock.advance(29)
    assert Finished(EndReason.IDLE) not in room.log
    clock.advance(2)
    assert room.log[-1] == Finished(EndReason.IDLE)


def test_a_listener_that_fails_costs_neither_the_timer_nor_what_waits() -> None:
    driver, room, clock = driven(max_idle=30)
    driver.deliver(RoomEntered())
    room.fails = True
    with pytest.raises(ZeroDivisionError):
        driver.deliver(TrackPublished("ada", Kind.AUDIO))
    clock.advance(0.0)
    assert [type(one) for one in room.log].count(AnchorLeft) == 1
    clock.advance(31)
    assert room.log[-1] == Finished(EndReason.IDLE)


def test_a_task_without_an_idle_time_waits_for_ever() -> None:
    driver, room, clock = driven(max_idle=None)
    driver.deliver(RoomEntered())
    assert clock.timers == []
    clock.advance(1e6)
    assert room.log == [StateChanged(State.RUNNING)]


def test_what_reports_settle_goes_by_the_task() -> None:
    driver, room, _ = driven()
    driver.deliver(Settled(AUDIO, 0, 960, 0.8))
    assert room.log == [("settled", 960)]


class CrowdedRoom(FakeRoom):
    """A room that tells of so many anchors on the spot, once, and then stops the task."""

    def __init__(self, anchors: int, stops: bool) -> None:
        super().__init__()
        self.anchors, self.stops = anchors, stops

    def subscribe(self, subscribe: Subscribe) -> None:
        anchors, self.anchors = self.anchors, 0
        for number in range(anchors):
            self.tell(AnchorJoined(f"a{number}"))
        if anchors and self.stops:
            self.tell(Stopped(EndReason.ROOM_GONE))

    def tell(self, fact: AnchorJoined | Stopped) -> None:
        assert self.driver is not None
        self.driver.deliver(fact)


@pytest.mark.parametrize(
    ("anchors", "stops", "discarded"), [(3, False, 0), (5, False, 2), (2, True, 0), (5, True, 3)]
)
def test_facts_over_the_bound_are_counted_and_told_and_a_stop_is_never_one_of_them(
    monkeypatch: pytest.MonkeyPatch, anchors: int, stops: bool, discarded: int
) -> None:
    monkeypatch.setattr(module, "MAX_FACTS", 3)
    clock, crowd = ManualClock(), CrowdedRoom(anchors, stops)
    driver = Driver(SliceTask("t", SliceParams(), clock.now()), clock, crowd)
    crowd.driver = driver
    driver.bind(crowd)
    driver.deliver(TrackPublished("ada", Kind.AUDIO))
    assert driver.discarded == discarded
    assert [one for one in crowd.log if one == ("discarded", discarded)] == (
        [("discarded", discarded)] if discarded else []
    )
    taken = min(anchors, 2 if stops else 3)
    assert driver.task.anchors == ("ada", *(f"a{number}" for number in range(taken)))
    assert (Finished(EndReason.ROOM_GONE) in crowd.log) is stops
