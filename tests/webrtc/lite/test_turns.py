"""Work of joins and leaves: in order, and no more in a turn of the loop than others can bear."""

import asyncio
from collections.abc import Callable

import pytest

from slicer.webrtc.lite.turns import BUDGET, MAX_OF_ONE, MAX_WAITING, Turns


class Loop:
    """The time of work, which a test says, and the turns of the loop, which are counted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turn = 0
        self.done: list[tuple[int, str]] = []
        self.turns = Turns(lambda: self.now)
        asyncio.get_running_loop().call_soon(self._count)

    def _count(self) -> None:
        self.turn += 1
        asyncio.get_running_loop().call_soon(self._count)

    def work(self, name: str, seconds: float = 0.0) -> Callable[[], None]:
        def work() -> None:
            self.now += seconds
            self.done.append((self.turn, name))

        return work

    def add(self, name: str, seconds: float = 0.0, of: object = "ann") -> bool:
        return self.turns.add(self.work(name, seconds), of)

    async def finish(self) -> None:
        """All that waits is done by then."""
        await self.turns.wait()

    def by_turn(self) -> list[str]:
        """What was done, the pieces of one turn together."""
        found: dict[int, str] = {}
        for turn, name in self.done:
            found[turn] = found.get(turn, "") + name
        return list(found.values())


@pytest.fixture
async def loop() -> Loop:
    return Loop()


async def test_a_turn_takes_as_much_as_its_budget_holds(loop: Loop) -> None:
    for name in "abcdefg":
        loop.add(name, BUDGET / 3 * 1.01)
    await loop.finish()
    assert loop.by_turn() == ["abc", "def", "g"]


async def test_a_long_piece_has_a_turn_of_its_own(loop: Loop) -> None:
    for name in "abc":
        loop.add(name, 10 * BUDGET)
    await loop.finish()
    assert loop.by_turn() == ["a", "b", "c"]


async def test_others_have_their_turn_between_two_pieces(loop: Loop) -> None:
    """A slice whose steps take a turn each goes on as fast as if nobody joined."""
    for name in "abcdefgh":
        loop.add(name, BUDGET)
    for step in "123":
        await asyncio.sleep(0)
        loop.work(step)()
    await loop.finish()
    assert "".join(name for _, name in loop.done) == "a1b2c3defgh"


async def test_who_waits_has_the_rest_of_a_turn_alone(loop: Loop) -> None:
    async def come(name: str) -> None:
        await loop.turns.wait()
        loop.work(name)()

    loop.add("a")
    waiting = [asyncio.create_task(come(name)) for name in "bcd"]
    await asyncio.gather(*waiting)
    assert loop.by_turn() in (["a", "b", "c", "d"], ["ab", "c", "d"])


async def test_who_no_longer_waits_takes_no_turn(loop: Loop) -> None:
    waiting = asyncio.create_task(loop.turns.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    loop.add("a")
    loop.add("b")
    await loop.finish()
    assert loop.by_turn() == ["ab"]


async def test_what_fails_is_told_and_costs_nothing_else(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("one peer's")

    loop.turns.add(fail, "ann")
    loop.add("a")
    await loop.finish()
    assert loop.by_turn() == ["a"]
    assert "one peer's" in caplog.text


async def test_what_is_added_meanwhile_is_done_after_what_waits(loop: Loop) -> None:
    loop.turns.add(lambda: loop.add("c"), "ann")
    loop.add("b")
    for _ in range(2):
        await loop.finish()
    assert "".join(loop.by_turn()) == "bc"


async def test_no_more_than_a_bound_waits(loop: Loop) -> None:
    taken = [loop.add("a", of=number) for number in range(MAX_WAITING + 1)]
    assert taken == [True] * MAX_WAITING + [False]
    await loop.finish()
    assert len(loop.done) == MAX_WAITING
    assert loop.add("b")


async def test_one_peer_has_a_few_of_the_places(loop: Loop) -> None:
    taken = [loop.add("a", of="mallory") for _ in range(MAX_OF_ONE + 1)]
    assert taken == [True] * MAX_OF_ONE + [False]
    assert loop.add("b", of="ann")
    await loop.finish()
    assert "".join(name for _, name in loop.done) == "a" * MAX_OF_ONE + "b"
    assert loop.add("a", of="mallory"), "they are free again"
