"""The first signal ends in order, the second at once."""

import signal
import subprocess
import sys

import pytest

from slicer.cli.exits import INTERRUPTED

PROGRAM = """
import asyncio
from slicer.cli.signals import end_on_signals

async def main():
    ended = asyncio.Event()
    end_on_signals(ended.set)
    print("ready", flush=True)
    await ended.wait()
    print("ending", flush=True)
    await asyncio.sleep({rest})

asyncio.run(main())
"""


def started(rest: float) -> subprocess.Popen[str]:
    program = PROGRAM.format(rest=rest)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_one_ends_in_order(number: signal.Signals) -> None:
    process = started(rest=0)
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "ending\n"
    assert process.returncode == 0


def test_the_second_one_ends_at_once() -> None:
    process = started(rest=600)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
