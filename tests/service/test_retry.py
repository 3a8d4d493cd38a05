"""Trying again for a while: what passes, what lasts, what will not pass."""

import asyncio

import pytest

from slicer.errors import BadInput, RoomError, SlicerError
from slicer.service.leave_code import LeaveCode
from slicer.service.retry import PATIENCE, retry
from tests.harness.clock import ManualClock, settle


class Door:
    """Opens after so many failures."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.attempts = list(failures), 0
        self.told: list[str] = []
        self.clock = ManualClock()
        self.at: list[float] = []

    async def attempt(self) -> None:
        self.attempts += 1
        self.at.append(self.clock.now() - 1000.0)
        if self.failures:
            raise self.failures.pop(0)

    async def trouble(self, error: SlicerError) -> None:
        self.told.append(str(error))

    def knock(self) -> "asyncio.Future[LeaveCode | None]":
        return asyncio.ensure_future(retry(self.attempt, self.trouble, self.clock))

    async def until(self, seconds: float) -> None:
        while self.clock.now() < 1000.0 + seconds:
            await settle(5)
            self.clock.advance(0.5)
        await settle(5)


async def test_at_once() -> None:
    door = Door()
    assert await door.knock() is None
    assert (door.attempts, door.told, door.clock.timers) == (1, [], [])


async def test_after_some_failures() -> None:
    door = Door(RoomError("closed"), RoomError("closed"), RoomError("closed"))
    knocking = door.knock()
    await door.until(10)
    assert await knocking is None
    assert door.at == [0, 1, 3, 7]
    assert door.told == ["closed"]


async def test_not_for_ever() -> None:
    door = Door(*[RoomError("closed")] * 1000)
    knocking = door.knock()
    await door.until(PATIENCE - 1)
    assert not knocking.done()
    await door.until(PATIENCE + 30)
    assert await knocking is LeaveCode.ROOM_TIMEOUT
    assert len(door.told) == 1


async def test_what_will_not_pass() -> None:
    door = Door(RoomError("closed"), BadInput("room", "x", "y"))
    knocking = door.knock()
    await door.until(2)
    assert await knocking is LeaveCode.KICKED_BY_SERVER
    assert len(door.told) == 2


async def test_a_fault_is_no_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        await Door(ZeroDivisionError()).knock()


async def test_cancelled_while_it_waits() -> None:
    door = Door(RoomError("closed"))
    knocking = door.knock()
    await settle()
    knocking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await knocking
    assert door.clock.timers == []
