"""A task that runs: its driver, its file names, the count of its slices, and its events."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from math import inf

from slicer.clock import Clock
from slicer.delivery import transcript
from slicer.delivery.decoding import Decoding
from slicer.delivery.delivery import Delivery, MakeUnless, memory_of
from slicer.delivery.judging import Judge, Outcome
from slicer.delivery.manifest import NAME, Manifest
from slicer.delivery.outbox import Outbox
from slicer.delivery.sharing import Sharing
from slicer.engine.cut_rate import WORDS, CutRate
from slicer.engine.driver import Driver
from slicer.engine.events import (
    AnchorDropped,
    AnchorLeft,
    AnchorTrouble,
    AnchorWaits,
    FactsDiscarded,
    PicturesMissing,
    RobotLeft,
    SliceSpooled,
    TaskEvent,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.engine.reports import Confirm, ConfirmVerdict, TaskReports
from slicer.engine.spec import TaskSpec
from slicer.engine.stages import Stage, Stages
from slicer.engine.told_times import ToldTimes
from slicer.errors import StorageError, counted
from slicer.media.naming import Names
from slicer.media.slice import File, SliceInfo, describe, is_light, make, make_unless
from slicer.moderation import Verdict
from slicer.rooms import Room
from slicer.slicing import outputs
from slicer.slicing.audio import PREROLL
from slicer.slicing.facts import Stopped
from slicer.slicing.outputs import (
    Cut,
    EndReason,
    Finished,
    GroupFrames,
    Notice,
    PictureCut,
    PictureMissing,
    Settled,
    State,
    StateChanged,
    Subscribe,
    Unsubscribe,
    whose,
)
from slicer.slicing.task import SliceTask
from slicer.storage import Receipt

logger = logging.getLogger(__name__)

LATE = 2.0
"""Seconds from when a picture was taken until its file is ready, besides those that it may wait for
a report; a later one is counted. A lost packet explains 0.6 s of them, the encoder some hundredths;
the rest is a CPU that is full."""
LEVELS = {State.RUNNING: logging.INFO, State.RECONNECTING: logging.WARNING}
"""Of the lines of states; of an end, the line of what became of its slices tells more."""
RECORDED = 60.0
"""Seconds: what was taken so long before it was cut comes from a recording, and is never late."""


class RunningTask:
    """The shell of one SliceTask, from its creation to its last acknowledged slice."""

    def __init__(  # noqa: PLR0913 (each is one thing that a test puts in its place)
        self,
        task: str,
        spec: TaskSpec,
        names: Names,
        outbox: Outbox,
        clock: Clock,
        tell: Callable[[TaskEvent], None],
        *,
        decoding: Decoding,
        confirm: Confirm | None = None,
        confirm_verdict: ConfirmVerdict | None = None,
        stages: Stages | None = None,
    ) -> None:
        self.spec = spec
        self.outbox = outbox
        self._decoding = decoding
        self.driver = Driver(SliceTask(task, spec.params, clock.now()), clock, self)
        self.room: Room | None = None
        self.preroll = PREROLL  # of its audio files, in seconds
        self.judge: Judge | None = None
        self.sharing: Sharing | None = None
        self.transcripts = False  # stored beside the audio they are of
        self.stored = self.lost = self.kept = self.late = 0
        self.judged = self.unjudged = 0
        self.finished: asyncio.Future[TaskFinished] = asyncio.get_running_loop().create_future()
        self._task, self._names, self._clock, self._tell = task, names, clock, tell
        # A capture is replayed at any speed, and nobody is in it but its own senders.
        self._live = not spec.room.startswith("replay:")
        self._reports = TaskReports(clock, tell, confirm, confirm_verdict, stages, self._live)
        self._times = ToldTimes()
        self._manifest = Manifest(names.folder, task) if spec.manifest else None
        # Keys, not a number: a slice of an earlier process may be settled here too, and counting it
        # down would end the task while a slice of its own is still on its way.
        self._pending = set[str]()
        self._rate = CutRate(spec.params) if self._live else None
        self._reason: EndReason | None = None
        self._resumed = False
        self._left: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Slices cut and neither stored nor lost, those of an earlier process included."""
        return len(self._pending)

    @property
    def pending_keys(self) -> frozenset[str]:
        """The keys of those slices."""
        return frozenset(self._pending)

    def adopt(self, key: str) -> None:
        """A slice of an earlier process is on its way; the task ends after it."""
        self._pending.add(key)

    @property
    def ended(self) -> bool:
        """Whether its robot is to be in the room no longer; deliveries may go on."""
        return self._reason is not None

    def stop(self, reason: EndReason, resumed: bool = False) -> None:
        """Leave the room; what has been cut is still delivered. May be called twice. *resumed*: the
        task goes on in the next process, unless it ends already."""
        self._resumed = self._resumed or (resumed and not self.ended)
        self.driver.deliver(Stopped(reason))

    def on_frames(self, frames: GroupFrames) -> None:
        """Have them decoded: a picture that depends on them is to come."""
        self._decoding.feed(frames)

    def on_cut(self, cut: Cut) -> None:
        """Name the slice and hand it to the outbox; its file is made there, or before."""
        if self._rate is not None and not self._rate.take(cut.track.anchor, self._clock.now()):
            self._leave_out(self._rate, cut)
            return
        images = self.spec.images
        info = describe(cut, self._names, self._clock.wall(cut.began), images)
        self._pending.add(info.key)
        self._times.add(cut, info)
        self._reports.reach(info, Stage.CUT)
        repeats = self.judge is not None and self.judge.judging.repeats
        make_file = partial(make, cut, info, images, self.preroll, with_thumbnail=repeats)
        due = self._due(cut)
        if isinstance(cut, PictureCut) and self._decoding.takes(cut):
            if self._has_room(info, cut):
                self._decoding.make(cut, make_file, partial(self._offer, info, due))
        else:
            unless = None
            if repeats and isinstance(cut, PictureCut):
                unless = partial(make_unless, cut, info, images)
            light = is_light(cut, images)
            self._offer(info, due, make_file, memory_of(cut), unless, light=light)

    def _has_room(self, info: SliceInfo, cut: PictureCut) -> bool:
        """Whether the outbox has room for this picture. Where not, it is lost before it is made,
        and its frames are decoded alone, for those that build on them."""
        delivery = Delivery(info, memory_of(cut), judge=self.judge)
        if self.outbox.takes(delivery):
            return True
        self._decoding.pass_over(cut)
        self.on_lost(info, delivery.refused)
        return False

    def _leave_out(self, rate: CutRate, cut: Cut) -> None:
        """The anchor's media is cut too often. Later pictures may not build on what is not fed."""
        self.lost += 1
        self._decoding.end(cut.track)
        anchor = cut.track.anchor
        self._tell_left_out(anchor, rate.news(anchor, self._clock.now()))

    def _tell_left_out(self, anchor: str, count: int) -> None:
        if count:
            self.on_output(outputs.AnchorTrouble(anchor, WORDS, count))

    def on_missing(self, missing: PictureMissing) -> None:
        """Tell that pictures cannot be had."""
        anchor, role = missing.track.anchor, missing.track.role
        reason = missing.reason.value
        text = "! task %s: no pictures of %s: %s"
        self._warn(text, whose(anchor, role), reason, anchor=anchor)
        self._tell(PicturesMissing(self._task, self._now(), anchor, reason, role))

    def on_settled(self, settled: Settled) -> None:
        """Tell when a slice began, where a report has corrected it."""
        began = self._clock.wall(settled.began)
        event = self._times.settle(settled, began, self._now(), self._pending)
        if event is None:
            return
        key, before = event.slice.key, event.told
        text = "- task %s: %s began at %s, not at %s"
        self._log(logging.DEBUG, text, key, began, before, anchor=event.slice.anchor)
        if self._manifest is not None:
            self._manifest.settled(event.slice)
        self._tell(event)

    def on_output(self, output: Subscribe | Unsubscribe | Notice) -> None:
        """Tell what the task does, and log it: one line each, a warning where media is not cut."""
        task, at = self._task, self._now()
        match output:
            case Subscribe(track, _):
                text, anchor, kind = "+ task %s cuts %s of %s", track.anchor, track.kind
                self._log(logging.DEBUG, text, kind, whose(anchor, track.role), anchor=anchor)
                self._tell(TrackStarted(task, at, anchor, kind, track.role))
            case Unsubscribe(track, reason):
                anchor, owner = track.anchor, whose(track.anchor, track.role)
                text = "- task %s: %s of %s: %s"
                self._log(logging.DEBUG, text, track.kind, owner, reason, anchor=anchor)
                self._decoding.end(track)
                self._times.end_track(track)
                self._tell(TrackEnded(task, at, track.anchor, track.kind, reason, track.role))
            case StateChanged(state, reason):
                level = LEVELS.get(state, logging.DEBUG)
                self._log(level, "- task %s is %s%s", state.value, reason and f": {reason}")
                self._tell(TaskState(task, at, state, reason))
            case outputs.AnchorWaits(anchor):
                self._warn("! task %s is full: %s waits", anchor, anchor=anchor)
                self._tell(AnchorWaits(task, at, anchor))
            case outputs.AnchorLeft(anchor, reason):
                if self._rate is not None:
                    self._tell_left_out(anchor, self._rate.forget(anchor))
                why = reason or "the room says"
                self._log(logging.DEBUG, "- task %s: %s left: %s", anchor, why, anchor=anchor)
                self._tell(AnchorLeft(task, at, anchor, reason))
            case outputs.AnchorDropped(anchor, reason):
                self._warn("! task %s: %s is dropped: %s", anchor, reason, anchor=anchor)
                self._tell(AnchorDropped(task, at, anchor, reason))
            case outputs.TrackRefused(anchor, kind, reason, role):
                text = "! task %s: %s of %s is refused: %s"
                self._warn(text, kind, whose(anchor, role), reason, anchor=anchor)
                self._tell(TrackRefused(task, at, anchor, kind, reason, role))
            case outputs.AnchorTrouble(anchor, reason, count):
                self._warn("! task %s: %s: %s (%d)", anchor, reason, count, anchor=anchor)
                self._tell(AnchorTrouble(task, at, anchor, reason, count))

    def on_discarded(self, count: int) -> None:
        """The room told more than the task can take at once."""
        self._warn("! task %s: %s of its room discarded", counted(count, "fact"))
        self._tell(FactsDiscarded(self._task, self._now(), count))

    def on_finished(self, finished: Finished) -> None:
        """Leave the room; the last event follows when the last slice is settled."""
        self._reason = finished.reason
        self._left = asyncio.ensure_future(self._leave(finished.reason))

    def on_spooled(self, slice: SliceInfo) -> None:
        """A slice is on the disk."""
        self._tell(SliceSpooled(self._task, self._now(), slice))

    def on_stored(
        self, slice: SliceInfo, data: bytes, receipt: Receipt, destination: str
    ) -> Awaitable[None] | None:
        """The store has acknowledged a slice. Awaited before the spool forgets it."""
        slice = self._times.tell(slice)
        if self._manifest is not None:
            self._manifest.stored(slice, data, receipt, destination)
        confirmed = self._reports.on_stored(slice, data, receipt, destination)
        if confirmed is None:
            self.stored += 1
            self._settle(slice.key)
            return None
        return self._confirmed(slice.key, confirmed)

    async def _confirmed(self, key: str, confirmed: Awaitable[None]) -> None:
        """The slice is settled once its event is confirmed. Where that fails, the record stays in
        the spool and the next start sends it again: it counts as kept, and not as stored too."""
        try:
            await confirmed
        except BaseException:
            self.kept += 1
            raise
        else:
            self.stored += 1
        finally:
            self._settle(key)

    def on_judged(self, slice: SliceInfo, outcome: Outcome, keep: bool) -> Awaitable[None] | None:
        """A slice was judged, or nobody could. Awaited before it goes on; one that is not kept is
        settled then."""
        slice = self._times.tell(slice)
        confirmed = self._reports.on_judged(slice, outcome, keep)
        if keep and self.transcripts and isinstance(outcome, Verdict) and outcome.transcript:
            self._offer_file(transcript.delivery_of(slice, outcome))
        return self._judged(slice.key, outcome, keep, confirmed)

    async def _judged(
        self, key: str, outcome: Outcome, keep: bool, confirmed: Awaitable[None] | None
    ) -> None:
        if confirmed is not None:
            await confirmed
        if isinstance(outcome, Verdict):
            self.judged += 1
        elif not outcome.by_choice:
            self.unjudged += 1
        if not keep:
            self._settle(key)

    def on_made(self, slice: SliceInfo) -> None:
        """A slice's file is there for the first time."""
        self._reports.reach(slice, Stage.MADE)

    def on_late(self) -> None:
        """A picture was ready later than it should; it is delivered all the same."""
        self.late += 1

    def on_lost(self, slice: SliceInfo, reason: str) -> None:
        """A slice will never be stored."""
        slice = self._times.tell(slice)
        self.lost += 1
        if self._manifest is not None:
            self._manifest.lost(slice, reason)
        self._reports.on_lost(slice, reason)
        self._settle(slice.key)

    def on_kept(self, slice: SliceInfo) -> None:
        """The engine closes; the slice is in the spool."""
        self.kept += 1
        self._reports.reach(slice, Stage.KEPT)
        if self._manifest is not None:
            self._manifest.kept(slice)
        self._settle(slice.key)

    def on_manifest_settled(self, key: str) -> None:
        """The manifest, or a transcript, is stored, or in the spool."""
        self._settle(key)

    def on_manifest_lost(self, key: str, reason: str) -> None:
        """The manifest, or a transcript, will never be stored."""
        what = "manifest" if key.endswith(f"/{NAME}") else key
        self._warn("! task %s has no %s: %s", what, reason)
        self._tell(TaskTrouble(self._task, self._now(), f"no {what}: {reason}"))
        self._settle(key)

    def _offer(
        self,
        info: SliceInfo,
        due: float,
        make: Callable[[], File],
        size: int,
        unless: MakeUnless | None = None,
        *,
        light: bool = False,
    ) -> None:
        shared = self.sharing
        permission = None if shared is None else shared.permits.ask(info.task)
        delivery = Delivery(
            info, size, make, due, judge=self.judge, permission=permission, light=light
        )
        delivery.make_unless = unless
        if not self.outbox.offer(delivery):
            self.on_lost(info, delivery.refused)

    def _offer_file(self, delivery: Delivery) -> None:
        """Send what is no slice."""
        self._pending.add(delivery.info.key)
        if not self.outbox.offer(delivery):
            self.on_manifest_lost(delivery.info.key, "the outbox takes nothing more")

    def on_store_trouble(self, error: StorageError) -> None:
        """The store was found failing before it was sent anything."""
        self.outbox.note_trouble(self._task, error)
        self._reports.on_trouble(self._task, error, self.spec.app)

    def _due(self, cut: Cut) -> float:
        recorded = not self._live or self._clock.now() - cut.began >= RECORDED
        if recorded or not isinstance(cut, PictureCut):
            return inf
        video = self.spec.params.video
        return cut.began + LATE + (video.waits if video is not None else 0.0)

    def _now(self) -> datetime:
        return self._clock.wall(self._clock.now())

    async def _leave(self, reason: EndReason) -> None:
        if self.room is not None:
            await self.room.leave()
        self.room = None
        self._tell(RobotLeft(self._task, self._now(), reason))
        self._finish()

    def _settle(self, key: str) -> None:
        self._pending.discard(key)
        self._times.end_slice(key)
        self._finish()

    def _finish(self) -> None:
        """Tell the end once the robot has left and nothing is on its way; the manifest goes
        last."""
        if self._reason is None or self.room is not None or self._pending or self.finished.done():
            return
        if self._manifest is not None and not self._manifest.closed:
            self._offer_file(self._manifest.close(self._now()))
            return
        event = TaskFinished(
            self._task,
            self._now(),
            self._reason,
            self.stored,
            self.lost,
            self.kept,
            self.judged,
            self.unjudged,
        )
        level = logging.WARNING if self.lost else logging.INFO
        end = "goes on at the next start" if self._resumed else f"has finished ({self._reason})"
        kept = f", {self.kept} kept for the next start" if self.kept else ""
        about = (end, counted(self.stored, "slice"), self.lost, kept)
        self._log(level, "- task %s %s: %s stored, %d lost%s", *about)
        self._tell(event)
        self.finished.set_result(event)

    def _warn(self, text: str, *about: object, anchor: str = "") -> None:
        self._log(logging.WARNING, text, *about, anchor=anchor)

    def _log(self, level: int, text: str, *about: object, anchor: str = "") -> None:
        """A line whose first place is the task's id."""
        fields = {"task": self._task, "app": self.spec.app, "anchor": anchor}
        logger.log(level, text, self._task, *about, extra=fields)
