"""A page enters a room that asks for a UserSig, and sends its candidates one by one."""

import time

import pytest
from playwright.async_api import Error

from slicer import AudioSpec, Kind, Settings, SliceParams, VideoSpec
from slicer.rooms.whip.settings import WhipSettings
from slicer.usersig import SdkApp
from tests.harness.end_to_end import studio
from tests.harness.rooms.chromium import PublishOptions, chromium
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
