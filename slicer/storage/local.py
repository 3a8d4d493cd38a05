"""A folder as a store: whole files or none, and never outside the folder.

Durability: a receipt means that the bytes, their name and all new folders were synced (fsync),
so that they survive a loss of power. Files are written in a staging folder inside the store and
moved into place, so a reader of the store's folders never meets half a file. Modes follow the
process's umask.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote

from slicer.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from slicer.files import write_all
from slicer.storage import Credentials, Receipt
from slicer.storage.keys import PROBE_KEY, check_key, without_probe
from slicer.storage.threads import Threads

THREADS = 4
STAGING = ".rtc-slicer-staging"
_STAGED = re.compile(r"[0-9a-f]{32}\.part")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW

# errno → what to do. What is not here is taken for passing: it is tried again.
_REFUSED = {
    errno.EACCES: "let this process write there",
    errno.EPERM: "let this process write there",
    errno.EROFS: "mount it writable, or name another folder",
    errno.ELOOP: "links are not followed inside the store; remove the link or name its target",
    errno.ENOTDIR: "a file stands where a folder is needed, or a link; remove or rename it",
    errno.EEXIST: "a file stands where a folder is needed; remove or rename it",
    errno.EISDIR: "a folder stands where the file should go; remove or rename it",
    errno.ENAMETOOLONG: "use shorter names",
    errno.EXDEV: "the whole folder must be on one file system",
    errno.EINVAL: "this file system does not take such names",
}
_UNAVAILABLE = {
    errno.ENOSPC: "free space on this disk",
    errno.EDQUOT: "raise the quota, or free space within it",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
_FORMS = "file:///absolute/folder, or file://./folder relative to the working directory"


class LocalStorage:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = Threads("local-storage", THREADS)

    @classmethod
    def from_url(cls, url: SplitResult, credentials: Credentials | None = None) -> Self:
        """Open `file:///absolute` or `file://./relative`; no I/O. A folder needs no credentials.

        Raises BadInput.
        """
        return cls(_folder(url))

    @cached_property
    def label(self) -> str:
        return self._root.as_uri()

    async def check(self) -> None:
        """Clear what a crash left half-written, then store and delete a probe."""
        try:
            await self._threads.run(PROBE_KEY, self._check)
        except StorageError as error:
            raise without_probe(error) from error

    async def put(
        self,
        key: str,
        data: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Store whole or not at all. A file's type is its name: *content_type* is not kept, and
        neither is *metadata*."""
        check_key(key)
        return await self._threads.run(key, partial(self._put, key, data))

    async def close(self) -> None:
        await self._threads.close()
        with contextlib.suppress(OSError):  # not empty: another process writes here as well
            (self._root / STAGING).rmdir()

    def _check(self) -> None:
        with (
            _told(PROBE_KEY),
            _closing(self._open_root()) as root,
            _closing(_open_subfolder(root, STAGING)) as staging,
        ):
            _clear(staging)
        self._put(PROBE_KEY, b"")
        with _told(PROBE_KEY):
            (self._root / PROBE_KEY).unlink(missing_ok=True)

    def _put(self, key: str, data: bytes) -> Receipt:
        *parents, name = key.split("/")
        if parents[:1] == [STAGING]:
            raise StorageRefused(key, f"{STAGING} is the store's own", "use another name")
        try:
            try:
                self._place(parents, name, data)
            except FileNotFoundError:  # another store of this folder closed, and took the staging
                self._place(parents, name, data)
        except OSError as error:
            raise _storage_error(key, error) from error
        return Receipt(key, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())

    def _place(self, parents: Sequence[str], name: str, data: bytes) -> None:
        opened = [self._open_root()]
        try:
            for parent in parents:
                opened.append(_open_subfolder(opened[-1], parent))
            folder = opened[-1]
            opened.append(_open_subfolder(opened[0], STAGING))
            _write(opened[-1], folder, name, data)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _open_root(self) -> int:
        # The root itself may be a link: whoever named it chose it.
        try:
            return os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
        except FileNotFoundError:
            self._root.mkdir(parents=True, exist_ok=True)
            return os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)


def _folder(url: SplitResult) -> Path:
    shown = url.geturl()
    if url.query or url.fragment:
        raise BadInput("storage", shown, f"{_FORMS}; write ? as %3F and # as %23")
    path = unquote(url.path, errors="surrogateescape")
    if "\0" in path or not path.startswith("/"):
        raise BadInput("storage", shown, _FORMS)
    if url.netloc == ".":
        return Path.cwd() / path.lstrip("/")
    if url.netloc not in {"", "localhost"}:
        raise BadInput("storage", shown, f"{_FORMS} (here {url.netloc!r} names a host)")
    return Path(path)


@contextlib.contextmanager
def _told(key: str) -> Iterator[None]:
    """Turn an OSError into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise _storage_error(key, error) from error


def _storage_error(key: str, error: OSError) -> StorageError:
    code = error.errno or 0
    where = f" ({error.filename})" if error.filename else ""
    reason = f"{error.strerror or type(error).__name__}{where}"
    if code in _REFUSED:
        return StorageRefused(key, reason, _REFUSED[code])
    return StorageUnavailable(key, reason, _UNAVAILABLE.get(code, "it is tried again"))


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_subfolder(parent: int, name: str) -> int:
    """Open a folder below an open one, made if need be. By descriptor and without following
    links, so that nobody can swap a link in between."""
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
            os.fsync(parent)
        return os.open(name, _FOLDER, dir_fd=parent)


def _write(staging: int, folder: int, name: str, data: bytes) -> None:
    staged = f"{os.urandom(16).hex()}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        file = os.open(staged, flags, 0o666, dir_fd=staging)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            write_all(file, data)
            os.fsync(file)
            os.replace(staged, name, src_dir_fd=staging, dst_dir_fd=folder)
        finally:
            os.close(file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(staged, dir_fd=staging)
        raise
    os.fsync(folder)


def _clear(staging: int) -> None:
    """Delete what no living writer holds locked: the half-written files of a crash."""
    for name in os.listdir(staging):
        if not _STAGED.fullmatch(name):
            continue
        with contextlib.suppress(OSError):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            with _closing(os.open(name, flags, dir_fd=staging)) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=staging)
