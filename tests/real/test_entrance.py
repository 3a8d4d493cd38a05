"""A page enters a room: by UserSig, with candidates one by one, by TCP, by a TURN server."""

import asyncio
import re
import time
from pathlib import Path

import pytest
from playwright.async_api import Error

from slicer import AudioSpec, Kind, Settings, SliceParams, TrackStarted, VideoSpec
from slicer.rooms.whip.settings import WhipSettings
from slicer.usersig import SdkApp
from tests.harness.end_to_end import PATIENCE, studio
from tests.harness.rooms.chromium import PublishOptions, chromium
from tests.harness.rooms.turn_server import turn_server
from tests.harness.storage.seaweed import Seaweed

APP, KEY = 1400000001, "test-usersig-key-0123456789abcdef0123456789abcdef"


async def test_a_usersig_opens_the_room_for_its_user_alone(seaweed: Seaweed) -> None:
    settings = Settings(whip=WhipSettings(APP, KEY))
    usersig = SdkApp(APP, KEY).usersig("ann", int(time.time()))
    async with chromium() as browser, studio(seaweed, settings) as stage:
        task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1)))
        for user, bearer in (("bob", usersig), ("ann", "not-a-usersig"), ("ann", "")):
            page = await browser.publisher()
            with pytest.raises(Error, match="WHIP answered 401"):
                await page.start(stage.url(user), PublishOptions(bearer=bearer))
        page = await browser.publisher()
        await page.start(stage.url("ann"), PublishOptions(bearer=usersig, trickle=True))
        assert await page.patches() >= 2
        await stage.until(lambda: all(len(stage.stored(task, "ann", kind)) >= 2 for kind in Kind))
        assert await page.stop() == 200
        assert (await stage.finish(task)).lost == 0
        assert {key.split("/")[1] for key in stage.keys(task)} == {"ann"}


async def test_a_page_without_udp_comes_by_tcp(seaweed: Seaweed) -> None:
    settings = Settings(whip=WhipSettings(udp="127.0.0.1:0", tcp="127.0.0.1:0"))
    async with chromium() as browser, studio(seaweed, settings) as stage:
        task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1)))
        page = await browser.publisher()
        await page.amend(stage.url("ann"), lambda offer: offer, without_udp)
        await page.start(stage.url("ann"), PublishOptions())
        await stage.until(lambda: all(len(stage.stored(task, "ann", kind)) >= 3 for kind in Kind))
        assert (await page.stats())["protocol"] == "tcp"
        assert await page.stop() == 200
        assert (await stage.finish(task)).lost == 0
        lengths = [one.seconds for one in stage.stored(task, "ann", Kind.AUDIO)]
        assert lengths[:3] == [1.0] * 3


def without_udp(answer: str) -> str:
    kept = [line for line in answer.splitlines() if not re.match("a=candidate:.* udp ", line)]
    assert any("tcptype passive" in line for line in kept)
    return "\r\n".join([*kept, ""])


async def test_a_page_behind_a_firewall_comes_by_the_turn_server_it_is_told_of(
    seaweed: Seaweed, tmp_path: Path
) -> None:
    """coturn takes the credentials that the answer's `Link` holds, and none else are there."""
    async with turn_server(tmp_path, "north") as turn, chromium() as browser:
        whip = WhipSettings(udp="127.0.0.1:0", ice_servers=turn.urls, turn_secret="north")
        async with studio(seaweed, Settings(whip=whip)) as stage:
            task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1)))
            page = await browser.publisher()
            await page.start(stage.url("ann"), PublishOptions(relay=True))
            await stage.until(lambda: all(len(stage.stored(task, "ann", one)) >= 2 for one in Kind))
            assert (await page.stats())["candidateType"] == "relay"
            assert await page.stop() == 200
            assert (await stage.finish(task)).lost == 0


async def test_a_page_restarts_ice_and_its_slices_go_on(seaweed: Seaweed) -> None:
    async with chromium() as browser, studio(seaweed) as stage:
        task = await stage.slice(SliceParams(AudioSpec(1), VideoSpec(1)))
        page = await browser.publisher()
        await page.start(stage.url("ann"), PublishOptions())

        async def more(slices: int) -> None:
            there = len(stage.stored(task, "ann", Kind.AUDIO))
            await stage.until(lambda: len(stage.stored(task, "ann", Kind.AUDIO)) >= there + slices)

        for _ in range(3):
            await more(2)
            before = (await page.stats())["pair"]
            await page.restart()
            async with asyncio.timeout(PATIENCE):
                while (await page.stats())["pair"] == before:
                    await asyncio.sleep(0.05)
        await more(2)
        assert await page.stop() == 200
        assert (await stage.finish(task)).lost == 0
        assert len(stage.told(TrackStarted)) == 2, "nobody left and came again"
        audio = stage.stored(task, "ann", Kind.AUDIO)
        assert [one.seconds for one in audio[:8]] == [1.0] * 8
