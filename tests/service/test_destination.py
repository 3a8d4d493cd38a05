"""Stores are opened once for all who use them, checked first, and closed after the last."""

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import pytest

from slicer.clock import Clock
from slicer.errors import StorageRefused
from slicer.service.destination import Destinations, Place, Reports
from slicer.service.events import TaskEvent
from slicer.service.running import RunningTask
from slicer.service.spool import Spool
from slicer.service.strays import Strays
from slicer.service.workers import open_workers
from slicer.settings import OutboxSettings
from slicer.storage import Credentials
from tests.harness.clock import ManualClock


@pytest.fixture
def workers() -> Iterator[Executor]:
    with open_workers() as pool:
        yield pool


@pytest.fixture
def destinations(workers: Executor) -> Destinations:
    return make(workers, ManualClock())


def make(workers: Executor, clock: Clock, spool: Spool | None = None) -> Destinations:
    nobody: dict[str, RunningTask] = {}
    told: list[TaskEvent] = []
    reports = Reports(nobody.get, Strays(clock, told.append))
    return Destinations(workers, clock, OutboxSettings(), reports, spool)


async def test_one_for_all_who_name_the_same(destinations: Destinations, tmp_path: Path) -> None:
    place = Place(tmp_path.as_uri())
    first = await destinations.take(place)
    second = await destinations.take(place)
    assert first is second
    await destinations.give_back(first)
    assert destinations.all() == [second]
    await destinations.give_back(second)
    assert destinations.all() == []


async def test_other_credentials_are_another_store(
    destinations: Destinations, tmp_path: Path
) -> None:
    first = await destinations.take(Place(tmp_path.as_uri()))
    second = await destinations.take(Place(tmp_path.as_uri(), Credentials("a", "b")))
    assert first is not second
    for one in (first, second):
        await destinations.give_back(one)


async def test_a_store_that_fails_its_check_is_not_kept(
    destinations: Destinations, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageRefused):
        await destinations.take(Place((tmp_path / "file").as_uri()))
    assert destinations.all() == []
