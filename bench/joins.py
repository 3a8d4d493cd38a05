"""What it costs the others when many come at once: `python -m bench.joins`.

A process slices *steady* publishers, one second of audio a slice, into no store. Then *joins* more
come within *seconds*, each by WHIP, ICE and DTLS; they send nothing else, and those beyond the
500th anchor wait. Then strangers send *noise* datagrams a second to the port, of four kinds. It
tells joins a second and their CPU, that of the guests too, how late slices were ready before,
meanwhile and under the noise (from the end of their audio to `SliceStored`), and what the
publishers lost. Senders are processes of their own: it takes two cores.
"""

import argparse
import asyncio
import multiprocessing as mp
import os
import socket
import struct
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import httpx

import slicer
from bench.speakers import speak
from slicer.rooms.whip.room import WhipConnector
from slicer.rooms.whip.settings import WhipSettings
from slicer.slicing.spec import MOST_ANCHORS
from tests.harness.rooms.caller import Caller
from tests.harness.rooms.server_process import free_ports

ROOM = "whip://127.0.0.1:0/lobby"
STEADY = "steady"
SILENCE = 600.0
"""Seconds: guests send nothing, and their leaving is no part of what is measured."""
PHASE = 8.0
"""Seconds of each of the phases that are compared with the joins."""
KINDS = (
    os.urandom(40),
    b"\x80" + os.urandom(100),
    b"\x16\xfe\xfd" + os.urandom(60),
    struct.pack("!HHIQI", 1, 28, 0x2112A442, 1, 1) + struct.pack("!HH", 6, 21) + b"0" * 24,
)


async def serve(pipe: Connection, most: int) -> None:
    """Slice until this process is ended; tell ten times a second what there is to tell, and the
    strangers' datagrams when asked: with hundreds of publishers that takes 20 ms."""
    (port,) = free_ports(1)
    whip = WhipSettings(
        udp=f"127.0.0.1:{port}",
        max_publishers=most,
        max_pending=most,
        max_pending_room=most,
        silence=SILENCE,
    )
    settings = slicer.Settings(whip=whip)
    async with slicer.Engine(settings) as engine:
        params = slicer.SliceParams(slicer.AudioSpec(1), None, max_anchors=MOST_ANCHORS)
        await engine.create(slicer.TaskSpec(ROOM, "null:", params))
        rooms = engine.connector("whip")
        assert isinstance(rooms, WhipConnector)
        answer = rooms.endpoint(urlsplit(ROOM))
        pipe.send((answer, port))

        async def listen() -> None:
            async for event in engine.events():
                if isinstance(event, slicer.SliceStored):
                    ready = (event.at - event.slice.began).total_seconds() - event.slice.seconds
                    late.append((event.slice.anchor, ready, event.slice.seconds))
                elif isinstance(event, slicer.SliceLost):
                    late.append((event.slice.anchor, float("inf"), 0.0))

        late: list[tuple[str, float, float]] = []
        listening = asyncio.ensure_future(listen())
        while not listening.done():
            await asyncio.sleep(0.1)
            asked = pipe.poll() and pipe.recv()
            strangers = rooms.counters["datagrams_of_strangers"] if asked else None
            pipe.send((time.process_time(), rooms.connections, late[:], strangers))
            late.clear()


async def join(url: str, count: int, seconds: float, pipe: Connection) -> None:
    """Have so many come, evenly, and tell when the last one was connected."""
    async with httpx.AsyncClient(trust_env=False) as client:
        loop = asyncio.get_running_loop()
        guests = [Caller(f"{url}/guest{number}", client=client) for number in range(count)]
        began, cpu, took = loop.time(), time.process_time(), list[float]()

        async def one(number: int, guest: Caller) -> None:
            await asyncio.sleep(number * seconds / count)
            start = loop.time()
            await guest.connect()
            took.append(loop.time() - start)

        await asyncio.gather(*(one(*each) for each in enumerate(guests)))
        pipe.send((loop.time() - began, time.process_time() - cpu, sorted(took)))
        await asyncio.sleep(3600)


