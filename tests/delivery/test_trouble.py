"""Failures are told once for each task and kind, and again after the store or the disk worked."""

from slicer.delivery.trouble import SPOOL, Trouble
from slicer.errors import StorageUnavailable
from tests.harness.delivery.outbox import refused, unavailable
from tests.harness.delivery.recorder import Recorder
from tests.harness.delivery.spooling import info_of


def test_each_kind_once_for_a_task_until_the_store_works() -> None:
    heard = Recorder()
    troubles = Trouble(heard)
    for _ in range(3):
        for task in ("one", "two"):
            troubles.tell(info_of("ada/0", task=task), unavailable("ada/0"))
        troubles.tell(info_of("ada/0", task="one"), refused("ada/0"))
    assert len(heard.trouble) == 3
    troubles.recovered("memory:")
    assert heard.recovered == [("one", "memory:"), ("two", "memory:")]
    troubles.tell(info_of("ada/0", task="one"), unavailable("ada/0"))
    assert len(heard.trouble) == 4


def test_a_task_that_knows_is_told_of_the_recovery_alone() -> None:
    heard = Recorder()
    troubles = Trouble(heard)
    troubles.note("one", unavailable("k"))
    troubles.tell(info_of("ada/0", task="one"), unavailable("ada/0"))
    assert heard.trouble == []
    troubles.recovered("memory:")
    assert heard.recovered == [("one", "memory:")]


def test_the_disk_is_told_apart() -> None:
    heard, error = Recorder(), StorageUnavailable("k", "spool: full", "slices wait in memory")
    troubles = Trouble(heard)
    for _ in range(2):
        troubles.tell_disk(info_of("ada/0"), error)
    assert len(heard.trouble) == 1
    assert error.store == SPOOL
    for _ in range(2):
        troubles.disk_recovered()
    assert heard.recovered == [("task", SPOOL)]
    troubles.tell_disk(info_of("ada/0"), error)
    assert len(heard.trouble) == 2
    troubles.recovered("memory:")
    assert heard.recovered == [("task", SPOOL)]
