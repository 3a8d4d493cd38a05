"""What a task has told of slices whose times are provisional, and what reports have corrected.

A slice may be named before its sender's report has come (`slicing.report_wait`). The report then
corrects its time, not its key: whatever is told of the slice from there on has the corrected time.
"""

from collections import defaultdict
from collections.abc import Container
from dataclasses import replace
from datetime import datetime

from slicer.engine.events import SliceSettled
from slicer.media.slice import SliceInfo
from slicer.slicing.outputs import AudioCut, Cut, Settled, TrackKey
from slicer.slicing.report_wait import MAX_UNSETTLED


class ToldTimes:
    """One task's."""

    def __init__(self) -> None:
        # By epoch and start, oldest first: no more than the cuts that `slicing` can still settle.
        self._provisional: dict[TrackKey, dict[tuple[int, int], SliceInfo]] = defaultdict(dict)
        # By key, of slices that are on their way.
        self._corrected: dict[str, datetime] = {}
        self._told = set[str]()

    def add(self, cut: Cut, slice: SliceInfo) -> None:
        """A cut was named."""
        if not cut.provisional:
            return
        here = self._provisional[cut.track]
        start = cut.start if isinstance(cut, AudioCut) else cut.timestamp
        here[cut.epoch, start] = slice
        if len(here) > MAX_UNSETTLED:
            del here[next(iter(here))]

    def settle(
        self, settled: Settled, began: datetime, at: datetime, under_way: Container[str]
    ) -> SliceSettled | None:
        """A report has corrected a cut to *began*; *under_way*: the keys of slices that more may be
        told of. None where the track has ended."""
        here = self._provisional.get(settled.track, {})
        named = here.pop((settled.epoch, settled.start), None)
        if named is None:
            return None
        late = named.key in self._told or named.key not in under_way
        if named.key in under_way:
            self._corrected[named.key] = began
        slice = replace(named, began=began)
        return SliceSettled(named.task, at, slice, named.began, late)

    def tell(self, slice: SliceInfo) -> SliceInfo:
        """The slice as it is to be told by now."""
        self._told.add(slice.key)
        began = self._corrected.get(slice.key)
        return slice if began is None else replace(slice, began=began)

    def end_slice(self, key: str) -> None:
        """Nothing more is told of this slice, but that a report has corrected it."""
        self._told.discard(key)
        self._corrected.pop(key, None)

    def end_track(self, track: TrackKey) -> None:
        """No report corrects this track's slices any more."""
        self._provisional.pop(track, None)
