"""Every counter there is, as plain data: read when asked for, nothing is counted for it.

A sample is a name, labels and a number. Names that end in `_total` only rise; the others are what
is so now. A histogram has three names: `_bucket`, `_sum` and `_count` at the end of its own.
`METRICS` says what each name means, and its unit.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields

from slicer.delivery.decoding import Decoding
from slicer.delivery.encoding import EncodingPool
from slicer.delivery.judging import JudgingCounters
from slicer.delivery.spool.spool import Spool
from slicer.engine.destination import Destinations
from slicer.engine.events import EventStreams
from slicer.engine.judges import Judges
from slicer.engine.running import RunningTask
from slicer.engine.sample import Sample
from slicer.rooms import Connector
from slicer.rtp.parameters import Kind
from slicer.slicing.outputs import EndReason, State
from slicer.webrtc.counts import FATES, HANDSHAKES, OUTCOMES, PACKETS
from slicer.webrtc.counts import counted as counted_by_path

METRICS: Mapping[str, str] = {
    "tasks": "tasks that have not ended; state",
    "tasks_ended_total": "tasks that have ended; reason",
    "anchors": "anchors in the rooms of all tasks, once for each task",
    "anchors_refused_total": "times that a room named an anchor too many (MAX_PRESENT)",
    "tracks": "tracks being cut; kind",
    "tracks_refused_total": "tracks offered that cannot be taken, once for each task",
    "slices_total": "slices that have reached a stage (engine/stages.py); stage, kind",
    "slice_lateness_seconds": "from the end of a slice until a stage, captures left out; "
    "stage, kind",
    "slices_stored_total": "slices stored for tasks of this engine",
    "slices_lost_total": "slices that will never be stored",
    "slices_late_total": "pictures ready more than LATE seconds after they were taken",
    "slices_pending": "slices cut, and neither stored nor lost",
    "facts_discarded_total": "facts of rooms that a task never saw (MAX_FACTS)",
    "event_streams": "listeners to events",
    "events_missed_total": "events that a listener was too slow for (EVENT_BUFFER)",
    "connections": "connections and captures that media comes by; room (its scheme)",
    "handshakes_total": "ICE and DTLS together, as they ended; room, outcome: connected, "
    "ice_failed, dtls_failed, closed (by us, before)",
    "media_total": "what connections and receivers refused, lost or found odd; room, reason",
    "packets_total": "datagrams, or frames in rooms of TRTC and of streams; room: "
    "webrtc (whip, livekit, whep and janus together), or its scheme; fate: media (given to a "
    "receiver: media_total says what of it was not used), refused (not the sender's, or "
    "unreadable), other (STUN, DTLS, and what is no media)",
    "plane_looks_total": "times that the media path has looked at its sockets",
    "plane_cpu_seconds_total": "CPU time of the native plane's thread; 0 without one",
    "destinations": "stores that are open, each with an outbox",
    "outbox_slices_total": "slices of all outboxes; outcome (a field of OutboxCounters)",
    "outbox_stored_bytes_total": "bytes that stores have acknowledged",
    "audio_recovered_packets_total": "lost packets of Opus that in-band FEC gave back",
    "audio_concealed_holes_total": "holes in Opus that nothing filled: concealed, or silence",
    "outbox_held": "slices that an outbox has taken and is not done with",
    "outbox_unconfirmed": "slices stored whose event is not yet safe elsewhere",
    "spool_failures_total": "writes and reads that the spool's disk failed",
    "spool_damaged_total": "records set aside: they are not what was written",
    "outbox_memory_bytes": "bytes of memory that waiting cuts hold",
    "circuits_open": "stores that are not asked, for they fail",
    "moderation_slices_total": "slices for suppliers; outcome (a field of JudgingCounters)",
    "moderation_waiting": "slices that wait for a verdict",
    "moderation_accounts": "accounts of suppliers that are open",
    "moderation_circuits_open": "accounts that are not asked, for they fail",
    "slices_judged_total": "verdicts told to tasks of this engine",
    "slices_unjudged_total": "slices that should have a verdict, and will have none",
    "spool_slices": "slices in the spool",
    "spool_bytes": "bytes of the slices in the spool",
    "spool_limit_bytes": "bytes that the spool may take (spool.max_bytes); 0 without one",
    "encoding_waiting": "files that wait to be made or are being made",
    "encoding_threads_busy": "work that the encoding pool has not ended",
    "decoders": "decoders kept for groups of pictures that go on (MAX_DECODERS)",
    "decoding_waiting_bytes": "bytes of frames that wait to be decoded (MAX_BYTES)",
    "groups_given_up_total": "groups of pictures whose rest is not decoded; reason",
    "slices_unread": "slices that wait for a reader of `slices:`, or are with one",
    "background_work": "coroutines of the engine that have not ended",
}


@dataclass(frozen=True, slots=True)
class TaskTotals:
    """What ended tasks have counted."""

    ended: Counter[EndReason]
    counters: Counter[str]

    def add(self, task: RunningTask, reason: EndReason) -> None:
        """A task has ended."""
        self.ended[reason] += 1
        self.counters.update(counted(task))


def counted(task: RunningTask) -> Counter[str]:
    """A task's counters, under their names here."""
    return Counter(
        {
            "anchors_refused_total": task.driver.task.counters["anchors_refused"],
            "tracks_refused_total": task.driver.task.counters["tracks_refused"],
            "facts_discarded_total": task.driver.discarded,
            "slices_stored_total": task.stored,
            "slices_lost_total": task.lost,
            "slices_late_total": task.late,
            "slices_judged_total": task.judged,
            "slices_unjudged_total": task.unjudged,
        }
    )


