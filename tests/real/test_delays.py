"""Paths that become slow for good, or give nothing for 20 s and then all: names and slices stay.

FFmpeg and GStreamer publish; both report by other rules than browsers do (test_hold_up.py).
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
import pytest_asyncio

from slicer import (
    AudioSpec,
    Kind,
    Settings,
    SliceParams,
    SliceStored,
    TrackStarted,
    VideoSpec,
    WhipSettings,
)
from slicer.slicing.outputs import TrackKey
from tests.harness.end_to_end import Landed, Studio, studio
from tests.harness.media.content import (
    SAMPLE_RATE,
    Content,
    find_beeps,
    read_frame_number,
    write_wav,
)
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.gstreamer import gstreamer, missing
from tests.harness.rooms.relay import Relay, relay
from tests.harness.rooms.whip_front import whip_front
from tests.harness.rooms.whip_muxer import muxer
from tests.harness.storage.seaweed import Seaweed

SAMPLE, FPS, LENGTH = Path(__file__).parents[2] / "samples" / "anchor-amber.mp4", 15, 24
"""A file that is sent round and round: frame n at n/15 s, a beep on each full second."""
SLOWER, OVER, HELD = 1.5, 10.0, 20.0
BEFORE, AFTER = 9, 6
"""Slices: FFmpeg reports every 5 s, and two reports confirm a clock."""
WITHIN = 0.010
"""Seconds that a settled name may be wrong by (docs/callbacks.md)."""
PUBLISHERS = {"ffmpeg": "slow", "gstreamer": "slow", "held": "held"}
Take = dict[Kind, list[Landed]]


async def watch(stage: Studio, task: str, name: str, path: Relay) -> None:
    """Let the path change when its publisher's clock is known; return when it has been for long."""

    async def more(slices: int) -> None:
        there = len(stage.stored(task, name, Kind.AUDIO))
        await stage.until(lambda: len(stage.stored(task, name, Kind.AUDIO)) >= there + slices)

    await more(BEFORE)
    if PUBLISHERS[name] == "slow":
        path.slow_down(SLOWER, OVER)
        await asyncio.sleep(OVER + SLOWER)
    else:
        path.hold()
        await asyncio.sleep(HELD)
        path.release()
        await more(round(HELD) - 3)
    await more(AFTER)


def until_stored(stage: Studio, task: str, name: str) -> list[float]:
    """Seconds from each slice's end, by its name, until it was stored."""
    return [
        (event.at - event.slice.began).total_seconds() - event.slice.seconds
        for event in stage.told(SliceStored)
        if event.slice.track == TrackKey(task, name, Kind.AUDIO)
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def takes(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Take]:
    """What was stored of each, all at a time."""
    speech = tmp_path_factory.mktemp("delays") / "speech.wav"
    write_wav(speech, Content(seconds=90))
    names = [name for name in PUBLISHERS if name != "gstreamer" or not missing()]
    patient = Settings(whip=WhipSettings(silence=2 * HELD))
    async with studio(seaweed, patient) as stage:
        task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1)))
        async with AsyncExitStack() as stack:
            watching = list[asyncio.Task[None]]()
            for seed, name in enumerate(names):
                path = await stack.enter_async_context(relay(seed))
                url = await stack.enter_async_context(whip_front(path, stage.url(name)))
                sends = gstreamer(url, speech) if name == "gstreamer" else muxer(url, SAMPLE)
                await stack.enter_async_context(sends)
                watching.append(asyncio.create_task(watch(stage, task, name, path)))
            await asyncio.gather(*watching)
        for name in (name for name in names if PUBLISHERS[name] == "slow"):
            waits = until_stored(stage, task, name)
            assert min(waits[:BEFORE]) < 0.5 * SLOWER, "the path was fast"
            assert min(waits[-AFTER:]) > 0.9 * SLOWER, "the path has become slow"
        assert (await stage.finish(task)).lost == 0
        started = [one.anchor for one in stage.told(TrackStarted)]
        assert sorted(started) == sorted([*names, "ffmpeg", "held"]), "nobody came again"
        return {
            name: {kind: await stage.landed(task, name, kind) for kind in Kind} for name in names
        }


def of(takes: dict[str, Take], name: str) -> Take:
    if name not in takes:
        pytest.skip(missing())
    return takes[name]


def wrong_by(
    landed: list[Landed], at: Callable[[Landed], float | None], every: float
) -> list[float]:
    """By how many seconds each name is off the first ones, for content that repeats *every* so
    many: *at* tells the second of it where the slice begins."""
    places = [(one.told.began.timestamp(), at(one)) for one in landed]
    zeros = [began - place for began, place in places if place is not None]
    off = [(zero - zeros[1] + every / 2) % every - every / 2 for zero in zeros]
    usual = median(off[1:BEFORE])
    return [each - usual for each in off]


def beep(one: Landed) -> float | None:
    beeps = find_beeps(mono(decode_ogg(one.data)))
    return -beeps[0] if beeps else None


def frame(one: Landed) -> float | None:
    number = read_frame_number(read_picture(one.data))
    return None if number is None else number / FPS


@pytest.mark.parametrize("name", PUBLISHERS)
def test_names_stay_where_the_path_does_not(takes: dict[str, Take], name: str) -> None:
    take = of(takes, name)
    for kind, at, every in ((Kind.AUDIO, beep, 1), (Kind.VIDEO, frame, LENGTH)):
        off = wrong_by(take[kind], at, every)[1:-1] if take[kind] else []
        print(name, kind, "ms off:", [round(1000 * each, 1) for each in off])
        assert bool(off) == (kind is Kind.AUDIO or name != "gstreamer")
        assert max(map(abs, off), default=0.0) < WITHIN


@pytest.mark.parametrize("name", PUBLISHERS)
def test_slices_are_whole(takes: dict[str, Take], name: str) -> None:
    told = of(takes, name)[Kind.AUDIO]
    assert len(told) > BEFORE + (HELD if name == "held" else OVER) + AFTER
    assert {one.told.seconds for one in told[:-1]} == {1.0}
    assert all(mono(decode_ogg(one.data)).size == SAMPLE_RATE for one in told[:-1])
    assert all(
        abs((after.told.began - before.told.began).total_seconds() - 1) < 2 * WITHIN
        for before, after in pairwise(told)
    )


def test_pictures_go_on_through_what_was_held(takes: dict[str, Take]) -> None:
    began = [one.told.began for one in takes["held"][Kind.VIDEO]]
    assert len(began) > BEFORE + HELD + AFTER - 2
    gaps = [(after - before).total_seconds() for before, after in pairwise(began)]
    print("gaps:", gaps)
    assert max(gaps) < 1.2
