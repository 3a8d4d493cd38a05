"""Server-sent events: what a page is told, and what a slow or a late one costs."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from slicer.console.live import HEARTBEAT, MAX_PAGES, PACE, TASKS_EVERY, Live
from slicer.console.wall import Wall
from slicer.service.operations import TaskView
from tests.harness.clock import ManualClock, settle


class World:
    def __init__(self) -> None:
        self.wall, self.clock = Wall(), ManualClock()
        self.views: list[TaskView] = []
        self.asked = self.renewed = 0
        self.on = True
        self.live = Live(self.wall, self.tasks, self.clock)

    def tasks(self) -> list[TaskView]:
        self.asked += 1
        return self.views

    def renew(self) -> None:
        self.renewed += 1

    def page(self) -> AsyncIterator[str]:
        return self.live.stream(self.renew, lambda: self.on)

    async def next(self, page: AsyncIterator[str]) -> tuple[str, Any]:
        """The next event, however long it takes."""
        coming = asyncio.ensure_future(anext(page))
        while not coming.done():
            await settle()
            self.clock.advance(PACE)
        name, data = (await coming).removesuffix("\n\n").split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_a_page_is_told_what_is_and_what_changes() -> None:
    world = World()
    world.wall.take("t", "ada\n\ndata: x", "")
    page = world.page()
    name, data = await world.next(page)
    assert (name, data["whole"], data["tiles"][0]["anchor"]) == ("wall", True, "ada\n\ndata: x")
    assert await world.next(page) == ("tasks", [])
    tile = world.wall.take("t", "bo", "")
    assert tile
    for _ in range(1_000):
        world.wall.changed(tile)
    name, data = await world.next(page)
    assert [one["anchor"] for one in data["tiles"]] == ["bo"], "a slow page gets the newest, once"
    world.wall.remove(tile)
    assert (await world.next(page))[1]["gone"] == [tile.identity]
    world.views = [TaskView("t", 1, "slice", "150", "robot", 0.0, None)]
    name, data = await world.next(page)
    assert (name, data[0]["room"]) == ("tasks", "150")


async def test_it_beats_and_renews() -> None:
    world = World()
    page = world.page()
    await world.next(page)
    await world.next(page)
    began, renewed = world.clock.now(), world.renewed
    assert (await world.next(page))[0] == "beat"
    assert world.clock.now() - began >= HEARTBEAT - PACE
    assert world.renewed - renewed >= HEARTBEAT / PACE - 2


async def test_pages_share_one_list_of_tasks() -> None:
    world = World()
    pages = [world.page() for _ in range(5)]
    for page in pages:
        await world.next(page)
        await world.next(page)
    passed = world.clock.now()
    assert world.asked <= passed / TASKS_EVERY + 1


async def test_pages_are_bounded() -> None:
    world = World()
    pages = [world.page() for _ in range(MAX_PAGES)]
    for page in pages:
        assert not world.live.full
        await world.next(page)
    assert world.live.full
    assert world.live.refused == 1
    await pages[0].aclose()  # type: ignore[attr-defined]
    assert not world.live.full


@pytest.mark.parametrize("how", ["session", "console"])
async def test_a_stream_ends(how: str) -> None:
    world = World()
    page = world.page()
    await world.next(page)
    await world.next(page)
    if how == "session":
        world.on = False
    else:
        world.live.close()
    with pytest.raises(StopAsyncIteration):
        await world.next(page)
    assert world.live.pages == 0
