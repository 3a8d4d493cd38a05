"""Reading a UDP socket by the batch."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from slicer.webrtc.drain import MAX_BATCH, TICK, Datagram, Drain, read_batch


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    receiving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiving.bind(("127.0.0.1", 0))
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    receiving.setblocking(False)
    sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sending.connect(receiving.getsockname())
    yield sending, receiving
    sending.close()
    receiving.close()


async def until(batches: list[list[Datagram]], count: int) -> list[bytes]:
    async with asyncio.timeout(20):
        while sum(map(len, batches)) < count:
            await asyncio.sleep(TICK / 2)
    return [data for batch in batches for data, _ in batch]


async def test_what_waits_comes_as_one_batch(pair: tuple[socket.socket, socket.socket]) -> None:
    sending, receiving = pair
    batches: list[list[Datagram]] = []
    for number in range(20):
        sending.send(bytes([number]))
    drain = Drain(receiving, batches.append)
    assert await until(batches, 20) == [bytes([number]) for number in range(20)]
    assert len(batches) == 1
    assert batches[0][0][1] == sending.getsockname()
    drain.close()


async def test_it_wakes_again_after_silence(pair: tuple[socket.socket, socket.socket]) -> None:
    sending, receiving = pair
    batches: list[list[Datagram]] = []
    drain = Drain(receiving, batches.append)
    for number in range(3):
        sending.send(bytes([number]))
        assert len(await until(batches, number + 1)) == number + 1
        await asyncio.sleep(TICK * 3)
    drain.close()


async def test_a_look_that_fails_is_not_the_last(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    sending, receiving = pair
    batches: list[list[Datagram]] = []
    looks = 0

    def read() -> tuple[list[Datagram], int]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OSError("the interface is gone")
        batch = read_batch(receiving)
        return batch, len(batch)

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    drain = Drain(receiving, batches.append, read)
    sending.send(b"x")
    assert await until(batches, 1) == [b"x"]
    drain.close()


async def test_one_look_is_bounded(pair: tuple[socket.socket, socket.socket]) -> None:
    sending, receiving = pair
    batches: list[list[Datagram]] = []
    for number in range(MAX_BATCH + 10):
        sending.send(number.to_bytes(2, "big"))
    drain = Drain(receiving, batches.append)
    got = await until(batches, MAX_BATCH + 10)
    assert [len(batch) for batch in batches] == [MAX_BATCH, 10]
    assert got == [number.to_bytes(2, "big") for number in range(MAX_BATCH + 10)]
    drain.close()


async def test_closing_from_inside_ends_it(pair: tuple[socket.socket, socket.socket]) -> None:
    sending, receiving = pair
    batches: list[list[Datagram]] = []

    def take(batch: list[Datagram]) -> None:
        batches.append(batch)
        drain.close()

    drain = Drain(receiving, take)
    sending.send(b"last")
    assert await until(batches, 1) == [b"last"]
    await asyncio.sleep(TICK * 3)
    drain.close()
    assert receiving.fileno() == -1


async def test_it_is_read_out_of_turn_a_batch_at_a_time(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    sending, receiving = pair
    batches: list[list[Datagram]] = []
    drain = Drain(receiving, batches.append)
    assert drain.read()
    for number in range(MAX_BATCH + 10):
        sending.send(number.to_bytes(2, "big"))
    assert not drain.read()
    assert drain.read()
    assert [len(batch) for batch in batches] == [MAX_BATCH, 10]
    drain.close()
    assert drain.read()
