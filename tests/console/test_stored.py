"""Slices read back from a folder store, and from nowhere else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from slicer.console.history import Entry
from slicer.console.media import MAX_FILE
from slicer.console.stored import read
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey


def entry(store: str, key: str = "task/a b.jpg") -> Entry:
    info = SliceInfo(key, TrackKey("task", "ada", Kind.VIDEO), datetime.now(UTC))
    return Entry(info, store=store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "ö ut"
    (root / "task").mkdir(parents=True)
    (root / "task" / "a b.jpg").write_bytes(b"picture")
    return root


def test_a_file_of_the_store(folder: Path) -> None:
    media = read(entry(folder.as_uri()))
    assert media
    assert (media.data, media.content_type) == (b"picture", "image/jpeg")


def test_what_is_not_read(folder: Path) -> None:
    (folder.parent / "secret.jpg").write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    with (folder / "large.jpg").open("wb") as large:
        large.truncate(MAX_FILE + 1)
    for key in ("../secret.jpg", "link.jpg", "large.jpg", "gone.jpg", "task", "x\0.jpg", "a.html"):
        assert read(entry(folder.as_uri(), key)) is None, key
    assert read(entry("s3://bucket")) is None
    assert read(entry("")) is None
