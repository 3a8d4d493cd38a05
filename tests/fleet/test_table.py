"""The records on a real NATS server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import AsyncMock

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, ServiceUnavailableError

from slicer.errors import BadInput, BusUnavailable
from slicer.fleet import table as module
from slicer.fleet.bus import Bus
from slicer.fleet.record import FORMAT, TaskRecord, to_json
from slicer.fleet.settings import FleetSettings
from slicer.fleet.signer import HEADER, Signer
from slicer.fleet.table import Table
from tests.fleet.conftest import Deliveries
from tests.harness.fleet.nats_server import Servers, nats_servers

RECORD = TaskRecord("t", 7, 1, "w")


@pytest_asyncio.fixture
async def table(bus: Bus) -> AsyncIterator[Table]:
    opened = Table(bus)
    await opened.open(1)
    yield opened
    await opened.close()


async def until(condition: object, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def unconditionally(bus: Bus, stranger: Client, subject: str, real: RawStreamMsg) -> int:
    """Send a message again so that the servers take it whatever is there. Gives its revision."""
    lines = [f"{name} : {value}" for name, value in (real.headers or {}).items()]
    head = "\r\n".join(["NATS/1.0", *lines, "", ""]).encode()
    data = real.data or b""
    assert stranger.connected_url is not None
    port = stranger.connected_url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b'CONNECT {"headers": true, "verbose": false}\r\n')
    writer.write(f"HPUB {subject} {len(head)} {len(head) + len(data)}\r\n".encode())
    writer.write(head + data + b"\r\nPING\r\n")
    while await reader.readline() != b"PONG\r\n":
        pass
    writer.close()
    found = await stranger.jetstream().get_msg(f"KV_{bus.bucket}_tasks", subject=subject)
    assert found.seq is not None
    assert found.seq > (real.seq or 0)
    return found.seq


async def other(bus: Bus) -> Table:
    opened = Table(bus)
    await opened.open(1)
    return opened


async def test_a_record_is_written_once_and_read_by_all(table: Table, bus: Bus) -> None:
    written = await table.write(RECORD)
    assert written is not None
    assert written == replace(RECORD, revision=written.revision, changes=1)
    assert await table.write(RECORD) is None, "there is one"
    second = await other(bus)
    assert second.records == {"t": written}
    heard: list[TaskRecord] = []
    second.on_record.append(heard.append)
    changed = await table.write(replace(written, epoch=2))
    assert changed is not None
    assert await second.write(replace(written, epoch=3)) is None, "it has changed meanwhile"
    await until(lambda: second.records["t"] == changed)
    assert heard == [changed]
    second.learn(written)
    assert second.records["t"] == changed, "an old one means nothing"
    await second.close()
    await second.close()


async def test_of_many_who_write_at_the_same_time_one_wins(table: Table) -> None:
    found = await asyncio.gather(
        *(table.write(replace(RECORD, worker=f"w{number}")) for number in range(20))
    )
    assert sum(one is not None for one in found) == 1


async def test_all_before_a_barrier_has_been_read_once_it_has(table: Table, bus: Bus) -> None:
    second = await other(bus)
    seen: list[int] = []
    second.on_read.append(seen.append)
    for number in range(50):
        await table.write(replace(RECORD, task=f"t{number}"))
    barrier = await second.barrier("w")
    await until(lambda: second.read >= barrier)
    assert len(second.records) == 50
    assert seen[-1] == barrier
    await second.close()


async def test_the_latest_record_is_asked_for(table: Table) -> None:
    assert await table.latest("t") is None
    written = await table.write(RECORD)
    table.records.clear()
    assert await table.latest("t") == written
    await table.forget("t")
    assert await table.latest("t") is None
    assert table.records == {}


async def test_a_process_starts_also_where_what_came_last_is_forgotten(
    table: Table, bus: Bus
) -> None:
    written = await table.write(RECORD)
    assert await table.write(replace(RECORD, task="last"))
    await table.forget("last")
    second = await other(bus)
    assert second.records == {"t": written}
    await second.close()


async def put(bus: Bus, key: str, data: bytes) -> int:
    """Write something that is signed by the fleet's keys, whatever it is. Gives its revision."""
    subject = f"$KV.{bus.bucket}_tasks.{key}"
    return (await bus.js.publish(subject, data, headers=bus.signed(subject, data))).seq


