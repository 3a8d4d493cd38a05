"""slicer sheet: a page that shows all slices of a folder or a bucket on a time line."""

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from urllib.parse import unquote

from slicer.cli.bucket_copy import copy
from slicer.cli.exits import STORED
from slicer.cli.options import add_common, settings_of, whole
from slicer.demo.contact_sheet import Entry, render
from slicer.errors import BadInput, counted
from slicer.logs.lines import escaped
from slicer.media.naming import FOLDERS
from slicer.media.wav import seconds_of
from slicer.rtp.parameters import Kind, Role
from slicer.storage.reading import open_reader

NAME = "contact-sheet.html"
MOST = 100_000
"""Slices that one page may hold: a browser still draws some thousands at once."""
DEFAULT_MOST = 5_000
DEFAULT_MEGABYTES = 2_000
_URL = re.compile(r"[a-z][a-z0-9+.-]*:")
_SLICE = re.compile(r".+_(\d{14})(?:_\d+)?\.(?:ogg|png|jpg|webp)")
_KINDS = {folder: kind for kind, folder in FOLDERS.items()}


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument(
        "place", metavar="PLACE",
        help="what --to named: a folder, or s3://bucket/prefix?… (cos:// oss:// gs:// az:// alike)",
    )  # fmt: skip
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="slices of a bucket are copied there"
    )
    parser.add_argument(
        "--limit", type=whole("--limit", 1, MOST), default=DEFAULT_MOST, metavar="N",
        help="show the newest N slices (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--megabytes", type=whole("--megabytes", 1, 1_000_000), default=DEFAULT_MEGABYTES,
        metavar="N", help="copy so many from a bucket at most (%(default)s)",
    )  # fmt: skip
    parser.epilog = f"Writes {NAME} into the folder."
    add_common(parser)
    parser.set_defaults(command=sheet)


def sheet(options: argparse.Namespace) -> int:
    """Write the page; gives the exit code. Raises BadInput and StorageError."""
    folder = Path(options.place)
    if _URL.match(options.place):
        folder = asyncio.run(_copied(options))
        folder.mkdir(parents=True, exist_ok=True)  # there may be no slice at all
    if not folder.is_dir():
        raise BadInput("PLACE", str(folder), "a folder that is there, or a bucket's URL")
    found = sorted(slices(folder), key=lambda one: one[2])
    entries = [entry(folder, *one) for one in found[-options.limit :]]
    ends = [one.start + timedelta(seconds=one.seconds) for one in entries]
    now = datetime.now(UTC)
    began, ended = min((one.start for one in entries), default=now), max(ends, default=now)
    page = folder / NAME
    try:
        html = render(escaped(str(folder)), entries, began, ended)
        page.write_text(html, encoding="utf-8")
    except OSError as error:
        allowed = f"a folder that can be written ({error.strerror})"
        raise BadInput("PLACE", str(folder), allowed) from None
    left = len(found) - len(entries)
    more = f"; {counted(left, 'older one')} left out: --limit {len(found)}" if left else ""
    sys.stdout.write(f"{page}: {counted(len(entries), 'slice')}{more}\n")
    return STORED


async def _copied(options: argparse.Namespace) -> Path:
    """The folder into which the newest slices of a bucket were copied."""
    reader = open_reader(options.place, settings_of(options).storage.credentials())
    if options.to is None:
        raise BadInput("--to", "nothing", "a folder, which a bucket's slices are copied to")
    folder: Path = options.to
    most = options.megabytes * 1_000_000
    copied = await copy(reader, folder, named, options.limit, most)
    why = f", {copied.larger} of them by --megabytes" if copied.larger else ""
    left = f"; {counted(copied.left_out, 'older one')} left in it{why}" if copied.left_out else ""
    sys.stdout.write(f"{reader.label}: {counted(copied.slices, 'slice')}{left}\n")
    return folder


def slices(folder: Path) -> Iterator[tuple[Path, Kind, datetime]]:
    """All that is named as a slice is (slicer/media/naming.py), below a folder."""
    for path in folder.rglob("*.*"):
        if facts := named(path):
            yield path, *facts


def named(path: PurePath) -> tuple[Kind, datetime] | None:
    """What a slice's name says; None where it is no slice's."""
    name, kind = _SLICE.fullmatch(path.name), _KINDS.get(path.parent.name)
    if name is None or kind is None:
        return None
    try:
        return kind, datetime.strptime(name[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None  # 14 digits, and no time


def entry(folder: Path, path: Path, kind: Kind, began: datetime) -> Entry:
    """A slice as the page shows it; one that cannot be read has no length."""
    data = path.read_bytes() if kind is Kind.AUDIO else b""
    try:
        seconds = seconds_of(data) if data else 0.0
    except ValueError:
        seconds = 0.0
    user = path.parent.parent.name
    role = Role.AUX if f"_{user}_{Role.AUX}_" in path.name else Role.MAIN
    size, key = len(data) or path.stat().st_size, path.relative_to(folder).as_posix()
    return Entry(key, unquote(user), kind, began, seconds, size, role)
