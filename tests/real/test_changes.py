"""What a publishing page does to its tracks, and what becomes of the slices."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio

from slicer import (
    AudioSpec,
    Kind,
    Settings,
    SliceInfo,
    SliceParams,
    TrackEnded,
    TrackStarted,
    VideoSpec,
)
from slicer.rooms.whip.settings import WhipSettings
from tests.harness.end_to_end import Studio, studio
from tests.harness.media.content import SAMPLE_RATE, is_grey, read_frame_number
from tests.harness.media.picture import Rgb
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.chromium import Chromium, PublishOptions, chromium
from tests.harness.storage.seaweed import Seaweed

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
]
SHARP = PublishOptions(degradation="maintain-resolution")
SILENCE = 3.0
BOTH: tuple[Literal["audio", "video"], ...] = ("audio", "video")


class Act:
    """One anchor on the stage: its slices of a second, and a picture each second."""

    def __init__(self, stage: Studio, task: str, anchor: str) -> None:
        self.stage, self.task, self.anchor = stage, task, anchor
        self.url = stage.url(anchor)

    def stored(self, kind: Kind) -> list[SliceInfo]:
        return self.stage.stored(self.task, self.anchor, kind)

    def count(self, event: type[TrackStarted] | type[TrackEnded]) -> int:
        return sum(told.anchor == self.anchor for told in self.stage.told(event))

    async def more(self, kind: Kind, count: int = 2) -> None:
        """Wait for so many slices more."""
        there = len(self.stored(kind))
        await self.stage.until(lambda: len(self.stored(kind)) >= there + count)

    async def gone(self, tracks: int = 2) -> None:
        """Wait until both tracks have ended and all that was cut is stored."""
        await self.stage.until(lambda: self.count(TrackEnded) >= tracks)
        await self.stage.until(lambda: self.stage.engine.describe(self.task).pending == 0)

    async def pictures(self) -> list[Rgb]:
        landed = await self.stage.landed(self.task, self.anchor, Kind.VIDEO)
        pictures = [read_picture(picture.data) for picture in landed]
        assert not any(is_grey(picture) for picture in pictures)
        return pictures

    async def sounds_are_exact(self) -> list[SliceInfo]:
        """Every sound decodes to the length that was told."""
        landed = await self.stage.landed(self.task, self.anchor, Kind.AUDIO)
        for sound in landed:
            samples = mono(decode_ogg(sound.data)).size
            assert samples == round(sound.told.seconds * SAMPLE_RATE)
        return [sound.told for sound in landed]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(devices: tuple[Path, Path]) -> AsyncIterator[Chromium]:
    async with chromium(*devices) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def act(seaweed: Seaweed) -> AsyncIterator[Act]:
    settings = Settings(whip=WhipSettings(silence=SILENCE))
    async with studio(seaweed, settings) as stage:
        task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1), max_idle=None))
        yield Act(stage, task, "nobody")


@pytest.fixture
def scene(act: Act, request: pytest.FixtureRequest) -> Act:
    """An anchor of its own for each test."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    return Act(act.stage, act.task, name[:48])


async def test_a_muted_camera_gives_black_pictures_and_sound_goes_on(
    browser: Chromium, scene: Act
) -> None:
    page = await browser.publisher()
    await page.start(scene.url, SHARP)
    await scene.more(Kind.VIDEO)
    await page.mute("video", "enabled")
    await page.mute("audio", "enabled")
    await scene.more(Kind.VIDEO, 3)
    await page.unmute("video")
    await page.unmute("audio")
    await scene.more(Kind.VIDEO, 3)
    await page.stop()
    await scene.gone()
    pictures = await scene.pictures()
    kinds = "".join(
        "n" if read_frame_number(picture) is not None else "b" if picture.max() < 40 else "?"
        for picture in pictures
    )
    print(kinds)
    assert "?" not in kinds
    assert kinds.strip("n") == "b" * kinds.count("b"), "black once, and only while muted"
    assert kinds.count("b") >= 2
    sounds = await scene.sounds_are_exact()
    lengths = [sound.seconds for sound in sounds]
    assert lengths[:-1] == [1] * (len(lengths) - 1), "silence is sound"


def pauses(scene: Act) -> list[float]:
    """Seconds between the end of an audio slice and the beginning of the next one."""
    return [
        (after.began - before.began).total_seconds() - before.seconds
        for before, after in pairwise(scene.stored(Kind.AUDIO))
    ]


