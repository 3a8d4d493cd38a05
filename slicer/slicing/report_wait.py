"""Cuts of one stream, while their names wait for the sender's next report.

Theory of operation. What a cut's time is wrong by, such as a media clock that stood still, is known
once a report has come that was written after it. So a cut waits for that, but no longer than its
task says; then it goes with the best time that is known. What nothing can settle does not wait: a
cut of an epoch that is over, and any where the sender has shown that it writes no reports: one wait
was over, and no report of this epoch had come.
"""

from collections.abc import Iterable
from dataclasses import replace

from slicer.rtp.mapping import NONE
from slicer.rtp.stream import Stream
from slicer.slicing.outputs import AudioCut, Cut, GroupFrames, TrackKey, TrackOutput

# Cuts of one stream that wait; one more, and the oldest goes. A cut each second for some seconds
# are fewer, but a sender may begin an epoch with each packet.
MAX_WAITING = 64
# What need not wait is over at any time.
AT_ONCE = float("-inf")

Waiting = Cut | GroupFrames
"""Frames that go ahead of a picture have no name; they wait so as not to pass the one before."""


class ReportWait:
    """The cuts of one stream that wait, in order."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: list[tuple[float, Waiting]] = []  # until when
        self._silent = -1  # the epoch in which a wait was over without any report

    def add(self, cuts: Iterable[Waiting], seconds: float, now: float) -> None:
        """Let cuts wait until *now* + *seconds* at most."""
        for cut in cuts:
            at_once = seconds <= 0.0 or self._is_settled(cut)
            self._waiting.append((AT_ONCE if at_once else now + seconds, cut))

    def release(self, now: float) -> list[TrackOutput]:
        """Those that wait no longer, each with its time as it is known by now."""
        released, waiting = list[TrackOutput](), list[tuple[float, Waiting]]()
        surplus = len(self._waiting) - MAX_WAITING
        for until, cut in self._waiting:
            over = until <= now
            if not over and not self._is_settled(cut):
                if surplus <= 0:
                    waiting.append((until, cut))
                    continue
                self._stream.counters["wait_full"] += 1
            elif over and until != AT_ONCE and self._stream.mapper.settled == NONE:
                self._silent = self._stream.epoch
            surplus -= 1
            released.append(self._timed(until, cut))
        self._waiting = waiting
        return released

    def flush(self, track: TrackKey | None = None) -> list[TrackOutput]:
        """All, or all of one track: they wait no longer."""
        waiting, self._waiting = self._waiting, []
        if track is not None:
            self._waiting = [one for one in waiting if one[1].track != track]
        return [self._timed(*one) for one in waiting if track in {None, one[1].track}]

    def deadline(self) -> float | None:
        """When the first wait is over."""
        return min((until for until, _ in self._waiting), default=None)

    def _is_settled(self, cut: Waiting) -> bool:
        """Whether no report will tell more of this cut's time."""
        settled, epoch = self._stream.mapper.settled, self._stream.epoch
        silent = settled == NONE and epoch == self._silent
        return cut.epoch != epoch or silent or _start(cut) <= settled

    def _timed(self, until: float, cut: Waiting) -> Waiting:
        if isinstance(cut, GroupFrames) or until == AT_ONCE or cut.epoch != self._stream.epoch:
            return cut
        return replace(cut, began=self._stream.mapper.at(_start(cut)))


def _start(cut: Waiting) -> int:
    return cut.start if isinstance(cut, AudioCut) else cut.timestamp
