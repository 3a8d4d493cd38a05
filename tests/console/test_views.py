"""What pages get, as JSON."""

import json
from datetime import UTC, datetime

from slicer.console import views
from slicer.console.history import Entry
from slicer.console.verdict import Judgement
from slicer.console.wall import Wall
from slicer.engine.operation import SpoolHealth, StoreHealth, SupplierHealth, WaitingSlice
from slicer.engine.task_status import TaskStatus
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind, Role
from slicer.service.audit import AuditEntry
from slicer.service.operations import Health, TaskView, Waiting
from slicer.slicing.outputs import State, TrackKey
from slicer.slicing.subscription import Subscription
from slicer.webhooks.queue import Outcome, QueuedWebhook, Webhook

AT = datetime(2026, 5, 4, 14, 30, tzinfo=UTC)
MS = int(AT.timestamp() * 1000)


def test_changes_of_the_wall() -> None:
    wall = Wall()
    tile = wall.take("task", "<b>ada", "150")
    assert tile
    tile.tracks.add(Kind.AUDIO)
    tile.taken, tile.late = AT, 1.23456
    tile.hit = Judgement("block", AT, "Porn", 97)
    view = json.loads(json.dumps(views.of_changes(wall.since(-1))))
    assert view["whole"]
    (shown,) = view["tiles"]
    assert (shown["anchor"], shown["room"], shown["late"], shown["taken"]) == (
        "<b>ada",
        "150",
        1.23,
        MS,
    )
    assert (shown["audio"], shown["video"], shown["verdict"]) == (True, False, None)
    assert shown["hit"] == {"suggest": "block", "at": MS, "label": "Porn", "score": 97, "text": ""}


def test_a_task() -> None:
    tracks = (
        ("ada", Kind.AUDIO, Role.MAIN),
        ("ada", Kind.VIDEO, Role.MAIN),
        ("bo", Kind.AUDIO, Role.MAIN),
    )
    status = TaskStatus("t", State.RUNNING, ("ada", "bo"), tracks, Subscription.of(), 5, 1, 2)
    view = views.of_task(TaskView("t", 7, "slice", "150", "robot", AT.timestamp(), status))
    assert (view["state"], view["anchors"], view["audio"], view["video"]) == ("running", 2, 2, 1)
    assert (view["stored"], view["lost"], view["pending"], view["created"]) == (5, 1, 2, MS)
    coming = views.of_task(TaskView("t", 7, "slice", "150", "robot", 0.0, None))
    assert coming["state"] == "reconnecting"
    assert "stored" not in coming


def test_slices_of_a_time_line() -> None:
    info = SliceInfo("k", TrackKey("t", "ada", Kind.AUDIO), AT, 4.9999, 10)
    (view,) = views.of_entries([("id", Entry(info, "lost", "the disk is full"))])
    assert (view["id"], view["kind"], view["began"], view["seconds"]) == ("id", "audio", MS, 5.0)
    assert (view["state"], view["reason"], view["verdict"]) == ("lost", "the disk is full", None)


def test_health_and_what_waits_and_the_audit() -> None:
    store = StoreHealth("s3://b", False, True, "503", 1, 2, 3, 4)
    supplier = SupplierHealth("tianyu", False, "", 1, 2, 3, 4)
    health = views.of_health(Health([store], [supplier], SpoolHealth(1, 2, 3, 4), {"waiting": 1}))
    assert (health["stores"][0]["reason"], health["spool"]["bytes"]) == ("503", 2)
    queued = QueuedWebhook(
        1, Webhook("id", 7, "t", 1104, '{"secret": 1}'), 1.0, 2, None, Outcome.GIVEN_UP, "502"
    )
    one = WaitingSlice("k", "t", "ready", "s3://b", 10, 0, True)
    view = views.of_waiting(Waiting([one], [queued]))
    assert view["slices"][0]["phase"] == "ready"
    assert view["callbacks"][0]["outcome"] == "given_up"
    assert "secret" not in json.dumps(view)
    assert views.of_audit([AuditEntry(1.5, "mara", "login")])[0]["at"] == 1500
