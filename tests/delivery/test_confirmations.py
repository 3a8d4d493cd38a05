"""The record of a stored slice goes once its confirmation is there, and stays where it fails."""

import asyncio
from pathlib import Path

import pytest

from slicer.delivery import confirmations
from slicer.delivery.confirmations import Confirmations
from slicer.delivery.delivery import Delivery
from tests.harness.clock import settle
from tests.harness.delivery.spooling import delivery_of


class Disk:
    """A spool whose records are only removed."""

    def __init__(self) -> None:
        self.removed: list[Path] = []

    def remove(self, path: Path) -> None:
        self.removed.append(path)


def stored(name: str) -> Delivery:
    delivery = delivery_of("ada/0")
    delivery.path = Path(name)
    return delivery


async def test_a_record_waits_for_its_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmations, "MAX_UNCONFIRMED", 2)
    disk, done = Disk(), list[int]()
    waiting = Confirmations(disk, lambda: done.append(len(waiting)))  # type: ignore[arg-type]
    waiting.add(stored("at once"), None)
    assert disk.removed == [Path("at once")]
    answers = [asyncio.get_running_loop().create_future() for _ in range(3)]
    for number, answer in enumerate(answers):
        assert waiting.full == (number == 2)
        waiting.add(stored(str(number)), answer)
    answers[0].set_result(None)
    answers[1].set_exception(OSError("the queue is full"))
    await settle(10)
    assert disk.removed == [Path("at once"), Path("0")]
    assert (done, len(waiting)) == ([2, 1], 1)
    await waiting.finish(0.0)
    assert disk.removed == [Path("at once"), Path("0")], "its record is for the next start"


async def test_without_a_spool_there_is_nothing_to_remove() -> None:
    waiting = Confirmations(None, lambda: None)
    waiting.add(delivery_of("ada/0"), None)
    assert len(waiting) == 0
