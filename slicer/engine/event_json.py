"""Events as JSON objects, for other programs: names and fields as docs/embedding.md has them.

Names are kept when a class is renamed, and fields are only ever added.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum

from slicer.engine import events
from slicer.media.slice import SliceInfo
from slicer.slicing.outputs import EndReason

NAMES: Mapping[type, str] = {
    events.TaskState: "task_state",
    events.TrackStarted: "track_started",
    events.TrackEnded: "track_ended",
    events.TrackRefused: "track_refused",
    events.PicturesMissing: "pictures_missing",
    events.AnchorTrouble: "anchor_trouble",
    events.AnchorLeft: "anchor_left",
    events.AnchorDropped: "anchor_dropped",
    events.AnchorWaits: "anchor_waits",
    events.FactsDiscarded: "facts_discarded",
    events.SliceSpooled: "slice_spooled",
    events.SliceSettled: "slice_settled",
    events.SliceStored: "slice_stored",
    events.SliceJudged: "slice_judged",
    events.SliceUnjudged: "slice_unjudged",
    events.SliceLost: "slice_lost",
    events.TaskTrouble: "task_trouble",
    events.StoreRecovered: "store_recovered",
    events.SupplierTrouble: "supplier_trouble",
    events.SupplierRecovered: "supplier_recovered",
    events.RobotLeft: "robot_left",
    events.TaskFinished: "task_finished",
    events.EventsMissed: "events_missed",
}
LEFT_OUT = "raw"
"""Of a verdict, the supplier's own answer: it may be large, and its form is the supplier's."""


def event_json(event: events.Event) -> dict[str, object]:
    """An object with `event`, its name, and its fields. Times are UTC, ISO 8601 to the microsecond;
    choices are words in small letters, but for a verdict's label."""
    return {"event": NAMES[type(event)], **_fields(event)}


def _fields(value: object) -> dict[str, object]:
    assert is_dataclass(value)
    names = [one.name for one in fields(value) if one.name != LEFT_OUT]
    return {name: _value(getattr(value, name)) for name in names}


def _value(value: object) -> object:  # noqa: PLR0911 (one for each kind)
    match value:
        case SliceInfo():  # its track without the task, which the event names
            about = _fields(value)
            del about["track"]
            return {"anchor": value.anchor, "kind": str(value.kind), **about}
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case EndReason() | IntEnum():  # the values are for people, or numbers
            return value.name.lower()
        case Enum():
            return str(value.value)
        case tuple():
            return [_value(one) for one in value]
        case str() | int() | float() | None:
            return value
        case _:
            return _fields(value)
