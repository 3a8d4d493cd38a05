"""Heartbeats: what a worker says of itself several times a second, and keeps nowhere."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from slicer.errors import BadInput
from slicer.fleet.settings import is_address

EVERY = 0.25
"""Seconds between two beats of a worker."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat of *worker*.

    *instance*: a text that no other process of that name has; *capacity*: tasks it may run;
    *load*: how much of whatever is scarcest there is taken, from 0 to 1; *draining*: it takes no
    further tasks; *tasks*: those it runs, each with the latest revision of its record that it has
    seen; *streams*: how many anchors it slices of each, where that is more than one; *rooms*: where
    publishers find its own rooms, as `http://host:port`, or nothing; *console*: where operators
    find its console, or nothing.
    """

    worker: str
    instance: str = ""
    zone: str = ""
    capacity: int = 0
    load: float = 0.0
    draining: bool = False
    tasks: Mapping[str, int] = field(default_factory=dict)
    streams: Mapping[str, int] = field(default_factory=dict)
    rooms: str = ""
    version: str = ""
    console: str = ""


def to_json(beat: Beat) -> bytes:
    """The beat as it is sent."""
    return json.dumps(asdict(beat), separators=(",", ":")).encode()


def from_json(data: bytes) -> Beat:
    """The beat again; fields that a later version added are left alone. Raises BadInput."""
    names = {one.name for one in fields(Beat)}
    try:
        found: dict[str, Any] = json.loads(data)
        beat = Beat(**{name: value for name, value in found.items() if name in names})
        right = (
            isinstance(beat.worker, str)
            and isinstance(beat.capacity, int)
            and isinstance(beat.load, int | float)
            and isinstance(beat.zone, str)
            and isinstance(beat.draining, bool)
            and all(not one or is_address(one) for one in (beat.rooms, beat.console))
            and all(isinstance(revision, int) for revision in beat.tasks.values())
            and all(isinstance(streams, int) for streams in beat.streams.values())
        )
    except (ValueError, TypeError, AttributeError):
        right = False
    if not right:
        raise BadInput("fleet", "another heartbeat", "a heartbeat of a worker of rtc-slicer")
    return beat
