"""What processes say to each other over a real NATS server."""

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from slicer.errors import BadInput, BusUnavailable
from slicer.fleet.beat import Beat
from slicer.fleet.bus import REVISION, Bus
from slicer.fleet.facts import Fact, Facts
from slicer.fleet.limits import FirstUse, SharedLimits
from slicer.fleet.record import TaskRecord
from slicer.fleet.settings import FleetSettings
from slicer.fleet.signer import Signer
from slicer.fleet.table import Table
from tests.harness.certificates import make_certificate
from tests.harness.fleet.credentials import make_accounts
from tests.harness.fleet.nats_server import SERVER, Servers, listening, nats_servers
from tests.harness.rooms.server_process import free_ports, running

SAMPLE = Path(__file__).parents[2] / "samples/nats/nats.conf"
RECORD_TO_WRITE = TaskRecord("t", 7, 1, "w")
RECORD = replace(RECORD_TO_WRITE, revision=9)
BEAT = Beat("w", "instance", capacity=1)


async def say(stranger: Client, bus: Bus, subject: str, data: bytes, about: str = "") -> None:
    """Something that is signed by the fleet's keys, whatever it is."""
    subject = f"{bus.bucket}.{subject}"
    headers = {REVISION: about} if about else {}
    await stranger.publish(subject, data, headers=headers | bus.signed(subject, data, about))
    await stranger.flush()


async def hear(bus: Bus, beat: Beat = BEAT) -> None:
    """Have a heartbeat come: it says which process of a worker is asked."""
    come = asyncio.Event()
    hear_no_more = await bus.hear_beats(lambda _: come.set())
    await bus.beat(beat)
    await asyncio.wait_for(come.wait(), 20)
    await hear_no_more()


async def test_beats_are_heard(bus: Bus, stranger: Client) -> None:
    heard = asyncio.Queue[Beat]()
    await bus.hear_beats(heard.put_nowait)
    await say(stranger, bus, "beat.x", b"nonsense")
    await bus.beat(Beat("w", tasks={"t": 3}))
    assert await asyncio.wait_for(heard.get(), 5) == Beat("w", tasks={"t": 3})


async def test_records_reach_their_worker_alone(bus: Bus, stranger: Client) -> None:
    heard = asyncio.Queue[TaskRecord]()
    await bus.hear_pushes("w", heard.put_nowait)
    await say(stranger, bus, "do.w.t", b"nonsense", "4")
    await bus.push(replace(RECORD, revision=8), "other")
    await bus.push(RECORD, "w")
    assert await asyncio.wait_for(heard.get(), 20) == RECORD
    assert heard.empty()


async def test_a_worker_answers(bus: Bus) -> None:
    async def answer(question: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"answer": question["number"] + 1}

    await bus.answer("w", "instance", answer)
    with pytest.raises(BusUnavailable, match="worker w does not answer: it was not heard"):
        await bus.ask("w", {"number": 4}, 5.0)
    await hear(bus)
    assert await bus.ask("w", {"number": 4}, 5.0) == {"answer": 5}


async def test_a_worker_that_starts_just_now_is_not_asked(bus: Bus) -> None:
    await hear(bus, replace(BEAT, capacity=0))
    with pytest.raises(BusUnavailable, match="it was not heard"):
        await bus.ask("w", {}, 5.0)


async def test_a_question_to_one_process_of_a_worker_is_not_answered_by_the_next(
    bus: Bus, settings: FleetSettings, stranger: Client
) -> None:
    asked = list[tuple[str, Mapping[str, Any]]]()

    async def process(instance: str) -> Bus:
        async def answer(question: Mapping[str, Any]) -> Mapping[str, Any]:
            asked.append((instance, question))
            return {}

        started = await Bus.connect(settings, instance, Signer([b"key"]))
        await started.answer("w", instance, answer)
        await hear(bus, replace(BEAT, instance=instance))
        return started

    heard_there = await stranger.subscribe(f"{bus.bucket}.ask.w")
    await listening(stranger)
    first = await process("first")
    assert await bus.ask("w", {"verb": "move"}, 20) == {}
    real = await heard_there.next_msg(20)
    await first.close()
    second = await process("second")
    await stranger.publish(real.subject, real.data, headers=real.headers)
    await listening(stranger)
    assert await bus.ask("w", {"verb": "describe"}, 20) == {}
    await second.close()
    assert asked == [("first", {"verb": "move"}), ("second", {"verb": "describe"})]


