"""`slicer fleet`: what it shows, and what it asks workers to do."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.cli import main
from slicer.cli.exits import BAD_INPUT, FAILED
from slicer.cli.fleet import View, shown
from slicer.fleet.beat import Beat
from slicer.fleet.bus import Bus
from slicer.fleet.record import TaskRecord
from slicer.fleet.settings import FleetSettings
from slicer.fleet.table import Table
from slicer.service.encryption import Encryption
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.fleet_serving import signer_of
from slicer.service.registry import Record
from tests.harness.fleet.nats_server import nats_servers
from tests.harness.service.orders import slice_order

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
WORKERS = (Beat("w0", zone="a", capacity=4, load=0.5), Beat("w1", capacity=4, draining=True))


def test_a_fleet_is_shown_with_what_is_amiss() -> None:
    tasks = [TaskRecord("t0", worker="w0"), TaskRecord("t1", worker="gone"), TaskRecord("t2")]
    text = shown(View({beat.worker: beat for beat in WORKERS}, tasks, 3))
    *lines, last = [line.split() for line in text.splitlines()[1:]]
    assert " ".join(last).startswith("3 records left alone: none of these keys has signed them")
    assert lines == [
        ["gone", "?", "1", "?", "not", "heard"],
        ["w0", "a", "1", "of", "4", "50%", "working"],
        ["w1", "-", "0", "of", "4", "0%", "draining"],
        ["1", "task", "without", "a", "worker"],
    ]


class Workers:
    """Two workers that beat, and answer what they are asked."""

    def __init__(self, urls: tuple[str, ...], table: Table) -> None:
        self.urls = urls
        self.table = table
        self.asked: list[Mapping[str, Any]] = []
        self.moved = True
        self.draining = False

    async def run(self, bus: Bus) -> None:
        await bus.answer("w0", "instance", self._answer)
        while True:
            for name in ("w0", "w1"):
                await bus.beat(Beat(name, "instance", capacity=4, draining=self.draining))
            await asyncio.sleep(0.05)

    async def _answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(question)
        return {"moved": self.moved, "tasks": 1}


@pytest_asyncio.fixture
async def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workers]:
    monkeypatch.setenv("SLICER_FLEET_REPLICAS", "1")
    monkeypatch.setenv("SLICER_STATE_KEY", OLD)
    encryption = Encryption([OLD])
    async with nats_servers(tmp_path) as servers:
        bus = await Bus.connect(FleetSettings(servers.urls), "test", signer_of(encryption))
        table = Table(bus)
        await table.open(1)
        registry = FleetRegistry(table, encryption, lambda _: "w0")
        await registry.add(Record("t0", 200806, slice_order(), 1000.0, 5000.0))
        found = Workers(servers.urls, table)
        running = asyncio.ensure_future(found.run(bus))
        yield found
        running.cancel()
        await table.close()
        await bus.close()


async def run(workers: Workers, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["fleet", *arguments, "--fleet", ",".join(workers.urls)])


async def test_status(workers: Workers, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(workers, "status") == 0
    assert "1 of 4" in capsys.readouterr().out


async def test_drain(workers: Workers, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(workers, "drain", "w0") == 0
    assert "w0 takes no more tasks, and hands 1 task over" in capsys.readouterr().out
    assert workers.asked == [{"verb": "drain"}]
    assert await run(workers, "drain", "nobody") == BAD_INPUT
    assert "WORKER: got 'nobody'; allowed: w0, w1" in capsys.readouterr().err


async def test_move(workers: Workers, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(workers, "move", "t0") == 0
    assert workers.asked == [{"verb": "move", "task": "t0"}]
    workers.moved = False
    assert await run(workers, "move", "t0") == FAILED
    assert "does not have the task any more" in capsys.readouterr().err
    assert await run(workers, "move", "unknown") == FAILED
    assert "no task unknown in this fleet" in capsys.readouterr().err
    workers.draining = True
    assert await run(workers, "move", "t0") == BAD_INPUT


def test_without_servers_there_is_no_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "status"]) == BAD_INPUT
    assert "fleet.servers: got 'none'" in capsys.readouterr().err


async def test_rekey(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLICER_STATE_KEY", NEW)
    assert await run(workers, "status") == BAD_INPUT
    assert "SLICER_STATE_KEY: got 'other keys'" in capsys.readouterr().err
    monkeypatch.setenv("SLICER_STATE_KEY", f"{NEW},{OLD}")
    assert await run(workers, "rekey") == 0
    assert "1 record encrypted and signed anew, by the first key" in capsys.readouterr().out
    monkeypatch.setenv("SLICER_STATE_KEY", NEW)
    assert await run(workers, "rekey") == 0
    capsys.readouterr()
    client = await nats.connect(list(workers.urls))
    await client.jetstream().publish("$KV.slicer_tasks.forged", b"x")
    await client.close()
    assert await run(workers, "rekey") == FAILED
    assert "1 record left as they are" in capsys.readouterr().out


async def test_what_is_nobodys_is_listed_and_removed(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await nats.connect(list(workers.urls))
    await client.jetstream().purge_stream("KV_slicer_tasks")
    for key in ("forged", "\x1b[2J"):
        await client.jetstream().publish(f"$KV.slicer_tasks.{key}", b"x")
    await client.close()
    assert await run(workers, "status") == BAD_INPUT, "nothing can begin"
    assert "`slicer fleet purge` removes what is nobody's" in capsys.readouterr().err
    assert await run(workers, "purge") == 0
    shown = capsys.readouterr().out
    assert "'forged'\n" in shown
    assert "'\\x1b[2J'\n" in shown
    assert "2 records that none of these keys has signed (SLICER_STATE_KEY); --yes" in shown
    assert await run(workers, "purge", "--yes") == 0
    assert "2 records removed" in capsys.readouterr().out
    assert await run(workers, "purge") == 0
    assert capsys.readouterr().out.startswith("every record is signed by one of these keys")
    assert await run(workers, "status") == 0
    assert "left alone" not in capsys.readouterr().out


async def test_a_task_that_the_fleet_writes_again_is_not_removed(
    workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await nats.connect(list(workers.urls))
    await client.jetstream().publish("$KV.slicer_tasks.t0", b"x")
    await client.close()
    purging = asyncio.ensure_future(run(workers, "purge", "--yes"))
    await asyncio.sleep(1)  # as a copy of the API does
    await workers.table.restore()
    assert await purging == 0
    assert capsys.readouterr().out.startswith("every record is signed by one of these keys")
    assert await workers.table.latest("t0") is not None
    assert workers.table.is_certain("t0")


async def test_without_keys_nobody_is_asked(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLICER_STATE_KEY")
    assert await run(workers, "drain", "w0") == BAD_INPUT
    assert "keys that all processes of the fleet have" in capsys.readouterr().err
    assert workers.asked == []
