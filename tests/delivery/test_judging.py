"""Judging: order, turns, failures and their end, on a clock that a test moves; and the whole way
through an outbox, with a spool and without."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.judging import Judge, Judging, Keep, Outcome, Unjudged
from slicer.delivery.outbox import Outbox
from slicer.delivery.retry import Backoff
from slicer.errors import (
    ModerationError,
    SliceNotJudged,
    StorageUnavailable,
    SupplierRefused,
    SupplierUnavailable,
)
from slicer.media.slice import File
from slicer.moderation import Verdict
from slicer.moderation.settings import ModerationSettings
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.outbox import Inline
from tests.harness.delivery.recorder import Recorder
from tests.harness.delivery.spooling import Run, bytes_of, delivery_of, file_of
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier
from tests.harness.storage.memory import MemoryStore

BACKOFF = Backoff(first=2.0, factor=2.0, most=16.0, refused=60.0)
DOWN = SupplierUnavailable("scripted", "503")


class Stage:
    """A judging with everything around it."""

    def __init__(self, supplier: ScriptedSupplier | None = None, **changed: float) -> None:
        self.clock, self.supplier = ManualClock(), supplier or ScriptedSupplier()
        self.troubles: list[tuple[str, ModerationError]] = []
        self.recovered: list[tuple[str, str]] = []
        self.outcomes: list[tuple[str, Outcome]] = []
        self.judging = Judging(
            self.supplier,
            self.clock,
            replace(ModerationSettings(), **changed),  # type: ignore[arg-type]
            BACKOFF,
            lambda: 0.0,
            lambda task, error: self.troubles.append((task, error)),
            lambda task, supplier: self.recovered.append((task, supplier)),
        )

    def add(self, *keys: str) -> list[Delivery]:
        """Slices whose tracks are the first parts of their keys."""
        return [self.add_one(key) for key in keys]

    def add_one(self, key: str) -> Delivery:
        delivery = delivery_of(key)
        delivery.enter(Phase.JUDGING)

        async def load() -> File | None:
            return file_of(key)

        self.judging.add(delivery, load, lambda outcome: self.outcomes.append((key, outcome)))
        return delivery

    async def advance(self, seconds: float) -> None:
        await settle()
        end = self.clock.now() + seconds
        while (due := [*self.clock.timers, end][0]) < end:
            self.clock.advance(max(0.0, due - self.clock.now()))
            await settle()
        self.clock.advance(end - self.clock.now())
        await settle()

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.outcomes]

    def balanced(self) -> bool:
        counts = self.judging.counters
        done = counts.judged + counts.unjudged + counts.gone
        return counts.taken == done + self.judging.waiting


async def test_each_slice_gets_its_verdict() -> None:
    stage = Stage(ScriptedSupplier(lambda file: BLOCK if "bo" in file.info.key else PASS))
    stage.add("ada/0", "bo/0")
    await settle()
    assert stage.outcomes == [("ada/0", PASS), ("bo/0", BLOCK)]
    counts = asdict(stage.judging.counters)
    assert (counts["taken"], counts["judged"], counts["hits"]) == (2, 2, 1)
    assert stage.balanced()


async def test_one_of_a_track_at_a_time_and_tracks_side_by_side() -> None:
    supplier = ScriptedSupplier()
    supplier.gate.clear()
    stage = Stage(supplier, concurrency=2)
    stage.add("ada/0", "ada/1", "bo/0", "cy/0", "bo/1")
    await settle()
    assert supplier.asked == ["ada/0", "bo/0"]
    supplier.gate.set()
    await settle(200)
    assert stage.keys == ["ada/0", "bo/0", "cy/0", "ada/1", "bo/1"]
    assert supplier.most_at_once == 2


async def test_a_supplier_that_fails_is_asked_again_and_the_task_hears_of_it_once() -> None:
    answers: list[Verdict | ModerationError] = [DOWN, DOWN, PASS, PASS]
    stage = Stage(ScriptedSupplier(lambda _file: answers.pop(0)))
    stage.add("ada/0", "ada/1")
    await stage.advance(0.5)
    assert stage.supplier.asked == ["ada/0"]
    assert stage.troubles == [("task", DOWN)]
    await stage.advance(10.0)
    assert stage.supplier.asked == ["ada/0", "ada/0", "ada/0", "ada/1"], "its track waits for it"
    assert stage.keys == ["ada/0", "ada/1"]
    assert stage.recovered == [("task", "scripted")]
    assert stage.judging.counters.failures == 2


async def test_a_dead_supplier_is_left_alone_and_everything_follows_in_its_order() -> None:
    dead = [True]
    stage = Stage(ScriptedSupplier(lambda _file: DOWN if dead[0] else PASS))
    keys = [f"{who}/{number}" for number in range(4) for who in ("ada", "bo", "cy", "di")]
    stage.add(*keys)
    await stage.advance(1.0)
    assert stage.judging.open
    asked = len(stage.supplier.asked)
    await stage.advance(600.0)
    assert len(stage.supplier.asked) - asked <= 80, "one request at a time, with growing waits"
    dead[0] = False
    await stage.advance(20.0)
    assert sorted(stage.keys) == sorted(keys)
    for who in ("ada", "bo", "cy", "di"):
        assert [key for key in stage.keys if who in key] == [f"{who}/{n}" for n in range(4)]
    assert not stage.judging.open
    assert stage.balanced()


async def test_the_pause_that_a_supplier_asks_for_is_kept() -> None:
    answers: list[Verdict | ModerationError] = [SupplierUnavailable("s", "429", 30.0), PASS, PASS]
    stage = Stage(ScriptedSupplier(lambda _file: answers.pop(0)), concurrency=1)
    stage.add("ada/0", "bo/0")
    await stage.advance(29.0)
    assert stage.supplier.asked == ["ada/0"], "nobody asks meanwhile"
    stage.add("cy/0")
    assert stage.troubles[0][0] == "task"
    await stage.advance(5.0)
    assert len(stage.keys) == 2


async def test_an_account_that_is_refused_waits_for_a_human() -> None:
    refused = [True]
    error = SupplierRefused("scripted", "no such key")
    stage = Stage(ScriptedSupplier(lambda _file: error if refused[0] else PASS))
    stage.judging.note_trouble("task", error)
    stage.add("ada/0")
    await stage.advance(59.0)
    assert stage.supplier.asked == ["ada/0"]
    assert stage.troubles == [], "it was told by a check"
    refused[0] = False
    stage.judging.hurry()
    await settle()
    assert stage.keys == ["ada/0"]


async def test_a_slice_that_cannot_be_judged_costs_itself_alone() -> None:
    error = SliceNotJudged("scripted", "too large")
    stage = Stage(ScriptedSupplier(lambda file: error if file.info.key == "ada/0" else PASS))
    stage.add("ada/0", "ada/1")
    await settle(200)
    assert stage.outcomes == [("ada/0", Unjudged("scripted: too large")), ("ada/1", PASS)]
    assert stage.troubles == []


async def test_what_gets_no_verdict_in_time_is_told_with_the_reason() -> None:
    stage = Stage(ScriptedSupplier(lambda _file: DOWN), max_age=100.0)
    stage.add("ada/0", "bo/0")
    await stage.advance(50.0)
    stage.add("ada/1")
    await stage.advance(70.0)
    assert sorted(stage.keys) == ["ada/0", "bo/0"]
    for _, outcome in stage.outcomes:
        assert isinstance(outcome, Unjudged)
        assert "503" in outcome.reason
    await stage.advance(60.0)
    assert sorted(stage.keys) == ["ada/0", "ada/1", "bo/0"]
    assert stage.judging.waiting == 0
    assert stage.clock.timers == []
    assert stage.balanced()


async def test_a_supplier_that_hangs_holds_up_its_requests_alone_until_it_is_closed() -> None:
    supplier = ScriptedSupplier()
    supplier.gate.clear()
    stage = Stage(supplier, concurrency=1, max_age=10.0)
    stage.add("ada/0", "bo/0")
    await stage.advance(20.0)
    assert stage.outcomes == [], "the first is being asked, and time is looked at after it"
    supplier.gate.set()
    await settle(100)
    assert stage.outcomes[0] == ("ada/0", PASS), "a verdict that came late is a verdict"
    assert isinstance(stage.outcomes[1][1], Unjudged)


async def test_a_fault_of_a_supplier_s_module_loses_no_slice() -> None:
    faults: list[Exception] = [RuntimeError("a bug"), ValueError("another")]

    def answer(_file: File) -> Verdict:
        if faults:
            raise faults.pop()
        return PASS

    stage = Stage(ScriptedSupplier(answer))
    stage.add("ada/0")
    await stage.advance(30.0)
    assert stage.outcomes == [("ada/0", PASS)]
    assert "ValueError" in str(stage.troubles[0][1])


async def test_what_is_gone_meanwhile_is_not_asked_for() -> None:
    supplier = ScriptedSupplier()
    supplier.gate.clear()
    stage = Stage(supplier, concurrency=1)
    first, second, _ = stage.add("ada/0", "bo/0", "cy/0")
    await settle()
    second.enter(Phase.GONE)
    first.enter(Phase.GONE)
    supplier.gate.set()
    await settle(100)
    assert stage.keys == ["cy/0"]
    assert supplier.asked == ["ada/0", "cy/0"]
    assert stage.judging.counters.gone == 2
    assert stage.balanced()


async def test_no_more_requests_a_second_than_allowed() -> None:
    stage = Stage(rate=2.0)
    stage.add(*(f"{number}/0" for number in range(10)))
    await settle()
    assert len(stage.supplier.asked) == 1
    await stage.advance(2.0)
    assert 4 <= len(stage.supplier.asked) <= 5
    await stage.advance(10.0)
    assert len(stage.keys) == 10


async def test_a_file_that_cannot_be_read_now_is_read_later() -> None:
    stage, files = Stage(), [None, file_of("ada/0")]
    delivery = delivery_of("ada/0")
    delivery.enter(Phase.JUDGING)

    async def load() -> File | None:
        return files.pop(0)

    stage.judging.add(delivery, load, lambda outcome: stage.outcomes.append(("ada/0", outcome)))
    await stage.advance(30.0)
    assert stage.outcomes == [("ada/0", PASS)]


async def test_closed_it_asks_nothing_more() -> None:
    supplier = ScriptedSupplier()
    supplier.gate.clear()
    stage = Stage(supplier)
    stage.add("ada/0", "ada/1")
    await settle()
    await stage.judging.close()
    stage.judging.hurry()
    await settle()
    assert stage.outcomes == []
    assert (supplier.asked, supplier.closed) == (["ada/0"], 1)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "add", "fail", "refuse", "odd", "work", "gone", "wait"]),
            st.integers(0, 40),
        ),
        max_size=40,
    )
)
def test_whatever_happens_each_slice_has_one_outcome_and_tracks_keep_their_order(
    story: list[tuple[str, int]],
) -> None:
    async def play() -> None:
        answer: list[Verdict | ModerationError] = [PASS]
        stage = Stage(ScriptedSupplier(lambda _file: answer[0]), concurrency=2, max_age=50.0)
        added: dict[str, Delivery] = {}
        for action, number in story:
            match action:
                case "add":
                    key = f"{number % 3}/{len(added):03d}"
                    added[key] = stage.add_one(key)
                case "fail":
                    answer[0] = DOWN
                case "refuse":
                    answer[0] = SupplierRefused("scripted", "no")
                case "odd":
                    answer[0] = SliceNotJudged("scripted", "odd")
                case "work":
                    answer[0] = PASS
                case "gone":
                    told = set(stage.keys)
                    left = [key for key in added if key not in told]
                    if left and added[left[0]].phase is Phase.JUDGING:
                        added[left[0]].enter(Phase.GONE)
                case "wait":
                    await stage.advance(number)
            assert stage.balanced()
        await stage.advance(200.0)
        gone = {key for key, delivery in added.items() if delivery.phase is Phase.GONE}
        assert len(stage.keys) == len(set(stage.keys))
        assert set(stage.keys) | gone == added.keys()
        assert stage.judging.waiting == 0
        tracks = defaultdict[str, list[str]](list)
        for key, outcome in stage.outcomes:
            if isinstance(outcome, Verdict):
                tracks[key[0]].append(key)
        assert all(keys == sorted(keys) for keys in tracks.values())
        await stage.judging.close()

    asyncio.run(play())


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