async def test_a_worker_answers_also_where_a_heartbeat_of_an_earlier_process_comes_again(
    bus: Bus, stranger: Client
) -> None:
    async def answer(question: Mapping[str, Any]) -> Mapping[str, Any]:
        return question

    heard_there = await stranger.subscribe(f"{bus.bucket}.beat.w")
    await listening(stranger)
    heard = asyncio.Queue[Beat]()
    await bus.hear_beats(heard.put_nowait)
    await bus.answer("w", "second", answer)
    await bus.beat(replace(BEAT, instance="first"))
    real = await heard_there.next_msg(20)
    await bus.beat(replace(BEAT, instance="second"))
    await stranger.publish(real.subject, real.data, headers=real.headers)
    for _ in range(3):
        await asyncio.wait_for(heard.get(), 20)
    assert await bus.ask("w", {"number": 4}, 5.0) == {"number": 4}


async def test_a_record_that_is_pushed_is_the_fleets(
    bus: Bus, stranger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    heard = asyncio.Queue[TaskRecord]()
    await bus.hear_pushes("w", heard.put_nowait)
    heard_there = await stranger.subscribe(f"{bus.bucket}.do.>")
    await listening(stranger)
    await bus.push(RECORD, "w")
    assert await asyncio.wait_for(heard.get(), 20) == RECORD
    real = await heard_there.next_msg(20)
    later = {**(real.headers or {}), REVISION: "99"}
    for headers in (None, {REVISION: "99"}, later):
        await stranger.publish(real.subject, real.data, headers=headers)
    await stranger.publish(f"{bus.bucket}.do.w.u", real.data, headers=real.headers)
    await stranger.flush()
    async with asyncio.timeout(5):
        while bus.refused < 4:
            await asyncio.sleep(0.01)
    assert heard.empty()
    assert caplog.text.count("not signed by a process of this fleet") == 1


async def test_a_question_is_the_fleets_and_is_answered_once(
    bus: Bus, stranger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    asked = list[Mapping[str, Any]]()

    async def answer(question: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(question)
        return {}

    await bus.answer("w", "instance", answer)
    await hear(bus)
    heard_there = await stranger.subscribe(f"{bus.bucket}.ask.w")
    await listening(stranger)
    assert await bus.ask("w", {"verb": "describe"}, 5) == {}
    real = await heard_there.next_msg(20)
    await stranger.publish(real.subject, b'{"verb": "move"}')
    await stranger.publish(real.subject, b'{"verb": "move"}', headers=real.headers)
    await stranger.publish(real.subject, real.data, headers=real.headers)
    await stranger.flush()
    assert await bus.ask("w", {"verb": "last"}, 5) == {}
    assert asked == [{"verb": "describe"}, {"verb": "last"}]
    assert bus.refused == 2
    assert "a question of another time, to another process, or asked before" in caplog.text


async def test_an_answer_is_the_fleets(bus: Bus, stranger: Client) -> None:
    async def forge(message: Msg) -> None:
        await stranger.publish(message.reply, b'{"moved": true}')

    await stranger.subscribe(f"{bus.bucket}.ask.w", cb=forge)
    await listening(stranger)
    await hear(bus)
    with pytest.raises(BusUnavailable, match="another process did, or one with other keys"):
        await bus.ask("w", {"verb": "move"}, 5)


async def test_while_no_server_is_there_nothing_is_said(bus: Bus, servers: Servers) -> None:
    assert bus.connected
    await servers.kill(0)
    async with asyncio.timeout(10):
        while bus.connected:
            await asyncio.sleep(0.01)
    await bus.beat(Beat("w"))
    await servers.start(0)
    async with asyncio.timeout(10):
        while not bus.connected:
            await asyncio.sleep(0.01)


async def test_servers_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slicer.fleet.bus.CONNECT", 0.5)
    settings = FleetSettings(("nats://user:secret@127.0.0.1:9",))
    with pytest.raises(BadInput, match=r"fleet\.servers: got '127\.0\.0\.1:9'") as caught:
        await Bus.connect(settings, "test")
    assert "secret" not in str(caught.value)


async def test_without_nats_py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nats", None)
    with pytest.raises(BadInput, match=r"no nats-py'; allowed: rtc-slicer\[fleet\]"):
        await Bus.connect(FleetSettings(("nats://127.0.0.1:9",)), "test")


@pytest.mark.parametrize("field", ["credentials", "tls_ca"])
async def test_files_that_are_not_there(field: str) -> None:
    fields = {"servers": ("nats://127.0.0.1:9",), field: "/nowhere"}
    settings = FleetSettings(**fields)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=rf"fleet\.{field}: got '/nowhere'"):
        await Bus.connect(settings, "test")


@pytest.mark.parametrize("field", ["credentials", "tls_ca"])
async def test_files_that_cannot_be_read(field: str) -> None:
    name = "/proc/self/mem"  # not even by root
    fields = {"servers": ("nats://127.0.0.1:9",), field: name}
    settings = FleetSettings(**fields)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=rf"fleet\.{field}: got '{name}'"):
        await Bus.connect(settings, "test")


async def one_tells_what_the_other_has_published(facts: Facts, workers: Facts) -> None:
    told = asyncio.Queue[Fact]()

    async def handle(fact: Fact) -> None:
        told.put_nowait(fact)

    telling = asyncio.ensure_future(facts.tell(7, handle))
    await workers.publish(7, "t", "t.1", b"fact")
    assert (await asyncio.wait_for(told.get(), 20)).data == b"fact"
    telling.cancel()


async def workers_may_do_no_more(worker: Bus, settings: FleetSettings) -> None:
    """Count requests, drop or read callbacks, order others about, listen to others' answers."""
    with pytest.raises(BusUnavailable):
        await SharedLimits(worker).first_use(7, "b2", "Create", "")
    with pytest.raises(BusUnavailable):
        await Facts(worker).drop(7)
    with pytest.raises(BusUnavailable):
        await worker.ask("w", {"verb": "drain"}, 0.5)
    async with asyncio.timeout(10):
        while len(worker.denied) < 3:
            await asyncio.sleep(0.02)
    denied = asyncio.Queue[str]()

    async def on_error(error: Exception) -> None:
        denied.put_nowait(str(error))

    client = await nats.connect(
        list(settings.servers),
        user=settings.user,
        password=settings.password,
        tls=ssl.create_default_context(cafile=settings.tls_ca),
        error_cb=on_error,
    )
    for subject in ("_INBOX_slicer.>", "slicer.facts.>"):
        await client.subscribe(subject)
        text = (await asyncio.wait_for(denied.get(), 10)).lower()
        assert "permissions violation" in text
        assert subject.lower() in text
    await client.close()


async def until_heard(api: Bus, worker: Bus, heard: asyncio.Queue[object]) -> None:
    """Where they are at different servers, these hear of each other's interest in a moment."""
    said = set[type]()
    async with asyncio.timeout(20):
        while said != {Beat, TaskRecord}:
            await worker.beat(BEAT)
            await api.push(RECORD, "w")
            await asyncio.sleep(0.05)
            while not heard.empty():
                said.add(type(heard.get_nowait()))


async def test_three_servers_with_tls_and_permissions_as_the_sample_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "certificates").mkdir()
    certificate, key = make_certificate(folder)
    for name in ("server.pem", "ca.pem"):
        shutil.copy(certificate, folder / name)
    shutil.copy(key, folder / "server.key")
    config = tmp_path / SAMPLE.name
    config.write_text(SAMPLE.read_text().replace("/etc/nats", str(tmp_path)))
    monkeypatch.setenv("NATS_PASSWORD", "secret-of-the-fleet")
    monkeypatch.setenv("NATS_WORKER_PASSWORD", "secret-of-workers")
    ca = str(folder / "ca.pem")
    three = nats_servers(tmp_path, 3, config=config, tls=ca)
    async with three as servers, contextlib.AsyncExitStack() as closing:
        settings = FleetSettings(
            servers.urls, user="slicer", password="secret-of-the-fleet", tls_ca=ca
        )
        as_worker = replace(settings, user="slicer-worker", password="secret-of-workers")
        api, worker = await Bus.connect(settings, "api"), await Bus.connect(as_worker, "w")
        for bus in (api, worker):  # also where the test fails: who is left connects for ever
            closing.push_async_callback(bus.close)
        limits, facts, tables = SharedLimits(api), Facts(api), [Table(api), Table(worker)]
        for table in tables:
            await table.open(3)
        for made in (facts, Facts(worker), limits):
            await made.open(3)
        assert await limits.take(7, "Create")
        assert await limits.first_use(7, "a1", "Create", "") is None
        assert await limits.first_use(7, "a1", "Create", "") == FirstUse("Create", False)
        assert await tables[0].write(TaskRecord("t", 7, 1, "w"))
        assert await tables[1].latest("t")
        await tables[1].barrier("w")
        await tables[0].forget("t")
        assert await facts.unclaimed([7]) == {}
        await one_tells_what_the_other_has_published(facts, Facts(worker))
        heard = asyncio.Queue[object]()
        await api.hear_beats(heard.put_nowait)
        await worker.hear_beats(lambda _: None)
        await worker.hear_pushes("w", heard.put_nowait)

        async def answer(question: Mapping[str, Any]) -> Mapping[str, Any]:
            return question

        await worker.answer("w", "instance", answer)
        await until_heard(api, worker, heard)
        assert await api.ask("w", {"verb": "x"}, 20) == {"verb": "x"}
        assert api.denied == worker.denied == []
        await workers_may_do_no_more(worker, as_worker)
        for table in tables:
            await table.close()
        await worker.close()
        await api.close()
        monkeypatch.setattr("slicer.fleet.bus.CONNECT", 5.0)
        with pytest.raises(BadInput, match=r"fleet\.servers.*[Aa]uthorization"):
            await Bus.connect(replace(settings, password="another"), "test")


