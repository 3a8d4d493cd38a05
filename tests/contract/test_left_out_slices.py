"""Pictures that no supplier is to see and no store to have, since sampling leaves them out or they
are the last one again: no file of them is made."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from slicer.delivery.delivery import NOT_PERMITTED, Delivery, Unless
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.judging import Judge, Keep, Unjudged
from slicer.delivery.outbox import Outbox
from slicer.delivery.sharing import Permission
from slicer.errors import MediaError
from slicer.media.slice import File
from slicer.media.thumbnail import SIZE
from slicer.moderation import Verdict
from slicer.rtp.parameters import Kind
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.outbox import Inline
from tests.harness.delivery.recorder import Recorder
from tests.harness.delivery.spooling import Run, delivery_of, file_of
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier
from tests.harness.moderation.stage import Stage
from tests.harness.storage.memory import MemoryStore

LEFT = Unjudged("left out by sampling", by_choice=True)


class Left:
    """A run over a supplier that finds *hits*, and the keys whose files were made, in order."""

    def __init__(self, folder: Path, *hits: str, **changed: float) -> None:
        changed.setdefault("sample_every", 3)
        answer: Callable[[File], Verdict] = lambda file: BLOCK if file.info.key in hits else PASS  # noqa: E731
        self.stage = Stage(ScriptedSupplier(answer), None, **changed)
        self.bucket = MemoryStore()
        self.run = Run(folder, self.bucket)
        self.made: list[str] = []
        self.decoded: list[str] = []
        """Those that were compared before they were made, or not made."""
        self.greys: dict[str, int] = {}

    def cut(self, key: str, keep: Keep = Keep.NONE, kind: Kind = Kind.VIDEO) -> Delivery:
        def make() -> File:
            self.made.append(key)
            return replace(file_of(key, kind=kind), thumbnail=small)

        def make_unless(unless: Unless) -> File | bytes:
            self.decoded.append(key)
            return small if unless(small) else make()

        small = bytes([self.greys.get(key, 100)]) * SIZE
        cut = delivery_of(key, kind=kind)
        cut.make, cut.judge = make, Judge(self.stage.judging, keep)
        cut.make_unless = make_unless if kind is Kind.VIDEO else None
        return cut

    async def offer(self, *keys: str, keep: Keep = Keep.NONE, kind: Kind = Kind.VIDEO) -> None:
        """One after another, each once the last one is done with."""
        for key in keys:
            assert self.run.outbox.offer(self.cut(key, keep, kind))
            await self.run.until(lambda: self.run.outbox.held == 0)

    @property
    def left(self) -> list[str]:
        return [key for key, outcome, _ in self.run.heard.judged if outcome == LEFT]

    async def close(self) -> None:
        await self.run.close()
        await self.stage.judging.close()


@pytest.fixture
async def left(tmp_path: Path) -> AsyncIterator[Left]:
    """One in three is judged, and nothing is a hit."""
    made = Left(tmp_path)
    yield made
    await made.close()


def pictures(count: int) -> list[str]:
    return [f"ada/{number}" for number in range(count)]


@pytest.mark.parametrize("keep", [Keep.NONE, Keep.HITS])
async def test_no_file_is_made_of_what_nobody_wants(left: Left, keep: Keep) -> None:
    await left.offer(*pictures(7), keep=keep)
    wanted = ["ada/0", "ada/3", "ada/6"]
    assert (left.made, left.run.heard.made, left.run.heard.spooled) == (wanted, wanted, wanted)
    told = [(key, PASS if key in wanted else LEFT, False) for key in pictures(7)]
    assert left.run.heard.judged == told, "each is told, in the order of cutting"
    counts = left.stage.judging.counters
    assert (counts.taken, counts.judged, counts.left_out) == (7, 3, 4)
    assert left.run.outbox.counters.unkept == 7
    assert (left.run.outbox.memory, left.bucket.tries, left.run.heard.failed) == (0, [], [])
    await left.run.quiet()
    assert list(left.run.folder.path.iterdir()) == []


async def test_a_store_that_is_to_have_all_has_them(left: Left) -> None:
    await left.offer(*pictures(4), keep=Keep.ALL)
    assert (left.made, left.left) == (pictures(4), ["ada/1", "ada/2"])
    assert sorted(left.bucket.order) == pictures(4)


async def test_audio_is_judged(left: Left) -> None:
    await left.offer(*pictures(3), kind=Kind.AUDIO)
    assert (left.made, left.left) == (pictures(3), [])


async def test_without_a_spool_no_file_is_made_either() -> None:
    stage, made, heard = Stage(sample_every=3), list[str](), Recorder()
    outbox = Outbox(MemoryStore(), EncodingPool(Inline()), ManualClock(), heard)

    def make(key: str) -> File:
        made.append(key)
        return file_of(key, kind=Kind.VIDEO)

    for key in pictures(4):
        cut = delivery_of(key, kind=Kind.VIDEO)
        cut.make, cut.judge = partial(make, key), Judge(stage.judging, Keep.HITS)
        assert outbox.offer(cut)
        await settle()
    assert made == ["ada/0", "ada/3"]
    assert [outcome for _, outcome, _ in heard.judged] == [PASS, LEFT, LEFT, PASS]
    assert (outbox.held, outbox.memory, outbox.counters.unkept) == (0, 0, 4)
    await outbox.close()
    await stage.judging.close()


@pytest.mark.parametrize("hits", [(), ("ada/0",)])
async def test_behind_one_that_has_no_verdict_yet_files_are_made_for_it_may_be_a_hit(
    tmp_path: Path, hits: tuple[str, ...]
) -> None:
    left = Left(tmp_path, *hits)
    left.stage.supplier.gate.clear()
    for key in pictures(3):
        assert left.run.outbox.offer(left.cut(key))
        await left.run.until(lambda: left.run.heard.spooled[-1:] == [key])  # noqa: B023 (awaited)
    assert left.run.outbox.memory == 0, "they are safe on the disk"
    left.stage.supplier.gate.set()
    await left.run.until(lambda: left.run.outbox.held == 0)
    assert [key for key, _, _ in left.run.heard.judged] == pictures(3)
    assert left.left == ([] if hits else ["ada/1", "ada/2"])
    await left.close()


async def test_behind_one_that_is_being_made_files_are_made_too(tmp_path: Path) -> None:
    left = Left(tmp_path, "ada/audio")
    await left.offer("ada/0")
    await left.offer("ada/audio", kind=Kind.AUDIO)
    first, entered, go_on = left.cut("ada/1"), Event(), Event()
    make = first.make
    assert make is not None

    def slowly() -> File:
        entered.set()
        assert go_on.wait(20)
        return make()

    first.make = slowly
    assert left.run.outbox.offer(first)
    await left.run.until(entered.is_set)
    await left.stage.advance(601.0)  # the hit is long ago
    assert left.run.outbox.offer(left.cut("ada/2"))
    await left.run.until(lambda: "ada/2" in left.made)
    go_on.set()
    await left.run.until(lambda: left.run.outbox.held == 0)
    assert sorted(left.made) == [*pictures(3), "ada/audio"]
    await left.offer("ada/3")  # nothing is thought to come before it any more
    assert left.run.heard.judged[-1][0] == "ada/3"
    await left.close()


async def test_an_anchor_of_a_hit_is_looked_at_until_that_is_long_ago(tmp_path: Path) -> None:
    left = Left(tmp_path, "ada/audio", sample_hit_seconds=600.0)
    await left.offer("ada/0", "ada/1")
    await left.offer("ada/audio", kind=Kind.AUDIO)
    await left.offer("ada/2", "ada/3")
    await left.stage.advance(601.0)
    await left.offer("ada/4", "ada/5", "ada/6")
    assert left.made == ["ada/0", "ada/audio", "ada/2", "ada/3", "ada/6"]
    assert left.left == ["ada/1", "ada/4", "ada/5"]
    await left.close()


async def test_what_may_be_the_last_picture_again_is_decoded_to_be_compared(tmp_path: Path) -> None:
    left = Left(tmp_path, repeat_distance=4, repeat_seconds=60.0)
    await left.offer("ada/0", "ada/1")
    assert (left.made, left.decoded, left.left) == (["ada/0"], ["ada/1"], [])
    assert left.run.heard.judged[1][1] == replace(PASS, repeated=True)
    await left.stage.advance(61.0)
    await left.offer("ada/2", "ada/3", "ada/4")
    assert (left.made, left.left) == (["ada/0", "ada/4"], ["ada/2", "ada/3"])
    assert left.decoded == ["ada/1"], "what is left out whatever it shows is not even decoded"
    await left.close()


@pytest.mark.parametrize("keep", Keep)
@pytest.mark.parametrize("hits", [(), ("ada/0",)])
async def test_the_last_picture_again_is_encoded_for_a_store_that_is_to_have_it(
    tmp_path: Path, keep: Keep, hits: tuple[str, ...]
) -> None:
    left = Left(tmp_path, *hits, repeat_distance=4, sample_every=1)
    left.greys["ada/2"] = 10
    await left.offer(*pictures(4), keep=keep)
    first = BLOCK if hits else PASS
    told = [first, replace(first, repeated=True), PASS, PASS]
    assert [outcome for _, outcome, _ in left.run.heard.judged] == told, "in their order"
    again = keep is Keep.ALL or (keep is Keep.HITS and hits)
    assert left.made == ["ada/0", *(["ada/1"] if again else []), "ada/2", "ada/3"]
    assert left.run.heard.spooled == left.made
    stored = {Keep.NONE: [], Keep.ALL: pictures(4), Keep.HITS: ["ada/0", "ada/1"] if hits else []}
    assert left.bucket.order == stored[keep]
    assert left.stage.supplier.asked == ["ada/0", "ada/2", "ada/3"]
    assert left.run.outbox.memory == 0
    await left.close()


async def test_the_last_picture_again_that_is_not_confirmed_is_told_at_the_next_start(
    tmp_path: Path,
) -> None:
    left = Left(tmp_path, repeat_distance=4, sample_every=1)
    await left.offer("ada/0")
    left.run.heard.confirms = asyncio.get_running_loop().create_future()
    left.run.heard.confirms.set_exception(OSError("the queue is full"))
    await left.offer("ada/1")
    assert (left.decoded, left.made) == (["ada/1"], ["ada/0", "ada/1"])
    assert [path.suffix for path in left.run.folder.path.iterdir()] == [".judging"]
    await left.close()


async def test_one_that_was_the_last_again_and_waited_too_long_is_made_after_all(
    tmp_path: Path,
) -> None:
    left = Left(tmp_path, repeat_distance=4, sample_every=1)
    await left.offer("ada/0")
    cut = left.cut("ada/1")
    permit = asyncio.get_running_loop().create_future()
    cut.permission = Permission(1, permit)
    assert left.run.outbox.offer(cut)
    await left.run.until(lambda: left.decoded == ["ada/1"])
    await left.stage.advance(61.0)
    assert left.made == ["ada/0"]
    permit.set_result(True)
    await left.run.until(lambda: left.run.outbox.held == 0)
    assert left.made == ["ada/0", "ada/1"]
    assert [outcome for _, outcome, _ in left.run.heard.judged] == [PASS, PASS]
    await left.close()


async def test_a_picture_that_does_not_decode_is_lost_whether_it_is_compared_or_not(
    tmp_path: Path,
) -> None:
    def broken(_unless: Unless) -> File:
        raise MediaError("a broken frame")

    left = Left(tmp_path, repeat_distance=4, sample_every=1)
    await left.offer("ada/0")
    cut = left.cut("ada/1")
    cut.make_unless = broken
    assert left.run.outbox.offer(cut)
    await left.run.until(lambda: left.run.outbox.held == 0)
    assert [str(error) for _, error in left.run.heard.lost] == ["a broken frame"]
    assert len(left.run.heard.judged) == 1
    await left.close()


async def test_who_looks_sees_all(left: Left) -> None:
    left.run.encoding.looked_at = lambda: True
    await left.offer(*pictures(3))
    assert (left.made, left.left) == (pictures(3), ["ada/1", "ada/2"])


async def test_what_is_not_permitted_is_neither_made_nor_told_as_left_out(left: Left) -> None:
    await left.offer("ada/0")
    cut = left.cut("ada/1")
    permit = asyncio.get_running_loop().create_future()
    cut.permission = Permission(1, permit)
    assert left.run.outbox.offer(cut)
    await settle()
    assert left.left == [], "it is not known yet"
    permit.set_result(False)
    await left.run.until(lambda: left.run.outbox.held == 0)
    assert (left.made, left.left) == (["ada/0"], [])
    assert [NOT_PERMITTED in str(error) for _, error in left.run.heard.lost] == [True]
    assert left.stage.judging.counters.taken == 1


async def test_a_hit_while_it_waits_for_its_permit_has_it_made(tmp_path: Path) -> None:
    left = Left(tmp_path, "ada/audio")
    await left.offer("ada/0")
    cut = left.cut("ada/1")
    permit = asyncio.get_running_loop().create_future()
    cut.permission = Permission(1, permit)
    assert left.run.outbox.offer(cut)
    assert left.run.outbox.offer(left.cut("ada/audio", kind=Kind.AUDIO))
    await left.run.until(lambda: left.run.outbox.held == 1)
    permit.set_result(True)
    await left.run.until(lambda: left.run.outbox.held == 0)
    assert (left.made, left.left) == (["ada/0", "ada/audio", "ada/1"], [])
    await left.close()


async def test_what_is_not_confirmed_is_made_after_all_and_told_at_the_next_start(
    left: Left,
) -> None:
    await left.offer("ada/0")
    left.run.heard.confirms = asyncio.get_running_loop().create_future()
    left.run.heard.confirms.set_exception(OSError("the queue is full"))
    await left.offer("ada/1")
    assert (left.made, left.run.heard.kept) == (["ada/0", "ada/1"], ["ada/1"])
    assert [path.suffix for path in left.run.folder.path.iterdir()] == [".judging"]
    assert left.run.outbox.memory == 0


async def test_a_hit_that_is_not_confirmed_while_the_disk_fails_is_stored_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Left(tmp_path, "ada/0")

    def fail(*_: object) -> Path:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(left.run.folder, "write", fail)
    left.run.heard.confirms = asyncio.get_running_loop().create_future()
    left.run.heard.confirms.set_exception(OSError("the queue is full"))
    await left.offer("ada/0", keep=Keep.HITS)
    assert left.bucket.order == ["ada/0"]
    assert left.run.heard.lost == []
    await left.close()
