"""What one upload of 60 KB costs: a folder (synced to disk), and S3 on a SeaweedFS of loopback.

`alone` is the wait for one upload, `side by side` that for eight which go together, and `CPU`
this process's CPU time for eight, the store's own excluded.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from slicer.storage import Storage, open_storage
from tests.harness.seaweed import WRITER, Seaweed, running

DATA = bytes(range(256)) * 234
SIDE_BY_SIDE = 8


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with running(tmp_path_factory.mktemp("weed")) as store:
        store.make_bucket("bench")
        yield store


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture(params=["file", "s3"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> Iterator[Storage]:
    if request.param == "file":
        made = open_storage(tmp_path.as_uri())
    else:
        weed: Seaweed = request.getfixturevalue("weed")
        made = open_storage(weed.url("bench"), WRITER)
    loop.run_until_complete(made.check())
    yield made
    loop.run_until_complete(made.close())


async def puts(store: Storage, count: int) -> None:
    await asyncio.gather(*(store.put(f"anchor/{i}.ogg", DATA, "audio/ogg") for i in range(count)))


@pytest.mark.benchmark(group="upload 60 KB: alone")
def test_alone(
    benchmark: BenchmarkFixture, store: Storage, loop: asyncio.AbstractEventLoop
) -> None:
    benchmark(lambda: loop.run_until_complete(puts(store, 1)))


@pytest.mark.benchmark(group="upload 60 KB: eight side by side")
def test_side_by_side(
    benchmark: BenchmarkFixture, store: Storage, loop: asyncio.AbstractEventLoop
) -> None:
    benchmark(lambda: loop.run_until_complete(puts(store, SIDE_BY_SIDE)))
    benchmark.extra_info["uploads"] = SIDE_BY_SIDE


@pytest.mark.benchmark(group="upload 60 KB: CPU of this process", timer=time.process_time)
def test_cpu(benchmark: BenchmarkFixture, store: Storage, loop: asyncio.AbstractEventLoop) -> None:
    benchmark(lambda: loop.run_until_complete(puts(store, SIDE_BY_SIDE)))
    benchmark.extra_info["uploads"] = SIDE_BY_SIDE
