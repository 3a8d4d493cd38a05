"""A daemon made to be killed: a parent that forks a life for each line it reads, and waits for it.

A line is JSON: where the spool, the log and the store are, what to replay. The parent answers with
the pid of the life, and when the life has ended with how. A life writes `spooled KEY SHA256` once a
slice is told to be on the disk, and `stored KEY` once it is told to be stored; each line is one
write to the file, so it survives the life. Without captures a life sends what is in the spool, and
ends when nothing is left.

Forking saves each life a second of imports; nothing runs in the parent but this loop.
"""

import hashlib
import logging
import os
from typing import Any

import botocore.session

from slicer import (
    AudioSpec,
    Credentials,
    Engine,
    Settings,
    SliceParams,
    SliceStored,
    TaskSpec,
    TaskTrouble,
)
from slicer.delivery.spool.settings import Fsync, SpoolSettings
from slicer.engine.destination import OutcomeRouter
from slicer.engine.events import TaskEvent
from slicer.engine.salvage import send
from slicer.media.slice import File
from tests.harness.lives import serve

_ = botocore.session.get_session  # imported here for all lives


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    serve(life)


async def life(order: dict[str, Any]) -> None:
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    keys = Credentials(order["access_key"], order["secret_key"])
    fsync = Fsync(order["fsync"])
    settings = Settings(spool=SpoolSettings(order["spool"], fsync=fsync, reserve_bytes=0))

    def note(*words: str) -> None:
        os.write(log, (" ".join(words) + "\n").encode())

    def note_stored(event: TaskEvent) -> None:
        if isinstance(event, SliceStored):
            note("stored", event.slice.key)

    async def confirm(event: SliceStored) -> None:
        note("stored", event.slice.key)

    on_spooled = OutcomeRouter.on_spooled

    def note_spooled(reports: OutcomeRouter, file: File) -> None:
        note("spooled", file.info.key, hashlib.sha256(file.data).hexdigest())
        on_spooled(reports, file)

    OutcomeRouter.on_spooled = note_spooled  # type: ignore[assignment, method-assign]
    if not order["captures"]:
        left = await send(
            settings,
            lambda _url, _task: keys,
            lambda event: (
                note("stored", event.slice.key) if isinstance(event, SliceStored) else None
            ),
            60.0,
        )
        note("left", str(left))
        return
    async with Engine(settings, lookup=lambda _url, _task: keys, confirm=confirm) as engine:
        for number, room in enumerate(order["captures"]):
            spec = TaskSpec(
                room,
                order["to"],
                SliceParams(AudioSpec(1), None),
                user=f"robot{number}",
                credentials=keys,
                task=f"life{order['life']}-{number}",
                check_store=False,
            )
            await engine.create(spec)
        async for event in engine.events():
            if isinstance(event, TaskTrouble):
                note("trouble", event.reason)


if __name__ == "__main__":
    main()
