"""The operator's own way to a running service: a Unix socket in the state folder, of mode 0600.

Whoever may reach it may read the folder anyway, so it asks for no key. It changes nothing.

A request is a word and a newline. `tasks` is answered with one JSON object a line, `registry` with
the registry's file as it is at that moment, behind the number of its bytes on a line: 0 where the
records are elsewhere.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from slicer.service.operations import TaskView

FILE = "control"
TASKS, REGISTRY = b"tasks\n", b"registry\n"
TIMEOUT = 5.0
"""Seconds within which a request must be here, and its answer taken."""

log = logging.getLogger(__name__)
Tasks = Callable[[], Iterable[TaskView]]
Snapshot = Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def control(
    folder: Path, tasks: Tasks, registry: Snapshot | None = None
) -> AsyncIterator[None]:
    """Listen until the context ends. *registry* gives its file, where it is one. A folder whose
    path is too long for a socket (107 bytes) has none, and the log says so: the service itself can
    do without."""
    path = folder / FILE
    # Left by a process that was killed: the registry is ours alone, so that no other one listens.
    path.unlink(missing_ok=True)
    try:
        answer = partial(_answer, tasks, registry)
        server = await asyncio.start_unix_server(answer, path, limit=len(REGISTRY))
    except OSError as error:
        log.warning(
            "no control socket, `slicer tasks` and `slicer backup` will not work: %s", error
        )
        yield
        return
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(
    tasks: Tasks,
    registry: Snapshot | None,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            request = await reader.readline()
            if request == TASKS:
                writer.writelines(json.dumps(shown(task)).encode() + b"\n" for task in tasks())
            elif request == REGISTRY:
                data = await registry() if registry is not None else b""
                writer.writelines((b"%d\n" % len(data), data))
            await writer.drain()
    except (OSError, TimeoutError, ValueError) as error:  # ValueError: a line that is too long
        log.info("control socket: %s", error or type(error).__name__)
    except sqlite3.Error as error:
        log.warning("control socket: the registry cannot be given: %s", error)
    finally:
        writer.close()


def shown(task: TaskView) -> dict[str, object]:
    """A task in words and numbers. It has no secrets."""
    created = datetime.fromtimestamp(task.created, UTC).isoformat(timespec="seconds")
    status = task.status
    row = {one.name: getattr(task, one.name) for one in fields(task)} | {"created": created}
    # Without one it is on its way into its room, or out of it.
    row |= {"status": status.state.value if status else "waiting"}
    row |= {"anchors": list(status.anchors) if status else []}
    for name in ("stored", "pending", "lost"):
        row[name] = getattr(status, name) if status else 0
    return row