@pytest.mark.parametrize("how", ["replace", "stop"])
async def test_no_track_for_a_while_and_back(
    browser: Chromium, scene: Act, how: Literal["replace", "stop"]
) -> None:
    page = await browser.publisher()
    await page.start(scene.url, SHARP)
    await scene.more(Kind.VIDEO)
    for kind in BOTH:
        await page.mute(kind, how)
    there = len(scene.stored(Kind.VIDEO))

    def ended() -> bool:
        stored = scene.stored(Kind.AUDIO)
        return bool(stored) and stored[-1].seconds < 1

    # Silence of two seconds ends the slice; one that was full already leaves nothing to be told. It
    # is told once its report has come, or the wait for it is over.
    with contextlib.suppress(TimeoutError):
        await scene.stage.until(ended, seconds=9)
    assert len(scene.stored(Kind.VIDEO)) <= there + 1, "no fresh frame, no picture"
    for kind in BOTH:
        await page.unmute(kind)
    await scene.more(Kind.VIDEO, 3)
    # The page's media clock stood still meanwhile. Its next report tells so, and the names go on
    # where they should be; slices that were told before it are named too early.
    await scene.stage.until(lambda: any(pause > 1.5 for pause in pauses(scene)), seconds=20)
    await page.stop()
    await scene.gone()
    assert scene.count(TrackStarted) == 2, "the tracks were there all the time"
    pictures = await scene.pictures()
    numbers = [read_frame_number(picture) for picture in pictures]
    print(numbers)
    assert None not in numbers
    sounds = await scene.sounds_are_exact()
    print([(str(s.began), s.seconds) for s in sounds])
    assert sum(pause > 1.5 for pause in pauses(scene)) == 1
    assert all(abs(pause) < 0.1 for pause in pauses(scene) if pause <= 1.5)


async def test_each_picture_has_its_own_size(browser: Chromium, scene: Act) -> None:
    page = await browser.publisher()
    await page.start(scene.url, SHARP)
    await scene.more(Kind.VIDEO)
    await page.scale_down(2)
    await scene.more(Kind.VIDEO, 3)
    await page.scale_down(1)
    await scene.more(Kind.VIDEO, 3)
    await page.stop()
    await scene.gone()
    pictures = await scene.pictures()
    sizes = [picture.shape[:2] for picture in pictures]
    print(sizes)
    assert None not in [read_frame_number(picture) for picture in pictures]
    changes = [size for size, after in zip(sizes, [*sizes[1:], None], strict=True) if size != after]
    assert changes == [(360, 640), (180, 320), (360, 640)]


async def test_leaving_and_publishing_again(browser: Chromium, scene: Act) -> None:
    for round_trip in (1, 2):
        page = await browser.publisher()
        await page.start(scene.url, SHARP)
        await scene.more(Kind.AUDIO)
        await scene.more(Kind.VIDEO, 1)
        assert await page.stop() == 200
        await scene.gone(2 * round_trip)
        assert scene.count(TrackStarted) == scene.count(TrackEnded) == 2 * round_trip
    sounds = await scene.sounds_are_exact()
    shorter = [sound for sound in sounds if sound.seconds < 1]
    assert len(shorter) <= 2
    assert len(sounds) >= 4 + len(shorter)
    keys = {told.key for kind in Kind for told in scene.stored(kind)}
    mine = {key for key in scene.stage.keys(scene.task) if f"/{scene.anchor}/" in key}
    assert keys == mine
    assert len(keys) == sum(len(scene.stored(kind)) for kind in Kind)


@pytest.mark.parametrize("kind", list(Kind))
async def test_one_kind_alone(browser: Chromium, scene: Act, kind: Kind) -> None:
    page = await browser.publisher()
    options = PublishOptions(audio=kind is Kind.AUDIO, video=kind is Kind.VIDEO)
    await page.start(scene.url, options)
    await scene.more(kind)
    assert scene.count(TrackStarted) == 1
    await page.stop()
    await scene.gone(1)
    for each in Kind:
        assert bool(scene.stored(each)) == (each is kind)


async def test_a_killed_browser_is_noticed_and_its_last_slice_kept(scene: Act) -> None:
    async with chromium() as browser:
        page = await browser.publisher()
        await page.start(scene.url, SHARP)
        await scene.more(Kind.AUDIO)
        await scene.more(Kind.VIDEO, 1)
        os.killpg(browser.pid, signal.SIGKILL)
        killed = datetime.now(UTC)
        await scene.gone()
        noticed = (datetime.now(UTC) - killed).total_seconds()
    print("noticed after", noticed)
    assert noticed < SILENCE + 5
    *full, last = await scene.sounds_are_exact()
    assert all(sound.seconds == 1 for sound in full)
    heard = last.began + timedelta(seconds=last.seconds)
    assert abs(heard - killed) < timedelta(seconds=0.3), "all that was said is kept"
