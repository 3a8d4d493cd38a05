"""Event streams: filtered, bounded, ended."""

import asyncio

import pytest

from slicer.engine.events import (
    EVENT_BUFFER,
    Event,
    EventsMissed,
    EventStream,
    EventStreams,
    TaskFinished,
    TaskTrouble,
)
from slicer.slicing.outputs import EndReason
from tests.harness.clock import EPOCH


def event(text: str, task: str = "t") -> TaskTrouble:
    return TaskTrouble(task, EPOCH, text)


async def everything(stream: EventStream) -> list[Event]:
    stream.close()
    return [one async for one in stream]


async def test_one_task_or_all() -> None:
    streams = EventStreams()
    one, every = streams.open("t"), streams.open(None)
    streams.tell(event("mine"))
    streams.tell(event("another's", task="u"))
    assert await everything(one) == [event("mine")]
    assert await everything(every) == [event("mine"), event("another's", task="u")]


@pytest.mark.parametrize("task", ["t", None])
async def test_who_is_too_slow_loses_the_oldest_and_is_told_how_many(task: str | None) -> None:
    stream = EventStream(task)
    for index in range(EVENT_BUFFER + 3):
        stream.tell(event(str(index)))
    events = await everything(stream)
    assert events[0] == EventsMissed(task or "", EPOCH, 3)
    assert events[1] == event("3")
    assert events[-1] == event(str(EVENT_BUFFER + 2))
    assert len(events) == EVENT_BUFFER + 1


async def test_a_stream_of_one_task_ends_with_it() -> None:
    one, every = EventStream("t"), EventStream(None)
    finished = TaskFinished("t", EPOCH, EndReason.STOPPED, 1, 0)
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


async def test_an_event_reaches_the_streams_of_its_task_and_those_of_all() -> None:
    streams = EventStreams()
    mine, every, others = streams.open("t"), streams.open(None), streams.open("u")
    streams.tell(event("mine"))
    streams.tell(event("another's", task="u"))
    assert await everything(mine) == [event("mine")]
    assert await everything(others) == [event("another's", task="u")]
    assert await everything(every) == [event("mine"), event("another's", task="u")]
    assert streams.open_now == 0


async def test_an_event_does_not_touch_the_streams_of_other_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touched: list[str | None] = []
    streams = EventStreams()
    for number in range(100):
        streams.open(str(number))
    streams.open(None)
    monkeypatch.setattr(EventStream, "tell", lambda self, _: touched.append(self.task))
    streams.tell(event("mine", task="7"))
    assert touched == [None, "7"]


async def test_the_last_event_ends_every_stream_of_its_task() -> None:
    streams = EventStreams()
    first, second = streams.open("t"), streams.open("t")
    finished = TaskFinished("t", EPOCH, EndReason.STOPPED, 1, 0)
    streams.tell(finished)
    assert [one async for one in first] == [one async for one in second] == [finished]
    assert streams.open_now == 0
    streams.tell(event("later"))


async def test_what_was_missed_is_counted_also_of_streams_that_are_closed() -> None:
    streams = EventStreams()
    slow, closed = streams.open(None), streams.open("t")
    for index in range(EVENT_BUFFER + 2):
        streams.tell(event(str(index)))
    closed.close()
    assert streams.missed == 4
    slow.close()
    assert (streams.missed, streams.open_now) == (4, 0)


async def test_closing_ends_all() -> None:
    streams = EventStreams()
    opened = [streams.open("t"), streams.open(None)]
    streams.close()
    assert all(stream.closed for stream in opened)
    assert [await everything(stream) for stream in opened] == [[], []]
