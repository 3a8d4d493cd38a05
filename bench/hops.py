"""The length of a slice's way: `SLICER_NATIVE=0 python -m bench.hops [--spool] [--list]`.

A capture of one browser is replayed into a folder. From the first datagram to the first stored Ogg
every function of slicer that runs is counted once, in whatever thread, and so is every file that
holds one. Its imports are public names alone, so it also counts an older tree: there, run the file
itself, `python …/bench/hops.py`.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
from itertools import groupby
from pathlib import Path
from types import FrameType

import slicer

PACKAGE = Path(slicer.__file__).parent
CAPTURE = Path(__file__).parents[1] / "samples" / "chromium-vp8.rtpdump"
FIRST = "ReplayRoom._feed"
"""The function that a datagram meets first."""


class Trace:
    """Notes functions of slicer from the first call of FIRST until `end`."""

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
        # A comprehension is a part of its function, not one of its own.
        if code.co_name.startswith("<") or not code.co_filename.startswith(f"{PACKAGE}/"):
            return
        self._begun = self._begun or code.co_qualname == FIRST
        if self._begun:
            self.functions.add((code.co_filename[len(f"{PACKAGE}/") :], code.co_qualname))


async def walk(trace: Trace, folder: Path, spool: bool) -> None:
    """Replay until the first slice is stored."""
    variables = {"SLICER_SPOOL_FOLDER": str(folder / "spool")} if spool else {}
    settings = slicer.Settings.load(None, variables)
    params = slicer.SliceParams(slicer.AudioSpec(1), None)
    room = f"replay://{CAPTURE}?speed=max"
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


def main() -> None:
    """Walk, and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.hops", description=__doc__)
    parser.add_argument("--spool", action="store_true", help="by way of the disk")
    parser.add_argument("--list", action="store_true", help="each function, by file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Trace() as trace:
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
