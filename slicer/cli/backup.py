"""slicer backup: a copy of the databases in a state folder, also while the service runs."""

import argparse
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from slicer.cli.exits import STORED
from slicer.cli.options import add_common, service_settings_of
from slicer.cli.task_list import ask
from slicer.errors import BadInput
from slicer.files import sync
from slicer.permissions import private_folder
from slicer.service.control import REGISTRY
from slicer.service.serving import KEY_FILE
from slicer.service.sqlite_registry import FILE
from slicer.sqlite import BUSY_SECONDS


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the copies go")
    parser.epilog = (
        "The state is found by serve.state; only the service's own user and root may copy it. "
        "How to restore it: docs/upgrading.md."
    )
    add_common(parser)
    parser.set_defaults(command=backup)


def backup(options: argparse.Namespace) -> int:
    """Copy every database, each as it is at one moment. Raises BadInput; a copy is whole, or it is
    not there."""
    settings = service_settings_of(options).serve
    state, to = Path(settings.state), options.folder
    names = _databases(state)
    _make(to, names)
    for name in names:
        part = to / f"{name}.part"
        try:
            _copy(state / name, part)
            part.rename(to / name)
        finally:
            part.unlink(missing_ok=True)
        sys.stdout.write(f"{name:<14} {(to / name).stat().st_size / 1000:,.0f} kB\n")
    sync(to)
    if (state / KEY_FILE).exists():
        sys.stdout.write(f"not copied: {state / KEY_FILE}, which you keep apart\n")
    return STORED


def _databases(state: Path) -> list[str]:
    try:
        names = [one.name for one in os.scandir(state) if one.name.endswith(".db")]
    except OSError as error:
        allowed = f"a state folder that can be read ({error.strerror})"
        raise BadInput("serve.state", str(state), allowed) from None
    if not names:
        raise BadInput("serve.state", str(state), "the state folder of a service, with *.db")
    # Tasks first: the last callback of one that ends meanwhile rather comes twice than never.
    return sorted(names, key=lambda name: (name != FILE, name))


def _make(folder: Path, names: list[str]) -> None:
    try:
        private_folder("FOLDER", folder)
    except OSError as error:
        allowed = f"a folder that can be made and written ({error.strerror})"
        raise BadInput("FOLDER", str(folder), allowed) from None
    for name in names:
        if (folder / name).exists():
            raise BadInput("FOLDER", str(folder), f"a folder that has no {name}: none is replaced")


def _copy(source: Path, part: Path) -> None:
    """Write the copy of one database, and see that it is undamaged."""
    try:
        part.touch(mode=0o600)
        part.write_bytes(_of_service(source.parent) if source.name == FILE else b"")
        with closing(sqlite3.connect(part)) as copy:
            if not part.stat().st_size:
                with closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as opened:
                    # `backup` waits for ever for one that is locked; a read does not, and keeps
                    # a service from starting on it meanwhile.
                    opened.executescript("BEGIN; SELECT count(*) FROM sqlite_schema")
                    _write(opened, copy, part)
            verdict = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        sync(part)
    except OSError as error:
        raise BadInput("FOLDER", str(part), f"a file that can be written ({error})") from None
    except sqlite3.OperationalError as error:
        allowed = f"that of a service that answers `slicer tasks`, or does not run ({error})"
        raise BadInput("serve.state", source.name, allowed) from None
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise BadInput("serve.state", source.name, f"an undamaged database ({verdict})")


def _write(opened: sqlite3.Connection, copy: sqlite3.Connection, part: Path) -> None:
    try:
        opened.backup(copy)
    except sqlite3.OperationalError as error:
        raise BadInput("FOLDER", str(part), f"a file that can be written ({error})") from None


def _of_service(state: Path) -> bytes:
    """The registry, which the service that runs alone may open; nothing where it has none open."""
    try:
        size, _, data = ask(state, REGISTRY).partition(b"\n")
    except OSError:
        return b""
    if size != b"%d" % len(data):
        allowed = "a service of this version, which goes on meanwhile; its log may say what fails"
        raise BadInput("serve.state", str(state), allowed)
    return data
