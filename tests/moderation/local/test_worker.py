"""What a worker process does with calls; the processes themselves are in test_workers.py."""

import io
import os
import pickle
import signal
import sys
import threading
from functools import partial
from types import SimpleNamespace

import pytest

from slicer.moderation.local import worker
from slicer.moderation.local.worker import LENGTH_BYTES, answer, framed, main, serve


class Odd(Exception):
    """It can be written, and not be read: its arguments are not those it was made of."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def fail_oddly() -> None:
    raise Odd("a", "b")


@pytest.mark.parametrize(
    ("call", "well", "given"),
    [
        (pickle.dumps(partial(abs, -3)), True, "3"),
        (pickle.dumps(partial(int, "x")), False, "invalid literal for int() with base 10: 'x'"),
        (pickle.dumps(fail_oddly), False, "Odd: ab"),
        (b"no call", False, "invalid load key, 'n'."),
    ],
)
def test_a_call_and_its_answer(call: bytes, well: bool, given: str) -> None:
    told = pickle.loads(answer(call))
    assert (told[0], str(told[1])) == (well, given)


def test_what_cannot_be_written_is_told() -> None:
    told = pickle.loads(answer(pickle.dumps(threading.Lock)))
    assert told[0] is False
    assert "pickle" in str(told[1])


def test_calls_are_answered_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(worker, "GRACE", 0.0)
    monkeypatch.setattr(os, "_exit", lambda _code: ended.set())
    calls = b"".join(framed(pickle.dumps(partial(abs, -number))) for number in (1, 2))
    answers = io.BytesIO()
    serve(io.BytesIO(calls), answers)
    answers.seek(0)
    found = []
    while length := answers.read(LENGTH_BYTES):
        found.append(pickle.loads(answers.read(int.from_bytes(length, "big"))))
    assert found == [(True, 1), (True, 2)]
    assert ended.wait(10), "the end of calls is the end of the process"


def test_a_process_is_polite_and_keeps_its_answers_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(signal, "signal", lambda number, action: done.append((number, action)))
    monkeypatch.setattr(os, "nice", done.append)
    monkeypatch.setattr(os, "dup", lambda number: 76 + number)
    monkeypatch.setattr(os, "fdopen", lambda number, _mode: number)
    monkeypatch.setattr(os, "dup2", lambda old, new: done.append((old, new)))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer="calls"))
    monkeypatch.setattr(worker, "serve", lambda calls, answers: done.append((calls, answers)))
    main()
    assert done == [
        (signal.SIGINT, signal.SIG_IGN),
        (signal.SIGTERM, signal.SIG_IGN),
        worker.NICE,
        (2, 1),
        ("calls", 77),
    ]
