"""Cuts of one stream, while their names wait for the sender's next report.

Theory of operation. What a cut's time is wrong by, such as a media clock that stood still, is known
once a report has come that was written after it. So a cut waits for that, but no longer than its
task says; then it goes with the best time that is known. What nothing can settle does not wait: a
cut of an epoch that is over, and any where the sender has shown that it writes no reports, or none
that settle anything: one wait was over, and nothing of this epoch was settled.

What was given before its report came is remembered. Where that comes after all, `Settled` tells
what it changed. Nothing is told of a cut whose epoch or track is over by then.
"""

from collections.abc import Iterable
from dataclasses import replace

from slicer.rtp.mapping import NONE
from slicer.rtp.stream import Stream
from slicer.slicing.outputs import AudioCut, Cut, GroupFrames, Settled, TrackKey, TrackOutput

# Cuts of one stream that wait; one more, and the oldest goes. A cut each second for some seconds
# are fewer, but a sender may begin an epoch with each packet.
MAX_WAITING = 64
# Cuts given before their report came that are remembered; one more, and the oldest keeps its time.
# Of a sender that writes no reports none is missed, and none is counted.
MAX_UNSETTLED = 64
# Seconds that a report has to change before it is told: the names of files have milliseconds.
CORRECTED = 0.001
# What need not wait is over at any time.
AT_ONCE = float("-inf")

Waiting = Cut | GroupFrames
"""Frames that go ahead of a picture have no name; they wait so as not to pass the one before."""


class ReportWait:
    """The cuts of one stream that wait, in order."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: list[tuple[float, Waiting]] = []  # until when
        self._unsettled: list[Settled] = []  # as they were given
        self._looked = NONE  # what was settled when they were looked through
        self._silent = -1  # the epoch in which a wait was over without any report

    def add(self, cuts: Iterable[Waiting], seconds: float, now: float) -> None:
        """Let cuts wait until *now* + *seconds* at most."""
        for cut in cuts:
            at_once = seconds <= 0.0 or self._is_silent() or self._is_settled(cut)
            self._waiting.append((AT_ONCE if at_once else now + seconds, cut))

    def release(self, now: float) -> list[TrackOutput]:
        """Those that wait no longer, each with its time as it is known by now."""
        released, waiting = list[TrackOutput](), list[tuple[float, Waiting]]()
        surplus = len(self._waiting) - MAX_WAITING
        for until, cut in self._waiting:
            over = until <= now
            if not (over or self._is_silent() or self._is_settled(cut)):
                if surplus <= 0:
                    waiting.append((until, cut))
                    continue
                self._stream.counters["wait_full"] += 1
            elif over and until != AT_ONCE and self._stream.mapper.settled == NONE:
                self._silent = self._stream.epoch
            surplus -= 1
            released.append(self._remembered(self._timed(until, cut)))
        self._waiting = waiting
        return [*released, *self._corrections()]

    def flush(self, track: TrackKey | None = None) -> list[TrackOutput]:
        """All, or all of one track: they wait no longer."""
        waiting, self._waiting = self._waiting, []
        unsettled, self._unsettled = self._unsettled, []
        if track is not None:
            self._waiting = [one for one in waiting if one[1].track != track]
            self._unsettled = [one for one in unsettled if one.track != track]
        return [self._timed(*one) for one in waiting if track in {None, one[1].track}]

    def deadline(self) -> float | None:
        """When the first wait is over."""
        return min((until for until, _ in self._waiting), default=None)

    def _is_silent(self) -> bool:
        """Whether the sender has shown that it writes no reports."""
        return self._stream.mapper.settled == NONE and self._stream.epoch == self._silent

    def _is_settled(self, cut: Waiting) -> bool:
        """Whether no report will tell more of this cut's time."""
        return cut.epoch != self._stream.epoch or _start(cut) <= self._stream.mapper.settled

    def _remembered(self, cut: Waiting) -> Waiting:
        """A cut as it is given: provisional where a report that is yet to come may tell more."""
        if isinstance(cut, GroupFrames) or self._is_settled(cut):
            return cut
        if len(self._unsettled) == MAX_UNSETTLED:
            if not self._is_silent():
                self._stream.counters["unsettled_full"] += 1
            del self._unsettled[0]
        self._unsettled.append(Settled(cut.track, cut.epoch, _start(cut), cut.began))
        return replace(cut, provisional=True)

    def _corrections(self) -> list[Settled]:
        """What reports have told of the cuts that were given before they came."""
        mapper, epoch = self._stream.mapper, self._stream.epoch
        if not self._unsettled or (
            mapper.settled == self._looked and self._unsettled[0].epoch == epoch
        ):
            return []
        self._looked = mapper.settled
        changed, unsettled = list[Settled](), list[Settled]()
        for one in self._unsettled:
            if one.epoch != epoch:
                continue
            if one.start > mapper.settled:
                unsettled.append(one)
                continue
            began = mapper.at(one.start)
            if abs(began - one.began) > CORRECTED:
                changed.append(replace(one, began=began))
        self._unsettled = unsettled
        return changed

    def _timed(self, until: float, cut: Waiting) -> Waiting:
        if isinstance(cut, GroupFrames) or until == AT_ONCE or cut.epoch != self._stream.epoch:
            return cut
        return replace(cut, began=self._stream.mapper.at(_start(cut)))


def _start(cut: Waiting) -> int:
    return cut.start if isinstance(cut, AudioCut) else cut.timestamp
