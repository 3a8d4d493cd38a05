"""Stages are counted, their lateness runs from a slice's end, and an observer hears of each."""

from datetime import datetime, timedelta

from slicer.engine.sample import Sample
from slicer.engine.stages import Stage, Stages
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from tests.harness.clock import EPOCH, ManualClock
from tests.harness.delivery.spooling import info_of

SLICE = info_of("ada/1.ogg")  # began at EPOCH, 15 s


def values(stages: Stages, name: str, stage: Stage, kind: Kind = Kind.AUDIO) -> list[Sample]:
    labels = (("stage", str(stage)), ("kind", str(kind)))
    return [one for one in stages.samples() if one.name == name and one.labels[:2] == labels]


def test_lateness_is_from_the_end_of_a_slice() -> None:
    clock = ManualClock()
    stages = Stages(clock)
    clock.advance(17.5)
    stages.reach(SLICE, Stage.CUT)
    (late,) = values(stages, "slice_lateness_seconds_sum", Stage.CUT)
    assert late.value == 2.5
    within = {
        dict(one.labels)["le"]: one.value
        for one in values(stages, "slice_lateness_seconds_bucket", Stage.CUT)
    }
    assert (within["2"], within["3"], within["+Inf"]) == (0, 1, 1)
    (count,) = values(stages, "slices_total", Stage.CUT)
    assert count.value == 1
    (other,) = values(stages, "slices_total", Stage.CUT, Kind.VIDEO)
    assert other.value == 0


def test_a_senders_clock_that_is_ahead_is_not_early() -> None:
    stages = Stages(ManualClock())
    stages.reach(SLICE, Stage.CUT)
    (late,) = values(stages, "slice_lateness_seconds_sum", Stage.CUT)
    assert late.value == 0.0


def test_captures_and_ends_have_no_lateness() -> None:
    stages = Stages(ManualClock())
    stages.reach(SLICE, Stage.STORED, live=False)
    stages.reach(SLICE, Stage.LOST)
    (count,) = values(stages, "slice_lateness_seconds_count", Stage.STORED)
    assert count.value == 0
    assert values(stages, "slice_lateness_seconds_count", Stage.LOST) == []
    for stage in (Stage.STORED, Stage.LOST):
        (number,) = values(stages, "slices_total", stage)
        assert number.value == 1


def test_an_observer_hears_what_and_when() -> None:
    heard = list[tuple[SliceInfo, Stage, datetime]]()
    clock = ManualClock()
    stages = Stages(clock, lambda *what: heard.append(what))
    clock.advance(16.0)
    stages.reach(SLICE, Stage.MADE)
    assert heard == [(SLICE, Stage.MADE, EPOCH + timedelta(seconds=16))]
