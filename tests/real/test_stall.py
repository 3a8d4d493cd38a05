"""The process stands still for longer than a peer may be silent, and than a slice waits."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from slicer.hot import IMPLEMENTATION
from slicer.slicing.audio import HELD_UP
from tests.harness.rooms.caller import Caller
from tests.harness.rtp.call import datagram, opus

SECONDS, EVERY = 5, 0.02
STOPPED = HELD_UP + 2.0
BUFFER = 1 << 20  # what webrtc/lite/port.py asks for; 32 s of audio must fit
PLANES = ["0", "1"] if IMPLEMENTATION == "native" else ["0"]
pytestmark = pytest.mark.skipif(
    int(Path("/proc/sys/net/core/rmem_max").read_text()) < BUFFER,
    reason="this kernel holds too little for a socket (net.core.rmem_max)",
)


async def speak(caller: Caller, until: asyncio.Event) -> int:
    """Audio in its own time; gives how many packets."""
    number, began = 0, asyncio.get_running_loop().time()
    while not until.is_set():
        caller.send([datagram(opus(number), number, number * 960)])
        number += 1
        await asyncio.sleep(began + number * EVERY - asyncio.get_running_loop().time())
    return number


async def stopped(folder: Path, native: str) -> tuple[list[float], float]:
    """The lengths of the slices of an audio during which the process was stopped; its length."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "slicer.cli", "run", "whip://127.0.0.1:0/lobby", "--plain"),
        *("--to", f"file://{folder}", "--manifest", "--audio", f"{SECONDS}", "--video", "0"),
        env=os.environ | {"SLICER_NATIVE": native},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = ""
    try:
        while "/YOUR-USER-ID" not in said:
            said = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
            assert said, "it has ended"
        url = said.split("publish by WHIP to ")[1].split("/YOUR-USER-ID")[0]
        caller, over = Caller(f"{url}/ann"), asyncio.Event()
        await caller.connect()
        speaking = asyncio.create_task(speak(caller, over))
        await asyncio.sleep(1)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED)
        process.send_signal(signal.SIGCONT)
        await asyncio.sleep(2)
        over.set()
        seconds = await speaking * EVERY
        await asyncio.sleep(0.5)  # the last packets are on their way
        process.send_signal(signal.SIGINT)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, out.decode()
        caller.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    (manifest,) = folder.rglob("manifest.json")
    slices = json.loads(manifest.read_text())["slices"]
    return [one["seconds"] for one in sorted(slices, key=lambda one: str(one["began"]))], seconds


async def test_a_stopped_process_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    folders = [tmp_path / native for native in PLANES]
    runs = [stopped(folder, native) for folder, native in zip(folders, PLANES, strict=True)]
    for lengths, seconds in await asyncio.gather(*runs):
        assert lengths[:-1] == [SECONDS] * int(seconds // SECONDS)
        assert sum(lengths) == pytest.approx(seconds, abs=2 * EVERY)
