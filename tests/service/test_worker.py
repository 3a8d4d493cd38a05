"""A worker: what records and questions make it do."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slicer.delivery.copies import Copies
from slicer.delivery.retry import Backoff
from slicer.delivery.spool.record import StoreUrls, describe, encode
from slicer.engine.engine import Engine
from slicer.engine.spec import TaskSpec
from slicer.errors import BadInput, BusUnavailable, LimitReached, RoomError, StorageError
from slicer.fleet.record import TaskRecord, given, to_json
from slicer.media.slice import File, SliceInfo
from slicer.rtp.parameters import Kind
from slicer.service import worker
from slicer.service.admission import Admission
from slicer.service.fleet_orders import ANSWER, FleetOrders
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.fleet_serving import Working, working
from slicer.service.leave_code import LeaveCode
from slicer.service.notifier import Notifier
from slicer.service.order import Product
from slicer.service.serving import slicing
from slicer.slicing.outputs import EndReason, State, TrackKey
from tests.harness.fleet.calling import hear
from tests.harness.fleet.in_process import Fleet, until
from tests.harness.service.orders import moderation_order
from tests.harness.storage.seaweed import OWNER, Seaweed

MODERATION = Product.MODERATION
pytestmark = pytest.mark.usefixtures("supplier")


async def runs(fleet: Fleet, orders: FleetOrders, task: str, seconds: float = 20) -> None:
    """Wait until a copy of the API hears that a task runs."""
    async with asyncio.timeout(seconds):
        while (await orders.describe(fleet.app, MODERATION, task)).state is not State.RUNNING:
            await asyncio.sleep(0.05)


async def test_a_drained_workers_tasks_go_on_elsewhere_and_nothing_is_told(fleet: Fleet) -> None:
    first = await fleet.worker("w0")
    orders = await fleet.copy()
    tasks = [
        await orders.create(fleet.app, moderation_order(f"room-{number}")) for number in range(4)
    ]
    second = await fleet.worker("w1")
    await first.worker.drain()
    await until(lambda: len(second.service.unfinished()) == 4)
    for task in tasks:
        await runs(fleet, orders, task, 10)
        await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: all(len(fleet.events(task)) == 3 for task in tasks))
    assert [fleet.events(task) for task in tasks] == [[1101, 1102, 1105]] * 4


async def test_a_task_begins_once_for_its_customer_however_long_ago_that_was(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slicer.fleet.facts.REMEMBERED", 0.1)  # the stream has forgotten its id
    first = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    await until(lambda: fleet.events(task) == [1101])
    second = await fleet.worker("w1")
    await first.worker.hand_over(task)
    await until(lambda: second.service.unfinished() == [task])
    await runs(fleet, orders, task)
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: fleet.events(task)[-1:] == [1105])
    assert fleet.events(task) == [1101, 1102, 1105]


async def test_two_workers_of_one_name(fleet: Fleet) -> None:
    await fleet.worker("w0")
    with pytest.raises(BadInput, match=r"fleet\.name: got 'w0'; allowed: a name that no other"):
        async with working(replace(fleet.settings("x"), fleet=fleet.settings("w0").fleet)):
            pass


async def test_of_two_workers_of_one_name_that_start_at_once_one_goes_on(fleet: Fleet) -> None:
    ours = fleet.settings("w0").fleet

    async def start(folder: str, stack: contextlib.AsyncExitStack) -> Working:
        settings = replace(fleet.settings(folder), fleet=ours)
        return await stack.enter_async_context(working(settings))

    stacks = [contextlib.AsyncExitStack() for _ in range(3)]
    found = await asyncio.gather(
        *(start(f"x{number}", stack) for number, stack in enumerate(stacks)),
        return_exceptions=True,
    )
    (one,) = (each for each in found if isinstance(each, Working))
    refused = [each for each in found if isinstance(each, BadInput)]
    assert [each.field for each in refused] == ["fleet.name"] * 2
    fleet.workers.add("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    assert one.service.unfinished() == [task]
    for stack in stacks:
        await stack.aclose()


async def test_a_task_is_moved_as_somebody_asks(fleet: Fleet) -> None:
    first = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    await fleet.worker("w1")
    await hear(first.bus, "w0")
    assert await first.bus.ask("w0", {"verb": "move", "task": task}, 20) == {"moved": True}
    await until(lambda: orders.registry.worker_of(task) == "w1")
    assert await first.bus.ask("w0", {"verb": "move", "task": task}, 5) == {}
    assert await first.bus.ask("w0", {"verb": "describe", "task": task}, 5) == {}
    assert await first.bus.ask("w0", {"verb": "unknown"}, 5) == {}
    assert (await first.bus.ask("w0", {"verb": "drain"}, 5)) == {"tasks": 0}
    assert first.worker.draining


async def test_the_last_worker_keeps_its_tasks(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    only = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    await only.worker.drain()
    assert only.service.unfinished() == [task]
    assert "no other worker takes over: 1 task left here" in caplog.text


async def test_a_drain_that_has_failed_may_be_begun_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    second = await fleet.worker("w1")
    failed = asyncio.Event()

    async def fail(*_: object) -> None:
        failed.set()
        raise BusUnavailable("the bus: no server is there")

    with monkeypatch.context() as patched:
        patched.setattr(first.bus, "hear_beats", fail)
        await hear(second.bus, "w0")
        assert await second.bus.ask("w0", {"verb": "drain"}, 5) == {"tasks": 1}
        await asyncio.wait_for(failed.wait(), 20)
    assert first.service.unfinished() == [task]
    async with asyncio.timeout(20):
        while second.service.unfinished() != [task]:
            await second.bus.ask("w0", {"verb": "drain"}, 5)


async def test_a_drain_listens_again_after_the_bus_was_away(fleet: Fleet) -> None:
    first = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    second = await fleet.worker("w1")
    await fleet.servers.kill(0)
    await until(lambda: not first.bus.connected)
    draining = asyncio.ensure_future(first.worker.drain())
    await asyncio.sleep(2 * worker.LISTEN)
    assert not draining.done(), "it has heard nobody, since nobody could be heard"
    await fleet.servers.start(0)
    await asyncio.wait_for(draining, 30)
    await until(lambda: second.service.unfinished() == [task])


async def test_a_task_that_is_taken_away_is_let_go_and_comes_back(fleet: Fleet) -> None:
    """As after a freeze: another worker has the task, and then this one again."""
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    table = orders.table
    stolen = await table.write(replace(table.records[task], epoch=2, worker="nobody"))
    assert stolen is not None
    await until(lambda: here.service.unfinished() == [])
    await until(lambda: table.records[task].worker == "w0")
    assert table.records[task].epoch == 3, "nobody is dead, so it comes back"
    await runs(fleet, orders, task)
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: len(fleet.events(task)) == 4)
    assert fleet.events(task) == [1101, 1106, 1102, 1105]


async def test_a_task_that_goes_while_it_is_taken_up_and_comes_back_has_one_robot(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    asked, told, tell = asyncio.Event(), asyncio.Event(), here.service.tell_trouble

    async def tell_slowly(task: str, text: str, unique: str = "") -> None:
        """As on a disk that is busy."""
        asked.set()
        await told.wait()
        await tell(task, text, unique)

    monkeypatch.setattr(here.service, "tell_trouble", tell_slowly)
    table = orders.table
    await table.write(given(replace(table.records[task], worker="dead"), "w0"))
    await asyncio.wait_for(asked.wait(), 20)
    await table.write(replace(table.records[task], epoch=3, worker="nobody"))
    await until(lambda: table.records[task].worker == "w0" and here.service.unfinished() == [task])
    told.set()
    await runs(fleet, orders, task)
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: fleet.events(task)[-1:] == [1105])
    assert fleet.events(task) == [1101, 1106, 1106, 1102, 1105]


async def test_a_robot_that_its_room_ends_for_its_successors_ends_no_task(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As LiveKit does, while the worker does not reach the bus."""
    engines = engines_of_workers(monkeypatch)
    first = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    second = await fleet.worker("w1")
    reaches, asked, leave = asyncio.Event(), asyncio.Event(), FleetRegistry.leave

    async def leave_later(self: FleetRegistry, task: str, code: LeaveCode) -> None:
        asked.set()
        await reaches.wait()
        await leave(self, task, code)

    with monkeypatch.context() as patched:
        patched.setattr(FleetRegistry, "leave", leave_later)
        engines[0].delete(task, EndReason.REPLACED)
        await asyncio.wait_for(asked.wait(), 20)
        table = orders.table
        await table.write(given(table.records[task], "w1"))
        await until(
            lambda: (first.service.unfinished(), second.service.unfinished()) == ([], [task])
        )
        reaches.set()
    await until(lambda: fleet.events(task) == [1101, 1106])
    await table.write(given(table.records[task], "w0"))
    await until(lambda: first.service.unfinished() == [task])
    await runs(fleet, orders, task)
    await until(lambda: fleet.events(task) == [1101, 1106, 1106])
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: fleet.events(task)[-1:] == [1105])
    assert fleet.events(task) == [1101, 1106, 1106, 1102, 1105]


