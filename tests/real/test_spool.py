"""Nothing that was told to be on the disk is lost: a daemon killed 50 times under load, and a real
store that dies, hangs, refuses and breaks connections meanwhile."""

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from slicer import (
    AudioSpec,
    Engine,
    Settings,
    SliceParams,
    SliceSpooled,
    SliceStored,
    TaskFinished,
    TaskSpec,
)
from slicer.delivery.settings import OutboxSettings
from slicer.delivery.spool.settings import SpoolSettings
from slicer.storage import Credentials
from tests.harness.rooms.captures import rtp, rtpdump
from tests.harness.rooms.replay import OPUS_TYPE
from tests.harness.storage.faults import Answer, Cut, Fault, Front, Hang, front_of
from tests.harness.storage.seaweed import WRITER, Seaweed

ROOT = Path(__file__).parents[2]
KILLS = 50
SEED = 20_250_106
ANCHORS = 3
SPEED = 20
PACKET = bytes([0xF8]) + random.Random(SEED).randbytes(1000)


def capture(path: Path, ssrc: int, seconds: int = 60) -> str:
    """Sound of 50 KB a second; its room URL, at SPEED times its own."""
    packets = (
        (index / 50, rtp(OPUS_TYPE, index & 0xFFFF, index * 960, PACKET, ssrc))
        for index in range(seconds * 50)
    )
    path.write_bytes(rtpdump(*packets, began=1_736_174_000.0))
    return f"replay://{path}?speed={SPEED}&audio={OPUS_TYPE}:opus"


@dataclass
class KilledProcess:
    """The parent of all lives, and what they leave behind."""

    parent: Process
    folder: Path
    to: str
    captures: list[str]
    fsync: str = "interval"
    lives: int = 0

    async def start(self, *, load: bool = True) -> int:
        """Begin a life; its pid."""
        order = {
            "life": self.lives,
            "spool": str(self.folder / "spool"),
            "log": str(self.folder / "log"),
            "to": self.to,
            "captures": self.captures if load else [],
            "access_key": WRITER.access_key,
            "secret_key": WRITER.secret_key,
            "fsync": self.fsync,
        }
        self.lives += 1
        assert self.parent.stdin is not None
        self.parent.stdin.write(json.dumps(order).encode() + b"\n")
        return int(await self._answer())

    async def _answer(self) -> str:
        assert self.parent.stdout is not None
        return (await asyncio.wait_for(self.parent.stdout.readline(), 90)).decode().strip()

    async def end(self) -> int:
        """Wait for the end of a life; its exit code, or minus its signal."""
        return int(await self._answer())

    async def kill_after(self, seconds: float) -> None:
        pid = await self.start()
        await asyncio.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        assert await self.end() == -signal.SIGKILL, "it lived until it was killed"

    async def recover(self) -> None:
        """A life that sends what is there, and ends by itself."""
        await self.start(load=False)
        assert await self.end() == 0
        assert self.noted("left")[-1] == ["0"]

    def noted(self, word: str) -> list[list[str]]:
        lines = (self.folder / "log").read_text().splitlines()
        return [words[1:] for words in map(str.split, lines) if words[0] == word]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log").touch()
    return tmp_path


async def start_process(folder: Path, store: Seaweed, bucket: str, front: Front) -> KilledProcess:
    captures = [capture(folder / f"anchor{n}.rtpdump", n + 1) for n in range(ANCHORS)]
    command = (sys.executable, "-m", "tests.harness.delivery.killed_process")
    with (folder / "stderr").open("wb") as said:
        parent = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=said
        )
    to = store.url(bucket, endpoint=front.endpoint)
    return KilledProcess(parent, folder, to, captures)


def assert_delivered(daemon: KilledProcess, store: Seaweed, bucket: str) -> int:
    """All that was ever told to be on the disk is in the store with the same bytes, under one key,
    and was told to be stored at least once. How many slices that are."""
    spooled = dict(daemon.noted("spooled"))
    assert len(spooled) == len(daemon.noted("spooled")), "no key was cut twice"
    keys = store.keys(bucket)
    assert len(keys) == len(set(keys))
    assert spooled.keys() <= set(keys)
    told = {key for [key] in daemon.noted("stored")}
    assert spooled.keys() <= told
    assert told <= set(keys), "what was told to be stored is there"
    for key, digest in spooled.items():
        assert hashlib.sha256(store.read(bucket, key)[0]).hexdigest() == digest
    return len(spooled)


def assert_no_secret(folder: Path, keys: Credentials) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".rtpdump":
            data = path.read_bytes()
            assert keys.secret_key.encode() not in data
            assert keys.access_key.encode() not in data


def trouble(daemon: KilledProcess) -> str:
    """All that was told of stores that fail, over all lives."""
    return " ".join(word for words in daemon.noted("trouble") for word in words)


FAULTS: list[Fault | None] = [
    None,
    None,
    Answer.error(503, "SlowDown"),
    Answer.error(403, "AccessDenied"),
    Answer.error(429, "TooManyRequests"),
    Answer.error(404, "NoSuchBucket"),
    Cut(20_000),
    Hang(),
]
SAID = ("503", "403", "429", "404", "the connection broke")
"""What is told of the faults that are told."""


