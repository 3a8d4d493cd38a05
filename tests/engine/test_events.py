"""Event streams: filtered, bounded, ended."""

import asyncio

import pytest

from slicer.engine.events import (
    EVENT_BUFFER,
    Event,
    EventsMissed,
    EventStream,
    TaskFinished,
    TaskTrouble,
)
from slicer.slicing.outputs import LeaveCode
from tests.harness.clock import EPOCH


def event(text: str, task: str = "t") -> TaskTrouble:
    return TaskTrouble(task, EPOCH, text)


async def everything(stream: EventStream) -> list[Event]:
    stream.close()
    return [one async for one in stream]


async def test_one_task_or_all() -> None:
    one, every = EventStream("t"), EventStream(None)
    for stream in (one, every):
        stream.tell(event("mine"))
        stream.tell(event("another's", task="u"))
    assert await everything(one) == [event("mine")]
    assert await everything(every) == [event("mine"), event("another's", task="u")]


async def test_who_is_too_slow_loses_the_oldest_and_is_told_how_many() -> None:
    stream = EventStream(None)
    for index in range(EVENT_BUFFER + 3):
        stream.tell(event(str(index)))
    events = await everything(stream)
    assert events[0] == EventsMissed(3)
    assert events[1] == event("3")
    assert events[-1] == event(str(EVENT_BUFFER + 2))
    assert len(events) == EVENT_BUFFER + 1


async def test_a_stream_of_one_task_ends_with_it() -> None:
    one, every = EventStream("t"), EventStream(None)
    finished = TaskFinished("t", EPOCH, LeaveCode.STOPPED, 1, 0)
    for stream in (one, every):
        stream.tell(finished)
    assert [event async for event in one] == [finished]
    assert not every.closed


async def test_leaving_the_stream_ends_it() -> None:
    async with EventStream(None) as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert stream.closed
    stream.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.01)
