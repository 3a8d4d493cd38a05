"""FFmpeg's WHIP muxer publishes a file or live content, seen by an endpoint that is not ours."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.media.content import OPUS_DELAY, Content, Encoding, encode, find_beeps
from tests.harness.rooms.whip_endpoint import Endpoint, until, whip_endpoint
from tests.harness.rooms.whip_muxer import muxer

SAMPLE = Path(__file__).parents[2] / "samples" / "anchor-amber.mp4"


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with whip_endpoint() as running:
        yield running


@pytest.mark.parametrize("file", [SAMPLE, None], ids=["sample", "live"])
async def test_content_arrives_and_is_deleted(endpoint: Endpoint, file: Path | None) -> None:
    async with muxer(endpoint.url, file, "secret"):
        (session,) = endpoint.sessions
        assert session.bearer == "Bearer secret"
        await until(lambda: len(session.pictures) >= 30 and session.heard().size > 2.5 * 48_000)
        assert session.numbers()[:30] == list(range(30))
        beeps = [beep - OPUS_DELAY for beep in find_beeps(session.heard())]
        assert beeps[:3] == pytest.approx([0, 1, 2], abs=1e-3)
    assert session.deleted


async def test_a_file_goes_round(endpoint: Endpoint, tmp_path: Path) -> None:
    encode(tmp_path / "short.mp4", Content(seconds=1), Encoding("h264"))
    async with muxer(endpoint.url, tmp_path / "short.mp4"):
        (session,) = endpoint.sessions
        await until(lambda: len(session.pictures) >= 40 and session.heard().size > 3 * 48_000)
    assert session.numbers()[:40] == [number % 15 for number in range(40)]
    beeps = find_beeps(session.heard())
    assert len(beeps) >= 3
    gaps = [after - before for before, after in pairwise(beeps)]
    assert gaps == pytest.approx([1] * len(gaps), abs=1e-3)


async def test_one_kind_alone(endpoint: Endpoint, tmp_path: Path) -> None:
    encode(tmp_path / "sound.mp4", Content(seconds=1), Encoding(video=None))
    async with muxer(endpoint.url, tmp_path / "sound.mp4"):
        (session,) = endpoint.sessions
        await until(lambda: session.heard().size > 48_000)
    assert session.pictures == []


async def test_a_refusal_is_told(endpoint: Endpoint) -> None:
    with pytest.raises(RuntimeError, match="ended"):
        async with muxer(endpoint.url + "/nowhere", SAMPLE):
            pass
