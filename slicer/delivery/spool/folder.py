"""The folder of one destination in the spool: its records are written, read and listed here.

All methods block and may be called from any thread; they raise OSError. A record is written under
another name and renamed: the rename is the commit, so a listing holds whole records alone, and
what a crash left half-written is known by its name.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from slicer.delivery.spool.record import (
    PREAMBLE_BYTES,
    Header,
    StoreUrls,
    decode,
    decode_header,
    describe,
    encode,
    header_bytes,
)
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from slicer.files import sync, write_all
from slicer.media.slice import File

RECORD, JUDGING, PART, DAMAGED = ".slice", ".judging", ".part", ".damaged"
WHOLE = (RECORD, JUDGING)
"""Records of slices: to be stored, or to be judged before."""
WAITING = ".waiting"
"""Behind one of those: whether it may be delivered is not known yet (sharing.py)."""
_NAME = re.compile(r"(\d{16})\.(slice|judging|part|damaged)(\.waiting)?")
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A record on the disk. *size*: all its bytes; *written*: UTC seconds; *header* is None where
    it is damaged."""

    path: Path
    number: int
    size: int
    written: float
    header: Header | None

    @property
    def judging(self) -> bool:
        """It waits for its verdict, and no store may have it before."""
        return JUDGING in self.path.suffixes

    @property
    def waiting(self) -> bool:
        """Whether it may be delivered is not known."""
        return self.path.suffix == WAITING


class Folder:
    """Records that go to the same stores, named by their numbers."""

    def __init__(self, path: Path, urls: StoreUrls, settings: SpoolSettings) -> None:
        self.path, self.urls, self._settings = path, urls, settings

    def write(
        self,
        number: int,
        file: File,
        judging: bool = False,
        *,
        waiting: bool = False,
        epoch: int = 0,
        copy: str = "",
    ) -> Path:
        """Put a file on the disk, as safe as the settings ask for. It is there when this returns.
        *judging*: it is to be judged first; *waiting*: whether it may be delivered is not known
        yet; *epoch*, *copy*: as a Header's.

        Raises OSError: ENOSPC also where it would take the reserve.
        """
        suffix = (JUDGING if judging else RECORD) + (WAITING if waiting else "")
        header = encode(describe(file, self.urls, epoch, copy))
        return self._write(number, suffix, (header, file.data))

    def take(self, number: int, suffix: str, record: bytes) -> Path:
        """Put another process's record on the disk likewise, under one of WHOLE. Raises OSError."""
        return self._write(number, suffix, (record,))

    def _write(self, number: int, suffix: str, blocks: Sequence[bytes]) -> Path:
        part = self.path / f"{number:016d}{PART}"
        path = part.with_name(f"{number:016d}{suffix}")
        descriptor = self._create(part, sum(map(len, blocks)))
        try:
            try:
                for block in blocks:
                    write_all(descriptor, block)
                if self._settings.fsync is Fsync.ALWAYS:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            part.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        if self._settings.fsync is Fsync.ALWAYS:
            sync(self.path)
        return path

    def _create(self, part: Path, size: int) -> int:
        try:
            self._check_space(size)
            return os.open(part, _WRITE, 0o600)
        except FileNotFoundError:  # the first one here
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            if self._settings.fsync is not Fsync.NEVER:
                sync(self.path.parent)
            self._check_space(size)
            return os.open(part, _WRITE, 0o600)

    def _check_space(self, size: int) -> None:
        disk = os.statvfs(self.path)
        if _free(disk) < self._settings.reserve_bytes + size:
            text = "No space left on device above spool.reserve_bytes"
            raise OSError(errno.ENOSPC, text, str(self.path))


def free_bytes(folder: Path) -> int | None:
    """What is free on the disk of a folder; None where it does not say."""
    try:
        return _free(os.statvfs(folder))
    except OSError:
        return None


def _free(disk: os.statvfs_result) -> int:
    return disk.f_bavail * disk.f_frsize


def folder_name(urls: StoreUrls, *key_ids: str) -> str:
    """What the folder of a destination is called; *key_ids* tell apart who writes there."""
    text = "\0".join((*urls.stores, *key_ids))
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]


def read(path: Path, urls: StoreUrls) -> File:
    """The file of a record that is for these stores. Raises OSError, and as file_for does."""
    return file_for(path.read_bytes(), urls)


def file_for(record: bytes, urls: StoreUrls) -> File:
    """The file of a record that is for these stores. Raises ValueError where it is damaged, or
    names others."""
    header, file = decode(record)
    if header.urls.stores != urls.stores:
        raise ValueError("it names other stores than its folder is for")
    return file


def mark_judged(path: Path) -> Path:
    """Have a record that was judged be stored: its new path. Raises OSError."""
    return path.rename(path.with_name(path.name.partition(".")[0] + RECORD))


def mark_permitted(path: Path) -> Path:
    """Have a record be delivered that waited for its permission: its new path. Raises OSError."""
    return path.rename(path.with_suffix(""))


def number_of(path: Path) -> int:
    """The number of a record, wherever it has come."""
    return int(path.name.partition(".")[0])


def read_record(path: Path) -> bytes | None:
    """The bytes of a record, also where it was judged meanwhile; None: it is gone. Raises
    OSError."""
    for one in (path, path.with_name(path.name.partition(".")[0] + RECORD)):
        with contextlib.suppress(FileNotFoundError):
            return one.read_bytes()
    return None


def set_aside(path: Path) -> None:
    """Take a damaged record out of the way; it is kept for a human to look at."""
    path.rename(path.with_name(path.name.partition(".")[0] + DAMAGED))


def numbers(folder: Path) -> Iterator[int]:
    """The number of every file there, whatever became of it."""
    for name in os.listdir(folder):
        if named := _NAME.fullmatch(name):
            yield int(named[1])


def listing(folder: Path) -> list[SpooledFile]:
    """The records of a folder in their order, those set aside too, also while it is written to."""
    ends = (*WHOLE, DAMAGED, WAITING)
    names = [name for name in sorted(os.listdir(folder)) if name.endswith(ends)]
    return [one for name in names if (one := look(folder / name)) is not None]


def clear(folder: Path) -> int:
    """Remove what a crash left half-written; how many. Only for who holds the spool's lock."""
    torn = [folder / name for name in os.listdir(folder) if name.endswith(PART)]
    for path in torn:
        path.unlink()
    return len(torn)


def look(path: Path) -> SpooledFile | None:
    """What a record is, from the disk; None where it is none, or is gone. Raises OSError."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        return None
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            whole = path.suffix != DAMAGED
            header = _header(file, status.st_size) if whole else None
    except FileNotFoundError:  # it was stored meanwhile
        return None
    return SpooledFile(path, int(named[1]), status.st_size, status.st_mtime, header)


def _header(file: BinaryIO, size: int) -> Header | None:
    """The header of a file of *size* bytes, or None where either cannot be right."""
    try:
        preamble = file.read(PREAMBLE_BYTES)
        header, begin = decode_header(preamble + file.read(header_bytes(preamble)))
    except ValueError:
        return None
    return header if size == begin + header.info.size else None
