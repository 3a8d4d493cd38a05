"""What concerns a whole task is known until it works again."""

from datetime import UTC, datetime

import pytest

from slicer.console.task_troubles import TaskTroubles
from slicer.delivery.trouble import SPOOL
from slicer.engine.events import (
    Event,
    SliceJudged,
    SliceStored,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskFinished,
    TaskTrouble,
    TrackStarted,
)
from slicer.media.slice import SliceInfo
from slicer.moderation import Verdict
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import EndReason, TrackKey

AT = datetime(2026, 1, 1, tzinfo=UTC)
SLICE = SliceInfo("key", TrackKey("t", "ada", Kind.AUDIO), AT, 5.0, 3)
STORE = TaskTrouble("t", AT, "HTTP 503", "s3://bucket")
BACKUP = TaskTrouble("t", AT, "HTTP 403", "cos://backup")
DISK = TaskTrouble("t", AT, "full", SPOOL)
SUPPLIER = SupplierTrouble("t", AT, "Shumei: balance")


WORDS = {
    STORE: ("Store fails", "s3://bucket: HTTP 503"),
    BACKUP: ("Store fails", "cos://backup: HTTP 403"),
    DISK: ("Spool fails", "the spool: full"),
    SUPPLIER: ("Supplier fails", "Shumei: balance"),
}


def known(*events: Event) -> list[tuple[str, str]]:
    troubles = TaskTroubles()
    for event in events:
        troubles.on_event(event)
    return [(one.what, one.detail) for one in troubles.of("t")]


def test_each_thing_that_fails_is_named_once() -> None:
    assert known(STORE, DISK, SUPPLIER) == [WORDS[STORE], WORDS[DISK], WORDS[SUPPLIER]]
    assert known(STORE, STORE) == [WORDS[STORE]]
    other = TaskTrouble("t", AT, "no manifest: 503")
    assert known(other) == [("Trouble", "no manifest: 503")]


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (StoreRecovered("t", AT, "s3://bucket"), (DISK, SUPPLIER)),
        (StoreRecovered("t", AT, SPOOL), (STORE, BACKUP, SUPPLIER)),
        (SliceStored("t", AT, SLICE, "", "cos://backup"), (STORE, DISK, SUPPLIER)),
        (SupplierRecovered("t", AT, "Shumei"), (STORE, BACKUP, DISK)),
        (SliceJudged("t", AT, SLICE, Verdict(), kept=True), (STORE, BACKUP, DISK)),
        (TaskFinished("t", AT, EndReason.STOPPED, 0, 0), ()),
    ],
)
def test_what_works_again_is_forgotten(event: Event, left: tuple[Event, ...]) -> None:
    assert known(STORE, BACKUP, DISK, SUPPLIER, event) == [WORDS[one] for one in left]


def test_only_news_are_told() -> None:
    troubles = TaskTroubles()
    assert troubles.on_event(TrackStarted("t", AT, "ada", Kind.AUDIO)) is None
    assert troubles.on_event(SliceStored("t", AT, SLICE, "", "s3://bucket")) is None
    assert troubles.on_event(STORE) == "t"
    assert troubles.on_event(STORE) is None
    assert troubles.on_event(SliceStored("t", AT, SLICE, "", "cos://backup")) is None
    assert troubles.on_event(SliceStored("t", AT, SLICE, "", "s3://bucket")) == "t"
    assert troubles.of("t") == ()


def test_tasks_that_are_over_are_forgotten() -> None:
    troubles = TaskTroubles()
    troubles.on_event(STORE)
    troubles.on_event(TaskTrouble("other", AT, "HTTP 503", "s3://bucket"))
    troubles.retain({"other"})
    assert (troubles.of("t"), len(troubles.of("other"))) == ((), 1)
