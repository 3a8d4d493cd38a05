"""A remote supplier that fails for minutes, on a clock that the test moves: whatever it does, each
slice is judged once, or told as not judged with the reason."""

import asyncio
from collections.abc import AsyncIterator
from itertools import cycle

import pytest
from starlette.responses import Response, StreamingResponse

from slicer.delivery.judging import Unjudged
from slicer.errors import ModerationError, SupplierRefused, SupplierUnavailable
from slicer.moderation import Verdict
from tests.harness.moderation.accounts import CASES, WRONG, Case
from tests.harness.moderation.stage import Stage
from tests.harness.moderation.stand_in import Answering, Asked, answer, stand_in

TEN_MINUTES = 600.0
ANCHORS = ("ada", "bo", "cy")
KEYS = [f"{who}/{number}" for number in range(3) for who in ANCHORS]
LEAST_WAIT = 7.0
"""Seconds from one try to the next, when the supplier is left alone."""


def faulty() -> Answering:
    """Answers in turn as who is overloaded, is another program, asks for a pause, and hangs up."""
    faults = cycle(
        [
            answer({}, 503),
            Response(b"<html>it works</html>"),
            answer({}, 429, str(int(LEAST_WAIT))),
            Response(b"{", headers={"Content-Length": "2"}),
        ]
    )
    return lambda _: next(faults)


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


async def outage(case: Case, fails: Answering, seconds: float, timeout: float) -> None:
    """Slices come before a supplier fails so long, and after it."""
    failing = [True]

    def answering(asked: Asked) -> Response:
        return fails(asked) if failing[0] else case.admitted(asked, case.passes)

    async with stand_in(answering) as server:
        stage = Stage(remote=case.open(server.url, case.key, timeout))
        for key in KEYS[:-2]:
            stage.add_one(key, 100)
        await stage.advance(seconds)
        assert stage.outcomes == [], "nothing passes in silence, nothing is given up"
        assert [type(error) for _, error in stage.troubles] == [SupplierUnavailable], "told once"
        assert stage.judging.open, "it is left alone"
        assert len(server.asked) < len(ANCHORS) * 3 + seconds / LEAST_WAIT, "one tries for all"
        failing[0] = False
        for key in KEYS[-2:]:
            stage.add_one(key, 100)
        await stage.advance(60.0)
        await stage.judging.close()
    assert sorted(stage.keys) == sorted(KEYS)
    assert all(isinstance(outcome, Verdict) for _, outcome in stage.outcomes)
    for who in ANCHORS:
        assert [key for key in stage.keys if who in key] == [f"{who}/{n}" for n in range(3)]
    assert stage.recovered
    assert stage.balanced()


async def test_after_ten_minutes_each_slice_is_judged_once(case: Case) -> None:
    await outage(case, faulty(), TEN_MINUTES, 10.0)


async def test_a_supplier_that_is_too_slow() -> None:
    """All have one client, whose time is real."""

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    await outage(CASES["tianyu"], lambda _: StreamingResponse(drip()), 60.0, 0.3)


@pytest.mark.parametrize("refused", [False, True])
async def test_where_it_never_ends_each_slice_is_told_with_the_reason(
    case: Case, refused: bool
) -> None:
    """Also where the account's key is wrong."""
    fails = faulty()

    def answering(asked: Asked) -> Response:
        return case.admitted(asked, case.passes) if refused else fails(asked)

    async with stand_in(answering) as server:
        key = WRONG if refused else case.key
        stage = Stage(remote=case.open(server.url, key), max_age=100.0)
        for name in KEYS:
            stage.add_one(name, 100)
        await stage.advance(200.0)
        await stage.judging.close()
    expected: type[ModerationError] = SupplierRefused if refused else SupplierUnavailable
    assert [type(error) for _, error in stage.troubles] == [expected]
    assert sorted(stage.keys) == sorted(KEYS)
    for _, outcome in stage.outcomes:
        assert isinstance(outcome, Unjudged)
        assert "no verdict within 100 s (" in outcome.reason
        assert WRONG not in outcome.reason
    assert stage.balanced()
