"""The whole way of a slice that is judged, through an outbox, with a spool and without."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from slicer.delivery.delivery import Phase
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.judging import Judge, Keep
from slicer.delivery.outbox import Outbox
from slicer.errors import (
    StorageUnavailable,
)
from slicer.media.slice import File
from slicer.moderation import Verdict
from slicer.rtp.parameters import Kind
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.outbox import Inline
from tests.harness.delivery.recorder import Recorder
from tests.harness.delivery.spooling import Run, bytes_of, delivery_of, file_of
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier
from tests.harness.moderation.stage import Stage
from tests.harness.storage.memory import MemoryStore


def verdicts(heard: Recorder) -> dict[str, bool]:
    """Whether each slice that was judged was to be kept."""
    return {key: keep for key, outcome, keep in heard.judged if isinstance(outcome, Verdict)}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A supplier that blocks what bo sends."""
    made = Stage(ScriptedSupplier(lambda file: BLOCK if "bo" in file.info.key else PASS))
    yield made
    await made.judging.close()


@pytest.mark.parametrize(
    ("keep", "stored"),
    [(Keep.NONE, []), (Keep.ALL, ["ada/0", "bo/0"]), (Keep.HITS, ["bo/0"])],
)
async def test_only_what_should_be_kept_is_stored(
    tmp_path: Path, stage: Stage, keep: Keep, stored: list[str]
) -> None:
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    for key in ("ada/0", "bo/0"):
        cut = delivery_of(key)
        cut.judge = Judge(stage.judging, keep)
        assert run.outbox.offer(cut)
    await run.until(lambda: run.outbox.held == 0)
    await run.quiet()
    assert sorted(bucket.order) == stored
    assert verdicts(run.heard) == {key: key in stored for key in ("ada/0", "bo/0")}
    assert run.outbox.counters.unkept == 2 - len(stored)
    assert run.records() == []
    assert list(run.folder.path.glob("*.judging")) == []
    await run.close()


async def test_no_store_has_a_slice_before_its_verdict(tmp_path: Path, stage: Stage) -> None:
    stage.supplier.gate.clear()
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    cut = delivery_of("bo/0")
    cut.judge = Judge(stage.judging, Keep.ALL)
    run.outbox.offer(cut)
    await run.until(lambda: stage.supplier.asked == ["bo/0"])
    assert run.outbox.memory == 0, "it waits on the disk"
    assert [path.suffix for path in run.folder.path.iterdir()] == [".judging"]
    assert bucket.tries == []
    stage.supplier.gate.set()
    await run.until(lambda: run.outbox.held == 0)
    assert bucket.there == {"bo/0": bytes_of("bo/0", 1000)}
    await run.close()


async def test_a_crash_before_the_verdict_has_it_judged_anew(tmp_path: Path, stage: Stage) -> None:
    stage.supplier.gate.clear()
    first = Run(tmp_path, MemoryStore())
    cut = delivery_of("bo/0")
    cut.judge = Judge(stage.judging, Keep.HITS)
    first.outbox.offer(cut)
    await first.until(lambda: stage.supplier.asked == ["bo/0"])
    await first.die()
    again = Stage(ScriptedSupplier(lambda _file: BLOCK))
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    found = [one for folder in (await run.spool.found()).values() for one in folder]
    assert run.outbox.adopt(found, lambda _task: None) == found, "whose judge is not known stays"
    assert run.outbox.held == 0
    assert run.outbox.adopt(found, lambda _task: Judge(again.judging, Keep.HITS)) == []
    await run.until(lambda: run.outbox.held == 0)
    assert run.heard.judged == [("bo/0", BLOCK, True)]
    assert bucket.order == ["bo/0"]
    await run.close()
    await again.judging.close()


async def test_a_verdict_that_is_not_confirmed_is_asked_for_at_the_next_start(
    tmp_path: Path, stage: Stage
) -> None:
    run = Run(tmp_path, MemoryStore())
    run.heard.confirms = asyncio.get_running_loop().create_future()
    run.heard.confirms.set_exception(OSError("the queue is full"))
    cut = delivery_of("bo/0")
    cut.judge = Judge(stage.judging, Keep.ALL)
    run.outbox.offer(cut)
    await run.until(lambda: run.outbox.held == 0)
    assert run.heard.kept == ["bo/0"]
    assert [path.suffix for path in run.folder.path.iterdir()] == [".judging"]
    assert run.balanced()
    await run.close()


