"""What tests of the service share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.fleet.in_process import Fleet, in_process
from tests.harness.moderation.scripted import ScriptedSupplier, install


@pytest.fixture
def supplier(monkeypatch: pytest.MonkeyPatch) -> ScriptedSupplier:
    """A supplier for orders that name tianyu."""
    scripted = ScriptedSupplier()
    install(monkeypatch, scripted)
    return scripted


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """A fleet in this process, without workers and copies of the API."""
    async with in_process(tmp_path) as running:
        yield running
