"""Every counter has a reader, and what is read is what happened."""

import ast
from pathlib import Path

import pytest

from slicer import AudioSpec, EndReason, Engine, SliceParams, TaskSpec
from slicer.delivery.outcome import OutboxCounters
from slicer.engine.metrics import METRICS
from slicer.engine.sample import Sample
from slicer.rooms import CONNECTORS
from slicer.rtp.parameters import Kind
from slicer.slicing.facts import AnchorJoined, TrackPublished
from tests.harness.rooms.replay import talk
from tests.harness.rooms.scripted import CONNECTOR, ScriptedConnector

ROOT = Path(__file__).parents[2]

# Where something is counted, from the engine down, and the metric that it comes out by.
READERS = {
    "delivery/outbox.py": "outbox_slices_total",
    "rtp/demultiplexer.py": "media_total",
    "rtp/rtcp/reporter.py": "media_total",
    "rtp/rtcp/transport_reporter.py": "media_total",
    "http/acceptor.py": "media_total",
    "rtp/stream.py": "media_total",
    "rooms/rtp/sockets.py": "media_total",
    "rooms/livekit/troubles.py": "media_total",
    "rooms/silence.py": "media_total",
    "rooms/stream/reader.py": "media_total",
    "rooms/trtc/cloud.py": "media_total",
    "rooms/replay/capture.py": "media_total",
    "rooms/replay/decryption.py": "media_total",
    "slicing/audio.py": "media_total",
    "slicing/task.py": "anchors_refused_total",
    "slicing/video.py": "media_total",
    "webrtc/connection.py": "media_total",
    "webrtc/lite/port.py": "media_total",
    "webrtc/lite/transport.py": "media_total",
    "webrtc/transport.py": "media_total",
}
# Counted, and read elsewhere.
OTHERS = dict.fromkeys(
    ("webhooks/sender.py", "service/mailbox.py", "fleet/facts.py"),
    "not below the engine: service/metrics.py reads it",
)


def value(samples: list[Sample], name: str, **labels: str) -> float:
    (found,) = [one.value for one in samples if one.name == name and dict(one.labels) == labels]
    return found


def counting(path: Path) -> bool:
    """Whether a module has a class with an attribute `counters` of its own."""
    targets = (
        target
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    )
    return any(isinstance(one, ast.Attribute) and one.attr == "counters" for one in targets)


def test_nothing_is_counted_that_nobody_reads() -> None:
    sources = {
        path.relative_to(ROOT / "slicer").as_posix(): path for path in ROOT.glob("slicer/**/*.py")
    }
    found = {name for name, path in sources.items() if counting(path)}
    assert found == READERS.keys() | OTHERS.keys()
    assert set(READERS.values()) <= METRICS.keys()


async def test_a_replayed_task_in_numbers(tmp_path: Path) -> None:
    params = SliceParams(AudioSpec(2), None)
    spec = TaskSpec(talk(tmp_path / "ada.rtpdump", 5.0), (tmp_path / "out").as_uri(), params)
    async with Engine() as engine:
        task = await engine.create(spec)
        before = engine.metrics()
        await engine.finished(task)
        await engine.close()
        after = engine.metrics()
    assert value(before, "tasks", state="running") == 1
    assert value(before, "connections", room="replay") == 1
    assert value(before, "destinations") == 1
    assert value(after, "tasks", state="running") == 0
    assert value(after, "tasks_ended_total", reason="room_gone") == 1
    assert value(after, "slices_stored_total") == 3
    assert value(after, "slices_lost_total") == 0
    assert value(after, "connections", room="replay") == 0
    assert value(after, "destinations") == 0
    for stage in ("cut", "made", "stored", "told"):
        assert value(after, "slices_total", stage=stage, kind="audio") == 3
    # A capture is as late as it is old.
    late = "slice_lateness_seconds_count"
    assert value(after, late, stage="stored", kind="audio") == 0
    assert value(after, "packets_total", room="replay", fate="media") == 250
    assert value(after, "packets_total", room="replay", fate="refused") == 0
    assert value(after, "packets_total", room="webrtc", fate="media") == 0
    # Of outboxes that are closed by now.
    assert value(after, "outbox_slices_total", outcome="offered") == 3
    assert value(after, "outbox_slices_total", outcome="stored") == 3
    stored = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.ogg"))
    assert value(after, "outbox_stored_bytes_total") == stored


async def test_anchors_tracks_and_what_rooms_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONNECTORS, "scripted", CONNECTOR)
    spec = TaskSpec("scripted://open", (tmp_path / "out").as_uri())
    async with Engine() as engine:
        await engine.create(spec)
        connector = engine.connector("scripted")
        connector.counters["srtp_replayed"] += 2
        connector.counters["handshakes_dtls_failed"] += 3
        connector.counters["packets_refused"] += 4
        ScriptedConnector.rooms["open"].tell(
            AnchorJoined("bo"),
            *(TrackPublished("ada", kind) for kind in Kind),
            TrackPublished("eve", Kind.AUDIO),
        )
        samples = engine.metrics()
    assert value(samples, "anchors") == 3
    assert value(samples, "tracks", kind="audio") == 2
    assert value(samples, "tracks", kind="video") == 1
    assert value(samples, "media_total", room="scripted", reason="srtp_replayed") == 2
    assert value(samples, "handshakes_total", room="scripted", outcome="dtls_failed") == 3
    assert value(samples, "handshakes_total", room="scripted", outcome="connected") == 0
    reasons = {dict(one.labels).get("reason") for one in samples if one.name == "media_total"}
    assert reasons == {"srtp_replayed"}, "a handshake is no reason, nor is a packet's fate"
    assert value(samples, "packets_total", room="scripted", fate="refused") == 4
    assert value(samples, "packets_total", room="scripted", fate="media") == 0


async def test_every_name_is_documented_and_every_documented_name_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONNECTORS, "scripted", CONNECTOR)
    async with Engine() as engine:
        await engine.create(TaskSpec("scripted://open", (tmp_path / "out").as_uri()))
        engine.connector("scripted").counters["srtp_replayed"] += 1
        samples = engine.metrics()
    histogram = "slice_lateness_seconds"
    ends = {f"{histogram}{end}" for end in ("_bucket", "_sum", "_count")}
    assert {one.name for one in samples} == METRICS.keys() - {histogram} | ends
    keys = [(one.name, one.labels) for one in samples]
    assert len(keys) == len(set(keys))
    reasons = {dict(one.labels)["reason"] for one in samples if one.name == "tasks_ended_total"}
    assert reasons == {reason.name.lower() for reason in EndReason}
    outcomes = {dict(one.labels)["outcome"] for one in samples if one.name == "outbox_slices_total"}
    assert outcomes == set(OutboxCounters.__dataclass_fields__) - {
        "stored_bytes",
        "recovered_packets",
        "concealed_holes",
    }
