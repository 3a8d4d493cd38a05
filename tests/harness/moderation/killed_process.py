"""An engine whose slices are judged, made to be killed: a parent that forks a life for each line it
reads, and waits for it (as tests/harness/delivery/killed_process.py, which tells more).

A line is JSON: where the spool, the log and the store are, what to replay, and how slow the
supplier is. A life writes `spooled KEY` once a slice is told to be on the disk, `asked KEY` for
each request, and `told KEY OUTCOME` once a verdict or its absence is confirmed. The outcome of a
key follows from the key alone. Without captures a life has judged what is in the spool, and ends.
"""

import asyncio
import logging
import os
import random
from hashlib import sha256
from typing import Any

from slicer import (
    AudioSpec,
    Engine,
    Keep,
    Moderation,
    Settings,
    SliceJudged,
    SliceParams,
    SliceUnjudged,
    SupplierSpec,
    TaskSpec,
    Verdict,
    moderation,
)
from slicer.delivery.spool.settings import SpoolSettings
from slicer.engine.destination import OutcomeRouter
from slicer.errors import SliceNotJudged, SupplierUnavailable
from slicer.media.slice import File, SliceInfo
from slicer.moderation.settings import ModerationSettings
from slicer.rtp.parameters import Kind
from tests.harness.lives import serve
from tests.harness.moderation.scripted import BLOCK, PASS

HIT, PASSED, UNJUDGED = "hit", "pass", "unjudged"
FAILS = 0.05
"""Of all requests: a failure, after which it is asked again."""


def outcome_of(key: str) -> str:
    """What becomes of a slice: a quarter are hits, a quarter cannot be judged."""
    return (HIT, UNJUDGED, PASSED, PASSED)[sha256(key.encode()).digest()[0] % 4]


class SlowSupplier:
    """Takes up to *seconds* for an answer."""

    label = "slow"
    kinds = frozenset({Kind.AUDIO})

    def __init__(self, seconds: float, note: Any) -> None:
        self._seconds, self._note = seconds, note

    async def check(self) -> None: ...

    async def judge(self, file: File) -> Verdict:
        assert isinstance(file.info, SliceInfo)
        key = file.info.key
        self._note("asked", key)
        await asyncio.sleep(random.uniform(0, self._seconds))
        if self._seconds and random.random() < FAILS:
            raise SupplierUnavailable(self.label, "503")
        if outcome_of(key) == UNJUDGED:
            raise SliceNotJudged(self.label, "odd")
        return BLOCK if outcome_of(key) == HIT else PASS

    async def close(self) -> None: ...


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    serve(life)


async def life(order: dict[str, Any]) -> None:
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(*words: str) -> None:
        os.write(log, (" ".join(words) + "\n").encode())

    async def confirm(event: SliceJudged | SliceUnjudged) -> None:
        outcome = UNJUDGED
        if isinstance(event, SliceJudged):
            outcome = HIT if event.verdict.hit else PASSED
        note("told", event.slice.key, outcome)

    def spooled(reports: OutcomeRouter, file: File) -> None:
        note("spooled", file.info.key)
        on_spooled(reports, file)

    on_spooled = OutcomeRouter.on_spooled
    OutcomeRouter.on_spooled = spooled  # type: ignore[method-assign, assignment]
    moderation.SUPPLIERS = {**moderation.SUPPLIERS, "slow": f"{__name__}:OPEN"}
    globals()["OPEN"] = lambda _spec, _settings: SlowSupplier(order["seconds"], note)
    judged_by = Moderation(SupplierSpec("slow"), Keep.HITS)
    settings = Settings(
        spool=SpoolSettings(order["spool"], reserve_bytes=0),
        moderation=ModerationSettings(concurrency=64),
    )
    known = Engine(settings, moderation=lambda _task: judged_by, confirm_verdict=confirm)
    async with known as engine:
        for number, room in enumerate(order["captures"]):
            await engine.create(
                TaskSpec(
                    room,
                    order["to"],
                    SliceParams(AudioSpec(1), None),
                    user=f"robot{number}",
                    task=f"life{order['life']}-{number}",
                    moderation=judged_by,
                )
            )
        while order["captures"]:
            await asyncio.sleep(60)
        for earlier in range(order["life"]):
            for number in range(order["anchors"]):
                await engine.settled(f"life{earlier}-{number}")


if __name__ == "__main__":
    main()
