"""What one upload of 60 KB costs, by vendor and client, at 1, 50 and 150 uploads a second.

A folder (synced to disk), S3 on a SeaweedFS of loopback, COS and OSS by way of fronts that check
signatures and put into the same SeaweedFS: their wait holds the front's work, their CPU does not.
`CPU` is this process's for each upload, servers and fronts excluded. One command gives the table:

    python -m bench.test_storage
"""

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console
from rich.table import Table

from slicer.storage import Storage, open_storage, s3_fast
from tests.harness.storage import cos_front, oss_front
from tests.harness.storage.object_front import running_front
from tests.harness.storage.objects import Target
from tests.harness.storage.seaweed import REGION, WRITER, Seaweed, running

DATA = bytes(range(256)) * 234
SIDE_BY_SIDE = 8
RATES = (1, 50, 150)
SECONDS = 4
CLIENTS = ("file", "s3 botocore", "s3 obstore", "cos", "oss")
STORES = 100
"""Stores that memory is measured over."""


@dataclass(frozen=True)
class Rack:
    """The running parts."""

    urls: dict[str, str]

    def open(self, client: str, prefix: str = "") -> Storage:
        vendor, _, which = client.partition(" ")
        s3_fast.FAST = which != "botocore" and obstore_is_there
        head, _, query = self.urls[vendor].partition("?")
        return open_storage(f"{head}{prefix}" + (f"?{query}" if query else ""), WRITER)


obstore_is_there = s3_fast.FAST


@contextmanager
def rack(folder: Path) -> Iterator[Rack]:
    with ExitStack() as stack:
        weed: Seaweed = stack.enter_context(running(folder))
        cos = stack.enter_context(running_front("cos_front", weed.endpoint))
        oss = stack.enter_context(running_front("oss_front", weed.endpoint))
        targets = (
            Target("s3", "bench", REGION, weed.endpoint),
            Target("oss", "bench", oss_front.REGION, oss),
            Target("cos", f"bench-{cos_front.APPID}", cos_front.REGION, cos),
        )
        for target in targets:
            weed.make_bucket(target.bucket)
        urls = {target.vendor: target.url() for target in targets}
        yield Rack({**urls, "file": (folder / "slices").as_uri() + "/"})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack(tmp_path_factory.mktemp("rack")) as made:
        yield made
    s3_fast.FAST = obstore_is_there


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture(params=CLIENTS)
def store(
    request: pytest.FixtureRequest, parts: Rack, loop: asyncio.AbstractEventLoop
) -> Iterator[Storage]:
    made = parts.open(request.param)
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


@dataclass(frozen=True)
class Figures:
    """Milliseconds."""

    cpu: float
    median: float
    slowest: float
    """The 99th percentile."""


async def at_rate(store: Storage, rate: int) -> Figures:
    """Uploads that begin *rate* times a second, whether the last one is through or not."""
    await puts(store, SIDE_BY_SIDE)
    count, waits = max(rate * SECONDS, 5), list[float]()
    begun, cpu = time.perf_counter(), time.process_time()

    async def one(number: int) -> None:
        due = begun + number / rate
        await asyncio.sleep(due - time.perf_counter())
        await store.put(f"anchor/{number}.ogg", DATA, "audio/ogg")
        waits.append(time.perf_counter() - due)

    await asyncio.gather(*(one(number) for number in range(count)))
    waits.sort()
    spent = (time.process_time() - cpu) / count
    return Figures(spent * 1e3, waits[count // 2] * 1e3, waits[int(count * 0.99)] * 1e3)


def memory() -> int:
    """Bytes resident."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def memory_of_one(parts: Rack, client: str) -> float:
    """KB for each further store that has put once."""
    first = parts.open(client, "first")
    await first.put("a", b"x", "audio/ogg")
    before = memory()
    stores = [parts.open(client, f"store-{number}") for number in range(STORES)]
    for store in stores:
        await store.put("a", b"x", "audio/ogg")
    grown = (memory() - before) / STORES / 1024
    for store in [first, *stores]:
        await store.close()
    return grown


async def measured(parts: Rack) -> Table:
    heads = [f"{rate}/s: CPU, median, p99 [ms]" for rate in RATES]
    table = Table("client", *heads, "KB a further store")
    for client in CLIENTS:
        store = parts.open(client)
        rows = [await at_rate(store, rate) for rate in RATES]
        await store.close()
        cells = [f"{row.cpu:.2f}  {row.median:.1f}  {row.slowest:.1f}" for row in rows]
        table.add_row(client, *cells, f"{await memory_of_one(parts, client):.0f}")
    return table


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, rack(Path(folder)) as parts:
        Console(width=140).print(asyncio.run(measured(parts)))


if __name__ == "__main__":
    main()
