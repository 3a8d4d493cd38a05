"""Senders that are no browser, over a path that loses: slices of full length, beeps in place, and
pictures that are whole and show the frame that they are said to be."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from slicer import AudioSpec, Kind, SliceParams, VideoSpec
from tests.harness.end_to_end import Landed, studio
from tests.harness.media.content import SAMPLE_RATE, find_beeps, is_grey, read_frame_number
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms import gstreamer, libwebrtc
from tests.harness.rooms.relay import Impairment, Relay, relay
from tests.harness.rooms.whip_front import whip_front
from tests.harness.storage.seaweed import Seaweed

PATH = Impairment(loss=0.05, late=0.1, delay=0.06)
SECONDS, SLICES = 3, 3
FPS, ROUND = 15, 300
"""Frames a second of the camera, and in its film, which libwebrtc repeats."""
PICTURES = SECONDS * SLICES
PUBLISHERS = {"gstreamer": gstreamer.gstreamer, "libwebrtc": libwebrtc.libwebrtc}
LACKS = {"gstreamer": gstreamer.missing(), "libwebrtc": libwebrtc.missing()}
RTX = 97
"""The payload type by which both of them send video again."""
KINDS = {Kind.AUDIO: SLICES, Kind.VIDEO: PICTURES}
publishers = pytest.mark.parametrize("name", PUBLISHERS)

Takes = dict[tuple[str, Kind], list[Landed]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def takes(seaweed: Seaweed, devices: tuple[Path, Path]) -> Takes:
    """What was stored of each: one sends its microphone, another its camera; all at a time."""
    anchors = [(name, kind) for name, lacks in LACKS.items() if not lacks for kind in KINDS]
    async with studio(seaweed) as stage:
        task = await stage.slice(SliceParams(AudioSpec(SECONDS), VideoSpec(1)))
        paths = list[Relay]()
        async with AsyncExitStack() as stack:
            for seed, (name, kind) in enumerate(anchors, 11):
                path = await stack.enter_async_context(relay(seed))
                url = await stack.enter_async_context(whip_front(path, stage.url(name + kind)))
                file = devices[kind is Kind.AUDIO]
                await stack.enter_async_context(PUBLISHERS[name](url, file))
                path.impairment = PATH
                paths.append(path)
            await stage.until(
                lambda: all(
                    len(stage.stored(task, name + kind, kind)) >= KINDS[kind]
                    for name, kind in anchors
                )
            )
        assert all(sum(path.dropped.values()) > 10 for path in paths)
        for (name, kind), path in zip(anchors, paths, strict=True):
            print(name, kind, path.passed, path.dropped)
            assert kind is Kind.AUDIO or path.passed[RTX] > 0
        assert (await stage.finish(task)).lost == 0
        landed = [stage.landed(task, name + kind, kind) for name, kind in anchors]
        return dict(zip(anchors, await asyncio.gather(*landed), strict=True))


def of(takes: Takes, name: str, kind: Kind) -> list[Landed]:
    if LACKS[name]:
        pytest.skip(LACKS[name])
    return takes[name, kind]


@publishers
def test_slices_have_their_length_and_beeps_their_place(takes: Takes, name: str) -> None:
    landed = of(takes, name, Kind.AUDIO)[:SLICES]
    parts = [mono(decode_ogg(one.data)) for one in landed]
    assert [part.size for part in parts] == [SECONDS * SAMPLE_RATE] * SLICES
    began = [one.told.began.timestamp() for one in landed]
    assert np.diff(began) == pytest.approx([SECONDS] * (SLICES - 1), abs=0.05)
    beeps = find_beeps(np.concatenate(parts))
    # A beep whose beginning was lost is found late or not at all; the first may be such a one.
    phases = np.array([beep - round(beep - beeps[0]) for beep in beeps])
    off = sorted(np.abs(phases - np.median(phases)).tolist())
    print(name, "s off:", off)
    assert len(beeps) >= SECONDS * SLICES - 3
    assert off[: len(off) // 2] == pytest.approx([0] * (len(off) // 2), abs=2e-3)
    assert max(off) < 0.1


@publishers
def test_pictures_are_whole_and_show_the_frame_of_their_time(takes: Takes, name: str) -> None:
    landed = of(takes, name, Kind.VIDEO)
    pictures = [read_picture(one.data) for one in landed]
    assert not any(is_grey(picture) for picture in pictures)
    read = [read_frame_number(picture) for picture in pictures]
    print(name, read)
    numbers = [number for number in read if number is not None]
    assert len(numbers) == len(read) >= PICTURES
    steps = [(after - before) % ROUND for before, after in pairwise(numbers)]
    assert len(set(numbers)) == len(numbers), "never the same one twice"
    # The first ones were encoded before the path was there, or come in a burst. Where no report has
    # come by then, they are named by when they came, and nobody can know their order.
    assert all(0 < step < 3 * FPS for step in steps[2:]), "on"
    times = np.diff([one.told.began.timestamp() for one in landed])[2:]
    assert np.array(steps[2:]) / FPS == pytest.approx(times, abs=0.1)