def of_tasks(tasks: Iterable[RunningTask], totals: TaskTotals) -> Iterator[Sample]:
    """Tasks, their anchors, tracks and slices."""
    states, tracks, counters = Counter[State](), Counter[Kind](), Counter(counted_names())
    counters.update(totals.counters)
    anchors = pending = 0
    for task in tasks:
        core = task.driver.task
        states[core.state] += 1
        tracks.update(track.kind for track in core.tracks)
        anchors += len(core.anchors)
        pending += task.pending
        counters.update(counted(task))
    yield from (Sample("tasks", states[one], (("state", one.value),)) for one in State)
    for reason in EndReason:
        yield Sample("tasks_ended_total", totals.ended[reason], (("reason", reason.name.lower()),))
    yield Sample("anchors", anchors)
    yield from (Sample("tracks", tracks[kind], (("kind", str(kind)),)) for kind in Kind)
    yield Sample("slices_pending", pending)
    yield from (Sample(name, value) for name, value in counters.items())


def counted_names() -> dict[str, int]:
    """The names that `counted` uses, at zero: a counter is there before it first rises."""
    refused = ("anchors_refused", "tracks_refused", "facts_discarded")
    slices = ("slices_stored", "slices_lost", "slices_late", "slices_judged", "slices_unjudged")
    return {f"{name}_total": 0 for name in (*refused, *slices)}


def of_moderation(judges: Judges) -> Iterator[Sample]:
    """Slices on their way to a verdict, and their suppliers."""
    counters = judges.counters
    for one in fields(JudgingCounters):
        yield Sample("moderation_slices_total", counters[one.name], (("outcome", one.name),))
    yield Sample("moderation_waiting", judges.waiting)
    yield Sample("moderation_accounts", judges.open_now)
    yield Sample("moderation_circuits_open", judges.failing)


def of_rooms(connectors: Mapping[str, Connector]) -> Iterator[Sample]:
    """Connections, how they came about, and what became of the packets that were not cut."""
    for scheme, connector in connectors.items():
        room = ("room", scheme)
        yield Sample("connections", connector.connections, (room,))
        counters = Counter(connector.counters)
        for outcome in OUTCOMES:
            count = counters.pop(f"{HANDSHAKES}{outcome}", 0)
            yield Sample("handshakes_total", count, (room, ("outcome", outcome)))
        fates = {fate: counters.pop(f"{PACKETS}{fate}", 0) for fate in FATES}
        if any(fates.values()):  # whoever reads by the path below counts there
            yield from _packets(scheme, fates)
        for reason, count in sorted(counters.items()):
            yield Sample("media_total", count, (room, ("reason", reason)))
    counts, cpu = counted_by_path()
    yield from _packets("webrtc", {fate: getattr(counts, fate) for fate in FATES})
    yield Sample("plane_looks_total", counts.looks)
    yield Sample("plane_cpu_seconds_total", cpu)


def _packets(room: str, fates: Mapping[str, int]) -> Iterator[Sample]:
    for fate, count in fates.items():
        yield Sample("packets_total", count, (("room", room), ("fate", fate)))


def of_events(streams: EventStreams) -> Iterator[Sample]:
    """Listeners."""
    yield Sample("event_streams", streams.open_now)
    yield Sample("events_missed_total", streams.missed)


def of_delivery(
    destinations: Destinations, encoding: EncodingPool, decoding: Decoding, spool: Spool | None
) -> Iterator[Sample]:
    """Outboxes, circuits, the spool and the threads."""
    outboxes = [one.outbox for one in (*destinations.all(), *destinations.ending)]
    outcomes = Counter(destinations.closed)
    for outbox in outboxes:
        outcomes.update(asdict(outbox.counters))
    stored_bytes = outcomes.pop("stored_bytes", 0)
    recovered = outcomes.pop("recovered_packets", 0)
    concealed = outcomes.pop("concealed_holes", 0)
    yield Sample("destinations", len(outboxes))
    for outcome, count in sorted(outcomes.items()):
        yield Sample("outbox_slices_total", count, (("outcome", outcome),))
    yield Sample("outbox_stored_bytes_total", stored_bytes)
    yield Sample("audio_recovered_packets_total", recovered)
    yield Sample("audio_concealed_holes_total", concealed)
    yield Sample("outbox_held", sum(outbox.held for outbox in outboxes))
    yield Sample("outbox_memory_bytes", sum(outbox.memory for outbox in outboxes))
    yield Sample("outbox_unconfirmed", sum(outbox.unconfirmed for outbox in outboxes))
    stores = (store for outbox in outboxes for store in outbox.upstreams)
    yield Sample("circuits_open", sum(not store.circuit.closed for store in stores))
    yield Sample("spool_slices", 0 if spool is None else len(spool.ledger))
    yield Sample("spool_bytes", 0 if spool is None else spool.ledger.bytes)
    yield Sample("spool_limit_bytes", 0 if spool is None else spool.ledger.max_bytes)
    yield Sample("spool_failures_total", 0 if spool is None else spool.failures)
    yield Sample("spool_damaged_total", 0 if spool is None else spool.damaged)
    yield Sample("encoding_waiting", encoding.waiting)
    yield Sample("encoding_threads_busy", encoding.threads.under_way)
    yield Sample("decoders", decoding.decoders)
    yield Sample("decoding_waiting_bytes", decoding.waiting_bytes)
    for reason, count in decoding.given_up.items():
        yield Sample("groups_given_up_total", count, (("reason", reason),))
