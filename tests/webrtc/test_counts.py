"""What WebRTC has done, as it is read."""

import asyncio

import pytest

from slicer.webrtc.counts import OUTCOMES, PathCounts, count_by, counted, outcome_of


class Path:
    """A media path without a thread."""

    counts = PathCounts(7, 3, 2, 1)
    cpu = None


async def test_the_path_of_the_running_loop_is_read() -> None:
    assert counted() == (PathCounts(), 0.0)
    path = Path()
    count_by(path)
    assert counted() == (PathCounts(looks=7, media=3, refused=2, other=1), 0.0)


def test_another_loop_has_its_own() -> None:
    async def first() -> None:
        count_by(Path())

    async def second() -> PathCounts:
        return counted()[0]

    asyncio.run(first())
    assert asyncio.run(second()) == PathCounts()


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("", "connected"),
        ("ICE failed", "ice_failed"),
        ("not connected within 20 s", "ice_failed"),
        ("no connectivity check came within 20 s", "ice_failed"),
        ("DTLS failed: no answer", "dtls_failed"),
        ("DTLS was not done within 20 s", "dtls_failed"),
    ],
)
def test_how_a_handshake_ended(reason: str, outcome: str) -> None:
    assert outcome_of(reason) == outcome
    assert outcome in OUTCOMES
