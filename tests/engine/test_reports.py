"""Every event comes with what it is about, and with a line of the log where somebody must act."""

import asyncio

import pytest

from slicer.delivery.judging import Unjudged
from slicer.engine.events import (
    SliceJudged,
    SliceLost,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskEvent,
    TaskTrouble,
)
from slicer.engine.reports import TaskReports
from slicer.errors import StorageUnavailable, SupplierUnavailable
from slicer.rtp.parameters import Kind
from slicer.storage import Receipt
from tests.harness.clock import ManualClock
from tests.harness.delivery.spooling import info_of
from tests.harness.moderation.scripted import BLOCK

RECEIPT = Receipt("ada/1", 1000, "tag")


def test_a_trouble_names_store_and_application(caplog: pytest.LogCaptureFixture) -> None:
    reports = TaskReports(ManualClock(), lambda _: None)
    error = StorageUnavailable("bo/2", "503", "again")
    error.store = "s3://b"
    reports.on_trouble("t", error, 200806)
    reports.on_recovered("t", "s3://b", 200806)
    reports.on_trouble("t", StorageUnavailable("bo/2", "503", "again"))
    assert [one.getMessage() for one in caplog.records] == [
        "! task t of application 200806: s3://b: bo/2: 503; again",
        "+ task t of application 200806: s3://b takes slices again",
        "! task t: bo/2: 503; again",
    ]
    assert caplog.records[0].__dict__["app"] == 200806


def test_stored_lost_trouble_and_recovery() -> None:
    told: list[TaskEvent] = []
    reports = TaskReports(ManualClock(), told.append)
    assert reports.on_stored(info_of("ada/1"), b"", RECEIPT, "s3://b") is None
    reports.on_lost(info_of("bo/1", kind=Kind.VIDEO), "too old")
    reports.on_trouble("task", StorageUnavailable("bo/2", "503", "again"))
    reports.on_recovered("task", "s3://b")
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


async def test_verdicts_and_their_suppliers() -> None:
    told, safe = list[TaskEvent](), list[TaskEvent]()

    async def confirm(event: SliceJudged | SliceUnjudged) -> None:
        safe.append(event)

    reports = TaskReports(ManualClock(), told.append, confirm_verdict=confirm)
    for outcome in (BLOCK, Unjudged("too large")):
        confirmed = reports.on_judged(info_of("ada/1"), outcome, keep=True)
        assert confirmed is not None
        await confirmed
    reports.on_supplier_trouble("task", SupplierUnavailable("acme", "503"))
    reports.on_supplier_recovered("task", "acme")
    judged, unjudged, trouble, recovered = told
    assert isinstance(judged, SliceJudged)
    assert (judged.task, judged.verdict, judged.kept) == ("task", BLOCK, True)
    assert isinstance(unjudged, SliceUnjudged)
    assert unjudged.reason == "too large"
    assert safe == [judged, unjudged]
    assert isinstance(trouble, SupplierTrouble)
    assert "503" in trouble.reason
    assert isinstance(recovered, SupplierRecovered)
    assert (recovered.task, recovered.supplier) == ("task", "acme")


async def test_who_keeps_events_is_waited_for() -> None:
    safe: list[str] = []

    async def confirm(event: SliceStored) -> None:
        await asyncio.sleep(0)
        safe.append(event.slice.key)

    waits = TaskReports(ManualClock(), lambda _event: None, confirm).on_stored(
        info_of("ada/1"), b"", RECEIPT, "s3://b"
    )
    assert waits is not None
    await waits
    assert safe == ["ada/1"]