async def test_killed_fifty_times_under_load(folder: Path, seaweed: Seaweed) -> None:
    bucket, chance = seaweed.make_bucket("killed"), random.Random(SEED)
    async with front_of(seaweed.endpoint) as front:
        daemon = await start_process(folder, seaweed, bucket, front)
        try:
            for kill in range(KILLS):
                await front.set(FAULTS[kill % len(FAULTS)])
                await daemon.kill_after(chance.uniform(0.1, 1.2))
                assert_no_secret(folder / "spool", WRITER)
                if kill % 10 == 9:
                    await front.set(None)
                    await daemon.recover()
                    count = await asyncio.to_thread(assert_delivered, daemon, seaweed, bucket)
            # A busy machine may have killed it each time before it met some fault.
            for said, fault in zip(SAID, FAULTS[2:], strict=False):
                await front.set(fault)
                for _ in range(20):
                    if said not in trouble(daemon):
                        await daemon.kill_after(2.0)
            await front.set(None)
            await daemon.recover()
            await asyncio.to_thread(assert_delivered, daemon, seaweed, bucket)
        finally:
            daemon.parent.kill()
            await daemon.parent.wait()
    assert count > KILLS, "there was a load"
    assert [said for said in SAID if said not in trouble(daemon)] == []
    assert_no_secret(folder, WRITER)
    assert not list((folder / "spool").rglob("*.*")), "nothing is left behind"


async def test_a_bucket_that_hangs_slows_no_other_task(folder: Path, seaweed: Seaweed) -> None:
    """Two tasks of one engine: one's store answers nothing at all, the other's works."""
    bucket = seaweed.make_bucket("isolated")
    rooms = [capture(folder / f"{name}.rtpdump", 1, seconds=30) for name in ("dead", "alive")]
    settings = Settings(
        spool=SpoolSettings(str(folder / "spool"), reserve_bytes=0),
        outbox=OutboxSettings(drain=0.0),
    )
    stored: dict[str, int] = {"dead": 0, "alive": 0}
    spooled = dict(stored)
    async with front_of(None) as front:
        front.fault = Hang()
        urls = [seaweed.url(bucket, endpoint=front.endpoint), seaweed.url(bucket)]
        async with Engine(settings) as engine:
            events = engine.events()
            for task, room, url in zip(stored, rooms, urls, strict=True):
                spec = TaskSpec(room, url, SliceParams(AudioSpec(1), None), user=task, task=task)
                await engine.create(replace(spec, credentials=WRITER, check_store=False))
            async for event in events:
                if isinstance(event, SliceSpooled):
                    spooled[event.task] += 1
                elif isinstance(event, SliceStored):
                    stored[event.task] += 1
                elif isinstance(event, TaskFinished):
                    assert (event.task, event.stored, event.lost) == ("alive", 30, 0)
                    break
            await front.set(Answer(503))  # what hangs would be waited for
    assert stored == {"dead": 0, "alive": 30}
    assert spooled["alive"] == 30
    assert spooled["dead"] >= 25, "it is cut as well, and waits on the disk"
    assert len(list((folder / "spool").rglob("*.slice"))) >= spooled["dead"]


def replay_on_a_disk(folder: Path, prepare: str) -> "subprocess.CompletedProcess[str]":
    """`slicer replay` with a spool on a file system of its own, made by a shell's command."""
    spool = folder / "spool"
    spool.mkdir()
    capture(folder / "ada.rtpdump", 1, seconds=20)
    slicer = f"{sys.executable} -m slicer.cli replay {folder}/ada.rtpdump --plain --speed max"
    script = (
        f"{prepare}; exec {slicer} --audio-type {OPUS_TYPE}:opus --audio 1 --video 0"
        f" --to {(folder / 'out').as_uri()}"
    )
    environment = os.environ | {
        "SPOOL": str(spool),
        "SLICER_SPOOL_FOLDER": str(spool),
        "SLICER_SPOOL_RESERVE_BYTES": "0",
    }
    return subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


DISKS = {
    "full": ('mount -t tmpfs -o mode=700,size=120k tmpfs "$SPOOL"', "No space left on device"),
    "out of inodes": (
        'mount -t tmpfs -o mode=700,nr_inodes=4 tmpfs "$SPOOL"',
        "No space left on device",
    ),
    "read-only": ('mount -t tmpfs -o mode=700,ro tmpfs "$SPOOL"', "Read-only file system"),
}


@pytest.mark.parametrize("disk", DISKS)
def test_a_real_disk_that_is(folder: Path, disk: str) -> None:
    """Loud, and everything is stored all the same."""
    if subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody have a namespace")
    prepare, said = DISKS[disk]
    done = replay_on_a_disk(folder, prepare)
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    assert "trouble: " in done.stdout
    assert said in done.stdout
    assert len(list((folder / "out").rglob("*.ogg"))) == 20
