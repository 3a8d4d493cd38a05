"""What tests of the service share."""

import pytest

from tests.harness.moderation.scripted import ScriptedSupplier, install


@pytest.fixture
def supplier(monkeypatch: pytest.MonkeyPatch) -> ScriptedSupplier:
    """A supplier for orders that name tianyu."""
    scripted = ScriptedSupplier()
    install(monkeypatch, scripted)
    return scripted
