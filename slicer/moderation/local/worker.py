"""What a worker process runs.

It reads pickled calls from its standard input and writes what they give to its standard output,
each behind its length. Whoever started it is trusted: it runs what it is given.
"""

import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

LENGTH_BYTES = 8
NICE = 10
"""Workers leave the CPU to the slicing, where that wants it."""
GRACE = 5.0
"""Seconds that a call may go on when nobody is there any more to hear of it."""


def framed(data: bytes) -> bytes:
    """Bytes behind their length."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def answer(call: bytes) -> bytes:
    """Do a call; gives whether it ended well, and with what: its result or its error."""
    try:
        work: Callable[[], object] = pickle.loads(call)  # noqa: S301 (of our parent)
        return pickle.dumps((True, work()))
    except Exception as error:  # it is the caller's to judge
        try:
            data = pickle.dumps((False, error))
            pickle.loads(data)  # noqa: S301 (some can be written, and not be read)
        except Exception:
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
        return data


def serve(calls: BinaryIO, answers: BinaryIO) -> None:
    """Do the calls that come, until no more can come."""
    waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(calls, waiting), daemon=True).start()
    while (call := waiting.get()) is not None:
        answers.write(framed(answer(call)))
        answers.flush()


def _read(calls: BinaryIO, waiting: "queue.SimpleQueue[bytes | None]") -> None:
    """Pass calls on. The end of them is the end of the process: at once, or in the middle of a call
    that takes too long."""
    while len(length := calls.read(LENGTH_BYTES)) == LENGTH_BYTES:
        waiting.put(calls.read(int.from_bytes(length, "big")))
    waiting.put(None)
    time.sleep(GRACE)
    os._exit(1)


def main() -> None:
    # The signals that end a program go to all its processes: the parent drains, and needs this one
    # for that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICE)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    serve(sys.stdin.buffer, answers)
