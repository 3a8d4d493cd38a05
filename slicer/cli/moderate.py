"""slicer moderate: judges files by hand, with the supplier that would judge a room's slices."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import av
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slicer.cli.account_options import add_account, supplier_of
from slicer.cli.exits import HIT, STORED, UNJUDGED
from slicer.cli.options import add_common, settings_of
from slicer.config import in_words
from slicer.errors import BadInput, MediaError, ModerationError, SliceNotJudged
from slicer.media import image
from slicer.media.slice import File, SliceInfo
from slicer.media.wav import seconds_of, to_ogg
from slicer.moderation import (
    Box,
    Finding,
    Suggest,
    Supplier,
    Verdict,
    one_that_judges,
    open_supplier,
)
from slicer.moderation.local.pictures import Image, decode
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.slicing.spec import ImageFormat

MAX_FILE = 64 * 1024 * 1024
"""Bytes."""
TYPES = {
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/ogg",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
"""What a file's name ends with; WAV becomes Ogg, which is what suppliers are given of a room."""
LINE = 3
"""Pixels of a box's line."""
COLOURS = {Suggest.REVIEW: (255, 200, 0), Suggest.BLOCK: (255, 0, 0)}
_STYLES = {Suggest.PASS: "green", Suggest.REVIEW: "yellow", Suggest.BLOCK: "red"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A file, and its verdict or why there is none."""

    path: Path
    outcome: Verdict | ModerationError


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help=f"files named {in_words(list(TYPES))}"
    )
    parser.add_argument(
        "--supplier", default="local", metavar="NAME", help="who judges (%(default)s)"
    )
    add_account(parser)
    parser.add_argument("--json", action="store_true", help="one object a line, with all there is")
    parser.add_argument(
        "--boxes", type=Path, metavar="FOLDER",
        help="copies of pictures go there, with what was found framed",
    )  # fmt: skip
    add_common(parser)
    parser.set_defaults(command=moderate)


def moderate(options: argparse.Namespace) -> int:
    """Judge files, print what comes out, and give the exit code."""
    settings = settings_of(options).moderation
    # One picture in so many is for rooms; of those that are named here, text is read in each.
    settings = replace(settings, local_ocr_every=min(1, settings.local_ocr_every))
    spec = supplier_of(options.supplier, options, os.environ)
    if options.boxes:
        _check_folder(options.boxes)
    supplier = open_supplier(spec, settings)
    judged = asyncio.run(_judge(options.files, supplier, spec.name, settings))
    if options.json:
        for one in judged:
            sys.stdout.write(json.dumps(as_json(one), ensure_ascii=False) + "\n")
    else:
        Console().print(table(judged))
    if options.boxes:
        for path in draw(judged, options.boxes):
            sys.stderr.write(f"{path}\n")
    verdicts = [one.outcome for one in judged if isinstance(one.outcome, Verdict)]
    if any(verdict.hit for verdict in verdicts):
        return HIT
    return STORED if len(verdicts) == len(judged) else UNJUDGED


async def _judge(
    paths: Sequence[Path], supplier: Supplier, name: str, settings: ModerationSettings
) -> list[Judged]:
    """Verdicts in the order of the files; as many at a time as an account may be asked."""
    room = asyncio.Semaphore(settings.concurrency)

    async def judge(path: Path) -> Judged:
        async with room:
            try:
                return Judged(path, await supplier.judge(await asyncio.to_thread(read, path)))
            except (MediaError, ValueError, OSError) as error:
                return Judged(path, SliceNotJudged(supplier.label, str(error)))
            except ModerationError as error:
                return Judged(path, error)

    try:
        for path in paths:
            _check(path, supplier, name)
        await supplier.check()
        return list(await asyncio.gather(*(judge(path) for path in paths)))
    finally:
        await supplier.close()


def _check_folder(folder: Path) -> None:
    """Make the folder of `--boxes`, before anything is judged."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = f"a folder that can be made ({error.strerror})"
        raise BadInput("--boxes", str(folder), allowed) from None


def _check(path: Path, supplier: Supplier, name: str) -> None:
    kind = _kind(path)
    if kind not in supplier.kinds:
        raise BadInput("--supplier", name, one_that_judges(kind, name, supplier.kinds))
    if not path.is_file():
        raise BadInput("FILE", str(path), "a file that is there")
    if path.stat().st_size > MAX_FILE:
        raise BadInput("FILE", str(path), f"a file of at most {MAX_FILE} bytes")


def _kind(path: Path) -> Kind:
    content_type = TYPES.get(path.suffix.lower())
    if content_type is None:
        raise BadInput("FILE", str(path), f"a name that ends with {in_words(list(TYPES))}")
    return Kind.VIDEO if content_type.startswith("image/") else Kind.AUDIO


def read(path: Path) -> File:
    """A file as suppliers are given it. Raises MediaError or ValueError for one that is not what
    its name says."""
    kind, content_type, data = _kind(path), TYPES[path.suffix.lower()], path.read_bytes()
    began = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    track = TrackKey("moderate", path.stem, kind)
    if kind is Kind.VIDEO:
        height, width = decode(data).shape[:2]
        info = SliceInfo(str(path), track, began, 0.0, len(data))
        return File(info, data, content_type, width, height)
    if path.suffix.lower() == ".wav":
        data = to_ogg(data)
    info = SliceInfo(str(path), track, began, seconds_of(data), len(data))
    return File(info, data, content_type)


def as_json(judged: Judged) -> dict[str, object]:
    """A verdict in the words of docs/moderation.md."""
    if not isinstance(judged.outcome, Verdict):
        return {"file": str(judged.path), "error": str(judged.outcome)}
    verdict = asdict(judged.outcome) | {"suggest": judged.outcome.suggest.name.lower()}
    verdict["findings"] = [
        asdict(finding) | {"suggest": finding.suggest.name.lower()}
        for finding in judged.outcome.findings
    ]
    verdict["raw"] = json.loads(judged.outcome.raw or "null")
    return {"file": str(judged.path), **verdict}


def table(judged: Iterable[Judged]) -> Table:
    """A row for each finding; of files without any, one row."""
    shown = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("file", "verdict", "label", "score", "found by", "what"):
        shown.add_column(name, overflow="fold", justify="right" if name == "score" else "left")
    for one in judged:
        if not isinstance(one.outcome, Verdict):
            why = Text(str(one.outcome))
            shown.add_row(Text(str(one.path)), Text("unjudged", "red"), "", "", "", why)
        elif not one.outcome.findings:
            text = Text(" ".join(one.outcome.text.split()), "dim")
            shown.add_row(Text(str(one.path)), Text("pass", "green"), "Normal", "", "", text)
        for finding in one.outcome.findings if isinstance(one.outcome, Verdict) else ():
            suggest = Text(finding.suggest.name.lower(), _STYLES[finding.suggest])
            shown.add_row(
                Text(str(one.path)), suggest, finding.label.value, str(finding.score),
                finding.scene, Text(_what(finding)),
            )  # fmt: skip
    return shown


def _what(finding: Finding) -> str:
    """Keywords and where they were said, or the description."""
    spoken = ", ".join(f"{one.text} ({one.begin:.1f} s)" for one in finding.segments)
    return spoken or ", ".join(finding.keywords) or finding.description


def draw(judged: Iterable[Judged], folder: Path) -> list[Path]:
    """Write a PNG copy of each picture in which something has a place; gives their paths."""
    written: list[Path] = []
    for one in judged:
        findings = one.outcome.findings if isinstance(one.outcome, Verdict) else ()
        if not any(finding.boxes for finding in findings):
            continue
        picture = decode(one.path.read_bytes())
        for finding in sorted(findings, key=lambda finding: finding.suggest):  # the worst on top
            for box in finding.boxes:
                frame(picture, box, COLOURS.get(finding.suggest, COLOURS[Suggest.REVIEW]))
        path = folder / f"{len(written) + 1:03}-{one.path.stem}.png"
        drawn = av.VideoFrame.from_ndarray(picture, "rgb24")
        path.write_bytes(image.encode(drawn, ImageFormat.PNG))
        written.append(path)
    return written


def frame(picture: Image, box: Box, colour: tuple[int, int, int]) -> None:
    """Draw a box's outline, inside it."""
    inside = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    for side in (inside[:LINE], inside[-LINE:], inside[:, :LINE], inside[:, -LINE:]):
        side[:] = colour