async def test_a_file_of_credentials_is_all_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts, others = (make_accounts(tmp_path / name) for name in ("store", "none"))
    config = tmp_path / "nats.conf"
    config.write_text(accounts.config)
    (port,) = free_ports(1)
    words = [str(SERVER), "-a", "127.0.0.1", "-p", str(port), "-c", str(config)]
    async with running(words, port, tmp_path / "nats.log"):
        ours = FleetSettings(
            (f"nats://127.0.0.1:{port}",), credentials=str(accounts.user(tmp_path / "ours.creds"))
        )
        bus = await Bus.connect(ours, "test")
        table = Table(bus)
        await table.open(1)
        assert await table.write(RECORD_TO_WRITE)
        await table.close()
        await bus.close()
        monkeypatch.setattr("slicer.fleet.bus.CONNECT", 5.0)
        theirs = replace(ours, credentials=str(others.user(tmp_path / "theirs.creds")))
        with pytest.raises(BadInput, match=r"fleet\.servers.*[Aa]uthorization"):
            await Bus.connect(theirs, "test")
        (tmp_path / "none.creds").write_text("nonsense")
        with pytest.raises(BadInput, match=r"fleet\.credentials: got .*none\.creds"):
            await Bus.connect(replace(ours, credentials=str(tmp_path / "none.creds")), "test")


async def test_a_bus_may_be_closed_twice(settings: FleetSettings) -> None:
    bus = await Bus.connect(settings, "test")
    await bus.close()
    await bus.close()
    assert not bus.connected


async def test_a_bus_whose_server_is_gone_is_closed(
    settings: FleetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, close = await Bus.connect(settings, "test"), Client.close

    async def lost(client: Client) -> None:
        await close(client)
        raise ConnectionResetError("Connection lost")

    monkeypatch.setattr(Client, "close", lost)
    await bus.close()
    assert not bus.connected


async def test_a_cancellation_that_is_swallowed_ends_it_at_the_next_try(
    settings: FleetSettings, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, tries = await Bus.connect(settings, "w"), asyncio.Queue[None]()

    async def connect(_client: object, _server: object) -> None:
        tries.put_nowait(None)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.5)
        raise OSError("nobody is there")

    monkeypatch.setattr("nats.aio.client.Client._connect_to_server", connect)
    before = asyncio.all_tasks()
    await servers.kill(0)
    async with asyncio.timeout(10):
        await tries.get()
        connecting = asyncio.all_tasks() - before
        assert connecting
        await bus.close()
        await asyncio.wait(connecting)
