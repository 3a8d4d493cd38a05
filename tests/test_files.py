"""What is written is all there, and what is synced was forced to the disk."""

import os
from pathlib import Path

import pytest

from slicer.files import sync, write_all


def test_all_is_written_where_the_system_takes_less_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, sizes = os.write, list[int]()

    def short(descriptor: int, data: memoryview) -> int:
        sizes.append(write(descriptor, data[:3]))
        return sizes[-1]

    monkeypatch.setattr(os, "write", short)
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    assert sizes == [3, 3, 3, 1]


@pytest.mark.parametrize("name", ["folder", "folder/file"])
def test_a_file_and_a_folder_are_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"data")
    forced = list[str]()
    monkeypatch.setattr(
        os, "fsync", lambda opened: forced.append(os.readlink(f"/proc/self/fd/{opened}"))
    )
    before = len(os.listdir("/proc/self/fd"))
    sync(tmp_path / name)
    assert forced == [str((tmp_path / name).resolve())]
    assert len(os.listdir("/proc/self/fd")) == before, "it is closed"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "nothing")
