"""What one event costs with few tasks and with many, each with a stream that is read.

    python -m pytest bench/test_events.py --benchmark-only --benchmark-columns=min,median

The table gives microseconds for BATCH events.
"""

import asyncio
from datetime import UTC, datetime

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from slicer.engine.events import EventStreams, TaskTrouble

BATCH = 10
AT = datetime(2025, 1, 6, tzinfo=UTC)


@pytest.mark.benchmark(group=f"{BATCH} events, each told to the stream of its task")
@pytest.mark.parametrize("tasks", [10, 100, 1_000, 10_000])
def test_tell(benchmark: BenchmarkFixture, tasks: int) -> None:
    streams = EventStreams()
    opened = [streams.open(str(number)) for number in range(tasks)]
    step = tasks // BATCH
    heard = opened[::step]
    events = [TaskTrouble(str(number), AT, "") for number in range(0, tasks, step)]

    async def take() -> None:
        for stream in heard:
            await anext(stream)

    def tell() -> None:
        for event in events:
            streams.tell(event)

    with asyncio.Runner() as runner:
        benchmark.pedantic(  # type: ignore[no-untyped-call]
            tell, setup=lambda: None, teardown=lambda: runner.run(take()), rounds=200
        )
