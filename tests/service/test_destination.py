"""Stores are opened once for all who use them, checked first, and closed after the last."""

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import pytest

from slicer.errors import StorageRefused
from slicer.service.destination import Destinations
from slicer.service.running import RunningTask
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
    nobody: dict[str, RunningTask] = {}
    return Destinations(workers, ManualClock(), OutboxSettings(), nobody.get)


async def test_one_for_all_who_name_the_same(destinations: Destinations, tmp_path: Path) -> None:
    url = tmp_path.as_uri()
    first = await destinations.take(url, None)
    second = await destinations.take(url, None)
    assert first is second
    await destinations.give_back(first)
    assert destinations.all() == [second]
    await destinations.give_back(second)
    assert destinations.all() == []


async def test_other_credentials_are_another_store(
    destinations: Destinations, tmp_path: Path
) -> None:
    first = await destinations.take(tmp_path.as_uri(), None)
    second = await destinations.take(tmp_path.as_uri(), Credentials("a", "b"))
    assert first is not second
    for one in (first, second):
        await destinations.give_back(one)


async def test_a_store_that_fails_its_check_is_not_kept(
    destinations: Destinations, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageRefused):
        await destinations.take((tmp_path / "file").as_uri(), None)
    assert destinations.all() == []
