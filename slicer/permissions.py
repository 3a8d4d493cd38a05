"""Folders that nobody else may write to: what lies there is believed at the next start."""

import os
import stat
from pathlib import Path

from slicer.errors import BadInput


def private_folder(field: str, folder: Path, *, group: bool = False) -> None:
    """Make a folder with mode 0700 unless it is there; blocks.

    *group*: whether its group may write, as on volumes that an orchestrator gives to a group.
    Raises BadInput that names *field* where somebody else may write there, or may put another
    folder in its place; and OSError.
    """
    for each in reversed((folder, *folder.parents)):
        if not each.is_dir():  # a disk that is read-only may well hold it
            each.mkdir(mode=0o700, exist_ok=True)
    folder = folder.resolve(strict=True)
    for fault in _faults(folder, group):
        rule = "a folder of this user or of root that nobody else may write to (chmod go-w)"
        raise BadInput(field, str(folder), f"{rule}; this one is {fault}")


def _faults(folder: Path, group: bool) -> list[str]:
    faults = []
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in (os.geteuid(), 0):
        faults.append(f"of user {status.st_uid}")
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not group):
        faults.append(f"of mode {mode:04o}")
    for parent in folder.parents:
        mode = stat.S_IMODE(parent.stat().st_mode)
        # In a sticky folder such as /tmp nobody may rename what is another's (mode 1777).
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            faults.append(f"in {parent} of mode {mode:04o}")
    return faults
