"""Callbacks as metrics: every outcome is there before it first happens."""

from collections import Counter

from slicer.service.metrics import METRICS, of_callbacks


class Sender:
    """What is read of a sender."""

    def __init__(self) -> None:
        self.counters, self.failing = Counter({"delivered": 3, "failed": 2}), 1

    async def waiting(self) -> int:
        return 7


async def test_callbacks() -> None:
    samples = await of_callbacks(Sender())  # type: ignore[arg-type]
    assert {one.name for one in samples} == set(METRICS)
    outcomes = {
        dict(one.labels)["outcome"]: one.value for one in samples if one.name == "callbacks_total"
    }
    none = dict.fromkeys(
        ("given_up", "refused", "faults", "unreadable", "unclaimed", "unverified"), 0
    )
    assert outcomes == {"delivered": 3, "failed": 2, **none}
    assert [one.value for one in samples if not one.labels] == [7, 1]
