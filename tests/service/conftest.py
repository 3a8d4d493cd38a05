"""What the service's tests share."""

import pytest


@pytest.fixture
def supplier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supplier that orders may name, although none judges here yet."""
    monkeypatch.setattr("slicer.service.plan.SUPPLIERS", ("tianyu",))
