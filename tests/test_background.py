"""Work in the background is held, waited for, and heard of when it fails."""

import asyncio
import gc
import logging

import pytest

from slicer.background import Background


async def test_all_is_waited_for_and_what_is_started_meanwhile() -> None:
    background, done = Background(), list[str]()

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        background.start(second())
        done.append("first")

    background.start(first())
    gc.collect()
    assert len(background) == 1
    await background.wait()
    assert done == ["first", "second"]
    assert len(background) == 0


async def test_a_failure_is_logged_and_does_not_stop_the_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    background = Background()

    async def fail() -> None:
        raise ZeroDivisionError("nobody awaits this")

    background.start(fail())
    with caplog.at_level(logging.ERROR):
        await background.wait()
        await asyncio.sleep(0)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "nobody awaits this" in str(record.exc_info[1])


async def test_what_is_cancelled_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()
    background.start(asyncio.sleep(3600)).cancel()
    await background.wait()
    await asyncio.sleep(0)
    assert caplog.records == []


async def test_what_is_not_done_in_time_is_cancelled() -> None:
    background, done = Background(), list[str]()

    async def quick() -> None:
        done.append("quick")

    background.start(quick())
    slow = background.start(asyncio.sleep(3600))
    await background.finish(0.01)
    assert slow.cancelled()
    assert done == ["quick"]
    at_once = background.start(asyncio.sleep(3600))
    await background.finish(0.0)
    assert at_once.cancelled()
    await background.finish(1.0)


async def test_all_can_be_cancelled() -> None:
    background = Background()
    tasks = [background.start(asyncio.sleep(3600)) for _ in range(3)]
    background.cancel()
    await background.wait()
    assert all(task.cancelled() for task in tasks)


async def test_what_is_released_counts_no_longer_while_it_ends() -> None:
    background, counts = Background(), list[int]()

    async def work() -> None:
        counts.append(len(background))
        background.release()
        counts.append(len(background))

    await background.start(work())
    assert counts == [1, 0]
