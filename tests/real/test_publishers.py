"""FFmpeg's WHIP muxer, which cannot be asked for keyframes, and aiortc publish into our room."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
import pytest_asyncio

from slicer import AudioSpec, Kind, SliceParams, VideoSpec
from slicer.demo.publisher import publish
from tests.harness.end_to_end import Landed, Studio, studio
from tests.harness.media.content import (
    OPUS_DELAY,
    SAMPLE_RATE,
    Content,
    Encoding,
    encode,
    find_beeps,
    is_grey,
    read_frame_number,
)
from tests.harness.media.slices import decode_ogg, mono, read_picture
from tests.harness.rooms.whip_muxer import muxer
from tests.harness.storage.seaweed import Seaweed

FPS = 15
SECONDS, EVERY, SLICES = 4, 2, 3
LONG_GROUP = 6 * FPS
BUSY = 8
"""Frames from the one due to the keyframe that answers, on a machine with much else to do."""
ANCHORS = ("short", "long", "aiortc")


@dataclass(frozen=True)
class Take:
    """What was stored of one anchor."""

    sounds: list[Landed]
    pictures: list[Landed]

    def frames(self) -> list[int]:
        pictures = [read_picture(picture.data) for picture in self.pictures]
        assert not any(is_grey(picture) for picture in pictures)
        numbers = [read_frame_number(picture) for picture in pictures]
        readable = [number for number in numbers if number is not None]
        assert len(readable) == len(numbers)
        return readable


async def perform(stage: Studio, folder: Path) -> dict[str, Take]:
    content = Content(seconds=20)
    encode(folder / "long.mp4", content, Encoding("h264", gop=LONG_GROUP))
    encode(folder / "aiortc.webm", content, Encoding("vp8"))
    task = await stage.slice(SliceParams(AudioSpec(SECONDS), VideoSpec(EVERY)))
    async with muxer(stage.url("short")), muxer(stage.url("long"), folder / "long.mp4"):
        publication = await publish(stage.url("aiortc"), folder / "aiortc.webm", video_codec="VP8")
        await stage.until(
            lambda: all(len(stage.stored(task, who, Kind.AUDIO)) >= SLICES for who in ANCHORS)
        )
        await publication.close()
    assert (await stage.finish(task)).lost == 0
    return {
        who: Take(
            await stage.landed(task, who, Kind.AUDIO), await stage.landed(task, who, Kind.VIDEO)
        )
        for who in ANCHORS
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def takes(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Take]:
    async with studio(seaweed) as stage:
        return await perform(stage, tmp_path_factory.mktemp("publishers"))


@pytest.mark.parametrize("anchor", ANCHORS)
def test_sound_has_its_length_to_the_sample(takes: dict[str, Take], anchor: str) -> None:
    parts = [mono(decode_ogg(sound.data)) for sound in takes[anchor].sounds]
    assert [part.size for part in parts[:SLICES]] == [SECONDS * SAMPLE_RATE] * SLICES
    beeps = [
        index * SECONDS + beep
        for index, part in enumerate(parts[:SLICES])
        for beep in find_beeps(part)
    ]
    gaps = [after - before for before, after in pairwise(beeps)]
    print(anchor, "beeps:", beeps)
    # At a slice's edge a beep is not found.
    assert len(beeps) >= SECONDS * SLICES - SLICES
    assert gaps == pytest.approx([round(gap) for gap in gaps], abs=1e-3)


@pytest.mark.parametrize("anchor", ["short", "long"])
def test_who_cannot_be_asked_gives_the_very_frame_due(takes: dict[str, Take], anchor: str) -> None:
    """The muxer offers no feedback: from every keyframe on all is kept, and decoded when due."""
    frames = takes[anchor].frames()
    assert len(frames) >= SECONDS * SLICES // EVERY
    assert frames == [index * EVERY * FPS for index in range(len(frames))]


def test_aiortc_answers_a_request(takes: dict[str, Take]) -> None:
    frames = takes["aiortc"].frames()
    late = [frame - frames[0] - index * EVERY * FPS for index, frame in enumerate(frames)]
    print("frames late:", late)
    assert len(frames) >= SECONDS * SLICES // EVERY
    assert all(before < after for before, after in pairwise(frames))
    assert max(late) <= BUSY


@pytest.mark.parametrize(
    ("anchor", "within"),
    # aiortc's reports date a picture by when it was encoded and sent: late on a busy machine.
    [("short", 0.1), ("long", 0.1), ("aiortc", 0.4)],
)
def test_sound_and_pictures_are_dated_alike(
    takes: dict[str, Take], anchor: str, within: float
) -> None:
    """Both were encoded on one clock: the beep of second n is frame n x 15."""
    take = takes[anchor]
    starts = [
        picture.told.began.timestamp() - frame / FPS
        for picture, frame in zip(take.pictures, take.frames(), strict=True)
    ]
    apart = [
        (sound.told.began.timestamp() + beep - OPUS_DELAY - median(starts) + 0.5) % 1 - 0.5
        for sound in take.sounds
        for beep in find_beeps(mono(decode_ogg(sound.data)))
    ]
    print(anchor, "sound after pictures, seconds:", min(apart), max(apart))
    assert len(apart) >= SECONDS * SLICES - SLICES
    assert apart == pytest.approx([0] * len(apart), abs=within)
