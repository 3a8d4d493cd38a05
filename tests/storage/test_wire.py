"""The wire: what is read of answers, what becomes of errors, and where a proxy is asked."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.errors import StorageRefused, StorageUnavailable
from slicer.storage import Credentials
from slicer.storage.answers import Answer
from slicer.storage.objects import Timeouts
from slicer.storage.wire import NotTaken, Wire, _proxy, read_answer, translated
from tests.harness import faults
from tests.harness.faults import front_of

XML = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Wait</Message></Error>"

NAMESPACED = b'<Error xmlns="http://x/"><Code>A</Code><Region>r</Region></Error>'


@pytest.mark.parametrize(
    ("headers", "body", "answer"),
    [
        ({}, XML, Answer(503, "SlowDown", "Wait")),
        ({"retry-after": "7"}, XML, Answer(503, "SlowDown", "Wait", retry_after=7.0)),
        ({"retry-after": "Sat, 22 Nov 2025 00:00:00 GMT"}, b"", Answer(503, "")),
        ({}, NAMESPACED, Answer(503, "A", region="r")),
        ({}, b"<html><body>busy", Answer(503, "")),
        ({}, b'<!DOCTYPE x [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>', Answer(503, "")),
        ({}, b"", Answer(503, "")),
    ],
)
def test_answers(headers: dict[str, str], body: bytes, answer: Answer) -> None:
    assert read_answer(503, headers, body) == answer


@given(st.binary(max_size=300))
def test_no_answer_is_too_strange(body: bytes) -> None:
    for each in (body, b"<Error><Code>" + body):
        assert read_answer(500, {}, each).status == 500


def test_an_answer_is_found_beneath_what_an_sdk_made_of_it() -> None:
    keys = Credentials("my-key", "my-secret")
    try:
        try:
            raise NotTaken(Answer(403, "AccessDenied", "not my-secret"))  # noqa: TRY301
        except NotTaken as inner:
            raise RuntimeError("operation error: my-secret") from inner
    except RuntimeError as outer:
        error = translated("k", outer, keys, "x:Put")
    assert isinstance(error, StorageRefused)
    assert (error.key, error.said) == ("k", "403 AccessDenied: not ***")
    assert "(x:Put)" in error.advice


def test_what_nobody_foresaw_is_tried_again_and_shows_no_secret() -> None:
    error = translated("k", KeyError("my-secret"), Credentials("my-key", "my-secret"), "x")
    assert isinstance(error, StorageUnavailable)
    assert "my-secret" not in str(error)


async def test_an_endless_answer_is_not_waited_for() -> None:
    async with front_of(None) as front:
        front.fault = faults.Answer(200, bytes(200_000), (("ETag", "x"),))
        wire = Wire(Timeouts())
        response = await asyncio.to_thread(wire.send, "PUT", f"{front.endpoint}/a", {}, b"x")
        assert len(response.body) < 100_000
        wire.close()


def test_the_proxy_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1,.internal.example")
    assert _proxy("https://store.example/x") == "http://proxy.example:3128"
    assert _proxy("https://store.internal.example/x") is None
    assert _proxy("https://127.0.0.1/x") is None
