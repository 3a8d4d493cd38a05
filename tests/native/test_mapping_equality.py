"""Media time is mapped alike by both planes, to the last bit: whatever comes, in whole calls."""

import importlib
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.rtp import clock_offset, mapping, minima
from tests.harness.rtp.clocks import Clocks, names

if os.environ.get("SLICER_NATIVE") != "1":
    pytest.importorskip("slicer._parts", reason="the native parts are not built")
native: Any = importlib.import_module("slicer._parts")

STEPS = st.sampled_from([0.0, 0.001, 0.02, 0.02, 0.02, 0.05, 0.2, 0.7, 1.1, 2.5, 31.0])


def alike(pair: list[Any]) -> None:
    assert pair[0] == pair[1]


# Seconds by which delays and reports differ: around the bounds by which they are judged.
ABOUT = st.one_of(
    st.floats(-10, 10),
    st.sampled_from([-3600.0, -1.0, -0.3, -0.05, -0.02, 0.0, 0.01, 0.02, 0.021, 0.5, 0.8, 3.1]),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["arrived"] * 5 + ["reported"] * 3 + ["again", "begin", "end"]),
            st.integers(0, 2),
            ABOUT,
            st.one_of(STEPS, st.just(0.5), st.just(40.0)),
        )
    )
)
def test_mappers_are_alike(steps: list[tuple[str, int, float, float]]) -> None:
    clocks: list[Any] = [mapping.SenderClock(), native.SenderClock()]
    mappers: list[list[Any]] = [
        [clock.begin(stream, 90_000) for stream in range(3)] for clock in clocks
    ]
    now, about, behind = 1.0, 0.0, 0.0
    for verb, which, move, pause in steps:
        now += pause
        # Half of what happens goes on as before, so that reports come to agree.
        about, behind = (about, behind + move) if verb == "arrived" else (move, behind)
        timestamp = round((now - behind) * 90_000)
        for clock, its in zip(clocks, mappers, strict=True):
            if verb == "begin":
                its[which] = clock.begin(which, 48_000)
            elif verb == "end":
                clock.end(which)
            elif verb == "arrived":
                its[which].arrived(timestamp, now)
        if verb in {"reported", "again"}:
            ntp = 1000.0 + now + (about if verb == "reported" else 0.0)
            alike([its[which].reported(ntp, timestamp, now) for its in mappers])
        alike([[mapper.settled for mapper in its] for its in mappers])
        alike([[mapper.skew(timestamp, now) for mapper in its] for its in mappers])
        alike([[str(mapper.at(timestamp)) for mapper in its] for its in mappers])  # NaN is alike
        alike([[str(mapper.at(0)) for mapper in its] for its in mappers])


@pytest.mark.parametrize("seed", range(4))
def test_clocks_of_a_call_are_read_alike(seed: int) -> None:
    """Everything at once that a rule of the mapping is for."""
    call = Clocks(
        seconds=400.0,
        freezes=tuple((40.013 + 20.7 * stall, 0.8) for stall in range(6)),
        ntp=lambda at: at * (1 + 50e-6) + 2.0 * (at > 200.0),
        delay=lambda at: 1.5 * (at > 300.0),
        wrong=lambda at, stream: 1.0 * (stream == 1 and 230 < at < 238),
        kept=0.8,
        twice=True,
        seed=seed,
    )
    alike([names(call, mapping.SenderClock()), names(call, native.SenderClock())])


@given(st.lists(st.tuples(st.floats(-2, 2), STEPS, st.floats(-2, 2))))
def test_minima_are_alike(steps: list[tuple[float, float, float]]) -> None:
    sliding: list[Any] = [minima.SlidingMinimum(), native.SlidingMinimum()]
    suffix: list[Any] = [minima.SuffixMinima(), native.SuffixMinima()]
    now = 0.0
    for timestamp, (value, pause, threshold) in enumerate(steps):
        now += pause
        for slides, rises in zip(sliding, suffix, strict=True):
            slides.add(value, now)
            rises.add(value, timestamp)
            if timestamp % 17 == 16:
                slides.begin_at(threshold)
        alike([each.value for each in sliding])
        alike([(each.levels, each.least, each.rise(threshold)) for each in suffix])


@given(st.lists(st.tuples(st.sampled_from(["add"] * 8 + ["move"]), ABOUT, STEPS)))
def test_offsets_are_alike(steps: list[tuple[str, float, float]]) -> None:
    offsets: list[Any] = [clock_offset.ClockOffset(), native.ClockOffset()]
    now, drift = 0.0, 0.0
    for number, (verb, value, pause) in enumerate(steps):
        now, drift = now + 3 * pause, drift + 200e-6 * pause
        for each in offsets:
            if number < 3:
                each.assume(value)
            elif number == 3:
                each.confirm(value, now)
            elif verb == "move":
                each.move(value)
            else:
                each.add(drift + (value if number % 5 == 0 else 0.0), now)
        alike([(each.value, each.confirmed) for each in offsets])
