"""The stages that slices reach: counted, with how late each is, and told to who traces them."""

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum

from slicer.clock import Clock
from slicer.engine.sample import Histogram, Sample
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Seconds. A slice that waits for its sender's report is cut up to 3 s late (`report_wait`)."""


class Stage(StrEnum):
    """What a slice has come to. The last four end its way."""

    CUT = "cut"
    MADE = "made"
    """Its file is there for the first time."""
    JUDGED = "judged"
    """A verdict came, or nobody can judge it."""
    STORED = "stored"
    TOLD = "told"
    """It is stored, and who confirms that has done so."""
    UNKEPT = "unkept"
    """Judged, and not to be stored."""
    KEPT = "kept"
    """In the spool, for the next start."""
    LOST = "lost"


TIMED = (Stage.CUT, Stage.MADE, Stage.JUDGED, Stage.STORED, Stage.TOLD)
"""Stages whose lateness is measured."""

Observe = Callable[[SliceInfo, Stage, datetime], None]
"""Hears of each stage of each slice when it is reached. Must not block or raise."""


class Stages:
    """Those of all slices of one engine.

    Lateness is counted from the end of a slice: its last sample, or when a picture was taken. So it
    holds what a slice waits for its sender's report, and not how long it is.
    """

    def __init__(self, clock: Clock, observe: Observe | None = None) -> None:
        self._clock, self._observe = clock, observe
        self._counts = {(stage, kind): 0 for stage in Stage for kind in Kind}
        self._lateness = {(stage, kind): Histogram(BOUNDS) for stage in TIMED for kind in Kind}

    def reach(self, slice: SliceInfo, stage: Stage, live: bool = True) -> None:
        """*live*: its media came as it was recorded. Of a capture, lateness says nothing."""
        at, key = self._clock.wall(self._clock.now()), (stage, slice.track.kind)
        self._counts[key] += 1
        if live and (lateness := self._lateness.get(key)) is not None:
            late = (at - slice.began).total_seconds() - slice.seconds
            # Below 0 where a sender's clock is ahead of ours.
            lateness.observe(max(0.0, late))
        if self._observe is not None:
            self._observe(slice, stage, at)

    def samples(self) -> Iterator[Sample]:
        """Every stage and kind, also those that no slice has reached."""
        for stage in Stage:
            for kind in Kind:
                labels = (("stage", stage.value), ("kind", str(kind)))
                yield Sample("slices_total", self._counts[stage, kind], labels)
        for (stage, kind), histogram in self._lateness.items():
            labels = (("stage", stage.value), ("kind", str(kind)))
            yield from histogram.samples("slice_lateness_seconds", labels)
