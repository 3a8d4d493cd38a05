"""Every event is an object that JSON can hold, under a name that stays."""

import json
import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import get_args

from slicer.engine.event_json import NAMES, event_json
from slicer.engine.events import (
    Event,
    SliceJudged,
    SliceSettled,
    SliceStored,
    TaskFinished,
    TaskState,
    TrackStarted,
)
from slicer.moderation import Finding, Label, Segment, Suggest, Verdict
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import EndReason, State
from tests.harness.clock import EPOCH
from tests.harness.delivery.spooling import info_of

PAGE = Path(__file__).parents[2] / "docs/observability.md"
SLICE = {
    "anchor": "ada",
    "kind": "audio",
    "role": "main",
    "key": "ada/1.ogg",
    "began": "2025-01-06T14:31:43.000000+00:00",
    "seconds": 15.0,
    "size": 1000,
}


def test_every_event_has_a_name_of_its_own() -> None:
    assert NAMES.keys() == set(get_args(Event))
    assert len(set(NAMES.values())) == len(NAMES)


def test_the_page_has_every_event_with_its_fields() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", PAGE.read_text(), re.MULTILINE)
    told = {name: re.findall(r"`(\w+)`", text) for name, text in rows if name in NAMES.values()}
    known = {
        name: [one.name for one in fields(kind) if one.name not in {"task", "at"}]
        for kind, name in NAMES.items()
    }
    assert told == known


def test_a_stored_slice() -> None:
    event = SliceStored("t", EPOCH, info_of("ada/1.ogg"), "tag", "s3://b")
    told = json.loads(json.dumps(event_json(event)))
    assert told == {
        "event": "slice_stored",
        "task": "t",
        "at": "2025-01-06T14:31:43.000000+00:00",
        "slice": SLICE,
        "etag": "tag",
        "sha256": "",
        "destination": "s3://b",
        "url": "",
    }


def test_choices_are_words() -> None:
    assert event_json(TrackStarted("t", EPOCH, "ada", Kind.VIDEO))["kind"] == "video"
    assert event_json(TaskState("t", EPOCH, State.RECONNECTING, "gone"))["state"] == "reconnecting"
    assert event_json(TaskFinished("t", EPOCH, EndReason.ROOM_GONE, 3, 0))["reason"] == "room_gone"
    settled = SliceSettled("t", EPOCH, info_of("ada/1.ogg"), EPOCH + timedelta(seconds=1), True)
    assert event_json(settled)["told"] == "2025-01-06T14:31:44.000000+00:00"


def test_a_verdict_without_the_suppliers_own_answer() -> None:
    finding = Finding(Label.ABUSE, Suggest.BLOCK, 90, keywords=("x",), segments=(Segment(1, 2),))
    verdict = Verdict(Suggest.BLOCK, Label.ABUSE, 90, (finding,), raw="{}")
    event = SliceJudged("t", EPOCH, info_of("ada/1.ogg"), verdict, True)
    told = json.loads(json.dumps(event_json(event)))["verdict"]
    assert "raw" not in told
    assert (told["suggest"], told["label"], told["score"]) == ("block", "Abuse", 90)
    (found,) = told["findings"]
    assert found["keywords"] == ["x"]
    assert found["segments"] == [{"begin": 1, "end": 2, "text": ""}]
