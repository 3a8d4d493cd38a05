"""The state is copied while tasks cut, the service is killed, and another one starts on the copy.

Everything is real: the processes, WHIP publishers, the store, the receiver of callbacks.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from slicer.cli.exits import STORED
from tests.harness.rooms.whip_muxer import muxers
from tests.harness.service.customer import CALLBACK_KEY, configuration
from tests.harness.service.service import service
from tests.harness.service.webhook_receiver import Receiver, receiver
from tests.harness.storage.seaweed import WRITER, Seaweed, free_ports

SAMPLE = Path(__file__).parents[2] / "samples" / "anchor-amber.mp4"
BUCKET = "restart"
TASKS = 2
PATIENCE = 60.0


def cut_since(customer: Receiver, tasks: list[str], since: int) -> Callable[[], bool]:
    """Whether each task was told of a file that began later (ms)."""

    def done() -> bool:
        found = {
            one.task
            for one in customer.received
            if one.event == 1004 and one.told["EventInfo"]["Payload"]["StartTimeMs"] > since
        }
        return found >= {*tasks}

    return done


async def backup(state: Path, to: Path) -> int | None:
    """As docs/deploying.md has it: without the settings and their secrets."""
    command = (sys.executable, "-m", "slicer.cli", "backup", str(to))
    environment = os.environ | {"SLICER_SERVE_STATE": str(state)}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=Path(__file__).parents[2], env=environment
    )
    return await asyncio.wait_for(process.wait(), PATIENCE)


async def test_tasks_go_on_from_a_backup_taken_while_they_cut(
    seaweed: Seaweed, tmp_path: Path
) -> None:
    seaweed.make_bucket(BUCKET)
    (port,) = free_ports(1)
    config, log, copy = tmp_path / "slicer.toml", tmp_path / "log", tmp_path / "copy"
    lost, restored = tmp_path / "lost", tmp_path / "restored"
    async with receiver(CALLBACK_KEY) as customer:

        def write(folder: Path) -> None:
            config.write_text(configuration(port, customer.url, folder, seaweed.endpoint))

        rooms = [f"http://127.0.0.1:{port}/whip/{room}/anchor-{room}" for room in (1, 2)]
        write(lost)
        async with service(config, TASKS, log, WRITER) as first, muxers(rooms, SAMPLE):
            await customer.until(cut_since(customer, first.tasks, 0), PATIENCE)
            assert await backup(lost / "state", copy) == STORED
            copied = round(time.time() * 1000)
            await customer.until(cut_since(customer, first.tasks, copied), PATIENCE)
            await first.kill()
        killed = round(time.time() * 1000)
        # Another machine: nothing is there but the copies, and the key that was kept apart.
        (restored / "state").mkdir(mode=0o700, parents=True)
        for file in (*copy.iterdir(), lost / "state" / "key"):
            shutil.copy2(file, restored / "state")
        shutil.rmtree(lost)
        write(restored)
        async with service(config, TASKS, log, WRITER) as second, muxers(rooms, SAMPLE):
            assert sorted(second.tasks) == sorted(first.tasks)
            await customer.until(cut_since(customer, second.tasks, killed), PATIENCE)
