"""Orders carried out: rooms, limits, ownership, replacement, and every kind of restart."""

import asyncio
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from slicer.engine.engine import Engine
from slicer.errors import BadInput, LimitReached, RoomError, TaskEnded, TaskNotExist
from slicer.service.applications import Application
from slicer.service.leave_code import LeaveCode
from slicer.service.notifier import Notifier
from slicer.service.order import Order, Product
from slicer.service.service import DAY, HOUR
from slicer.service.settings import ServiceSettings
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.slicing.outputs import State
from slicer.slicing.spec import AudioSpec, SliceParams
from slicer.slicing.subscription import Subscription
from tests.harness.clock import ManualClock
from tests.harness.moderation.scripted import ScriptedSupplier, install
from tests.harness.rooms.replay import talk
from tests.harness.rooms.streams import of_folder, served, write_hls
from tests.harness.service.orders import (
    BUCKET,
    LISTS,
    SECRETS,
    live_order,
    moderation_order,
    slice_order,
)
from tests.harness.service.world import APP, HERE, OTHER, VENDORS, world

LISTS_NOW = Subscription.of(block_audio=["dan"])
SLICE, MODERATION = Product.SLICE, Product.MODERATION


async def test_the_task_of_a_stream_has_a_life_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, ScriptedSupplier(), "local")
    write_hls(tmp_path)
    app = replace(APP, streams=("http://127.0.0.1:*",))
    with served(of_folder(tmp_path)) as site:
        async with world(tmp_path, (app,)) as here:
            order = live_order(f"http://127.0.0.1:{site.port}/index.m3u8", hours=2)
            task = await here.service.create(app, order)
            with pytest.raises(BadInput, match="stream: "):
                await here.service.create(app, live_order("http://elsewhere/index.m3u8"))
            await here.until(lambda: bool(here.events(task)))
            here.clock.advance(2 * HOUR - 1)
            assert (await here.service.describe(app, Product.LIVE, task)).task == task
            here.clock.advance(2)
            await here.ended(task)
            assert here.events(task)[:2] == [(1101, 0), (1102, 0)]


async def test_a_task_from_its_order_to_its_end(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        record = here.registry.get(task)
        assert record is not None
        assert (record.app, record.order) == (200806, slice_order())
        assert record.expires - record.created == 72 * HOUR
        status = await here.service.describe(APP, SLICE, task)
        assert (status.task, status.state, status.tracks) == (task, State.RUNNING, ())
        assert status.subscription == LISTS
        await here.service.modify(APP, SLICE, task, LISTS_NOW)
        assert (await here.service.describe(APP, SLICE, task)).subscription == LISTS_NOW
        await here.service.delete(APP, SLICE, task)
        await here.ended(task)
        assert here.events(task) == [(1001, 0), (1002, 0), (1005, 0)]
        with pytest.raises(TaskEnded):
            await here.service.describe(APP, SLICE, task)
        with pytest.raises(TaskEnded):
            await here.service.modify(APP, SLICE, task, LISTS)
        with pytest.raises(TaskEnded):
            await here.service.delete(APP, SLICE, task)


@pytest.mark.parametrize("product", [SLICE, Product.LIVE])
async def test_an_end_that_is_not_kept_is_kept_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, product: Product
) -> None:
    """A disk that is full when the robot leaves: else the next start would send it again."""
    first = 1001 if product is SLICE else 1101
    full = AsyncMock(side_effect=OSError(28, "No space left on device"))
    async with world(tmp_path) as here:
        task = await here.service.create(APP, replace(slice_order(hours=2), product=product))
        await here.until(lambda: here.events(task) == [(first, 0)])
        with monkeypatch.context() as patched:
            patched.setattr(SqliteRegistry, "leave", full)
            here.clock.advance(2 * HOUR)  # a life of its own is over
            if product is SLICE:
                here.engine.delete(task)
            await here.until(lambda: full.called)
        assert here.events(task) == [(first, 0)]
        here.clock.advance(5.0)
        await here.ended(task)
        assert here.events(task) == [(first, 0), (first + 1, 0), (first + 4, 0)]


@pytest.mark.parametrize(("part", "what"), [(SqliteRegistry, "prune"), (Notifier, "note")])
async def test_a_fault_as_a_task_ends_keeps_nothing_waiting(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    part: type,
    what: str,
) -> None:
    fault = AsyncMock(side_effect=OSError(28, "No space left on device"))
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        await here.until(lambda: here.events(task) == [(1001, 0)])
        monkeypatch.setattr(part, what, fault)
        here.engine.delete(task)
        await here.until(lambda: fault.called)
        async with asyncio.timeout(10):
            await here.service.let_go(task)
            await here.service.gone(task)
    assert ("work in the background failed" in caplog.text) is (part is Notifier)


