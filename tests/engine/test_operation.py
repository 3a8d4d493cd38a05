"""What an operator sees of an engine, and does to it: a store that fails, and a real engine."""

from pathlib import Path

import pytest

from slicer import AudioSpec, Engine, Settings, SliceLost, SliceParams, TaskSpec
from slicer.delivery.spool.settings import SpoolSettings
from slicer.engine.spec import Moderation
from slicer.media.slice import File
from slicer.moderation import SupplierSpec
from tests.harness.fleet.in_process import until
from tests.harness.moderation.scripted import ScriptedSupplier, install
from tests.harness.rooms.replay import talk

TALK = SliceParams(AudioSpec(2), None)


def spec(tmp_path: Path, to: str, moderation: Moderation | None = None) -> TaskSpec:
    room = talk(tmp_path / "ada.rtpdump", 5.0)
    return TaskSpec(room, to, TALK, task="t", check_store=False, moderation=moderation)


async def test_a_store_that_fails_is_seen_tried_again_and_given_up(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("no folder")
    spool = SpoolSettings(str(tmp_path / "spool"), reserve_bytes=0)
    async with Engine(Settings(spool=spool)) as engine, engine.events("t") as events:
        operation = engine.operation
        await engine.create(spec(tmp_path, out.as_uri()))
        await until(lambda: len(operation.waiting()) == 3)
        await until(lambda: any(one.failures for one in operation.waiting()))
        (store,) = operation.stores()
        assert (store.label, store.backup, store.held) == (out.as_uri(), False, 3)
        assert "Not a directory" in store.reason
        assert operation.suppliers() == []
        held = operation.spool()
        assert held
        assert held.slices == 3
        assert {one.task for one in operation.waiting()} == {"t"}
        assert all(one.spooled and one.store == store.label for one in operation.waiting())
        key = operation.waiting()[0].key
        await until(lambda: operation.drop(key, "dropped by mara"))
        assert not operation.drop(key, "dropped by mara")
        out.unlink()
        assert operation.try_again() == 2
        finished = await engine.finished("t")
        assert (finished.stored, finished.lost) == (2, 1)
        lost = [event async for event in events if isinstance(event, SliceLost)]
        assert [(one.slice.key, "dropped by mara" in one.reason) for one in lost] == [(key, True)]


async def test_files_are_seen_as_they_are_made(tmp_path: Path) -> None:
    async with Engine() as engine:
        seen: list[File] = []
        assert engine.operation.spool() is None
        engine.operation.watch(seen.append)
        await engine.create(spec(tmp_path, "null:"))
        await engine.finished("t")
        assert [file.content_type for file in seen] == ["audio/ogg"] * 3
        assert all(file.data.startswith(b"OggS") for file in seen)
        engine.operation.watch(None)


async def test_a_supplier_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supplier = ScriptedSupplier()
    install(monkeypatch, supplier)
    supplier.gate.clear()
    account = Moderation(SupplierSpec("tianyu"))
    async with Engine() as engine:
        await engine.create(spec(tmp_path, "null:", account))
        await until(lambda: len(supplier.asked) == 1)
        (seen,) = engine.operation.suppliers()
        assert (seen.label, seen.failing, seen.reason) == ("scripted", False, "")
        assert seen.waiting >= 1
        assert {one.phase for one in engine.operation.waiting()} <= {"judging", "making"}
        supplier.gate.set()
        await engine.finished("t")
