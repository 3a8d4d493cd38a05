"""Judging: order, turns, failures and their end, on a clock that a test moves."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from slicer.delivery.delivery import Delivery, Phase
from slicer.delivery.judging import Unjudged
from slicer.errors import (
    ModerationError,
    SliceNotJudged,
    SupplierRefused,
    SupplierUnavailable,
)
from slicer.media.slice import File
from slicer.moderation import Batch, Verdict
from slicer.rtp.parameters import Kind
from tests.harness.clock import settle
from tests.harness.delivery.spooling import delivery_of, file_of
from tests.harness.moderation.scripted import BLOCK, PASS, ScriptedSupplier
from tests.harness.moderation.stage import Stage

DOWN = SupplierUnavailable("scripted", "503")


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


async def test_an_equal_picture_has_the_verdict_of_the_last_one_and_asks_nobody() -> None:
    stage = Stage(ScriptedSupplier(lambda _file: BLOCK), repeat_distance=4)
    assert stage.judging.repeats
    for number, grey in enumerate([100, 102, 100, 90]):
        stage.add_one(f"ada/{number}", grey)
    await settle(200)
    assert stage.supplier.asked == ["ada/0", "ada/3"]
    again = replace(BLOCK, repeated=True)
    assert [outcome for _, outcome in stage.outcomes] == [BLOCK, again, again, BLOCK]
    counts = stage.judging.counters
    assert (counts.judged, counts.hits, counts.repeated) == (4, 4, 2)
    assert stage.balanced()


async def test_what_needs_no_supplier_waits_for_none_but_for_those_before_it() -> None:
    dead = [False]
    stage = Stage(ScriptedSupplier(lambda _file: DOWN if dead[0] else PASS), repeat_distance=4)
    stage.add_one("ada/0", 100)
    await settle(50)
    dead[0] = True
    stage.add("bo/0", "cy/0", "di/0", "ed/0")
    await stage.advance(1.0)
    assert stage.judging.open
    stage.add_one("ada/1", 100)
    assert stage.keys == ["ada/0", "ada/1"], "at once, though the supplier is left alone"
    stage.add_one("ada/2", 50)
    stage.add_one("ada/3", 100)
    await stage.advance(60.0)
    assert stage.keys == ["ada/0", "ada/1"], "the order of a track"
    dead[0] = False
    await stage.advance(40.0)
    ada = [(key, outcome) for key, outcome in stage.outcomes if "ada" in key]
    assert ada[2:] == [("ada/2", PASS), ("ada/3", PASS)], "the picture before it was another"
    assert stage.balanced()


async def test_what_sampling_leaves_out_is_told_and_a_hit_brings_it_back() -> None:
    stage = Stage(
        ScriptedSupplier(lambda file: BLOCK if file.info.key == "ada/3" else PASS), sample_every=3
    )
    left = Unjudged("left out by sampling", by_choice=True)
    for number in range(8):
        stage.add_one(f"ada/{number}", 10 * number)
    await settle(400)
    outcomes = [outcome for _, outcome in stage.outcomes]
    assert outcomes == [PASS, left, left, BLOCK, PASS, PASS, PASS, PASS]
    assert (stage.judging.counters.left_out, stage.judging.counters.unjudged) == (2, 0)
    assert stage.balanced()


def batching(count: int = 3, size: int = 10_000, **changed: float) -> Stage:
    """A supplier of one request at a time, with several pictures in it."""
    changed.setdefault("concurrency", 1)
    supplier = ScriptedSupplier(batches={Kind.VIDEO: Batch(count, size)})
    supplier.gate.clear()
    return Stage(supplier, None, **changed)


def pictures(count: int) -> list[str]:
    return [f"{number}/0" for number in range(count)]


async def test_what_waits_for_a_place_goes_together_and_nothing_waits_for_more() -> None:
    stage = batching()
    for key in pictures(6):
        stage.add_one(key, 100)
    await settle()
    assert (stage.supplier.asked, stage.supplier.together) == (["0/0"], [])
    stage.supplier.gate.set()
    await settle(200)
    assert stage.supplier.together == [["1/0", "2/0", "3/0"], ["4/0", "5/0"]]
    assert stage.keys == pictures(6)
    assert (stage.judging.counters.together, stage.judging.counters.judged) == (5, 6)
    assert stage.balanced()


async def test_what_goes_together_is_of_one_kind_and_of_different_tracks_and_fits() -> None:
    stage = batching(size=2500)  # two of 1000 bytes
    for key, grey in (("a/0", 1), ("b/0", 1), ("c/0", None), ("b/1", 2), ("d/0", 1), ("e/0", 1)):
        stage.add_one(key, grey)
    await settle()
    stage.supplier.gate.set()
    await settle(200)
    assert stage.supplier.together == [["b/0", "d/0"], ["e/0", "b/1"]]
    assert stage.supplier.asked == ["a/0", "c/0"], "audio keeps its place, and goes alone"
    assert stage.keys == ["a/0", "b/0", "d/0", "c/0", "e/0", "b/1"]


async def test_a_request_of_several_that_one_of_them_spoils_is_repeated_with_each_alone() -> None:
    stage = batching()
    stage.supplier.whole = SliceNotJudged("scripted", "one of them is odd")
    odd = SliceNotJudged("scripted", "odd")
    stage.supplier.answer = lambda file: odd if file.info.key == "2/0" else PASS
    for key in pictures(4):
        stage.add_one(key, 100)
    await settle()
    stage.supplier.gate.set()
    await settle(400)
    assert stage.supplier.together == [["1/0", "2/0", "3/0"]]
    assert stage.supplier.asked == pictures(4)
    assert dict(stage.outcomes)["2/0"] == Unjudged("scripted: odd")
    assert stage.judging.counters.judged == 3
    assert (stage.troubles, stage.judging.counters.failures) == ([], 0)


async def test_a_part_that_fails_is_no_failure_of_the_account_and_goes_alone() -> None:
    stage = batching()
    failing = [True]
    stage.supplier.answer = lambda file: DOWN if failing[0] and file.info.key == "2/0" else PASS
    for key in pictures(4):
        stage.add_one(key, 100)
    await settle()
    stage.supplier.gate.set()
    await settle(200)
    assert stage.keys == ["0/0", "1/0", "3/0"]
    assert (stage.judging.open, stage.judging.trouble) == (False, None)
    assert stage.troubles == [("task", DOWN)]
    failing[0] = False
    await stage.advance(10.0)
    assert stage.keys == ["0/0", "1/0", "3/0", "2/0"]
    assert len(stage.supplier.together) == 1
    assert stage.recovered == [("task", "scripted")]


async def test_a_supplier_that_fails_whole_requests_is_left_alone_and_one_tries() -> None:
    stage = batching()
    stage.supplier.whole = DOWN
    stage.supplier.answer = lambda _file: DOWN
    for key in pictures(9):
        stage.add_one(key, 100)
    await settle()
    stage.supplier.gate.set()
    await stage.advance(1.0)
    assert stage.judging.open
    assert [len(keys) for keys in stage.supplier.together] == [3, 3]
    assert [type(error) for _, error in stage.troubles] == [SupplierUnavailable]
    stage.supplier.whole, stage.supplier.answer = None, lambda _file: PASS
    await stage.advance(60.0)
    assert sorted(stage.keys) == pictures(9)
    assert stage.balanced()


async def test_a_supplier_that_says_less_than_it_was_asked_loses_no_slice() -> None:
    stage = batching()

    async def judge_batch(_files: Sequence[File]) -> list[Verdict]:
        return [PASS]

    stage.supplier.judge_batch = judge_batch  # type: ignore[assignment, method-assign]
    for key in pictures(4):
        stage.add_one(key, 100)
    await settle()
    stage.supplier.gate.set()
    await stage.advance(60.0)
    assert sorted(stage.keys) == pictures(4)
    assert "1 verdicts of 3 slices" in str(stage.troubles[0][1])


async def test_a_file_of_several_that_cannot_be_read_now_is_asked_for_later() -> None:
    stage = batching()
    gone = [True]

    async def load() -> File | None:
        return None if gone[0] else file_of("1/0", kind=Kind.VIDEO)

    stage.add_one("0/0", 100)
    stage.add_delivery(delivery_of("1/0", kind=Kind.VIDEO), load)
    stage.add_one("2/0", 100)
    await settle()
    stage.supplier.gate.set()
    await settle(200)
    assert stage.keys == ["0/0", "2/0"]
    gone[0] = False
    await stage.advance(30.0)
    assert stage.keys == ["0/0", "2/0", "1/0"]


@settings(max_examples=60)
@given(
    st.booleans(),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "add",
                    "add",
                    "picture",
                    "picture",
                    "fail",
                    "refuse",
                    "odd",
                    "work",
                    "gone",
                    "wait",
                ]
            ),
            st.integers(0, 40),
        ),
        max_size=40,
    ),
)
def test_whatever_happens_each_slice_has_one_outcome_and_tracks_keep_their_order(
    together: bool, story: list[tuple[str, int]]
) -> None:
    async def play() -> None:
        answer: list[Verdict | ModerationError] = [PASS]
        batches = {Kind.VIDEO: Batch(2, 2500)} if together else {}
        stage = Stage(
            ScriptedSupplier(lambda _file: answer[0], batches=batches),
            concurrency=2,
            max_age=50.0,
            repeat_distance=4,
            sample_every=2,
        )
        added: dict[str, Delivery] = {}
        for action, number in story:
            match action:
                case "add":
                    key = f"{number % 3}/{len(added):03d}"
                    added[key] = stage.add_one(key)
                case "picture":
                    key = f"{number % 3}/{len(added):03d}"
                    added[key] = stage.add_one(key, number)
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
        tracks = defaultdict[tuple[str, Kind], list[str]](list)
        for key, outcome in stage.outcomes:
            if isinstance(outcome, Verdict):
                tracks[key[0], added[key].kind].append(key)
        assert all(keys == sorted(keys) for keys in tracks.values())
        await stage.judging.close()

    asyncio.run(play())
