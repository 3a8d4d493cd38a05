"""Slices of an earlier process are told as their tasks would have told them."""

import asyncio

from slicer.engine.events import SliceLost, SliceStored, StoreRecovered, TaskEvent, TaskTrouble
from slicer.engine.orphans import Orphans
from slicer.errors import StorageUnavailable
from slicer.rtp.parameters import Kind
from slicer.storage import Receipt
from tests.harness.clock import ManualClock
from tests.harness.delivery.spooling import info_of

RECEIPT = Receipt("ada/1", 1000, "tag")


def test_stored_lost_trouble_and_recovery() -> None:
    told: list[TaskEvent] = []
    orphans = Orphans(ManualClock(), told.append)
    assert orphans.on_stored(info_of("ada/1"), b"", RECEIPT, "s3://b") is None
    orphans.on_lost(info_of("bo/1", kind=Kind.VIDEO), "too old")
    orphans.on_trouble("task", StorageUnavailable("bo/2", "503", "again"))
    orphans.on_recovered("task", "s3://b")
    stored, lost, trouble, recovered = told
    assert isinstance(stored, SliceStored)
    assert (stored.task, stored.slice) == ("task", info_of("ada/1"))
    assert (stored.etag, stored.destination) == ("tag", "s3://b")
    assert isinstance(lost, SliceLost)
    assert (lost.slice.key, lost.reason) == ("bo/1", "too old")
    assert isinstance(trouble, TaskTrouble)
    assert "503" in trouble.reason
    assert isinstance(recovered, StoreRecovered)
    assert (recovered.task, recovered.destination) == ("task", "s3://b")


async def test_who_keeps_events_is_waited_for() -> None:
    safe: list[str] = []

    async def confirm(event: SliceStored) -> None:
        await asyncio.sleep(0)
        safe.append(event.slice.key)

    waits = Orphans(ManualClock(), lambda _event: None, confirm).on_stored(
        info_of("ada/1"), b"", RECEIPT, "s3://b"
    )
    assert waits is not None
    await waits
    assert safe == ["ada/1"]
