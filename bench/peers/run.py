"""One run: start a contestant, connect the senders, warm up, measure, look at the files."""

import contextlib
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import commands
from bench.peers.commands import PICTURE_SECONDS, Job
from bench.peers.contestants import (
    AIORTC,
    FFMPEG_KEYS,
    GST_EACH,
    GST_KEYS,
    NATIVE,
    OURS,
    Contestant,
)
from bench.peers.measure import Usage, Window, cpu
from bench.peers.ours import MAX_ANCHORS, task_of
from bench.peers.outputs import Harvest, count, inspect
from bench.peers.plain_room import PORT_STEP, Way
from bench.peers.process import Process, module
from bench.peers.sending import LOOPBACK, Plan
from bench.peers.statistics import per_anchor_minute, quantile

SPREAD = 5.0
WARM_UP = 7.0
SETTLE = 1.5
"""Seconds between a peer's start and the first packet: it must be listening."""
FIRST_PORT, LAST_PORT = 20_000, 30_000
BETWEEN_PICTURES = 3.5
"""Seconds after a due time when no contestant takes a picture."""
INSPECTED = 16
"""Anchors whose files are opened."""
MEMORY_EVERY = 5.0


@dataclass(frozen=True)
class Bench:
    """How to measure: binaries, cores, seconds."""

    seconds: float
    ffmpeg: str = "ffmpeg"
    gstreamer: str = "gst-launch-1.0"
    measured: tuple[int, ...] = (0,)
    others: tuple[int, ...] = (1,)
    folder: Path = Path("/dev/shm")
    """In memory: the disk is not what is measured."""
    warm_up: float = WARM_UP
    srtp: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one run gave."""

    contestant: str
    anchors: int
    usage: Usage
    cost: float
    """CPU seconds for a minute of one anchor."""
    delivered: int
    expected: int
    found: Harvest
    sender: dict[str, Any] = field(default_factory=dict)
    sender_cpu: float = 0.0
    command: tuple[str, ...] = ()
    ours: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        landed = [picture.landed for picture in self.found.pictures]
        late = [picture.late for picture in self.found.pictures]
        return {
            "contestant": self.contestant,
            "anchors": self.anchors,
            "cost": self.cost,
            **{f"usage_{name}": value for name, value in asdict(self.usage).items()},
            "pictures_in_window": [self.delivered, self.expected],
            "inspected": {
                "pictures": len(self.found.pictures),
                "due": self.found.pictures_due,
                "missed": self.found.missed,
                "repeated": self.found.repeated,
                "unreadable": self.found.unreadable,
                "kinds": sorted(self.found.kinds),
                "frame_late_p50_p99": [quantile(late, 0.5), quantile(late, 0.99)],
                "file_late_p50_p99": [quantile(landed, 0.5), quantile(landed, 0.99)],
                "sounds": len(self.found.sounds),
                "sound_seconds": sorted({round(one, 3) for one in self.found.sounds}),
                "sound_late_p50_p99": [
                    quantile(self.found.sounds_landed, 0.5),
                    quantile(self.found.sounds_landed, 0.99),
                ],
            },
            "sender": self.sender,
            "sender_cpu": self.sender_cpu,
            "ours": self.ours,
        }


def opening(begins: Sequence[float], warm_up: float) -> float:
    """When to begin to measure: between two pictures of the first anchor, *warm_up* seconds in.

    So a window of whole picture steps holds the same number of pictures each time, however late or
    early (GStreamer's come 2 s early, keyframes up to 2 s late) a contestant takes them.
    """
    ready = max(begins) - begins[0] + warm_up
    return begins[0] + (ready // PICTURE_SECONDS + 1) * PICTURE_SECONDS + BETWEEN_PICTURES


def free_ports(count: int) -> list[int]:
    """So many groups of PORT_STEP free ports, one after the other."""
    for first in range(FIRST_PORT, LAST_PORT - count * PORT_STEP, 100):
        ports = range(first, first + count * PORT_STEP)
        if all(map(_free, ports)):
            return list(ports[::PORT_STEP])
    raise RuntimeError("no free ports")


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def scratch(below: Path) -> Iterator[Path]:
    """A folder for one run's files, gone afterwards."""
    with tempfile.TemporaryDirectory(
        prefix="peers-", dir=below if below.is_dir() else None, ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


class Run:
    """One contestant's processes, in a folder of their own."""

    def __init__(self, bench: Bench, contestant: Contestant, job: Job, anchors: int, root: Path):
        self._bench, self._contestant, self._job = bench, contestant, job
        self._anchors, self._root = anchors, root
        self.folders = [self._folder(number) for number in range(anchors)]
        self.ports = free_ports(anchors) if contestant.way != "whip" else []
        self.command: tuple[str, ...] = ()
        self.processes: list[Process] = []
        self.hello: dict[str, Any] = {}

    def start(self) -> None:
        """Start what is measured."""
        if self._contestant.name in OURS:
            self._start_ours()
        elif self._contestant.name == AIORTC:
            self._start(module("aiortc_peer", str(self._root), self._job.picture))
            self.hello = self.processes[0].hear()
        else:
            for command in self._peer_commands():
                self._start(command)
            time.sleep(SETTLE + 0.1 * self._anchors)

    def plan(self) -> Plan:
        """What the senders do."""
        way, codec = self._contestant.way, self._job.codec
        if way == "whip":
            urls = [f"{self.hello['whip']}/anchor{number}" for number in range(self._anchors)]
            return Plan(codec, way, urls=urls, spread=SPREAD)
        reports = self._contestant.name.startswith("ffmpeg")
        way = "srtp" if self._bench.srtp else way
        return Plan(codec, way, self.ports, reports=reports, spread=SPREAD)

    def stop(self) -> dict[str, Any]:
        """End everything; what ours says of itself."""
        said: dict[str, Any] = {}
        if self._contestant.name in OURS and self.processes:
            self.processes[0].tell("stop")
            said = self.processes[0].hear()
        for process in self.processes:
            process.end()
        self.processes.clear()
        return said

    def _folder(self, number: int) -> Path:
        if self._contestant.name in OURS:
            return self._root / task_of(number // MAX_ANCHORS) / f"anchor{number}"
        folder = self._root / f"anchor{number}"
        folder.mkdir()
        return folder

    def _start(self, command: Sequence[str], **environment: str) -> None:
        self.command = self.command or tuple(command)
        log = self._root / f"log-{len(self.processes)}"
        self.processes.append(Process(command, self._bench.measured, log, environment))

    def _start_ours(self) -> None:
        room = "whip://127.0.0.1:0/bench"
        if self._contestant.way != "whip":
            way = Way(self.ports[0], self._anchors, self._job.codec, self._bench.srtp)
            room = way.url()
        native = "1" if self._contestant.name == NATIVE else "0"
        command = module("ours", room, str(self._root), self._job.picture)
        self._start(command, SLICER_NATIVE=native)
        self.hello = self.processes[0].hear()

    def _peer_commands(self) -> Iterator[list[str]]:
        name, job, bench = self._contestant.name, self._job, self._bench
        branches = []
        for port, folder in zip(self.ports, self.folders, strict=True):
            if name.startswith("ffmpeg"):
                description = folder / "anchor.sdp"
                description.write_text(commands.sdp(job, port))
                yield commands.ffmpeg(bench.ffmpeg, job, description, folder, name == FFMPEG_KEYS)
                continue
            branch = commands.gstreamer_branches(job, port, folder, name == GST_KEYS)
            if name == GST_EACH:
                yield commands.gstreamer(bench.gstreamer, [branch])
            else:
                branches.append(branch)
        if branches:
            yield commands.gstreamer(bench.gstreamer, branches)


def run(bench: Bench, contestant: Contestant, job: Job, anchors: int) -> Outcome:
    """Measure once. Raises RuntimeError where a process did not do its part."""
    with scratch(bench.folder) as root:
        subject = Run(bench, contestant, job, anchors, root)
        sender = Process(module("sending"), bench.others, root / "log-sender")
        try:
            subject.start()
            sender.tell(subject.plan().line())
            sender.hear()
            sender.tell("begin")
            begins = sender.hear()["begins"]
            time.sleep(opening(begins, bench.warm_up) - time.time())
            window = Window([process.pid for process in subject.processes], bench.measured)
            sender_cpu = -cpu([sender.pid])
            began = time.time()
            usage = _sit(window, bench.seconds)
            ended = time.time()
            sender_cpu += cpu([sender.pid])
            for process in (*subject.processes, sender):
                process.check()
            time.sleep(PICTURE_SECONDS / 2 + 0.5)
            said = subject.stop()
            stopped = time.time()
            sender.tell("stop")
            told = sender.hear()
        finally:
            for process in subject.processes:
                process.end()
            sender.end()
        found = Harvest()
        for number in list(range(anchors))[:: max(1, anchors // INSPECTED)]:
            inspect(subject.folders[number], begins[number], stopped, found)
        return Outcome(
            contestant.key,
            anchors,
            usage,
            per_anchor_minute(usage.cpu, usage.seconds, anchors),
            count(subject.folders, began, ended),
            round((ended - began) / PICTURE_SECONDS * anchors),
            found,
            told,
            sender_cpu,
            subject.command,
            subject.hello | said,
        )


def _sit(window: Window, seconds: float) -> Usage:
    """Wait, looking at the memory now and then."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(MEMORY_EVERY, left))
        if left > MEMORY_EVERY:
            window.look()
    return window.close()
