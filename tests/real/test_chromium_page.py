"""The page does in a real browser what its buttons say, seen by an endpoint that is not ours."""

import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Error

from tests.harness.media.content import Content, Painter, find_beeps, write_wav, write_y4m
from tests.harness.rooms.chromium import Chromium, Publisher, PublishOptions, chromium
from tests.harness.rooms.whip_endpoint import Endpoint, Session, until, whip_endpoint

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chromium]:
    folder = tmp_path_factory.mktemp("devices")
    content = Content(Painter(), seconds=8)
    write_y4m(folder / "camera.y4m", content)
    write_wav(folder / "microphone.wav", content)
    async with chromium(folder / "camera.y4m", folder / "microphone.wav") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def endpoint() -> AsyncIterator[Endpoint]:
    async with whip_endpoint() as running:
        yield running


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_own_pictures_and_sound_arrive(
    browser: Chromium, endpoint: Endpoint, codec: str
) -> None:
    publisher = await browser.publisher()
    await publisher.start(endpoint.url, PublishOptions(codec=codec, bearer="secret"))
    (session,) = endpoint.sessions
    assert session.bearer == "Bearer secret"
    await until(lambda: len(session.numbers()) >= 40 and session.heard().size > 4 * 48_000)
    numbers = session.numbers()
    assert len(set(numbers)) > 30
    # The page begins somewhere in the file and goes round at its end.
    steps = [(after - before) % 120 for before, after in pairwise(numbers)]
    assert max(steps) < 15
    beeps = find_beeps(session.heard())
    gaps = [after - before for before, after in pairwise(beeps)]
    assert len(gaps) >= 2
    assert gaps == pytest.approx([1] * len(gaps), abs=1e-3)
    stats = await publisher.stats()
    assert stats["video"]["codec"] == f"video/{codec}"
    assert stats["video"]["keyFramesEncoded"] >= 1
    assert stats["audio"]["bytesSent"] > 5_000
    assert await publisher.stop() == 200
    assert session.deleted


async def test_candidates_are_trickled(browser: Chromium, endpoint: Endpoint) -> None:
    publisher = await browser.publisher()
    await publisher.start(endpoint.url, PublishOptions(trickle=True))
    (session,) = endpoint.sessions
    await until(lambda: len(session.numbers()) >= 3)
    assert session.patches >= 2
    assert await publisher.patches() == session.patches
    await publisher.stop()


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_one_kind_alone(browser: Chromium, endpoint: Endpoint, kind: str) -> None:
    publisher = await browser.publisher()
    options = PublishOptions(audio=kind == "audio", video=kind == "video")
    await publisher.start(endpoint.url, options)
    (session,) = endpoint.sessions
    await until(lambda: bool(session.pictures if kind == "video" else session.audio))
    assert ("video" in await publisher.stats()) == (kind == "video")
    assert bool(session.audio) == (kind == "audio")
    await publisher.stop()


async def test_every_way_to_mute_and_come_back(browser: Chromium, endpoint: Endpoint) -> None:
    publisher = await browser.publisher()
    await publisher.start(endpoint.url, PublishOptions())
    (session,) = endpoint.sessions
    await until(lambda: len(session.numbers()) > 2)

    await publisher.mute("video", "enabled")
    seen = len(session.pictures)
    await until(lambda: len(session.pictures) > seen and not session.pictures[-1][0])
    assert session.last_picture is not None
    assert session.last_picture.max() < 32

    await publisher.unmute("video")
    for how in ("replace", "stop"):
        await _mute_and_come_back(publisher, session, how)
    await publisher.stop()


async def _mute_and_come_back(
    publisher: Publisher, session: Session, how: Literal["replace", "stop"]
) -> None:
    await publisher.mute("video", how)
    sent = (await publisher.stats())["video"]["framesEncoded"]
    heard = session.heard().size
    await until(lambda: session.heard().size > heard + 48_000)
    assert (await publisher.stats())["video"]["framesEncoded"] <= sent + 2
    await publisher.unmute("video")
    readable = len(session.numbers())
    await until(lambda: len(session.numbers()) > readable + 5)


async def test_pictures_change_their_size(browser: Chromium, endpoint: Endpoint) -> None:
    publisher = await browser.publisher()
    await publisher.start(endpoint.url, PublishOptions(degradation="maintain-resolution"))
    (session,) = endpoint.sessions
    await until(lambda: session.pictures[-1:] != [] and session.pictures[-1][1:] == (640, 360))
    await publisher.scale_down(4 / 3)
    await until(
        lambda: session.pictures[-1][1:] == (480, 270) and session.pictures[-1][0] is not None
    )
    await publisher.scale_down(1)
    await publisher.constrain(320, 180)
    await until(
        lambda: session.pictures[-1][1:] == (320, 180) and session.pictures[-1][0] is not None
    )
    await publisher.stop()


async def test_a_codec_nobody_has_is_an_error(browser: Chromium, endpoint: Endpoint) -> None:
    publisher = await browser.publisher()
    with pytest.raises(Error, match="no codec H264X here"):
        await publisher.start(endpoint.url, PublishOptions(codec="H264X"))
    assert endpoint.sessions == []


def living(group: int) -> list[int]:
    """Processes of a group that are not merely waiting to be reaped (proc(5), stat)."""
    states = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = stat.read_text().partition(" ")
            state, _, process_group = rest.rpartition(") ")[2].split()[:3]
            if int(process_group) == group and state not in "ZX":
                states.append(int(pid))
    return states


async def test_the_browser_is_gone_afterwards() -> None:
    async with chromium() as running:
        assert len(living(running.pid)) > 1
    await until(lambda: living(running.pid) == [])
