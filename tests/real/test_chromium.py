"""Chromium publishes in VP8 and in H.264; the slices in SeaweedFS are what it showed and said."""

import re
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import pytest
import pytest_asyncio

from slicer import AudioSpec, Kind, SliceParams, VideoSpec
from tests.harness.end_to_end import Landed, Studio, studio
from tests.harness.media.content import SAMPLE_RATE, find_beeps, is_grey
from tests.harness.media.picture import Rgb, read_frame_number
from tests.harness.media.slices import Samples, decode_ogg, mono, read_picture, snr_db
from tests.harness.rooms.chromium import Chromium, PublishOptions, chromium
from tests.harness.storage.seaweed import Seaweed

codecs = pytest.mark.parametrize("codec", ["VP8", "H264"])
decoders = pytest.mark.parametrize("decoder", ["opus", "libopus"])

SECONDS, EVERY, SLICES = 4, 2, 3
FPS = 15
ROUND = 20 * FPS
"""The camera's file is shown round and round."""
ANSWER = 2
"""Frames from the one due to the keyframe that answers the request, on an idle machine."""
BUSY = 8
"""The same on a busy one: a request is repeated after half a second."""

Decoder = Literal["opus", "libopus"]


@dataclass(frozen=True)
class Take:
    """What was stored of one anchor, and all its sound in one slice of another task."""

    sounds: list[Landed]
    pictures: list[Landed]
    whole: Landed

    def heard(self, decoder: Decoder) -> list[Samples]:
        return [mono(decode_ogg(sound.data, decoder)) for sound in self.sounds]

    def everything(self, decoder: Decoder) -> Samples:
        return mono(decode_ogg(self.whole.data, decoder))

    def seen(self) -> list[Rgb]:
        return [read_picture(picture.data) for picture in self.pictures]

    def frames(self) -> list[int]:
        """The numbers in the pictures, each further than the one before it."""
        numbers = [read_frame_number(picture) for picture in self.seen()]
        readable = [number for number in numbers if number is not None]
        assert len(readable) == len(numbers), f"unreadable: {numbers}"
        steps = [(after - before) % ROUND for before, after in pairwise(readable)]
        return list(accumulate(steps, initial=readable[0]))


Takes = dict[str, Take]


async def perform(browser: Chromium, stage: Studio) -> Takes:
    """An anchor of each codec, both at once, sliced by two tasks: short, and in one piece."""
    task = await stage.slice(SliceParams(AudioSpec(SECONDS), VideoSpec(EVERY)))
    truth = await stage.slice(SliceParams(AudioSpec(600), None), robot="truth")
    pages = {codec: await browser.publisher() for codec in ("VP8", "H264")}
    for codec, page in pages.items():
        options = PublishOptions(codec=codec, fps=FPS, degradation="maintain-resolution")
        await page.start(stage.url(codec), options)
    await stage.until(
        lambda: all(len(stage.stored(task, codec, Kind.AUDIO)) >= SLICES for codec in pages)
    )
    for codec, page in pages.items():
        report(codec, await page.stats())
        assert await page.stop() == 200
    for each in (task, truth):
        assert (await stage.finish(each)).lost == 0
    takes = {codec: await gather(stage, task, truth, codec) for codec in pages}
    stored = {slice.told.key for take in takes.values() for slice in take.sounds + take.pictures}
    assert stored == set(stage.keys(task)), "nothing else lies in the store"
    return takes


async def gather(stage: Studio, task: str, truth: str, anchor: str) -> Take:
    (whole,) = await stage.landed(truth, anchor, Kind.AUDIO)
    sounds = await stage.landed(task, anchor, Kind.AUDIO)
    return Take(sounds, await stage.landed(task, anchor, Kind.VIDEO), whole)


def report(codec: str, stats: dict[str, Any]) -> None:
    video = stats["video"]
    names = ("targetBitrate", "pliCount", "keyFramesEncoded", "framesEncoded", "bytesSent")
    print(codec, {name: video[name] for name in names}, stats["availableOutgoingBitrate"])
    assert stats["video"]["codec"] == f"video/{codec}"
    # It begins at 300 kbit/s: no acknowledgement of pictures nobody looks into, no way up.
    assert stats["availableOutgoingBitrate"] > 300_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake(seaweed: Seaweed) -> Takes:
    async with chromium() as browser, studio(seaweed) as stage:
        return await perform(browser, stage)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(seaweed: Seaweed, devices: tuple[Path, Path]) -> Takes:
    async with chromium(*devices) as browser, studio(seaweed) as stage:
        return await perform(browser, stage)


@pytest.fixture(params=["fake", "own"])
def takes(request: pytest.FixtureRequest, fake: Takes, own: Takes) -> Takes:
    return fake if request.param == "fake" else own


@codecs
def test_slices_lie_under_their_names(takes: Takes, codec: str) -> None:
    take = takes[codec]
    for slices, folder, extension, content_type in (
        (take.sounds, "audios", "ogg", "audio/ogg"),
        (take.pictures, "images", "png", "image/png"),
    ):
        for slice in slices:
            told = slice.told
            utc = f"{told.began:%Y%m%d%H%M%S}"
            name = rf"{told.task}/{codec}/{folder}/0_lobby_{codec}_{utc}(_\d)?\.{extension}"
            assert re.fullmatch(name, told.key)
            assert slice.content_type == content_type
            assert len(slice.data) == told.size


