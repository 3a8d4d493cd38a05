"""The folder: URLs, atomic writes, links, leftovers, and each fault of a disk said in words."""

import asyncio
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from slicer.errors import BadInput, StorageError, StorageRefused, StorageUnavailable
from slicer.storage.local import STAGING, LocalStorage

OGG = "audio/ogg"


def opened(url: str) -> LocalStorage:
    return LocalStorage.from_url(urlsplit(url))


def failing(code: int) -> Callable[..., NoReturn]:
    """A call of the system that fails so."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///srv/slices", "/srv/slices"),
        ("file:///srv/my%20slices/", "/srv/my slices"),
        ("file:///srv/what%3F%23+", "/srv/what?#+"),
        ("file://localhost/srv", "/srv"),
        ("file:/srv", "/srv"),
    ],
)
def test_absolute(url: str, folder: str) -> None:
    assert opened(url).label == Path(folder).as_uri()


@pytest.mark.parametrize("url", ["file://./out/x", "file://./out//x"])
def test_relative(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert opened(url).label == (tmp_path / "out/x").as_uri()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:slices", "file://./folder"),
        ("file://slices", "file://./folder"),
        ("file://slices/x", "names a host"),
        ("file://~/x", "names a host"),
        ("file:", "file:///absolute"),
        ("file:///x?fsync=0", "%3F"),
        ("file:///x#y", "%23"),
        ("file:///x%00y", "file:///absolute"),
    ],
)
def test_other_forms_are_refused_with_the_right_one(url: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        opened(url)


async def put(folder: Path, key: str, data: bytes = b"data") -> None:
    store = LocalStorage(folder)
    try:
        await store.put(key, data, OGG)
    finally:
        await store.close()


async def test_modes_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        await put(tmp_path / "new", "a/b")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "new/a")}
    assert modes == {0o750}
    assert stat.S_IMODE((tmp_path / "new/a/b").stat().st_mode) == 0o640


async def test_only_slices_are_left(tmp_path: Path) -> None:
    await put(tmp_path, "a/b")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "a/b"]


async def test_links_inside_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    with pytest.raises(StorageRefused, match="link"):
        await put(inside, "link/x")
    with pytest.raises(StorageRefused, match="link"):
        await put(inside, "link/deeper/x")
    assert list(outside.iterdir()) == []


async def test_a_link_in_the_files_place_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    secret, inside = tmp_path / "secret", tmp_path / "inside"
    secret.write_bytes(b"untouched")
    inside.mkdir()
    (inside / "x").symlink_to(secret)
    await put(inside, "x", b"slice")
    assert secret.read_bytes() == b"untouched"
    assert (inside / "x").read_bytes() == b"slice"
    assert not (inside / "x").is_symlink()


async def test_a_link_as_staging_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / STAGING).symlink_to(tmp_path / "outside")
    with pytest.raises(StorageRefused):
        await put(tmp_path / "inside", "x")


async def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    await put(tmp_path / "store", "x")
    assert (tmp_path / "disk/x").read_bytes() == b"data"


async def test_the_staging_folder_is_no_place_for_slices(tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match="the store's own"):
        await put(tmp_path, f"{STAGING}/x")


async def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageRefused, match=r"a/b: .*a file stands where a folder is needed"):
        await put(tmp_path, "a/b")


async def test_a_folder_where_the_file_should_go(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(StorageRefused, match="a folder stands where the file should go"):
        await put(tmp_path, "a/b")
    assert not list((tmp_path / STAGING).glob("*"))


async def test_too_long_a_name(tmp_path: Path) -> None:
    await put(tmp_path, "x" * 255)
    with pytest.raises(StorageRefused, match="use shorter names"):
        await put(tmp_path, "x" * 256)


@pytest.mark.parametrize(
    ("code", "kind", "advice"),
    [
        (errno.ENOSPC, StorageUnavailable, "free space on this disk"),
        (errno.EDQUOT, StorageUnavailable, "raise the quota"),
        (errno.EIO, StorageUnavailable, "it is tried again"),
        (errno.EMFILE, StorageUnavailable, "ulimit"),
        (errno.EROFS, StorageRefused, "mount it writable"),
        (errno.EACCES, StorageRefused, "let this process write there"),
        (errno.EXDEV, StorageRefused, "one file system"),
    ],
)
async def test_what_a_disk_says(
    code: int,
    kind: type[StorageError],
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "x").write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", failing(code))
    with pytest.raises(kind, match=advice) as caught:
        await put(tmp_path, "x")
    assert caught.value.key == "x"
    assert os.strerror(code) in caught.value.reason
    assert (tmp_path / "x").read_bytes() == b"before"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
async def test_a_folder_that_nobody_may_write() -> None:
    """Real, and true for root as well."""
    with pytest.raises(StorageError, match=r"^store: (?!.*rtc-slicer-check)"):
        await LocalStorage(Path("/proc/slices")).check()


async def test_the_file_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(file: "int | object") -> None:
        number = file if isinstance(file, int) else file.fileno()  # type: ignore[attr-defined]
        mode = os.fstat(number).st_mode
        steps.append("sync folder" if stat.S_ISDIR(mode) else "sync file")
        fsync(number)

    def replaced(here: str, there: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append("name it")
        replace(here, there, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    (tmp_path / STAGING).mkdir()
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    await put(tmp_path, "x")
    assert steps == ["sync file", "name it", "sync folder"]


async def test_a_short_write_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A raw write may take less than it was given."""
    real = open

    def dribbling(*args: object, **options: object) -> object:
        file = real(*args, **options)  # type: ignore[call-overload]

        class Dribble:
            def __enter__(self) -> "Dribble":
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: memoryview) -> int:
                return int(file.write(data[:7]))

            def fileno(self) -> int:
                return int(file.fileno())

        return Dribble()

    monkeypatch.setattr("builtins.open", dribbling)
    await LocalStorage(tmp_path).put("x", bytes(range(100)), OGG)
    monkeypatch.undo()
    assert (tmp_path / "x").read_bytes() == bytes(range(100))


