"""Folders that others may write to are refused, by the reason; those that are ours are made."""

import os
import stat
from pathlib import Path

import pytest

from slicer.errors import BadInput
from slicer.permissions import private_folder


def test_a_folder_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    mask = os.umask(0)
    try:
        private_folder("x.folder", folder)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    private_folder("x.folder", folder)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o500, 0o2750])
def test_modes_that_keep_others_out(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    folder.chmod(mode)
    private_folder("x.folder", folder)


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o1777, 0o770, 0o775])
def test_modes_by_which_others_may_write(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(BadInput, match=rf"x\.folder: got '.*/a'; .*is of mode {mode:04o}"):
        private_folder("x.folder", folder)


def test_a_group_that_is_meant_to_write(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    folder.chmod(0o2770)
    private_folder("x.folder", folder, group=True)
    folder.chmod(0o777)
    with pytest.raises(BadInput, match="of mode 0777"):
        private_folder("x.folder", folder, group=True)


def test_a_folder_that_another_may_be_put_in_place_of(tmp_path: Path) -> None:
    folder = tmp_path / "open" / "a"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o777)
    with pytest.raises(BadInput, match=r"in .*/open of mode 0777"):
        private_folder("x.folder", folder)
    folder.parent.chmod(0o1777)
    private_folder("x.folder", folder)


def test_a_link_is_judged_by_what_it_names(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    private_folder("x.folder", tmp_path / "link")
    folder.chmod(0o777)
    with pytest.raises(BadInput, match=r"/a'; .*of mode 0777"):
        private_folder("x.folder", tmp_path / "link")


def test_the_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = tmp_path.stat().st_uid
    if owner == 0:
        os.chown(tmp_path, 12_345, -1)
        owner = 12_345
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(BadInput, match=f"of user {owner}"):
        private_folder("x.folder", tmp_path)


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(FileExistsError):
        private_folder("x.folder", tmp_path / "a")
