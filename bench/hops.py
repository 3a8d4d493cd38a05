"""How many functions a slice or a create runs through.

    SLICER_NATIVE=0 python -m bench.hops [--spool] [--list]
    python -m bench.hops --create [--list]

A slice: a capture of one browser is replayed into a folder, and counted from the first datagram to
the first stored Ogg. It is replayed at its own pace, or its end would be on the way as well. A
create: `slicer serve` runs in this process, and one CreateCloudSliceTask is counted from its first
byte to its answer. Every function of slicer that runs on the way is counted once, in whatever
thread, and so is every file that holds one. The imports are public names alone, so an older tree
can be counted too: run this file there, `python …/bench/hops.py`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from inspect import CO_NEWLOCALS
from itertools import groupby
from pathlib import Path
from types import FrameType

import slicer
from slicer.cli import main as command

PACKAGE = Path(slicer.__file__).parent
CAPTURE = Path(__file__).parents[1] / "samples" / "chromium-vp8.rtpdump"
FIRST = "ReplayRoom._feed"
"""The function that a datagram meets first."""
ORDER = Path(__file__).parents[1] / "tests" / "api" / "seeds" / "CreateCloudSliceTask.json"
SETTINGS = """
[serve]
port = {port}
state = "{folder}/state"
[{stores}]
s3_endpoint = "http://127.0.0.1:9"
[[apps]]
sdk_app_id = {app}
secrets = [{{ id = "id", key = "key" }}]
rooms = [{{ pattern = "*", url = "whip://127.0.0.1:0/{{room}}" }}]
"""


class Trace:
    """Notes functions of slicer from `begin`, or the first call of FIRST, until `end`."""

    def __init__(self) -> None:
        self.functions: set[tuple[str, str]] = set()
        self._begun = self._over = False

    def __enter__(self) -> "Trace":
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def begin(self) -> None:
        """What runs from now on is noted."""
        self._begun = True

    def end(self) -> None:
        """What runs from now on is not noted."""
        self._over = True

    @property
    def files(self) -> set[str]:
        return {file for file, _ in self.functions}

    def _note(self, frame: FrameType, event: str, _arg: object) -> None:
        if event != "call" or self._over:
            return
        code = frame.f_code
        # A comprehension is a part of its function, and a class's body runs where it is imported.
        if code.co_name.startswith("<") or not code.co_flags & CO_NEWLOCALS:
            return
        if not code.co_filename.startswith(f"{PACKAGE}/"):
            return
        self._begun = self._begun or code.co_qualname == FIRST
        if self._begun:
            self.functions.add((code.co_filename[len(f"{PACKAGE}/") :], code.co_qualname))


async def walk(trace: Trace, folder: Path, spool: bool) -> None:
    """Replay until the first slice is stored."""
    variables = {"SLICER_SPOOL_FOLDER": str(folder / "spool")} if spool else {}
    settings = slicer.Settings.load(None, variables)
    params = slicer.SliceParams(slicer.AudioSpec(1), None)
    room = f"replay://{CAPTURE}?speed=1"
    spec = slicer.TaskSpec(room, (folder / "out").as_uri(), params)
    async with slicer.Engine(settings) as engine:
        (folder / "out").mkdir()
        async with engine.events() as events:
            await engine.create(spec)
            async for event in events:
                if isinstance(event, slicer.SliceStored):
                    trace.end()
                    return
    raise RuntimeError(f"{CAPTURE.name}: nothing was stored")


def create(trace: Trace, folder: Path) -> None:
    """Serve, have one client create a task, and end."""
    # The vendors' table had another name in older trees.
    stores = "vendors" if (PACKAGE / "engine").is_dir() else "stores"
    order = json.loads(ORDER.read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "slicer.toml"
    config.write_text(
        SETTINGS.format(port=port, folder=folder, stores=stores, app=order["SdkAppId"])
    )
    client = threading.Thread(target=_order, args=(trace, f"http://127.0.0.1:{port}", order))
    client.start()
    # Counts are this program's output; the service prints its own lines.
    with contextlib.redirect_stdout(sys.stderr):
        command(["serve", "--config", str(config), "--insecure"])
    client.join()


def _order(trace: Trace, url: str, order: dict[str, object]) -> None:
    """The client: a request to create a task, once the service answers at all."""
    try:
        _wait(f"{url}/healthz")
        headers = {
            "Content-Type": "application/json",
            "X-TC-Action": "CreateCloudSliceTask",
            "X-TC-Version": "2019-07-22",
            "X-TC-Region": "ap-singapore",
            "X-TC-Timestamp": str(int(time.time())),
        }
        request = urllib.request.Request(url, json.dumps(order).encode(), headers)
        trace.begin()
        with urllib.request.urlopen(request, timeout=10) as reply:
            answer = json.load(reply)["Response"]
        trace.end()
        if "TaskId" not in answer:
            raise RuntimeError(f"no task was created: {answer}")
    finally:
        os.kill(os.getpid(), signal.SIGTERM)  # the service ends in order


def _wait(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=10).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"{url}: no answer")


def main() -> None:
    """Walk, and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.hops",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--create", action="store_true", help="a create instead of a slice")
    parser.add_argument("--spool", action="store_true", help="by way of the disk")
    parser.add_argument("--list", action="store_true", help="each function, by file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Trace() as trace:
        if options.create:
            create(trace, Path(folder))
        else:
            asyncio.run(walk(trace, Path(folder), options.spool))
    if options.list:
        for file, function in sorted(trace.functions):
            print(f"{file}: {function}")
    for folder, functions in groupby(sorted(trace.functions), lambda each: each[0].split("/")[0]):
        run = list(functions)
        files = len({file for file, _ in run})
        print(f"  {folder:12} {files:3} files, {len(run):3} functions")
    print(f"{len(trace.files)} files, {len(trace.functions)} functions")


if __name__ == "__main__":
    main()
