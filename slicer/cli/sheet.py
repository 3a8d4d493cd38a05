"""slicer sheet: a page that shows all slices of a folder on a time line."""

import argparse
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

from slicer.cli.exits import STORED
from slicer.cli.options import whole
from slicer.demo.contact_sheet import Entry, render
from slicer.errors import BadInput, counted
from slicer.media.naming import FOLDERS
from slicer.media.wav import seconds_of
from slicer.rtp.parameters import Kind

NAME = "contact-sheet.html"
MOST = 100_000
"""Slices that one page may hold: a browser still draws some thousands at once."""
DEFAULT_MOST = 5_000
_SLICE = re.compile(r".+_(\d{14})(?:_\d+)?\.(?:ogg|png|jpg|webp)")
_KINDS = {folder: kind for kind, folder in FOLDERS.items()}


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="what --to named, or a folder in it"
    )
    parser.add_argument(
        "--limit", type=whole("--limit", 1, MOST), default=DEFAULT_MOST, metavar="N",
        help="show the newest N slices (%(default)s)",
    )  # fmt: skip
    parser.epilog = f"Writes {NAME} into the folder. Slices of a bucket: copy them to one first."
    parser.set_defaults(command=sheet, verbose=False)


def sheet(options: argparse.Namespace) -> int:
    """Write the page; gives the exit code. Raises BadInput."""
    folder: Path = options.folder
    if not folder.is_dir():
        raise BadInput("FOLDER", str(folder), "a folder that is there")
    found = sorted(slices(folder), key=lambda one: one[2])
    entries = [entry(folder, *one) for one in found[-options.limit :]]
    ends = [one.start + timedelta(seconds=one.seconds) for one in entries]
    now = datetime.now(UTC)
    began, ended = min((one.start for one in entries), default=now), max(ends, default=now)
    page = folder / NAME
    try:
        page.write_text(render(str(folder), entries, began, ended), encoding="utf-8")
    except OSError as error:
        allowed = f"a folder that can be written ({error.strerror})"
        raise BadInput("FOLDER", str(folder), allowed) from None
    left = len(found) - len(entries)
    more = f"; {counted(left, 'older one')} left out: --limit {len(found)}" if left else ""
    sys.stdout.write(f"{page}: {counted(len(entries), 'slice')}{more}\n")
    return STORED


def slices(folder: Path) -> Iterator[tuple[Path, Kind, datetime]]:
    """All that is named as a slice is (slicer/media/naming.py), below a folder."""
    for path in folder.rglob("*.*"):
        named, kind = _SLICE.fullmatch(path.name), _KINDS.get(path.parent.name)
        if named is None or kind is None:
            continue
        try:
            began = datetime.strptime(named[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            continue  # 14 digits, and no time
        yield path, kind, began


def entry(folder: Path, path: Path, kind: Kind, began: datetime) -> Entry:
    """A slice as the page shows it; one that cannot be read has no length."""
    data = path.read_bytes() if kind is Kind.AUDIO else b""
    try:
        seconds = seconds_of(data) if data else 0.0
    except ValueError:
        seconds = 0.0
    anchor = unquote(path.parent.parent.name)
    size = len(data) or path.stat().st_size
    return Entry(path.relative_to(folder).as_posix(), anchor, kind, began, seconds, size)