async def test_the_staging_may_be_taken_by_another_store_that_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, real = LocalStorage(tmp_path), os.open

    def taken(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).endswith(".part"):
            monkeypatch.setattr(os, "open", real)
            (tmp_path / STAGING).rmdir()
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", taken)
    await store.put("x", b"slice", OGG)
    assert os.open is real
    assert (tmp_path / "x").read_bytes() == b"slice"
    await store.close()


async def test_stores_of_one_folder_come_and_go(tmp_path: Path) -> None:
    await asyncio.gather(*(put(tmp_path, f"{i}") for i in range(30)))
    assert len(list(tmp_path.iterdir())) == 30


async def test_check_clears_what_a_crash_left_and_nothing_else(tmp_path: Path) -> None:
    staging = tmp_path / STAGING
    staging.mkdir()
    left, other = staging / f"{'0a' * 16}.part", staging / "notes.txt"
    busy = staging / f"{'0b' * 16}.part"
    for path in (left, other, busy):
        path.write_bytes(b"half")
    with busy.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await LocalStorage(tmp_path).check()
        assert sorted(path.name for path in staging.iterdir()) == [busy.name, other.name]
    await LocalStorage(tmp_path).check()
    assert [path.name for path in staging.iterdir()] == [other.name]


async def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    store, done = LocalStorage(tmp_path), threading.Event()
    sizes: set[int] = set()

    def look() -> None:
        while not done.is_set():
            if (tmp_path / "x").exists():
                sizes.add(len((tmp_path / "x").read_bytes()))

    looking = asyncio.ensure_future(asyncio.to_thread(look))
    for size in [10_000, 400_000] * 20:
        await store.put("x", bytes(size), OGG)
    done.set()
    await looking
    await store.close()
    assert sizes <= {10_000, 400_000}
    assert sizes