@codecs
@decoders
def test_sound_has_its_length_to_the_sample(takes: Takes, codec: str, decoder: Decoder) -> None:
    take = takes[codec]
    sizes = [part.size for part in take.heard(decoder)]
    told = [round(sound.told.seconds * SAMPLE_RATE) for sound in take.sounds]
    assert sizes == told
    assert sizes[:SLICES] == [SECONDS * SAMPLE_RATE] * SLICES
    assert all(0 < size <= SECONDS * SAMPLE_RATE for size in sizes[SLICES:])
    assert sum(sizes) == take.everything(decoder).size, "slices laid end to end are the stream"


@codecs
@decoders
def test_sound_goes_on_across_every_cut(own: Takes, codec: str, decoder: Decoder) -> None:
    take = own[codec]
    parts, truth = take.heard(decoder), take.everything(decoder)
    stream = np.concatenate(parts)
    cuts = list(accumulate(part.size for part in parts))[:-1]
    settle = SAMPLE_RATE // 50
    ratios = [snr_db(truth[cut : cut + settle], stream[cut : cut + settle]) for cut in cuts]
    print(codec, decoder, "dB in the 20 ms after each cut:", [round(ratio) for ratio in ratios])
    assert len(ratios) >= SLICES - 1
    assert min(ratios) >= 35
    assert snr_db(truth, stream) >= 35


@codecs
@decoders
def test_beeps_sit_where_they_belong(own: Takes, codec: str, decoder: Decoder) -> None:
    """Chromium plays its file at its own pace, some 0.3 ms to and fro: the whole is the truth."""
    take = own[codec]
    parts, truth = take.heard(decoder), find_beeps(take.everything(decoder))
    starts = accumulate((part.size for part in parts), initial=0)
    beeps = [
        start / SAMPLE_RATE + beep
        for start, part in zip(starts, parts, strict=False)
        for beep in find_beeps(part)
    ]
    # One that a cut goes through is found in neither slice.
    placed = [(beep, min(truth, key=lambda true: abs(true - beep))) for beep in beeps]
    errors = [abs(beep - true) for beep, true in placed]
    gaps = [after - before for before, after in pairwise(truth)]
    print(codec, decoder, "s off at most:", max(errors), "gaps:", min(gaps), max(gaps))
    assert len(beeps) >= len(truth) - len(parts)
    assert len(beeps) >= SECONDS * SLICES - len(parts)
    assert errors == pytest.approx([0] * len(errors), abs=1e-3)
    assert gaps == pytest.approx([1] * len(gaps), abs=1e-3)


@codecs
def test_pictures_are_whole_and_all_different(takes: Takes, codec: str) -> None:
    pictures = takes[codec].seen()
    assert len(pictures) >= SECONDS * SLICES // EVERY
    assert {picture.shape for picture in pictures} == {(360, 640, 3)}
    assert not any(is_grey(picture) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@codecs
def test_each_picture_is_the_frame_due_or_the_next_keyframe(own: Takes, codec: str) -> None:
    frames = own[codec].frames()
    late = [frame - frames[0] - index * EVERY * FPS for index, frame in enumerate(frames)]
    print(codec, "frames late:", late)
    assert all(before < after for before, after in pairwise(frames))
    assert median(late) <= ANSWER
    assert max(late) <= BUSY
    assert min(late) >= -ANSWER, "the first one can have been late itself"


@codecs
def test_pictures_are_dated_by_their_capture(own: Takes, codec: str) -> None:
    take = own[codec]
    frames, pictures = take.frames(), take.pictures
    drifts = [
        (picture.told.began - pictures[0].told.began).total_seconds() - (frame - frames[0]) / FPS
        for picture, frame in zip(pictures, frames, strict=True)
    ]
    print(codec, "seconds that dates and frame numbers differ:", drifts)
    assert drifts == pytest.approx([0] * len(drifts), abs=0.15)


@codecs
def test_sound_is_dated_without_gaps(takes: Takes, codec: str) -> None:
    """By the sender's own reports: a busy Chromium's capture falls behind its clock by tens of ms.

    How exact names are where the sender's clock is known, ``test_delays`` says.
    """
    sounds = [sound.told for sound in takes[codec].sounds]
    for before, after in pairwise(sounds):
        lasted = (after.began - before.began).total_seconds()
        assert lasted == pytest.approx(before.seconds, abs=0.15)


def test_sound_and_pictures_are_dated_alike(own: Takes) -> None:
    """Camera and microphone were opened together by the first page: they count from one moment."""
    take = own["VP8"]
    frames = take.frames()
    starts = [
        picture.told.began.timestamp() - frame / FPS
        for picture, frame in zip(take.pictures, frames, strict=True)
    ]
    apart = [
        (sound.told.began.timestamp() + beep - median(starts) + 0.5) % 1 - 0.5
        for sound, part in zip(take.sounds, take.heard("opus"), strict=True)
        for beep in find_beeps(part)
    ]
    print("sound after pictures, seconds:", min(apart), max(apart))
    assert len(apart) >= SECONDS * SLICES - SLICES
    assert apart == pytest.approx([0] * len(apart), abs=0.1)