async def test_a_task_that_is_discarded_as_its_robot_leaves_is_told_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    leave, left = SqliteRegistry.leave, asyncio.Event()

    async def discarded(self: SqliteRegistry, task: str, code: LeaveCode) -> None:
        await leave(self, task, code)
        await self.discard(task)
        left.set()

    monkeypatch.setattr(SqliteRegistry, "leave", discarded)
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        await here.until(lambda: here.events(task) == [(1001, 0)])
        here.engine.delete(task)
        await asyncio.wait_for(left.wait(), 10)
        await asyncio.wait_for(here.service.gone(task), 10)
        assert here.events(task) == [(1001, 0)]
    assert "work in the background failed" not in caplog.text


async def test_a_code_that_was_not_written_is_not_known(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        await here.registry.close()
        with pytest.raises(RuntimeError):
            await here.registry.leave(task, LeaveCode.STOPPED)
        record = here.registry.get(task)
        assert record is not None
        assert record.code is None


async def test_a_store_that_refuses_fails_nothing_and_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        await here.until(lambda: any(one.event == 1006 for one in here.told.values()))
        (trouble,) = [one for one in here.told.values() if one.event == 1006]
        assert json.loads(trouble.payload)["Payload"]["Code"] == 1
        assert not [secret for secret in SECRETS if secret in trouble.payload]
        assert (await here.service.describe(APP, SLICE, task)).state is State.RUNNING


@pytest.mark.usefixtures("supplier")
async def test_only_the_owner_may_ask(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, moderation_order())
        for app, service, name in (
            (OTHER, MODERATION, task),
            (APP, SLICE, task),
            (APP, MODERATION, "nobody"),
        ):
            with pytest.raises(TaskNotExist):
                await here.service.describe(app, service, name)
            with pytest.raises(TaskNotExist):
                await here.service.modify(app, service, name, LISTS)
            with pytest.raises(TaskNotExist):
                await here.service.delete(app, service, name)
        assert (await here.service.describe(APP, MODERATION, task)).state is State.RUNNING


async def test_an_expired_id_answers_no_more_while_the_task_runs_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order(hours=6))
        here.clock.advance(6 * HOUR - 1)
        assert (await here.service.describe(APP, SLICE, task)).state is State.RUNNING
        here.clock.advance(1)
        with pytest.raises(TaskNotExist):
            await here.service.describe(APP, SLICE, task)
        with pytest.raises(TaskNotExist):
            await here.service.delete(APP, SLICE, task)
        assert here.engine.describe(task).state is State.RUNNING


@pytest.mark.parametrize(
    ("order", "app", "field"),
    [
        (slice_order(), replace(APP, rooms=(("live*", HERE),)), "room_id"),
        (slice_order("a b", room_type=0), APP, "room_id"),
        (slice_order(bucket=replace(BUCKET, vendor=3)), APP, "vendor"),
        (slice_order(bucket=replace(BUCKET, bucket="UPPER")), APP, "storage.bucket"),
    ],
)
async def test_an_order_that_cannot_work(
    tmp_path: Path, order: Order, app: Application, field: str
) -> None:
    async with world(tmp_path) as here:
        with pytest.raises(BadInput) as refused:
            await here.service.create(app, order)
        assert refused.value.field == field
        assert (list(here.registry.unfinished()), here.told) == ([], {})


async def test_a_room_that_cannot_be_entered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = replace(APP, rooms=(("*", "whip://192.0.2.1:1/{room}"),))
    async with world(tmp_path) as here:
        with pytest.raises(RoomError):
            await here.service.create(app, slice_order())
        assert (list(here.registry.unfinished()), here.told) == ([], {})
    assert "! 1 task could not be begun: room '150' of application 200806: " in caplog.text


