"""The limits of an account: places, a rate, turns; and the applications that share them."""

from hypothesis import given
from hypothesis import strategies as st

from slicer.delivery.limiter import Limiter
from slicer.errors import ModerationError, SupplierRefused
from slicer.media.slice import File
from slicer.moderation import Verdict
from tests.harness.clock import ManualClock, settle
from tests.harness.delivery.spooling import delivery_of
from tests.harness.moderation.scripted import PASS, ScriptedSupplier
from tests.harness.moderation.stage import Stage


class Asker:
    """Somebody who has so many requests to make."""

    def __init__(self, limiter: Limiter, count: int, made: list["Asker"]) -> None:
        self.limiter, self.count, self.made = limiter, count, made

    def ask(self) -> None:
        while self.count and self.limiter.acquire(self.ask):
            self.count -= 1
            self.made.append(self)


def test_as_many_as_may_go_at_once() -> None:
    limiter, made = Limiter(ManualClock(), 0, 3), list[Asker]()
    Asker(limiter, 5, made).ask()
    assert (len(made), limiter.under_way) == (3, 3)
    limiter.release()
    assert (len(made), limiter.under_way) == (4, 3)


def test_who_waits_longest_is_next_and_has_one_turn() -> None:
    limiter, made = Limiter(ManualClock(), 0, 1), list[Asker]()
    greedy, modest, last = (Asker(limiter, count, made) for count in (9, 2, 1))
    for each in (greedy, modest, last):
        each.ask()
    for _ in range(6):
        limiter.release()
    assert made == [greedy, greedy, modest, last, greedy, modest, greedy]


def test_a_rate_has_them_wait_and_calls_them() -> None:
    clock, made = ManualClock(), list[Asker]()
    limiter = Limiter(clock, 2.0, 10)
    first, second = Asker(limiter, 3, made), Asker(limiter, 1, made)
    first.ask()
    second.ask()
    assert made == [first]
    clock.advance(0.5)
    clock.advance(0.5)
    assert made == [first, first, second]
    clock.advance(0.49)
    assert len(made) == 3
    clock.advance(0.02)
    assert made == [first, first, second, first]


def test_who_wants_nothing_any_more_costs_no_turn() -> None:
    limiter, made = Limiter(ManualClock(), 0, 1), list[Asker]()
    first, gone, last = (Asker(limiter, 1, made) for _ in range(3))
    for each in (first, gone, last):
        each.ask()
    gone.count = 0
    limiter.release()
    assert made == [first, last]


def test_nobody_overtakes_who_is_due() -> None:
    """The moment has come, and the clock has not called yet."""
    clock, made = ManualClock(), list[Asker]()
    limiter = Limiter(clock, 1.0, 10)
    first, waits, late = (Asker(limiter, 1, made) for _ in range(3))
    first.ask()
    clock.call_at(clock.now() + 1.0, late.ask)
    waits.ask()
    clock.advance(1.0)
    assert made == [first, waits]
    clock.advance(1.0)
    assert made == [first, waits, late]


async def test_applications_that_name_one_account_share_its_places_in_turn() -> None:
    stage = Stage(concurrency=1)
    other = stage.of_application()
    stage.supplier.gate.clear()
    stage.add(*(f"a{number}/0" for number in range(6)))
    stage.add_delivery(delivery_of("b0/0"), judging=other)
    stage.add_delivery(delivery_of("b1/0"), judging=other)
    await settle()
    assert stage.supplier.asked == ["a0/0"]
    stage.supplier.gate.set()
    await settle(200)
    assert stage.keys == ["a0/0", "a1/0", "b0/0", "a2/0", "b1/0", "a3/0", "a4/0", "a5/0"]
    assert stage.supplier.most_at_once == 1


async def test_applications_that_name_one_account_share_its_rate_in_turn() -> None:
    stage = Stage(rate=2.0)
    other = stage.of_application()
    stage.add(*(f"a{number}/0" for number in range(4)))
    for key in ("b0/0", "b1/0"):
        stage.add_delivery(delivery_of(key), judging=other)
    asked = []
    for _ in range(6):
        await stage.advance(0.5)
        asked.append(list(stage.supplier.asked))
    assert asked[-1] == ["a0/0", "a1/0", "b0/0", "a2/0", "b1/0", "a3/0"]
    assert [len(one) for one in asked] == [2, 3, 4, 5, 6, 6]


async def test_what_fails_for_one_application_stops_no_other() -> None:
    """An account may take a policy of the one, and refuse that of the other."""

    def answer(file: File) -> Verdict | ModerationError:
        return SupplierRefused("scripted", "no such policy") if "a" in file.info.key else PASS

    stage = Stage(ScriptedSupplier(answer), concurrency=1)
    other = stage.of_application()
    stage.add("a0/0", "a1/0", "a2/0", "a3/0")
    for number in range(8):
        stage.add_delivery(delivery_of(f"b{number}/0"), judging=other)
    await stage.advance(1.0)
    assert stage.keys == [f"b{number}/0" for number in range(8)]
    assert (stage.judging.open, other.open) == (True, False)


async def test_an_application_that_leaves_gives_its_places_back() -> None:
    stage = Stage(concurrency=2)
    stage.supplier.gate.clear()
    other = stage.of_application()
    stage.add("a0/0", "a1/0", "a2/0")
    stage.add_delivery(delivery_of("b0/0"), judging=other)
    await stage.judging.close()  # before its requests have begun
    await settle()
    assert stage.supplier.asked == ["b0/0"]
    stage.supplier.gate.set()
    await settle()
    assert (stage.keys, stage.limiter.under_way) == (["b0/0"], 0)


@given(
    st.integers(1, 3),
    st.sampled_from([0.0, 0.5, 3.0]),
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.lists(st.sampled_from(["release", "wait", 0, 1, 2, 3]), max_size=40),
)
def test_within_the_limits_all_is_asked(
    concurrency: int, rate: float, counts: list[int], steps: list[str | int]
) -> None:
    clock, made, moments = ManualClock(), list[Asker](), list[float]()
    limiter = Limiter(clock, rate, concurrency)
    askers = [Asker(limiter, count, made) for count in counts]

    def look() -> None:
        moments.extend([clock.now()] * (len(made) - len(moments)))
        assert limiter.under_way <= concurrency

    for step in [*steps, *range(len(askers)), *["wait", "release"] * (2 * sum(counts))]:
        if step == "release" and limiter.under_way:
            limiter.release()
        elif step == "wait":
            clock.advance(0.7)
        elif isinstance(step, int):
            askers[step % len(askers)].ask()
        look()
    if rate:
        assert all(after - moments[0] >= (n / rate) - 1e-9 for n, after in enumerate(moments))
    for _ in range(sum(counts)):
        clock.advance(10.0)
        if limiter.under_way:
            limiter.release()
    assert not any(asker.count for asker in askers)
    assert len(made) == sum(counts)
