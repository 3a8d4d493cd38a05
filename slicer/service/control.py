"""The operator's own way to a running service: a Unix socket in the state folder, of mode 0600.

Whoever may reach it may read the folder anyway, so it asks for no key. It changes nothing.

A request is the word `tasks` and a newline; the answer is one JSON object a line, and the end.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from slicer.service.operations import TaskView

FILE = "control"
REQUEST = b"tasks\n"
TIMEOUT = 5.0
"""Seconds within which a request must be here, and its answer taken."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def control(folder: Path, tasks: Callable[[], Iterable[TaskView]]) -> AsyncIterator[None]:
    """Listen until the context ends. A folder whose path is too long for a socket (107 bytes) has
    none, and the log says so: the service itself can do without."""
    path = folder / FILE
    # Left by a process that was killed: the registry is ours alone, so that no other one listens.
    path.unlink(missing_ok=True)
    try:
        server = await asyncio.start_unix_server(partial(_answer, tasks), path, limit=len(REQUEST))
    except OSError as error:
        log.warning("no control socket, `slicer tasks` will not work: %s", error)
        yield
        return
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(
    tasks: Callable[[], Iterable[TaskView]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            if await reader.readline() == REQUEST:
                writer.writelines(json.dumps(shown(task)).encode() + b"\n" for task in tasks())
                await writer.drain()
    except (OSError, TimeoutError, ValueError) as error:  # ValueError: a line that is too long
        log.info("control socket: %s", error or type(error).__name__)
    finally:
        writer.close()


def shown(task: TaskView) -> dict[str, object]:
    """A task in words and numbers. It has no secrets."""
    created = datetime.fromtimestamp(task.created, UTC).isoformat(timespec="seconds")
    status = task.status
    told = {one.name: getattr(task, one.name) for one in fields(task)} | {"created": created}
    # Without one it is on its way into its room, or out of it.
    told |= {"status": status.state.value if status else "waiting"}
    told |= {"anchors": list(status.anchors) if status else []}
    for name in ("stored", "pending", "lost"):
        told[name] = getattr(status, name) if status else 0
    return told
