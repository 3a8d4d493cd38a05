"""Joins one task to its room and its outbox: facts in, outputs carried out, one timer.

One fact in, every output out, the timer set again; then the next fact. What an output causes on the
spot (the last cut of a track that is let go) comes in while that goes on: cuts pass at once, for no
task ever asks about them; facts wait their turn.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from slicer.clock import Clock, Timer
from slicer.rooms import Room
from slicer.slicing.facts import Fact, Stopped
from slicer.slicing.outputs import (
    AudioCut,
    Cut,
    Finished,
    GroupFrames,
    Notice,
    Output,
    PictureCut,
    PictureMissing,
    Settled,
    Subscribe,
    TrackOutput,
    Unsubscribe,
)
from slicer.slicing.task import SliceTask

MAX_FACTS = 100_000
"""Facts that a room may tell while one is looked at. Those after them are discarded and counted."""


class TaskListener(Protocol):
    """Told what the task does, on the loop's thread. Must not block."""

    def on_cut(self, cut: Cut) -> None: ...

    def on_frames(self, frames: GroupFrames) -> None: ...

    def on_missing(self, missing: PictureMissing) -> None: ...

    def on_settled(self, settled: Settled) -> None: ...

    def on_output(self, output: Subscribe | Unsubscribe | Notice) -> None: ...

    def on_discarded(self, count: int) -> None:
        """*count* facts of the room were more than MAX_FACTS; the task never saw them."""
        ...

    def on_finished(self, finished: Finished) -> None: ...


class Driver:
    """Drives a SliceTask, as `webrtc.driver.BundleDriver` drives a Bundle: each joins a state
    machine to the clock and the network that it does not know. `deliver` is the listener of the
    task's room.
    """

    def __init__(self, task: SliceTask, clock: Clock, listener: TaskListener) -> None:
        self.task = task
        self.discarded = 0
        """Facts that the task never saw."""
        self._clock, self._listener = clock, listener
        self._room: Room | None = None
        self._facts: deque[Fact] = deque()
        self._unreported = 0
        self._busy = self._closed = False
        self._timer: Timer | None = None

    def bind(self, room: Room) -> None:
        """The room that outputs are carried out in; its facts may come from now on."""
        self._room = room
        self._arm()

    def close(self) -> None:
        """The task never came about: nothing is carried out any more."""
        self._closed = True
        self._arm()

    def deliver(self, item: Fact | TrackOutput) -> None:
        """Take a fact of the room, or what its media gave."""
        if self._closed:
            return
        match item:
            case AudioCut() | PictureCut():
                self._listener.on_cut(item)
            case GroupFrames():
                self._listener.on_frames(item)
            case PictureMissing():
                self._listener.on_missing(item)
            case Settled():
                self._listener.on_settled(item)
            case _:
                self._take(item)

    def _take(self, fact: Fact) -> None:
        if len(self._facts) < MAX_FACTS:
            self._facts.append(fact)
        else:
            self._discard(fact)
        self._drive(self._take_facts)

    def _discard(self, fact: Fact) -> None:
        # A task that never learns that it was stopped would run for ever: its stop takes the
        # place of the newest fact that waits.
        if isinstance(fact, Stopped):
            self._facts[-1] = fact
        self.discarded += 1
        self._unreported += 1

    def _take_facts(self) -> None:
        while self._facts:
            for output in self.task.receive(self._facts.popleft(), self._clock.now()):
                self._carry_out(output)
        if self._unreported:
            count, self._unreported = self._unreported, 0
            self._listener.on_discarded(count)

    def _expire(self) -> None:
        self._timer = None
        for output in self.task.handle_timer(self._clock.now()):
            self._carry_out(output)

    def _drive(self, step: Callable[[], None]) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            step()
            self._take_facts()
        finally:
            # Also where a listener or the room failed: the task goes on, with what waits first.
            self._busy = False
            self._arm()

    def _carry_out(self, output: Output) -> None:
        match output:
            case Subscribe():
                self._listener.on_output(output)
                if self._room is not None:
                    self._room.subscribe(output)
            case Unsubscribe(track):
                if self._room is not None:
                    self._room.unsubscribe(track)
                self._listener.on_output(output)
            case Finished():
                self._listener.on_finished(output)
            case _:
                self._listener.on_output(output)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._clock.now() if self._facts else self.task.deadline()
        deadline = None if self._closed else deadline
        self._timer = None if deadline is None else self._clock.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._drive(self._expire)
