"""The first signal ends in order, the second at once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from slicer.cli.exits import INTERRUPTED
from slicer.cli.signals import end_on_signals, has_terminal

PROGRAM = """
import asyncio, signal
from slicer.cli.signals import end_on_signals

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever these tests were started by
{before}

async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print("still here", flush=True))
    ended = asyncio.Event()
    end_on_signals(ended.set)
    print("ready", flush=True)
    await ended.wait()
    print("ending", flush=True)
    await asyncio.sleep({rest})

asyncio.run(main())
"""


def started(rest: float, before: str = "", stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    program = PROGRAM.format(rest=rest, before=before)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=stdout, text=True)
    if process.stdout is not None:
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


def test_a_hangup_ends_in_order_and_twice_is_no_more_than_once() -> None:
    process = started(rest=0.2)
    process.send_signal(signal.SIGHUP)
    assert process.stdout is not None
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    process = started(rest=0, before="signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR1)
    assert process.stdout is not None
    assert process.stdout.readline() == "still here\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "ending\n"


def test_a_terminal_that_is_gone_is_written_to_no_more() -> None:
    mine, theirs = os.openpty()
    process = started(rest=0, stdout=theirs)
    os.close(theirs)
    with open(mine, "rb", buffering=0) as terminal:
        assert terminal.readline() == b"ready\r\n"
        process.send_signal(signal.SIGHUP)
    # A write fails with EIO from here on.
    assert process.wait(timeout=30) == 0


class Told:
    """What signals to this process have come to."""

    def __init__(self) -> None:
        self.ends = self.reloads = 0

    def end(self) -> None:
        self.ends += 1

    def reload(self) -> None:
        self.reloads += 1

    async def after(self, number: signal.Signals) -> tuple[int, int]:
        """Ends and reloads, once the loop has seen this signal."""
        os.kill(os.getpid(), number)
        seen = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, seen.set)
        os.kill(os.getpid(), signal.SIGUSR1)  # handled after those before it
        await seen.wait()
        return self.ends, self.reloads


@pytest.fixture
def told() -> Iterator[Told]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield Told()
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_a_service_reads_its_settings_again(told: Told) -> None:
    end_on_signals(told.end, told.reload)
    assert await told.after(signal.SIGHUP) == (0, 1)
    assert await told.after(signal.SIGHUP) == (0, 2)
    assert await told.after(signal.SIGTERM) == (1, 2)


async def test_a_hangup_is_no_second_signal(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    exits = list[int]()
    monkeypatch.setattr(os, "_exit", exits.append)
    end_on_signals(told.end)
    for _ in range(2):
        assert await told.after(signal.SIGHUP) == (1, 0)
    assert exits == []
    await told.after(signal.SIGINT)
    assert exits == [INTERRUPTED]


def test_whether_a_terminal_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_terminal()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert has_terminal()
