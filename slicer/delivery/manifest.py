"""What a task has cut, as one JSON file beside its slices.

    {"task": …, "ended": UTC, "slices": [{"key", "anchor", "kind", "role", "began", "seconds",
    "size", "sha256", "etag", "destination"} | {"key", "anchor", "kind", "role", "lost": why} |
    {…, "kept": true}], "omitted": how many more there were}

A slice that was still in the spool when the engine closed is "kept". It lives in memory until the
task ends: a crash loses the manifest, never a slice.
"""

import json
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

from slicer.delivery.delivery import Delivery
from slicer.media.slice import File, ManifestInfo, SliceInfo
from slicer.storage import Receipt

NAME = "manifest.json"
MAX_SLICES = 100_000
"""Some 40 MB; what comes later is counted alone."""
_MEMORY = 512


class Manifest:
    """One task's; *folder* is where the task's keys begin."""

    def __init__(self, folder: str, task: str) -> None:
        self.closed = False
        self._key, self._task = f"{folder}/{NAME}", task
        self._slices: dict[str, dict[str, Any]] = {}  # by key
        self._omitted = 0

    def stored(self, slice: SliceInfo, data: bytes, receipt: Receipt, destination: str) -> None:
        """A store has acknowledged a slice."""
        facts = {
            "began": _utc(slice.began),
            "seconds": slice.seconds,
            "size": slice.size,
            "sha256": sha256(data).hexdigest(),
            "etag": receipt.etag,
            "destination": destination,
        }
        self._add(slice, facts)

    def settled(self, slice: SliceInfo) -> None:
        """A report has corrected when a slice began; one that is yet to come has it itself."""
        entry = self._slices.get(slice.key, {})
        if "began" in entry:
            entry["began"] = _utc(slice.began)

    def lost(self, slice: SliceInfo, reason: str) -> None:
        """A slice will never be stored."""
        self._add(slice, {"lost": reason})

    def kept(self, slice: SliceInfo) -> None:
        """A slice is left to the next start."""
        self._add(slice, {"kept": True})

    def close(self, ended: datetime) -> Delivery:
        """The manifest on its way; nothing is added any more."""
        self.closed = True
        info = ManifestInfo(self._key, self._task, ended)
        return Delivery(info, _MEMORY * len(self._slices), partial(self._make, info))

    def _add(self, slice: SliceInfo, facts: dict[str, Any]) -> None:
        if self.closed or len(self._slices) >= MAX_SLICES:
            self._omitted += 1
            return
        kind, role = slice.kind.value, slice.role.value
        named = {"key": slice.key, "anchor": slice.anchor, "kind": kind, "role": role}
        self._slices[slice.key] = named | facts

    def _make(self, info: ManifestInfo) -> File:
        content = {
            "task": self._task,
            "ended": _utc(info.began),
            "slices": [self._slices[key] for key in sorted(self._slices)],
            "omitted": self._omitted,
        }
        data = json.dumps(content, indent=1).encode()
        return File(replace(info, size=len(data)), data, "application/json")


def _utc(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
