"""Chromium publishes over a path that loses and reorders: what the slices are like then."""

import asyncio
import io
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import pytest_asyncio

from slicer import AudioSpec, Kind, SliceParams, VideoSpec
from tests.harness.end_to_end import Landed, Studio, studio
from tests.harness.media.content import SAMPLE_RATE, find_beeps, is_grey, read_frame_number
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.chromium import Publisher, PublishOptions, chromium
from tests.harness.rooms.relay import Impairment, Relay, relay
from tests.harness.storage.seaweed import Seaweed

PATH = Impairment(loss=0.05, late=0.1, delay=0.06)
SECONDS, EVERY, SLICES = 4, 1, 3
FPS, ROUND = 15, 300
OPUS, RED = 111, 63
REPEATED, NOT_REPEATED, REDUNDANT = "H264", "VP8", "VP9"
"""All have their pictures' packets repeated. Audio that one of them sends again arrives; of the
others it is lost each time, and one of these sends all audio twice at once."""
codecs = pytest.mark.parametrize("codec", [REPEATED, NOT_REPEATED, REDUNDANT])


@dataclass(frozen=True)
class Take:
    """What was stored of one anchor, all its sound in one slice, and what its path lost of it."""

    sounds: list[Landed]
    pictures: list[Landed]
    whole: Landed
    lost: int


def as_it_is(answer: str) -> str:
    """Our answer asks for audio again; the browser's offer did not say that it may."""
    assert f"a=rtcp-fb:{OPUS} nack\r\n" in answer
    return answer


def redundant(answer: str) -> str:
    """As with `whip.redundancy`."""
    assert f" {OPUS} {RED} " in answer
    return as_it_is(answer).replace(f" {OPUS} {RED} ", f" {RED} {OPUS} ", 1)


ANSWERED = {REPEATED: as_it_is, NOT_REPEATED: as_it_is, REDUNDANT: redundant}


async def start(stage: Studio, page: Publisher, path: Relay, codec: str) -> None:
    url = stage.url(codec)
    await page.amend(url, path.offer, lambda sdp: ANSWERED[codec](path.answer(sdp)))
    await page.start(url, PublishOptions(codec=codec, degradation="maintain-resolution"))
    path.impairment = replace(PATH, stubborn=codec != REPEATED)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def takes(seaweed: Seaweed, devices: tuple[Path, Path]) -> dict[str, Take]:
    async with (
        relay(seed=5) as one,
        relay(seed=6) as other,
        relay(seed=7) as third,
        chromium(*devices) as browser,
        studio(seaweed) as stage,
    ):
        task = await stage.slice(SliceParams(AudioSpec(SECONDS), VideoSpec(EVERY)))
        truth = await stage.slice(SliceParams(AudioSpec(600), None), robot="truth")
        paths = {NOT_REPEATED: one, REPEATED: other, REDUNDANT: third}
        pages = {codec: await browser.publisher() for codec in paths}
        for codec, page in pages.items():
            await start(stage, page, paths[codec], codec)
        await stage.until(
            lambda: all(len(stage.stored(task, codec, Kind.AUDIO)) >= SLICES for codec in paths)
        )
        for codec, page in pages.items():
            video = (await page.stats())["video"]
            names = ("targetBitrate", "pliCount", "nackCount", "retransmittedPacketsSent")
            print(codec, {name: video[name] for name in names}, paths[codec].dropped)
            paths[codec].impairment = Impairment()
            await asyncio.sleep(2 * PATH.delay)  # what is late still comes, and leaves no hole
            assert await page.stop() == 200
        for each in (task, truth):
            assert (await stage.finish(each)).lost == 0
        return {
            codec: await gather(stage, task, truth, codec, path.dropped[OPUS] + path.dropped[RED])
            for codec, path in paths.items()
        }


async def gather(stage: Studio, task: str, truth: str, anchor: str, lost: int) -> Take:
    (whole,) = await stage.landed(truth, anchor, Kind.AUDIO)
    sounds = await stage.landed(task, anchor, Kind.AUDIO)
    return Take(sounds, await stage.landed(task, anchor, Kind.VIDEO), whole, lost)


def concealed(data: bytes) -> list[int]:
    """Which packets of a file are a TOC byte alone: lost, and left to the decoder."""
    with av.open(io.BytesIO(data), "r", format="ogg") as container:
        sizes = [packet.size for packet in container.demux(audio=0)]
    return [index for index, size in enumerate(sizes) if size == 1]


@codecs
def test_sound_keeps_its_length_and_place(takes: dict[str, Take], codec: str) -> None:
    parts = [mono(decode_ogg(sound.data)) for sound in takes[codec].sounds]
    assert [part.size for part in parts[:SLICES]] == [SECONDS * SAMPLE_RATE] * SLICES
    beeps = find_beeps(np.concatenate(parts))
    # The beginning of a beep may have been lost, so it is not found, or found a little late.
    off = sorted(abs(beep - beeps[0] - round(beep - beeps[0])) for beep in beeps)
    print(codec, "s off:", off)
    assert len(beeps) >= 6
    assert off[: len(off) // 2] == pytest.approx([0] * (len(off) // 2), abs=2e-3)
    assert max(off) < 0.1


def test_audio_that_never_arrives_comes_out_of_the_next_packet_or_is_concealed(
    takes: dict[str, Take],
) -> None:
    """Chromium sends copies of its speech in SILK's packets (LBRR); not of every one."""
    take = takes[NOT_REPEATED]
    holes = concealed(take.whole.data)
    print("concealed:", len(holes), "lost:", take.lost)
    assert take.lost > 10
    assert 0 < len(holes) <= take.lost


def test_sound_that_is_repeated_has_no_holes(takes: dict[str, Take]) -> None:
    take = takes[REPEATED]
    holes = concealed(take.whole.data)
    print("concealed:", holes, "lost:", take.lost)
    assert take.lost > 10
    # Chromium repeats no more than its own limit on repeating allows: one may stay lost.
    assert len(holes) <= 2


def test_audio_that_is_sent_twice_has_few_holes(takes: dict[str, Take]) -> None:
    """Lost alone, a packet is in the next one; of two in a row the first stays lost."""
    take = takes[REDUNDANT]
    holes = concealed(take.whole.data)
    print("concealed:", holes, "lost:", take.lost)
    assert take.lost > 10
    assert len(holes) < take.lost / 4


@codecs
def test_every_picture_is_whole(takes: dict[str, Take], codec: str) -> None:
    pictures = [read_picture(picture.data) for picture in takes[codec].pictures]
    numbers = [read_frame_number(picture) for picture in pictures]
    print(codec, numbers)
    assert len(pictures) >= SECONDS * SLICES // EVERY - 2
    assert not any(is_grey(picture) for picture in pictures)
    readable = [number for number in numbers if number is not None]
    assert len(readable) == len(numbers)
    steps = [(after - before) % ROUND for before, after in pairwise(readable)]
    assert all(0 < step < 3 * EVERY * FPS for step in steps), "on, and never the same one twice"