def shout(port: int, rate: int) -> None:
    """Send datagrams of strangers at this rate until this process is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        began, sent = time.monotonic(), 0
        while True:
            while sent < (time.monotonic() - began) * rate:
                sock.send(KINDS[sent % len(KINDS)])
                sent += 1
            time.sleep(0.001)


def _run(main: Callable[..., object], *arguments: object) -> None:
    result = main(*arguments)
    if asyncio.iscoroutine(result):
        asyncio.run(result)


class Bench:
    """The processes, and what the server has told."""

    def __init__(self) -> None:
        self._context = mp.get_context("spawn")
        self.processes: list[mp.process.BaseProcess] = []
        self.pipe, self.theirs = self._context.Pipe()
        self.cpu, self.connections = 0.0, 0
        self.late: list[tuple[str, float, float]] = []
        self.strangers: int | None = None

    def start(self, main: Callable[..., object], *arguments: object) -> mp.process.BaseProcess:
        process = self._context.Process(target=_run, args=(main, *arguments), daemon=True)
        process.start()
        self.processes.append(process)
        return process

    def watch(self, done: Callable[[], bool]) -> None:
        """Take what the server tells, until then."""
        while not done():
            self.cpu, self.connections, late, self.strangers = self.told()
            self.late += late

    def counted(self) -> int:
        """Strangers' datagrams by now."""
        self.strangers = None
        self.pipe.send(True)
        self.watch(lambda: self.strangers is not None)
        return self.strangers or 0

    def told(self) -> Any:
        """The next that the server tells. Raises RuntimeError where a process has ended."""
        while not self.pipe.poll(0.1):
            if not all(process.is_alive() for process in self.processes):
                raise RuntimeError("a process has ended: see above")
        return self.pipe.recv()

    def phase(self, name: str, done: Callable[[], bool]) -> tuple[float, float]:
        """Watch, and tell how late the steady ones' slices were; gives CPU and seconds."""
        self.late.clear()
        cpu, began = self.cpu, time.monotonic()
        self.watch(done)
        took = time.monotonic() - began
        steady = [one for one in self.late if one[0].startswith(STEADY)]
        ready = sorted(one[1] * 1000 for one in steady)
        whole = sum(one[2] == 1.0 for one in steady)
        share = (self.cpu - cpu) / took * 100
        print(
            f"{name}: {share:.1f} % of a core; {len(ready)} slices, {whole} whole, ready after "
            f"{ready[len(ready) // 2]:.0f} ms, {ready[int(len(ready) * 0.99)]:.0f} at the 99th "
            f"percentile, {ready[-1]:.0f} at most",
            flush=True,
        )
        return self.cpu - cpu, took

    def after(self, seconds: float) -> Callable[[], bool]:
        end = time.monotonic() + seconds
        return lambda: time.monotonic() >= end


def main(steady: int, joins: int, seconds: float, noise: int) -> None:
    bench = Bench()
    try:
        measure(bench, steady, joins, seconds, noise)
    finally:
        for process in bench.processes:
            process.kill()


def measure(bench: Bench, steady: int, joins: int, seconds: float, noise: int) -> None:
    bench.start(serve, bench.theirs, steady + joins + 10)
    url, port = bench.told()
    bench.start(speak, [f"{url}/{STEADY}{number}" for number in range(steady)])
    bench.watch(lambda: bench.connections >= steady)
    bench.watch(bench.after(3.0))
    before, took = bench.phase("before", bench.after(PHASE))
    ours, theirs = mp.get_context("spawn").Pipe()
    bench.start(join, url, joins, seconds, theirs)
    bench.watch(lambda: bench.connections > steady)
    cpu, spent = bench.phase("joining", ours.poll)
    lasted, guests, each = ours.recv()
    more = cpu - before / took * spent
    print(
        f"{joins} came in {lasted:.1f} s: {joins / lasted:.0f} a second, "
        f"{more / joins * 1e3:.2f} ms of CPU each, {guests / joins * 1e3:.2f} of the guest; "
        f"connected after {each[len(each) // 2] * 1e3:.0f} ms, {each[-1] * 1e3:.0f} at most"
    )
    quiet, took = bench.phase("all here", bench.after(PHASE))
    bench.start(shout, port, noise)
    while (strangers := bench.counted()) == 0:
        pass
    loud, spent = bench.phase("under noise", bench.after(PHASE))
    strangers = bench.counted() - strangers
    share = (loud / spent - quiet / took) * 100
    print(f"{strangers / spent:.0f} strangers' datagrams a second: {share:.1f} % of a core")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.joins", description=__doc__)
    parser.add_argument("--steady", type=int, default=100)
    parser.add_argument("--joins", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--noise", type=int, default=20_000)
    given = parser.parse_args()
    main(given.steady, given.joins, given.seconds, given.noise)
