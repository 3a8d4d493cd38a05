"""What pages get, as JSON: times are milliseconds since 1970, as a browser has them."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from slicer.console.history import Entry
from slicer.console.verdict import Judgement
from slicer.console.wall import Changes, Tile
from slicer.rtp.parameters import Kind
from slicer.service.audit import AuditEntry
from slicer.service.fleet_operations import FleetView
from slicer.service.operations import Health, TaskView, Waiting
from slicer.slicing.outputs import whose

View = dict[str, Any]


def of_changes(changes: Changes) -> View:
    """What is new on the wall."""
    tiles = [of_tile(tile) for tile in changes.tiles]
    return {"whole": changes.whole, "tiles": tiles, "gone": changes.gone}


def of_tile(tile: Tile) -> View:
    """One anchor."""
    return {
        "id": tile.identity,
        "task": tile.task,
        "anchor": tile.anchor,
        "room": tile.room,
        "audio": Kind.AUDIO in tile.tracks,
        "video": Kind.VIDEO in tile.tracks,
        "waits": tile.waits,
        "picture": tile.picture,
        "taken": _ms(tile.taken),
        "late": round(tile.late, 2),
        "heard": tile.heard,
        "verdict": of_judgement(tile.judgement),
        "hit": of_judgement(tile.hit),
        "trouble": tile.trouble,
        "task_troubles": [one._asdict() for one in tile.task_troubles],
    }


def of_judgement(judgement: Judgement | None) -> View | None:
    """A verdict."""
    if judgement is None:
        return None
    at, view = _ms(judgement.at), asdict(judgement)
    return {**view, "at": at}


def of_task(task: TaskView) -> View:
    """A task that has not ended."""
    view: View = {
        "task": task.task,
        "app": task.app,
        "product": task.product,
        "room": task.room,
        "user": task.user,
        "created": round(task.created * 1000),
        "state": "reconnecting",
    }
    if task.worker is not None:
        view |= {"worker": task.worker, "unowned": task.unowned}
        view["state"] = "running" if task.unowned is None else "waiting"
    if (status := task.status) is not None:
        kinds = [kind for _, kind, _ in status.tracks]
        counts = ("stored", "lost", "pending", "late", "judged", "unjudged")
        view |= {name: getattr(status, name) for name in counts}
        view |= {
            "state": status.state.value.lower(),
            "anchors": len(status.anchors),
            "audio": kinds.count(Kind.AUDIO),
            "video": kinds.count(Kind.VIDEO),
        }
    return view


def of_entries(entries: Iterable[tuple[str, Entry]]) -> list[View]:
    """Slices of a time line."""
    return [
        {
            "id": identity,
            "anchor": whose(entry.slice.anchor, entry.slice.role),
            "kind": str(entry.slice.kind),
            "began": _ms(entry.slice.began),
            "seconds": round(entry.slice.seconds, 3),
            "size": entry.slice.size,
            "state": entry.state,
            "reason": entry.reason,
            "verdict": of_judgement(entry.judgement),
        }
        for identity, entry in entries
    ]


def of_health(health: Health) -> View:
    """Stores, suppliers, spool and callbacks."""
    return asdict(health)


def of_waiting(waiting: Waiting) -> View:
    """Slices and callbacks; of a callback no payload, which may be a customer's own."""
    callbacks = [
        {
            "id": queued.webhook.id,
            "app": queued.webhook.subscriber,
            "line": queued.webhook.line,
            "event": queued.webhook.event,
            "since": round(queued.since * 1000),
            "tries": queued.tries,
            "due": None if queued.due is None else round(queued.due * 1000),
            "outcome": queued.outcome.name.lower(),
            "reason": queued.detail,
        }
        for queued in waiting.callbacks
    ]
    return {"slices": [asdict(one) for one in waiting.slices], "callbacks": callbacks}


def of_fleet(fleet: FleetView) -> View:
    """Workers, and what waits for one."""
    return asdict(fleet)


def of_audit(entries: Iterable[AuditEntry]) -> list[View]:
    """Who did what."""
    return [asdict(one) | {"at": round(one.at * 1000)} for one in entries]


def _ms(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)
