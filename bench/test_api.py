"""What one create costs in CPU, signed, from ASGI message to answer; and what verifying it costs.

The taker of orders is a recorder: this is the API alone. A second group measures it behind its
real server, on loopback, with a client in another process whose own CPU is not counted.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from slicer.api import ApiSettings, Listen, make_app, open_server
from slicer.api.keys import Keys
from slicer.api.signature import Message
from tests.harness.service.api import APP, KEY, KEY_ID, NOW, Recorder, authorize, exchange, seed

ACTION = "CreateCloudSliceTask"
BATCH = 100


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


def signed(number: int) -> Message:
    """A create of its own, so that none is a replay."""
    body = json.dumps(seed(ACTION) | {"UserId": f"robot-{number}"}).encode()
    headers = {
        "content-type": "application/json",
        "host": "127.0.0.1",
        "x-tc-action": ACTION,
        "x-tc-version": "2019-07-22",
        "x-tc-region": "ap-singapore",
        "x-tc-timestamp": str(NOW),
    }
    message = Message("POST", "/", "", headers, body)
    headers["authorization"] = authorize(message, NOW, KEY_ID, KEY)
    return message


MESSAGES = [signed(number) for number in range(BATCH)]


def answers(loop: asyncio.AbstractEventLoop, settings: ApiSettings) -> None:
    app = make_app({APP.sdk_app_id: APP}, Recorder(), settings, now=lambda: NOW)

    async def creates() -> None:
        for message in MESSAGES:
            _, body = await exchange(app, "POST", b"", message.headers, message.body)
            assert b'"TaskId"' in body

    loop.run_until_complete(creates())


@pytest.mark.benchmark(group=f"{BATCH} creates: CPU", timer=time.process_time)
@pytest.mark.parametrize("insecure", [False, True], ids=["signed", "insecure"])
def test_creates(
    benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, insecure: bool
) -> None:
    settings = ApiSettings(rate=10**9, insecure=insecure)
    benchmark(lambda: answers(loop, settings))
    benchmark.extra_info["creates"] = BATCH


@pytest.mark.benchmark(group=f"{BATCH} creates: CPU", timer=time.process_time)
def test_verification_alone(benchmark: BenchmarkFixture) -> None:
    keys = Keys([APP])

    def verify() -> None:
        for message in MESSAGES:
            keys.authenticate(message, NOW)

    benchmark(verify)
    benchmark.extra_info["creates"] = BATCH


# Each request in one segment: in two, Nagle's algorithm would wait for the server's ACK.
CLIENT = """
import json, socket, sys
told = json.load(sys.stdin)
with socket.create_connection(("127.0.0.1", told["port"])) as connection:
    for request in told["requests"]:
        connection.sendall(request.encode())
        answer = b""
        while not answer.endswith(b"}}"):
            answer += connection.recv(65536) or sys.exit("closed")
        assert b'"TaskId"' in answer
"""


def on_the_wire(message: Message) -> str:
    headers = dict(message.headers) | {"content-length": str(len(message.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n{message.body.decode()}"


async def serve(count: int) -> float:
    """Seconds of this process's CPU for the creates of a client in another process."""
    settings = ApiSettings(rate=10**9)
    app = make_app({APP.sdk_app_id: APP}, Recorder(), settings, now=lambda: NOW)
    server = await open_server(app, Listen("127.0.0.1", 0))
    requests = [on_the_wire(signed(number)) for number in range(count)]
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, stdin=asyncio.subprocess.PIPE
    )
    before = time.process_time()
    await client.communicate(json.dumps({"port": server.port, "requests": requests}).encode())
    used = time.process_time() - before
    assert client.returncode == 0
    await server.close()
    return used


@pytest.mark.benchmark(group="creates behind the server")
def test_server(benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop) -> None:
    count = 5 * BATCH
    used = benchmark(lambda: loop.run_until_complete(serve(count)))
    benchmark.extra_info["CPU of one create, µs"] = round(used / count * 1e6)
    benchmark.extra_info["creates a second on one core"] = round(count / used)
