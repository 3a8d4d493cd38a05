"""The manifest names all that was cut, and proves it."""

import hashlib
import json
from datetime import timedelta

from slicer.delivery import manifest as module
from slicer.delivery.manifest import Manifest
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import TrackKey
from slicer.storage import Receipt
from tests.harness.clock import EPOCH
from tests.harness.delivery.spooling import slice_of

TRACK = TrackKey("task", "ada", Kind.VIDEO)


def test_what_was_stored_lost_and_kept() -> None:
    manifest = Manifest("prefix/task", "task")
    made = slice_of("ada/2.ogg")
    manifest.stored(made, Receipt(made.key, made.size, "tag"), "s3://bucket")
    manifest.lost(TRACK, "ada/1.png", "no keyframe")
    manifest.kept(TRACK, "ada/3.png")
    job = manifest.close(EPOCH + timedelta(hours=1))
    file = job.make()
    assert file.key == job.key == "prefix/task/manifest.json"
    assert file.content_type == "application/json"
    said = json.loads(file.data)
    lost, stored, kept = said.pop("slices")
    assert said == {"task": "task", "ended": "2025-01-06T15:31:43.000+00:00", "omitted": 0}
    assert lost == {"key": "ada/1.png", "anchor": "ada", "kind": "video", "lost": "no keyframe"}
    assert kept == {"key": "ada/3.png", "anchor": "ada", "kind": "video", "kept": True}
    assert stored == {
        "key": "ada/2.ogg",
        "anchor": "ada",
        "kind": "audio",
        "began": "2025-01-06T14:31:43.000+00:00",
        "seconds": 15.0,
        "size": 1000,
        "sha256": hashlib.sha256(made.data).hexdigest(),
        "etag": "tag",
        "destination": "s3://bucket",
    }


def test_a_bound() -> None:
    manifest = Manifest("task", "task")
    for number in range(module.MAX_SLICES + 3):
        manifest.kept(TRACK, str(number))
    said = json.loads(manifest.close(EPOCH).make().data)
    assert (len(said["slices"]), said["omitted"]) == (module.MAX_SLICES, 3)