async def test_what_is_no_record_is_left_alone(
    table: Table, bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    revision = await put(bus, "strange", b"{}")
    await until(lambda: table.read >= revision)
    assert table.records == {}
    assert "record strange" in caplog.text


async def test_a_consumer_that_is_gone_is_replaced(table: Table, bus: Bus) -> None:
    stream = f"KV_{bus.bucket}_tasks"
    for consumer in await bus.js.consumers_info(stream):
        await bus.js.delete_consumer(stream, consumer.name)
    written = await table.write(RECORD)
    assert written is not None
    second = replace(written, task="other", revision=0)
    await put(bus, "other", to_json(second))
    await until(lambda: "other" in table.records)


async def test_messages_that_are_missing_are_read_again(
    table: Table, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries = Deliveries(bus, monkeypatch)
    second = await other(bus)
    deliveries.to_lose = 1
    for number in range(3):
        assert await table.write(replace(RECORD, task=f"t{number}"))
    barrier = await table.barrier("w")
    await until(lambda: second.read >= barrier)
    assert second.records == table.records
    assert deliveries.to_lose == 0
    await second.close()


async def test_an_old_record_that_the_servers_took_again_is_written_over(
    table: Table, bus: Bus, stranger: Client
) -> None:
    """After a purge they take the first one of a task once more, with the revision it was signed
    for."""
    written = await table.write(RECORD)
    assert written is not None
    js, subject = stranger.jetstream(), f"$KV.{bus.bucket}_tasks.t"
    first = await js.get_msg(f"KV_{bus.bucket}_tasks", subject=subject)
    ended = await table.write(replace(written, ended=1.0))
    assert ended is not None
    await js.purge_stream(f"KV_{bus.bucket}_tasks", subject=subject)
    ack = await js.publish(subject, first.data or b"", headers=first.headers)
    await until(lambda: table.read >= ack.seq)
    assert not table.is_certain("t")
    await table.restore()
    assert await table.latest("t") == replace(ended, revision=ack.seq + 1)
    assert table.is_certain("t")


async def test_an_old_record_that_is_sent_again_moves_no_task(
    table: Table, bus: Bus, stranger: Client
) -> None:
    written = await table.write(RECORD)
    subject = f"$KV.{bus.bucket}_tasks.t"
    first = await stranger.jetstream().get_msg(f"KV_{bus.bucket}_tasks", subject=subject)
    assert written is not None
    moved = await table.write(replace(written, worker="other", epoch=2))
    assert moved is not None
    heard: list[TaskRecord] = []
    table.on_record.append(heard.append)
    revision = await unconditionally(bus, stranger, subject, first)
    await until(lambda: table.read >= revision)
    await table.restore(old=True)
    assert (heard, table.is_certain("t")) == ([], False)
    await table.restore()
    assert heard == [replace(moved, revision=revision + 1)], "neither its epoch nor its worker"
    assert table.is_certain("t")


async def test_a_record_that_is_not_of_this_fleet_is_left_alone_and_written_over(
    table: Table, bus: Bus, stranger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    written = await table.write(RECORD)
    assert written is not None
    js, subject = stranger.jetstream(), f"$KV.{bus.bucket}_tasks."
    real = await js.get_msg(f"KV_{bus.bucket}_tasks", subject=f"{subject}t")
    later = await table.write(replace(written, epoch=2))
    assert later is not None
    with pytest.raises(APIError, match="wrong last sequence"):  # the servers hold what is signed
        await js.publish(f"{subject}t", real.data or b"", headers=real.headers)
    signature = {HEADER: (real.headers or {})[HEADER]}
    forgeries = [
        (to_json(replace(later, worker="evil", epoch=9)), None),
        (real.data or b"", signature),
        (b"", {"KV-Operation": "DEL"}),
    ]
    for number, (data, headers) in enumerate(forgeries):
        ack = await js.publish(f"{subject}t", data, headers=headers)
        await until(lambda: table.read >= ack.seq)  # noqa: B023
        assert table.records == {"t": replace(later, revision=table.records["t"].revision)}
        assert (table.foreign, table.is_certain("t")) == (1, False)
        assert bus.refused == number + 1
        await table.restore()
        assert (table.foreign, table.is_certain("t")) == (0, True)
    second = await other(bus)
    assert second.records == table.records, "who starts later finds it"
    await second.close()
    await js.publish(f"{subject}t", b"forged")
    assert await table.latest("t") == table.records["t"]
    changed = await table.write(replace(table.records["t"], worker="other"))
    assert changed is not None
    assert table.is_certain("t"), "a change is written over it as well"
    await js.publish(f"{subject}nobody-knows", b"forged")
    barrier = await table.barrier("w")
    await until(lambda: table.read >= barrier)
    await table.restore()
    assert table.foreign == 1
    assert await table.write(replace(RECORD, task="nobody-knows")) is not None
    assert caplog.text.count("not signed by a process of this fleet") == 1


@pytest_asyncio.fixture
async def slow(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator["Slow"]:
    """Another process, which may miss what is written."""
    deliveries = Deliveries(bus, monkeypatch)
    opened = await other(bus)
    yield Slow(opened, deliveries)
    await opened.close()


@dataclass
class Slow:
    table: Table
    deliveries: Deliveries

    async def miss_what_is_written_over(self, stranger: Client, subject: str) -> None:
        """Somebody writes over a change before this process has read it."""
        ack = await stranger.jetstream().publish(subject, b"forged")
        await until(lambda: self.deliveries.to_lose == 0 and self.table.read >= ack.seq)


@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_change_that_was_written_over_before_anybody_read_it_is_written_again(
    table: Table, bus: Bus, slow: Slow, stranger: Client, epoch: int
) -> None:
    written = await table.write(RECORD)
    assert written is not None
    await until(lambda: slow.table.records == {"t": written})
    slow.deliveries.to_lose = 1
    changed = await table.write(replace(written, epoch=epoch, code=0))
    assert changed is not None
    await slow.miss_what_is_written_over(stranger, f"$KV.{bus.bucket}_tasks.t")
    assert slow.table.records == {"t": written}, "what it knows of"
    await slow.table.restore()
    await until(lambda: slow.table.records["t"].code == 0)
    # By the record that was restored another worker may have delivered slices of this time.
    assert slow.table.records["t"].epoch == (1 if epoch == 1 else 3)
    await until(lambda: table.records == slow.table.records and table.is_certain("t"))
    assert slow.table.is_certain("t")


@pytest.mark.parametrize("epoch", [2, 4])
async def test_an_epoch_is_of_one_worker_also_where_two_processes_gave_the_task_away(
    table: Table, bus: Bus, slow: Slow, stranger: Client, epoch: int
) -> None:
    written = await table.write(RECORD)
    assert written is not None
    await until(lambda: slow.table.records == {"t": written})
    slow.deliveries.to_lose = 2
    given = await table.write(replace(written, epoch=2, worker="x"))
    assert given is not None
    assert await table.write(replace(given, code=0))
    await slow.miss_what_is_written_over(stranger, f"$KV.{bus.bucket}_tasks.t")
    assert await slow.table.write(replace(written, epoch=epoch, worker="y"))
    await until(lambda: slow.table.records["t"].worker == "x")
    assert slow.table.records["t"].epoch == epoch + 1


async def test_a_record_that_is_older_is_not_learned_however_late_it_was_written(
    table: Table,
) -> None:
    written = await table.write(RECORD)
    assert written is not None
    changed = await table.write(replace(written, epoch=2))
    assert changed is not None
    table.learn(replace(written, revision=changed.revision + 1))
    assert table.records == {"t": changed}


async def test_with_other_keys_nothing_begins(
    table: Table, settings: FleetSettings, stranger: Client
) -> None:
    assert await table.write(RECORD)
    bus = await Bus.connect(settings, "other", Signer([b"another key"]))
    opened = Table(bus)
    await opened.open(1)
    with pytest.raises(BadInput, match="SLICER_STATE_KEY: got 'other keys'; allowed: the keys"):
        opened.check_keys()
    await opened.close()
    await bus.close()


async def test_what_is_nobodys_can_be_removed_and_all_know(
    table: Table, bus: Bus, stranger: Client
) -> None:
    written = await table.write(RECORD)
    for key in ("t", "strange", "strange.too", "*", ">"):
        ack = await stranger.jetstream().publish(f"$KV.{bus.bucket}_tasks.{key}", b"forged")
    second = await other(bus)
    await until(lambda: table.read >= ack.seq)
    assert second.foreign_keys() == ["*", ">", "strange", "strange.too", "t"], "it knows no task"
    assert table.foreign_keys() == ["*", ">", "strange", "strange.too"], "t is written again"
    await table.restore()
    for key in table.foreign_keys():
        await table.purge(key)
    await until(lambda: second.foreign == table.foreign == 0)
    assert written is not None
    assert second.records == table.records
    third = await other(bus)
    assert (third.foreign, list(third.records)) == (0, ["t"])
    third.check_keys()
    await third.close()
    await second.close()


async def test_what_was_written_again_meanwhile_is_not_removed(
    table: Table, bus: Bus, stranger: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = await table.write(RECORD)
    ack = await stranger.jetstream().publish(f"$KV.{bus.bucket}_tasks.t", b"forged")
    deliveries = Deliveries(bus, monkeypatch)
    second = await other(bus)
    await until(lambda: table.read >= ack.seq)
    deliveries.flowing.clear()
    await table.restore()
    assert second.foreign_keys() == ["t"], "by what it has read"
    assert not await second.purge("t")
    deliveries.flowing.set()
    await until(lambda: second.foreign == 0)
    assert not await second.purge("t"), "it is of this fleet"
    assert written is not None
    assert second.records == table.records == {"t": replace(written, revision=ack.seq + 1)}
    await second.close()


async def test_a_task_that_was_removed_by_mistake_is_written_again_by_who_knows_it(
    table: Table, bus: Bus, stranger: Client
) -> None:
    written = await table.write(RECORD)
    js, subject = stranger.jetstream(), f"$KV.{bus.bucket}_tasks.t"
    await js.publish(subject, b"forged")
    second = await other(bus)
    assert await second.purge("t")
    await until(lambda: not table.is_certain("t") and table.foreign == 1)
    gone = await js.get_msg(f"KV_{bus.bucket}_tasks", subject=subject)
    await until(lambda: table.read >= (gone.seq or 0))
    await table.restore()
    assert table.is_certain("t")
    assert written is not None
    await until(lambda: second.records == {"t": replace(written, revision=(gone.seq or 0) + 1)})
    # The servers see no revision in a header with a space before its colon; nats-py reads it.
    again = await unconditionally(bus, stranger, subject, gone)
    await until(lambda: table.read >= again)
    assert not table.is_certain("t")
    await table.restore()
    third = await other(bus)
    assert list(third.records) == ["t"]
    await third.close()
    await second.close()


async def test_servers_that_do_not_answer_are_waited_for_and_given_up(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise TimeoutError("nobody is there")

    monkeypatch.setattr(module, "SYNC", 0.6)
    monkeypatch.setattr(bus.js, "create_key_value", away)
    with pytest.raises(BusUnavailable, match=r"within 0\.6 s: the bus: nobody is there"):
        await Table(bus).open(1)


async def test_more_replicas_than_servers_are_refused(bus: Bus) -> None:
    with pytest.raises(BadInput, match=r"fleet\.replicas: got 3; allowed: what these servers"):
        await Table(bus).open(3)


async def test_without_a_server_writes_fail_and_come_back(
    table: Table, bus: Bus, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    await servers.kill(0)
    with pytest.raises(BusUnavailable, match="the bus: "):
        await table.write(RECORD)
    await until(lambda: not bus.connected)
    with pytest.raises(BusUnavailable, match="no server is there"):
        await table.forget("t")
    with pytest.raises(BusUnavailable):
        await table.latest("t")
    await servers.start(0)
    monkeypatch.undo()
    while True:
        try:
            # The first one may have been written as soon as the server was there.
            written = await table.write(RECORD) or await table.latest("t")
            break
        except BusUnavailable:
            await asyncio.sleep(0.1)
    assert written is not None
    barrier = await table.barrier("w")
    await until(lambda: table.read >= barrier)


async def test_three_servers_lose_their_leader(tmp_path: Path) -> None:
    async with nats_servers(tmp_path, 3) as servers:
        bus = await Bus.connect(FleetSettings(servers.urls), "test")
        table = Table(bus)
        await table.open(3)
        assert await table.write(RECORD)
        client = await nats.connect(list(servers.urls))
        info = await client.jetstream().stream_info("KV_slicer_tasks")
        assert info.cluster is not None
        assert info.cluster.leader is not None
        await client.close()
        await servers.kill(int(info.cluster.leader.removeprefix("n")))
        async with asyncio.timeout(30):
            while True:
                try:
                    barrier = await table.barrier("w")
                    break
                except BusUnavailable:
                    await asyncio.sleep(0.1)
        await until(lambda: table.read >= barrier)
        await table.close()
        await bus.close()


async def test_servers_that_keep_nothing_are_away_though_they_are_there(
    table: Table, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        refused = ServiceUnavailableError(code=503, description="no leader")
        patched.setattr(bus.js, "stream_info", AsyncMock(side_effect=refused))
        await until(lambda: "no leader" in table.absence)
    await until(lambda: not table.absence)


async def test_a_bucket_of_another_version_is_refused(bus: Bus, table: Table) -> None:
    stream = f"KV_{bus.bucket}_tasks"
    config = (await bus.js.stream_info(stream)).config
    assert config.description == f"rtc-slicer, format {FORMAT}"
    await bus.js.update_stream(config, description="rtc-slicer, format 9")
    with pytest.raises(
        BadInput, match=r"fleet\.bucket: got 'test\d+_tasks of format 9'"
    ) as refused:
        await Table(bus).open(1)
    assert f"allowed: format {FORMAT}, or another fleet.bucket" in str(refused.value)
    await bus.js.update_stream(config, description="made by hand")
    opened = Table(bus)
    await opened.open(1)
    await opened.close()


async def test_a_bucket_that_loses_records_is_refused(bus: Bus) -> None:
    await bus.js.create_key_value(bucket=f"{bus.bucket}_tasks", ttl=60.0)
    with pytest.raises(BadInput, match=r"TTL 60 s'; allowed: a bucket without a TTL"):
        await Table(bus).open(1)
