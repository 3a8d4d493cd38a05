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
from slicer.slicing.facts import Fact
from slicer.slicing.outputs import (
    AnchorWaiting,
    AudioCut,
    Cut,
    Finished,
    PictureCut,
    StateChanged,
    Subscribe,
    Unsubscribe,
)
from slicer.slicing.task import SliceTask

# A room cannot tell more at once than this before the task has looked at it.
MAX_FACTS = 100_000


class Watcher(Protocol):
    """Who is told what the task does; on the loop's thread, never blocking."""

    def on_cut(self, cut: Cut) -> None: ...

    def on_output(self, output: Subscribe | Unsubscribe | StateChanged | AnchorWaiting) -> None: ...

    def on_finished(self, finished: Finished) -> None: ...


class Driver:
    """Drives one task. `deliver` is the listener of its room."""

    def __init__(self, task: SliceTask, clock: Clock, watcher: Watcher) -> None:
        self.task = task
        self._clock, self._watcher = clock, watcher
        self._room: Room | None = None
        self._facts: deque[Fact] = deque(maxlen=MAX_FACTS)
        self._busy = False
        self._timer: Timer | None = None

    def bind(self, room: Room) -> None:
        """The room that outputs are carried out in; its facts may come from now on."""
        self._room = room
        self._arm()

    def deliver(self, told: Fact | Cut) -> None:
        """Take a fact or a cut."""
        if isinstance(told, AudioCut | PictureCut):
            self._watcher.on_cut(told)
            return
        self._facts.append(told)
        self._drive(self._take_facts)

    def _take_facts(self) -> None:
        while self._facts:
            for output in self.task.receive(self._facts.popleft(), self._clock.now()):
                self._carry_out(output)

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
            self._busy = False
        self._arm()

    def _carry_out(self, output: object) -> None:
        match output:
            case Subscribe():
                self._watcher.on_output(output)
                if self._room is not None:
                    self._room.subscribe(output)
            case Unsubscribe(track):
                if self._room is not None:
                    self._room.unsubscribe(track)
                self._watcher.on_output(output)
            case StateChanged() | AnchorWaiting():
                self._watcher.on_output(output)
            case Finished():
                self._watcher.on_finished(output)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.task.deadline()
        self._timer = None if deadline is None else self._clock.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._drive(self._expire)
