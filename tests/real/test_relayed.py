"""Senders that are no browser, over a path that loses: slices of full length, beeps in place."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from slicer import AudioSpec, Kind, SliceParams
from tests.harness.end_to_end import Landed, studio
from tests.harness.media.content import SAMPLE_RATE, find_beeps
from tests.harness.media.slices import decode_ogg, mono
from tests.harness.rooms import gstreamer, libwebrtc
from tests.harness.rooms.relay import Impairment, Relay, relay
from tests.harness.rooms.whip_front import whip_front
from tests.harness.storage.seaweed import Seaweed

PATH = Impairment(loss=0.05, late=0.1, delay=0.06)
SECONDS, SLICES = 3, 3
PUBLISHERS = {"gstreamer": gstreamer.gstreamer, "libwebrtc": libwebrtc.libwebrtc}
LACKS = {"gstreamer": gstreamer.missing(), "libwebrtc": libwebrtc.missing()}
publishers = pytest.mark.parametrize("name", PUBLISHERS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def takes(seaweed: Seaweed, devices: tuple[Path, Path]) -> dict[str, list[Landed]]:
    """What was stored of each, all at a time."""
    names = [name for name, lacks in LACKS.items() if not lacks]
    async with studio(seaweed) as stage:
        task = await stage.slice(SliceParams(AudioSpec(SECONDS), None))
        paths = list[Relay]()
        async with AsyncExitStack() as stack:
            for seed, name in enumerate(names, 11):
                path = await stack.enter_async_context(relay(seed))
                url = await stack.enter_async_context(whip_front(path, stage.url(name)))
                await stack.enter_async_context(PUBLISHERS[name](url, devices[1]))
                path.impairment = PATH
                paths.append(path)
            await stage.until(
                lambda: all(len(stage.stored(task, one, Kind.AUDIO)) >= SLICES for one in names)
            )
        assert all(sum(path.dropped.values()) > 10 for path in paths)
        assert (await stage.finish(task)).lost == 0
        landed = [stage.landed(task, name, Kind.AUDIO) for name in names]
        return dict(zip(names, await asyncio.gather(*landed), strict=True))


@publishers
def test_slices_have_their_length_and_beeps_their_place(
    takes: dict[str, list[Landed]], name: str
) -> None:
    if LACKS[name]:
        pytest.skip(LACKS[name])
    parts = [mono(decode_ogg(one.data)) for one in takes[name][:SLICES]]
    assert [part.size for part in parts] == [SECONDS * SAMPLE_RATE] * SLICES
    began = [one.told.began.timestamp() for one in takes[name][:SLICES]]
    assert np.diff(began) == pytest.approx([SECONDS] * (SLICES - 1), abs=0.05)
    beeps = find_beeps(np.concatenate(parts))
    # A beep whose beginning was lost is found late or not at all; the first may be such a one.
    phases = np.array([beep - round(beep - beeps[0]) for beep in beeps])
    off = sorted(np.abs(phases - np.median(phases)).tolist())
    print(name, "s off:", off)
    assert len(beeps) >= SECONDS * SLICES - 3
    assert off[: len(off) // 2] == pytest.approx([0] * (len(off) // 2), abs=2e-3)
    assert max(off) < 0.1