async def test_a_slice_goes_nowhere_until_its_verdict_is_confirmed(
    tmp_path: Path, stage: Stage
) -> None:
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    run.heard.confirms = asyncio.get_running_loop().create_future()
    cut = delivery_of("bo/0")
    cut.judge = Judge(stage.judging, Keep.ALL)
    run.outbox.offer(cut)
    await run.until(lambda: bool(run.heard.judged))
    assert (bucket.tries, cut.phase) == ([], Phase.JUDGING)
    run.heard.confirms.set_result(None)
    await run.until(lambda: bucket.order == ["bo/0"])
    await run.close()


async def test_a_disk_that_fails_after_the_verdict_stores_the_slice_all_the_same(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> Path:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("slicer.delivery.spool.spool.mark_judged", fail)
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    cut = delivery_of("bo/0")
    cut.judge = Judge(stage.judging, Keep.ALL)
    run.outbox.offer(cut)
    await run.until(lambda: bucket.order == ["bo/0"])
    assert [type(error) for _, error in run.heard.trouble] == [StorageUnavailable]
    await run.close()


@pytest.mark.parametrize("keep", Keep)
async def test_without_a_spool_a_file_is_made_once_and_waits_in_memory(
    stage: Stage, keep: Keep
) -> None:
    clock, store, heard, made = ManualClock(), MemoryStore(), Recorder(), list[str]()

    def make() -> File:
        made.append("bo/0")
        return file_of("bo/0", 700)

    outbox = Outbox(store, EncodingPool(Inline()), clock, heard, chance=lambda: 0.0)
    stage.supplier.gate.clear()
    cut = delivery_of("bo/0")
    cut.make, cut.judge = make, Judge(stage.judging, keep)
    assert outbox.offer(cut)
    await settle(50)
    assert (outbox.held, outbox.memory) == (1, 700)
    stage.supplier.gate.set()
    await settle(100)
    assert (outbox.held, outbox.memory, made) == (0, 0, ["bo/0"])
    assert store.order == ([] if keep is Keep.NONE else ["bo/0"])
    await outbox.close()


async def test_what_waits_behind_a_slice_that_is_not_kept_goes_on(
    tmp_path: Path, stage: Stage
) -> None:
    """Its verdict came first, and the one behind it has nothing else that would start it."""
    bucket = MemoryStore()
    run = Run(tmp_path, bucket)
    first, second = delivery_of("ada/0"), delivery_of("ada/1")
    stage.supplier.answer = lambda file: BLOCK if file.info.key == "ada/1" else PASS
    for cut in (second, first):
        cut.judge = Judge(stage.judging, Keep.HITS)
    stage.supplier.gate.clear()
    for cut in (first, second):
        run.outbox.offer(cut)
    stage.supplier.gate.set()
    await run.until(lambda: run.outbox.held == 0)
    assert bucket.order == ["ada/1"]
    await run.close()


@pytest.mark.parametrize("made", [(2, 1, 3), (3, 2, 1), (2, 3, 1)])
async def test_files_that_are_made_side_by_side_are_judged_in_the_order_of_their_cuts(
    made: tuple[int, ...],
) -> None:
    stage = Stage()
    cuts = {number: delivery_of(f"ada/{number}", kind=Kind.VIDEO) for number in made}
    with ExitStack() as making:
        blocks = {}
        for number in sorted(cuts):
            cuts[number].number = number
            block = blocks[number] = ExitStack()
            block.enter_context(stage.judging.coming(cuts[number]))
            making.push(block)
        for number in made:
            stage.add_delivery(cuts[number])
            blocks[number].close()
            await settle(50)
    assert stage.keys == ["ada/1", "ada/2", "ada/3"]
    assert stage.balanced()
    later = delivery_of("ada/4", kind=Kind.VIDEO)
    later.number = 4  # it would wait for one that is thought to come
    stage.add_delivery(later)
    await settle(50)
    assert stage.keys[3:] == ["ada/4"]


async def test_a_slice_that_is_never_made_holds_up_none_behind_it() -> None:
    stage = Stage()
    first, second = delivery_of("ada/1"), delivery_of("ada/2")
    first.number, second.number = 1, 2
    with stage.judging.coming(first):
        with stage.judging.coming(second):
            stage.add_delivery(second)
        await settle(50)
        assert stage.keys == []
        stage.add("bo/0")
        await settle(50)
        assert stage.keys == ["bo/0"], "another track does not wait"
    await settle(50)
    assert stage.keys == ["bo/0", "ada/2"]