async def test_a_robot_on_its_way_that_is_wanted_no_more_turns_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    create, sent, turned = Engine.create, asyncio.Event(), asyncio.Event()

    async def create_for_ever(_engine: Engine, _spec: TaskSpec) -> str:
        monkeypatch.setattr(Engine, "create", create)
        sent.set()
        try:
            return await asyncio.Event().wait() and ""
        finally:
            turned.set()

    monkeypatch.setattr(Engine, "create", create_for_ever)
    creating = asyncio.ensure_future(orders.create(fleet.app, moderation_order()))
    await asyncio.wait_for(sent.wait(), 20)
    (record,) = orders.table.records.values()
    await orders.table.write(replace(record, epoch=2, worker="nobody"))
    task = await asyncio.wait_for(creating, ANSWER / 2)
    assert turned.is_set()
    await until(lambda: here.service.unfinished() == [task])
    await runs(fleet, orders, task)


async def test_a_creation_that_failed_and_that_nobody_discards_is_tried_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PATIENCE", 0.1)
    await fleet.worker("w0")
    orders = await fleet.copy()

    async def dead(_task: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(orders, "discard", dead)
    with pytest.raises(RoomError):
        await orders.create(fleet.app, moderation_order("x1"))
    (record,) = orders.registry.unfinished()
    await until(lambda: 1106 in fleet.events(record.task))


async def test_that_another_worker_is_lost_is_told_once_also_after_a_restart(
    fleet: Fleet,
) -> None:
    orders = await fleet.copy()
    async with working(fleet.settings("w0")) as first:
        await until(lambda: orders.planner.roster.beat("w0") is not None)
        task = await orders.create(fleet.app, moderation_order())
        table = orders.table
        await table.write(given(replace(table.records[task], worker="dead"), "w0"))
        await until(lambda: fleet.events(task).count(1106) == 1)
        assert first.service.unfinished() == [task]
    async with working(fleet.settings("w0")) as second:
        await until(lambda: second.service.unfinished() == [task])
        await second.service.tell_trouble(task, "something else")
        await until(lambda: fleet.events(task).count(1106) == 2)
        lost = [one for one in fleet.customer.received if "worker dead is lost" in str(one)]
        assert len(lost) == 1


async def test_a_question_about_a_task_that_is_begun_nowhere_is_answered_in_the_end(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "REMEMBERED", 0.2)
    here = await fleet.worker("w0")
    await hear(here.bus, "w0")
    record = TaskRecord("task", 200806, 2, "another")
    question = {"verb": "begin", "task": "task", "record": to_json(record).decode(), "revision": 1}
    for _ in range(2):
        assert await here.bus.ask("w0", question, 5) == {}


async def test_while_the_bus_is_away_tasks_go_on_and_then_all_is_told(fleet: Fleet) -> None:
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    await fleet.servers.kill(0)
    await until(lambda: bool(orders.busy and here.busy))
    with pytest.raises((BusUnavailable, LimitReached)):
        await orders.create(fleet.app, moderation_order("another"))
    assert here.service.unfinished() == [task]
    await fleet.servers.start(0)
    await until(lambda: not orders.busy)
    async with asyncio.timeout(30):
        while True:
            try:
                await orders.delete(fleet.app, MODERATION, task)
                break
            except BusUnavailable:
                await asyncio.sleep(0.1)
    await until(lambda: fleet.events(task)[-1:] == [1105], 40)
    # One that was being sent as the server went may come twice, under the same id.
    assert list(dict.fromkeys(fleet.events(task))) == [1101, 1102, 1105]


async def test_a_room_whose_port_is_still_taken_is_tried_until_it_is_free(fleet: Fleet) -> None:
    """By the robot that is being replaced."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as earlier:
        earlier.bind(("127.0.0.1", 0))
        room = f"rtp://127.0.0.1:{earlier.getsockname()[1]}?audio=111:opus&rtcp=mux"
        fleet.app = replace(fleet.app, rooms=(("r*", room), *fleet.app.rooms))
        await fleet.mute()
        orders = await fleet.copy()
        task = await orders.create(fleet.app, moderation_order("r1"))
        await fleet.worker("w0")
        await orders.table.write(given(orders.table.records[task], "w0"))
        await until(lambda: fleet.events(task) == [1106, 1106])
        told = [str(one.told["EventInfo"]["Payload"]) for one in fleet.customer.received]
        assert "worker mute is lost" in told[0]
        assert "the task cannot be taken up" in told[1]
    await runs(fleet, orders, task)
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: fleet.events(task) == [1106, 1106, 1101, 1102, 1105])


def engines_of_workers(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    """Of workers that start from now on."""
    found = list[Engine]()

    def observed(*parts: Any) -> tuple[Notifier, Admission, Engine]:
        made = slicing(*parts)
        found.append(made[2])
        return made

    monkeypatch.setattr("slicer.service.fleet_serving.slicing", observed)
    return found


def copy_of(task: str, to: Path, number: int) -> tuple[str, bytes]:
    """A copy that a worker which is gone has left, of a slice that is to go into a folder."""
    began = datetime.fromtimestamp(number, UTC)
    info = SliceInfo(f"{task}/{number}.ogg", TrackKey(task, "ada", Kind.AUDIO), began, 1.0, 3)
    file = File(info, b"%03d" % number, "audio/ogg")
    key = f"{task}/00000001/gone-{number}.slice"
    return key, encode(describe(file, StoreUrls(to.as_uri()), 1, key)) + file.data


async def test_who_takes_a_task_over_delivers_what_has_copies(
    fleet: Fleet, seaweed: Seaweed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = seaweed.make_bucket("copies-of-a-worker")
    keys = {"copies_access_key": OWNER.access_key, "copies_secret_key": OWNER.secret_key}
    fleet.slices = {"copies": seaweed.url(bucket, "f"), **keys}
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    for number in range(2):
        key, data = copy_of(task, tmp_path / "out", number)
        seaweed.client.put_object(Bucket=bucket, Key=f"f/{key}", Body=data)
    seaweed.client.put_object(Bucket=bucket, Key=f"f/{task}/00000001/x-y.slice", Body=b"damaged")
    table = orders.table
    await table.write(given(replace(table.records[task], worker="dead"), "w0"))
    await until(lambda: len(list((tmp_path / "out").rglob("*.ogg"))) == 2)
    assert {one.read_bytes() for one in (tmp_path / "out").rglob("*.ogg")} == {b"000", b"001"}
    await until(lambda: seaweed.keys(bucket) == [f"f/{task}/00000001/x-y.slice"])
    assert "x-y.slice is left there" in caplog.text
    told = [str(one) for one in fleet.customer.received]
    assert any("dead is lost" in one and "is delivered by copies" in one for one in told)
    names = {one.name for one in await here.metrics()}
    assert "fleet_copies_written_total" in names


async def test_one_task_after_another_is_taken_over(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.slices = {"copies": "s3://nowhere/x?region=eu-west-1&endpoint=http://127.0.0.1:9"}
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    tasks = [
        await orders.create(fleet.app, moderation_order(f"room-{number}")) for number in range(3)
    ]
    steps = list[str]()

    async def of_others(*_: object) -> AsyncIterator[tuple[str, bytes]]:
        steps.append("begun")
        await asyncio.sleep(0.01)
        steps.append("done")
        for nothing in list[tuple[str, bytes]]():
            yield nothing

    monkeypatch.setattr(Copies, "of_others", of_others)
    table = orders.table
    for task in tasks:
        await table.write(given(replace(table.records[task], worker="dead"), "w0"))
    await until(lambda: len(steps) == 6)
    assert steps == ["begun", "done"] * 3
    assert sorted(here.service.unfinished()) == sorted(tasks)


async def test_copies_that_cannot_be_read_are_told_and_tried_while_the_task_is_here(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    async def of_others(*_: object) -> AsyncIterator[tuple[str, bytes]]:
        nonlocal tries
        tries += 1
        raise StorageError("", "nobody is there", "it is tried again")
        yield "", b""

    monkeypatch.setattr(Copies, "of_others", of_others)
    monkeypatch.setattr(worker, "BACKOFF", Backoff(first=0.02, most=0.02))
    fleet.slices = {"copies": "s3://nowhere/x?region=eu-west-1&endpoint=http://127.0.0.1:9"}
    here = await fleet.worker("w0")
    orders = await fleet.copy()
    task = await orders.create(fleet.app, moderation_order())
    table = orders.table
    await table.write(given(replace(table.records[task], worker="dead"), "w0"))
    await until(lambda: tries >= 2)
    assert caplog.text.count("what others have cut cannot be read") == 1
    await orders.delete(fleet.app, MODERATION, task)
    await until(lambda: fleet.events(task)[-1:] == [1105])
    assert here.service.unfinished() == []
    before = tries
    await asyncio.sleep(0.4)  # 20 tries
    assert tries <= before + 1, "one may have been under way"


async def test_a_worker_whose_disk_is_full_is_given_no_tasks(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await fleet.worker("w0")
    orders = await fleet.copy()
    monkeypatch.setattr("slicer.delivery.spool.spool.free_bytes", lambda _: 0)
    await until(lambda: "this worker is given no further tasks" in caplog.text)
    beat = orders.planner.roster.beat
    await until(lambda: (told := beat("w0")) is not None and told.load == 1.0)
    with pytest.raises(LimitReached, match="all are full or draining"):
        await orders.create(fleet.app, moderation_order())
    monkeypatch.undo()
    await until(lambda: "the spool has room again" in caplog.text)
