"""Kills an engine whose supplier is slow, many times over one spool; looks at what was told."""

import asyncio
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.harness.moderation.killed_process import HIT, outcome_of
from tests.harness.rooms.replay import talk

ROOT = Path(__file__).parents[3]
ANCHORS = 3
SPEED = 20
SECONDS = 0.3
"""What an answer takes at most."""
PATIENCE = 120.0


@dataclass(frozen=True)
class Tale:
    """What the log of all lives says, and what is in the store. *told*: outcomes by key, one for
    each time."""

    spooled: list[str]
    asked: Counter[str]
    told: dict[str, list[str]]
    stored: list[str]
    left: list[str]

    @classmethod
    def of(cls, folder: Path) -> "Tale":
        lines = [line.split() for line in (folder / "log").read_text().splitlines()]
        told: dict[str, list[str]] = {}
        for word, key, *outcome in lines:
            if word == "told":
                told.setdefault(key, []).extend(outcome)
        store = folder / "store"
        return cls(
            [key for word, key, *_ in lines if word == "spooled"],
            Counter(key for word, key, *_ in lines if word == "asked"),
            told,
            sorted(path.relative_to(store).as_posix() for path in store.rglob("*.ogg")),
            [path.name for path in (folder / "spool").rglob("*.*")],
        )

    def check(self) -> None:
        """Every slice that was on the disk was judged, or told as not judged, always with the same
        outcome; of hits the files are stored, of others none is."""
        assert set(self.told) >= set(self.spooled), "none passes in silence"
        for key, outcomes in self.told.items():
            assert set(outcomes) == {outcome_of(key)}
        assert self.stored == sorted(key for key in self.told if outcome_of(key) == HIT)
        assert self.left == [], "nothing waits any more"

    @property
    def told_again(self) -> int:
        """Slices killed between their confirmation and the end of their record: callbacks of one
        slice have one id, and who hears of it hears of it once."""
        return sum(len(outcomes) - 1 for outcomes in self.told.values())


async def kill(folder: Path, kills: int, seed: int) -> Tale:
    """So many lives that are killed, and one that ends by itself."""
    chance = random.Random(seed)
    rooms = [
        talk(folder / f"anchor{n}.rtpdump", 60, ssrc=n + 1).replace("max", str(SPEED))
        for n in range(ANCHORS)
    ]
    (folder / "log").touch()
    command = (sys.executable, "-m", "tests.harness.moderation.killed_process")
    parent = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        for life in range(kills):
            before = (folder / "log").stat().st_size
            pid = int(await _say(parent, folder, life, rooms, SECONDS))
            await _until_it_works(folder / "log", before)
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            os.kill(pid, signal.SIGKILL)
            assert int(await _hear(parent)) == -signal.SIGKILL, "it lived until it was killed"
        await _say(parent, folder, kills, [], 0.0)
        assert int(await _hear(parent)) == 0
    finally:
        parent.kill()
        await parent.wait()
    return Tale.of(folder)


async def _until_it_works(log: Path, size: int) -> None:
    """On a busy machine that takes longer than its life should."""
    async with asyncio.timeout(PATIENCE):
        while log.stat().st_size == size:
            await asyncio.sleep(0.01)


async def _say(parent: Process, folder: Path, life: int, rooms: list[str], seconds: float) -> str:
    """Begin a life; its pid."""
    order = {
        "life": life,
        "anchors": ANCHORS,
        "spool": str(folder / "spool"),
        "log": str(folder / "log"),
        "to": (folder / "store").as_uri(),
        "captures": rooms,
        "seconds": seconds,
    }
    assert parent.stdin is not None
    parent.stdin.write(json.dumps(order).encode() + b"\n")
    return await _hear(parent)


async def _hear(parent: Process) -> str:
    assert parent.stdout is not None
    return (await asyncio.wait_for(parent.stdout.readline(), PATIENCE)).decode().strip()
