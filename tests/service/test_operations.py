"""What an operator sees of a real service, and does, while its callbacks fail."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slicer.media.slice import File
from slicer.service.applications import Application
from slicer.service.order import Product
from slicer.service.serving import serving
from slicer.service.settings import ServeSettings, ServiceSettings
from tests.harness.service.orders import moderation_order

# Its callbacks fail: loopback is private.
APP = Application(
    200806,
    rooms=(("*", "whip://127.0.0.1:0/{room}"),),
    callback_key="key",
    callback_url="http://127.0.0.1:9/",
)


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await done():
            await asyncio.sleep(0.005)


@pytest.mark.usefixtures("supplier")
async def test_what_an_operator_sees_and_does(tmp_path: Path) -> None:
    settings = ServiceSettings(serve=ServeSettings(state=str(tmp_path / "state")), apps=(APP,))
    async with serving(settings) as service:
        operations = service.operations
        assert operations.folder == tmp_path / "state"
        assert operations.tasks() == []
        with_events = operations.events()
        task = await service.create(APP, moderation_order())
        (view,) = operations.tasks()
        assert (view.task, view.app, view.room) == (task, 200806, "lobby")
        assert (view.product, view.user) == ("moderation", "judge")
        assert view.status is not None
        assert (await anext(with_events)).task == task
        with_events.close()

        async def failed() -> bool:
            found = (await operations.waiting()).callbacks
            return bool(found) and found[0].tries > 0

        await until(failed)
        health = await operations.health()
        assert health.callbacks["waiting"] >= 1
        assert health.callbacks["given_up"] == 0
        assert health.callbacks["failed"] >= 1
        assert [supplier.label for supplier in health.suppliers] == ["scripted"]
        assert health.spool is None

        async def tried_again() -> bool:  # not while a try of its own is under way
            return await operations.try_callbacks_again() == 1

        await until(tried_again)
        assert operations.try_slices_again() == 0
        assert not operations.drop_slice("none", "by mara")
        head = (await operations.waiting()).callbacks[0]

        async def dropped() -> bool:
            return await operations.drop_callback(head.webhook.id, "by mara")

        await until(dropped)
        left = (await operations.waiting()).callbacks
        assert head.webhook.id not in [one.webhook.id for one in left]
        seen: list[File] = []
        operations.watch(seen.append)
        operations.watch(None)
        await service.delete(APP, Product.MODERATION, task)


@pytest.mark.usefixtures("supplier")
async def test_a_task_on_its_way_has_no_status(tmp_path: Path) -> None:
    settings = ServiceSettings(serve=ServeSettings(state=str(tmp_path / "state")), apps=(APP,))
    async with serving(settings) as service:
        await service.create(APP, moderation_order())
    elsewhere = replace(APP, rooms=(("*", "whip://192.0.2.1:1/{room}"),))
    async with serving(replace(settings, apps=(elsewhere,))) as service:
        (view,) = service.operations.tasks()
        assert view.status is None
