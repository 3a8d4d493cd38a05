"""What a further room costs in memory: `python -m bench.rooms [--rooms N]`.

One engine; a task with a robot in each room, all on one server. The memory is PSS of the process.
"""

import argparse
import asyncio
import gc
import os
import socket
import tempfile

import slicer
from bench.peers.measure import pss
from slicer.engine.settings import EngineSettings


async def main(rooms: int) -> None:
    """Open rooms, and tell the memory of the first and of each further one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = slicer.Settings(engine=EngineSettings(max_tasks=rooms + 1))
    params = slicer.SliceParams(slicer.AudioSpec(15), slicer.VideoSpec(5))
    with tempfile.TemporaryDirectory() as folder:
        async with slicer.Engine(settings) as engine:
            before = 0
            for number in range(rooms + 1):
                room = f"whip://127.0.0.1:{port}/room{number}"
                await engine.create(slicer.TaskSpec(room, f"file://{folder}", params))
                if number == 0:
                    before = memory()
                    print(f"one room: {before / 1e6:.1f} MB")
            after = memory()
            print(
                f"{rooms} more: {after / 1e6:.1f} MB, {(after - before) / rooms / 1e3:.1f} kB each"
            )


def memory() -> int:
    """Bytes of PSS, garbage collected."""
    gc.collect()
    return pss([os.getpid()])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.rooms", description=__doc__)
    parser.add_argument("--rooms", type=int, default=100)
    asyncio.run(main(parser.parse_args().rooms))
