"""The manifest names all that was cut, and proves it."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

from slicer.delivery import manifest as module
from slicer.delivery.manifest import Manifest
from slicer.media.slice import ManifestInfo
from slicer.rtp.parameters import Kind
from slicer.storage import Receipt
from tests.harness.clock import EPOCH
from tests.harness.delivery.spooling import file_of, info_of


def test_what_was_stored_lost_and_kept() -> None:
    manifest = Manifest("prefix/task", "task")
    data = file_of("ada/2.ogg").data
    manifest.stored(info_of("ada/2.ogg"), data, Receipt("ada/2.ogg", 1000, "tag"), "s3://bucket")
    manifest.lost(info_of("ada/1.png", kind=Kind.VIDEO), "no keyframe")
    manifest.kept(info_of("ada/3.png", kind=Kind.VIDEO))
    delivery = manifest.close(EPOCH + timedelta(hours=1))
    assert delivery.make is not None
    file = delivery.make()
    ended = EPOCH + timedelta(hours=1)
    assert file.info == ManifestInfo("prefix/task/manifest.json", "task", ended, len(file.data))
    assert delivery.info.key == file.info.key
    assert file.content_type == "application/json"
    content = json.loads(file.data)
    lost, stored, kept = content.pop("slices")
    assert content == {"task": "task", "ended": "2025-01-06T15:31:43.000+00:00", "omitted": 0}
    assert lost == {
        "key": "ada/1.png",
        "anchor": "ada",
        "kind": "video",
        "role": "main",
        "lost": "no keyframe",
    }
    assert kept == {
        "key": "ada/3.png",
        "anchor": "ada",
        "kind": "video",
        "role": "main",
        "kept": True,
    }
    assert stored == {
        "key": "ada/2.ogg",
        "anchor": "ada",
        "kind": "audio",
        "role": "main",
        "began": "2025-01-06T14:31:43.000+00:00",
        "seconds": 15.0,
        "size": 1000,
        "sha256": hashlib.sha256(data).hexdigest(),
        "etag": "tag",
        "destination": "s3://bucket",
    }


def test_a_time_that_a_report_corrects() -> None:
    manifest = Manifest("task", "task")
    slice, lost = info_of("ada/1.ogg"), info_of("ada/2.ogg")
    manifest.stored(slice, b"", Receipt(slice.key, 0, "tag"), "s3://bucket")
    manifest.lost(lost, "why")
    later = slice.began + timedelta(seconds=0.8)
    for one in (slice, lost, info_of("ada/not-yet-stored.ogg")):
        manifest.settled(replace(one, began=later))
    delivery = manifest.close(EPOCH)
    assert delivery.make is not None
    first, second = json.loads(delivery.make().data)["slices"]
    assert (first["key"], first["began"]) == (slice.key, later.isoformat(timespec="milliseconds"))
    assert second == {
        "key": lost.key,
        "anchor": "ada",
        "kind": "audio",
        "role": "main",
        "lost": "why",
    }


def test_a_bound() -> None:
    manifest = Manifest("task", "task")
    for number in range(module.MAX_SLICES + 3):
        manifest.kept(info_of(str(number)))
    delivery = manifest.close(EPOCH)
    assert delivery.make is not None
    content = json.loads(delivery.make().data)
    assert (len(content["slices"]), content["omitted"]) == (module.MAX_SLICES, 3)