async def test_more_streams_than_allowed(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        tasks = [await here.service.create(APP, slice_order(str(n))) for n in range(1, 4)]
        with pytest.raises(LimitReached, match="max_streams: 3 of 3"):
            await here.service.create(APP, slice_order("4"))
        assert await here.service.create(OTHER, slice_order("4"))
        # The same robot again takes its own place.
        await here.service.create(APP, slice_order("1"))
        await here.service.delete(APP, SLICE, tasks[1])
        assert await here.service.create(APP, slice_order("5"))


async def test_creations_at_once_keep_the_limit(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        orders = [here.service.create(APP, slice_order(str(n))) for n in range(1, 10)]
        results = await asyncio.gather(*orders, return_exceptions=True)
        assert sum(isinstance(one, str) for one in results) == 3
        assert sum(isinstance(one, LimitReached) for one in results) == 6


async def test_the_same_robot_in_the_same_room_ends_its_earlier_task(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        first = await here.service.create(APP, slice_order())
        elsewhere = await here.service.create(APP, slice_order("151"))
        others = await here.service.create(OTHER, slice_order())
        second = await here.service.create(APP, slice_order())
        await here.ended(first)
        assert here.events(first) == [(1001, 0), (1002, 101), (1005, 0)]
        for app, task in ((APP, second), (APP, elsewhere), (OTHER, others)):
            assert (await here.service.describe(app, SLICE, task)).state is State.RUNNING


async def test_a_robot_alone_too_long_leaves(tmp_path: Path) -> None:
    params = SliceParams(AudioSpec(15), None, max_idle=1)
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order(params=params))
        await here.ended(task)
        assert here.events(task) == [(1001, 0), (1002, 99), (1005, 0)]
    async with world(tmp_path) as here:
        with pytest.raises(TaskEnded):
            await here.service.describe(APP, SLICE, task)


@pytest.mark.usefixtures("supplier")
async def test_moderation_has_its_own_messages_and_keeps_nothing(tmp_path: Path) -> None:
    room = talk(tmp_path / "ada.rtpdump", 30)
    app = replace(APP, rooms=(("*", room),))
    async with world(tmp_path, apps=(app,)) as here:
        task = await here.service.create(app, moderation_order())
        await here.ended(task)
        assert here.events(task) == [(1101, 0), (1102, 4), (1105, 0)]
        finished = await here.engine.finished(task)
        assert (finished.stored, finished.judged, finished.lost) == (0, 2, 0)


async def test_a_caller_who_gives_up_leaves_nothing_behind(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        add, reached = here.registry.add, asyncio.Event()

        async def slow(record: object) -> None:
            reached.set()
            await add(record)  # type: ignore[arg-type]

        here.registry.add = slow  # type: ignore[method-assign]
        creating = asyncio.ensure_future(here.service.create(APP, slice_order()))
        await reached.wait()
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
    async with world(tmp_path) as here:
        assert (list(here.registry.unfinished()), here.told) == ([], {})


@pytest.mark.parametrize("count", [1, 10])
async def test_a_restart_takes_every_task_up_again(tmp_path: Path, count: int) -> None:
    app = replace(APP, max_streams=100)
    async with world(tmp_path, apps=(app,)) as here:
        tasks = [await here.service.create(app, slice_order(str(n + 1))) for n in range(count)]
        await here.service.modify(app, SLICE, tasks[0], LISTS_NOW)
        ended = await here.service.create(app, slice_order("999"))
        await here.service.delete(app, SLICE, ended)
        await here.ended(ended)
    assert {event for task in tasks for event, _ in here.events(task)} == {1001}
    async with world(tmp_path, apps=(app,)) as here:
        await here.until(lambda: all(here.state(t) is State.RUNNING for t in tasks))
        assert here.engine.describe(tasks[0]).subscription == LISTS_NOW
        with pytest.raises(TaskEnded):
            await here.service.describe(app, SLICE, ended)
        for task in tasks:
            await here.service.delete(app, SLICE, task)
            await here.ended(task)
            assert here.events(task) == [(1001, 0), (1002, 0), (1005, 0)]


async def test_a_task_that_was_being_left_is_not_taken_up(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        await here.registry.leave(task, LeaveCode.STOPPED)
        killed = shutil.copytree(tmp_path, tmp_path / "killed")
    async with world(killed) as here:
        await here.ended(task)
        assert here.events(task) == [(1002, 0), (1005, 1)]
        with pytest.raises(TaskNotExist):
            here.engine.describe(task)


@pytest.mark.parametrize("sent", [True, False])
async def test_the_last_message_waits_for_slices_that_the_spool_still_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        await here.registry.leave(task, LeaveCode.STOPPED)
        killed = shutil.copytree(tmp_path, tmp_path / "killed")
    settled = asyncio.Event()

    async def wait(_engine: Engine, _task: str) -> bool:
        await settled.wait()
        return sent

    monkeypatch.setattr(Engine, "settled", wait)
    async with world(killed) as here:
        await here.until(lambda: here.events(task) == [(1002, 0)])
        settled.set()
        if sent:
            await here.ended(task)
    last = [(1002, 0), (1005, 1)] if sent else [(1002, 0)]
    assert here.events(task) == last, "the next process ends it, where this one could not send"


async def test_a_room_that_is_closed_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
    busy = replace(APP, rooms=(("*", "whip://192.0.2.1:1/{room}"),))
    async with world(tmp_path, apps=(busy,)) as here:
        await here.until(lambda: bool(here.clock.timers))
        status = await here.service.describe(busy, SLICE, task)
        assert (status.state, status.subscription) == (State.RECONNECTING, LISTS)
        await here.service.modify(busy, SLICE, task, LISTS_NOW)
        assert (await here.service.describe(busy, SLICE, task)).subscription == LISTS_NOW
        assert [one.event for one in here.told.values()] == [1006]
    monkeypatch.setattr("slicer.service.retry.PATIENCE", 0.0)
    async with world(tmp_path, apps=(busy,)) as here:
        await here.ended(task)
        assert here.events(task) == [(1002, 100), (1005, 1)]


async def test_deleted_on_its_way_back(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
    busy = replace(APP, rooms=(("*", "whip://192.0.2.1:1/{room}"),))
    async with world(tmp_path, apps=(busy,)) as here:
        await here.until(lambda: bool(here.clock.timers))
        deletions = (here.service.delete(busy, SLICE, task) for _ in range(2))
        await asyncio.gather(*deletions)
        await here.ended(task)
        assert here.events(task) == [(1002, 0), (1005, 1)]
        with pytest.raises(TaskEnded):
            await here.service.describe(busy, SLICE, task)


async def test_an_app_that_is_no_longer_configured(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
    async with world(tmp_path, apps=(OTHER,)) as here:
        await here.ended(task)
        assert here.events(task) == [(1002, 3), (1005, 1)]


async def test_settings_without_a_tasks_application_or_room_change_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        task = await here.service.create(APP, slice_order())
        with pytest.raises(BadInput, match="apps"):
            here.service.reload(ServiceSettings(vendors=VENDORS, apps=(OTHER,)))
        here.service.reload(ServiceSettings(vendors=VENDORS, apps=(APP,)))
        assert here.service.unfinished() == [task]


async def test_more_tasks_than_the_engine_takes_any_more(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        tasks = [await here.service.create(APP, slice_order(str(n))) for n in (1, 2)]
    async with world(tmp_path, max_tasks=1) as here:

        def running() -> int:
            states = [here.state(task) for task in tasks]
            return states.count(State.RUNNING)

        await here.until(lambda: running() == 1 and bool(here.clock.timers))
        gone = next(t for t in tasks if here.state(t) is State.RUNNING)
        await here.service.delete(APP, SLICE, gone)
        await here.ended(gone)
        here.clock.advance(2.0)
        (left,) = [task for task in tasks if task != gone]
        await here.until(lambda: here.state(left) is State.RUNNING)


async def test_what_ended_is_forgotten_after_some_days(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world(tmp_path, clock=clock) as here:
        task = await here.service.create(APP, slice_order(hours=720))
        await here.service.delete(APP, SLICE, task)
        await here.ended(task)
        clock.advance(7 * DAY + 1)
        other = await here.service.create(APP, slice_order(hours=720))
        with pytest.raises(TaskEnded):
            await here.service.describe(APP, SLICE, task)
        await here.service.delete(APP, SLICE, other)
        await here.until(lambda: here.registry.get(task) is None)
        with pytest.raises(TaskNotExist):
            await here.service.describe(APP, SLICE, task)


@pytest.mark.usefixtures("supplier")
async def test_no_secret_is_logged_or_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "slicer")
    async with world(tmp_path) as here:
        for order in (slice_order(), moderation_order()):
            task = await here.service.create(APP, order)
            await here.service.delete(APP, order.product, task)
            await here.ended(task)
        with pytest.raises(BadInput) as refused:
            await here.service.create(replace(APP, rooms=()), slice_order())
        shown = "".join(message.payload for message in here.told.values())
    shown += caplog.text + str(refused.value) + repr(here.registry.get(task))
    stored = b"".join(one.read_bytes() for one in (tmp_path / "state").iterdir())
    assert not [secret for secret in SECRETS if secret in shown or secret.encode() in stored]
