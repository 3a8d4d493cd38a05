"""What a task has cut, as one JSON file beside its slices; knows no store and no clock.

    {"task": …, "ended": UTC, "slices": [{"key", "anchor", "kind", "began", "seconds", "size",
    "sha256", "etag", "destination"} | {"key", "anchor", "kind", "lost": why} | {…, "kept": true}],
    "omitted": how many more there were}

A slice that was still in the spool when the engine closed is "kept". It lives in memory until the
task ends: a crash loses the manifest, never a slice.
"""

import json
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from slicer.delivery.job import Job
from slicer.media.slice import Slice
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.storage import Receipt

NAME = "manifest.json"
MAX_SLICES = 100_000
"""Some 40 MB; what comes later is counted alone."""
_MEMORY = 512


class Manifest:
    """One task's. *key*: where it is stored."""

    def __init__(self, folder: str, task: str) -> None:
        self.key = f"{folder}/{NAME}"
        self.closed = False
        self._task = task
        self._slices: list[dict[str, Any]] = []
        self._omitted = 0

    def stored(self, made: Slice, receipt: Receipt, destination: str) -> None:
        """A store has acknowledged a slice."""
        facts = {
            "began": made.began.isoformat(timespec="milliseconds"),
            "seconds": made.seconds,
            "size": made.size,
            "sha256": sha256(made.data).hexdigest(),
            "etag": receipt.etag,
            "destination": destination,
        }
        self._add(made.track, made.key, facts)

    def lost(self, track: TrackKey, key: str, reason: str) -> None:
        """A slice will never be stored."""
        self._add(track, key, {"lost": reason})

    def kept(self, track: TrackKey, key: str) -> None:
        """A slice is left to the next start."""
        self._add(track, key, {"kept": True})

    def close(self, ended: datetime) -> Job:
        """The job that stores it; nothing is added any more."""
        self.closed = True
        at = ended.isoformat(timespec="milliseconds")
        track = TrackKey(self._task, "", Kind.AUDIO)  # of no anchor; it goes last, as sound does
        make = partial(self._make, track, ended, at)
        return Job(self.key, track, _MEMORY * len(self._slices), make)

    def _add(self, track: TrackKey, key: str, facts: dict[str, Any]) -> None:
        if self.closed or len(self._slices) >= MAX_SLICES:
            self._omitted += 1
            return
        named = {"key": key, "anchor": track.anchor, "kind": track.kind.value}
        self._slices.append(named | facts)

    def _make(self, track: TrackKey, ended: datetime, at: str) -> Slice:
        slices = sorted(self._slices, key=lambda one: str(one["key"]))
        said = {"task": self._task, "ended": at, "slices": slices, "omitted": self._omitted}
        data = json.dumps(said, indent=1).encode()
        return Slice(self.key, data, "application/json", track, ended)
