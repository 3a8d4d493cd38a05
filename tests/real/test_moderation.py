"""Two browsers, judged by models on this machine: one shows a QR code and says a listed phrase."""

import asyncio
import io
import wave
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import zxingcpp

from slicer import (
    AudioSpec,
    Engine,
    Keep,
    Kind,
    Label,
    Moderation,
    ModerationSettings,
    Settings,
    SliceJudged,
    SliceParams,
    SliceStored,
    SliceUnjudged,
    Suggest,
    SupplierSpec,
    SupplierTrouble,
    TaskSpec,
    VideoSpec,
)
from tests.harness.end_to_end import Studio
from tests.harness.media.picture import Painter, Rgb
from tests.harness.moderation.models import two_cities, whisper
from tests.harness.rooms.chromium import PublishOptions, chromium

PHRASE = "worst of times"
RATE = 48_000
SLICE = 6
"""Seconds: each holds the phrase once at least, which is said each 4.1 s."""
RUDE, KIND = (0.6, 4.7), (4.7, 12.9)
"""Seconds of the reading: with the phrase, and without it."""


def microphone(path: Path, part: tuple[float, float]) -> Path:
    """A part of the reading, in stereo, which Chromium says again and again."""
    with wave.open(io.BytesIO(two_cities())) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    first, end = (round(second * RATE) for second in part)
    with wave.open(str(path), "wb") as made:
        made.setparams((2, 2, RATE, 0, "NONE", ""))
        made.writeframes(np.repeat(samples[first:end], 2).tobytes())
    return path


def camera(path: Path, code: str = "") -> Path:
    """Two seconds of a test picture; with a QR code in it, where there is one."""
    painter = Painter()
    pictures: Sequence[Rgb] = [painter.draw(frame) for frame in range(2 * painter.fps)]
    if code:
        made = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.QRCode).to_image(scale=5)
        drawn = np.array(made)
        for picture in pictures:
            picture[20 : 20 + drawn.shape[0], 20 : 20 + drawn.shape[1]] = drawn[:, :, None]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{painter.width} H{painter.height} F{painter.fps}:1 C420\n".encode())
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            file.write(b"FRAME\n" + frame.to_ndarray().tobytes())
    return path


def spec(to: Path) -> TaskSpec:
    return TaskSpec(
        "whip://127.0.0.1:0/lobby",
        to.as_uri(),
        SliceParams(AudioSpec(SLICE), VideoSpec(2)),
        moderation=Moderation(SupplierSpec("local"), Keep.HITS),
    )


async def test_what_is_to_be_seen_and_heard_is_found_and_nothing_else(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text(f"[Abuse block]\n{PHRASE}\n")
    settings = ModerationSettings(local_whisper=str(whisper()), local_words=str(words))
    async with Engine(Settings(moderation=settings)) as engine:
        stage = Studio(engine, None)  # type: ignore[arg-type] # (a folder is the store)
        listening = asyncio.ensure_future(stage.listen())
        task = await engine.create(spec(tmp_path / "hits"))
        devices = {
            "rude": (camera(tmp_path / "r.y4m", "https://example.org"), RUDE),
            "kind": (camera(tmp_path / "k.y4m"), KIND),
        }
        async with (
            chromium(devices["rude"][0], microphone(tmp_path / "r.wav", RUDE)) as first,
            chromium(devices["kind"][0], microphone(tmp_path / "k.wav", KIND)) as second,
        ):
            pages = {"rude": await first.publisher(), "kind": await second.publisher()}
            for anchor, page in pages.items():
                await page.start(stage.url(anchor), PublishOptions())
            await stage.until(lambda: all(enough(stage, anchor) for anchor in pages))
            for page in pages.values():
                await page.stop()
        finished = await stage.finish(task)
    await listening
    check(stage, tmp_path / "hits")
    assert (finished.lost, finished.unjudged) == (0, 0)
    assert finished.judged == len(stage.told(SliceJudged))


def judged(stage: Studio, anchor: str, kind: Kind) -> list[SliceJudged]:
    """The verdicts of a track; of audio, those of whole slices."""
    return [
        event
        for event in stage.told(SliceJudged)
        if (event.slice.anchor, event.slice.kind) == (anchor, kind)
        and (kind is Kind.VIDEO or event.slice.seconds == SLICE)
    ]


def enough(stage: Studio, anchor: str) -> bool:
    return bool(judged(stage, anchor, Kind.AUDIO)) and len(judged(stage, anchor, Kind.VIDEO)) >= 3


def check(stage: Studio, folder: Path) -> None:
    for event in stage.told(SliceJudged):
        print(event.slice.key, event.verdict.suggest.name, event.verdict.label, event.verdict.text)
    assert not stage.told(SliceUnjudged)
    assert not stage.told(SupplierTrouble)
    for event in judged(stage, "rude", Kind.VIDEO):
        (finding,) = event.verdict.findings
        assert (finding.label, finding.suggest) == (Label.QR_CODE, Suggest.REVIEW)
        assert finding.boxes[0].x == pytest.approx(40, abs=25)
    for event in judged(stage, "rude", Kind.AUDIO):
        assert (event.verdict.label, event.verdict.suggest) == (Label.ABUSE, Suggest.BLOCK)
        assert event.verdict.findings[0].keywords == (PHRASE,)
    told = stage.told(SliceJudged)
    assert not [one for one in told if one.slice.anchor == "kind" and one.verdict.hit]
    hits = {one.slice.key for one in told if one.verdict.hit}
    assert {one.slice.key for one in stage.told(SliceStored)} == hits
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert files == hits
