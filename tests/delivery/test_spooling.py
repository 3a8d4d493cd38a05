"""An outbox over a spool whose disk fails: it is told once, and slices wait in memory."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from slicer.delivery.sharing import Sharing
from slicer.delivery.spool import folder as folders
from slicer.delivery.spool import spool as spools
from slicer.delivery.spool.folder import Folder
from slicer.delivery.spool.spool import DISK_PATIENCE
from tests.delivery.test_sharing import Permits
from tests.harness.delivery.spooling import Run, delivery_of
from tests.harness.storage.memory import MemoryStore


def full(*_: object, **__: object) -> Path:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_is_told_once_and_again_after_it_had_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", full)
        run.offer("ada/0", "bo/0")
        await run.until(lambda: run.outbox.held == 0)
    assert sorted(bucket.order) == ["ada/0", "bo/0"], "they went from memory"
    assert len(run.heard.trouble) == 1
    assert "No space left on device" in str(run.heard.trouble[0][1])
    await run.advance(DISK_PATIENCE)
    run.offer("ada/1")
    await run.until(lambda: run.heard.spooled == ["ada/1"])
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", full)
        run.offer("ada/2")
        await run.until(lambda: run.outbox.held == 0)
    assert len(run.heard.trouble) == 2
    await run.close()


async def test_a_record_that_cannot_be_renamed_is_delivered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, permits = MemoryStore(), Permits()
    run = Run(tmp_path, bucket, sharing=Sharing(permits))
    delivery = delivery_of("ada/0")
    delivery.permission = permits.ask("ada/0")
    assert run.outbox.offer(delivery)
    await run.until(lambda: run.heard.spooled == ["ada/0"])
    monkeypatch.setattr(spools, "mark_permitted", full)
    delivery.permission.granted.set_result(True)
    await run.until(lambda: bucket.order == ["ada/0"])
    assert len(run.heard.trouble) == 1
    await run.quiet()
    assert list(run.folder.path.iterdir()) == []
    await run.close()


@pytest.mark.parametrize(
    ("mark", "before", "after"),
    [
        (folders.mark_permitted, ".judging.waiting", ".judging"),
        (folders.mark_permitted, ".slice.waiting", ".slice"),
        (folders.mark_judged, ".judging", ".slice"),
        (folders.mark_judged, ".judging.waiting", ".slice"),
    ],
)
def test_what_a_record_is_called(
    tmp_path: Path, mark: Callable[[Path], Path], before: str, after: str
) -> None:
    path = tmp_path / f"{7:016d}{before}"
    path.touch()
    assert mark(path).name == f"{7:016d}{after}"
