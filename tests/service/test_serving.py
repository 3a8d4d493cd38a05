"""The service without its face: opened from settings, callbacks sent, closed and opened again."""

from dataclasses import replace
from pathlib import Path

import pytest

from slicer.engine.settings import Settings
from slicer.errors import BadInput
from slicer.rooms.whip.settings import WhipSettings
from slicer.service.applications import Application
from slicer.service.order import Product
from slicer.service.serving import serving
from slicer.service.settings import ServeSettings, ServiceSettings
from slicer.slicing.outputs import State
from slicer.webhooks.settings import WebhookSettings
from tests.harness.service.orders import moderation_order
from tests.harness.service.webhook_receiver import receiver

APP = Application(
    200806,
    rooms=(("*", "whip://127.0.0.1:0/{room}"),),
    callback_key="key",
    callback_url="http://x/",
)


@pytest.mark.usefixtures("supplier")
async def test_a_task_told_over_two_lives(tmp_path: Path) -> None:
    async with receiver("key") as customer:
        app = replace(APP, callback_url=customer.url)
        settings = ServiceSettings(
            serve=ServeSettings(state=str(tmp_path / "state")),
            webhooks=WebhookSettings(allow_private=True),
            apps=(app,),
        )
        async with serving(settings) as service:
            task = await service.create(app, moderation_order())
            await customer.until(lambda: len(customer.received) == 1)
        async with serving(settings) as service:
            await service.delete(app, Product.MODERATION, task)
            await customer.until(lambda: len(customer.received) == 3)
    assert [one.event for one in customer.received] == [1101, 1102, 1105]
    assert all(one.signed and one.task == task for one in customer.received)


@pytest.mark.usefixtures("supplier")
async def test_private_receivers_are_refused_by_default(tmp_path: Path) -> None:
    async with receiver("key") as customer:
        app = replace(APP, callback_url=customer.url)
        settings = ServiceSettings(serve=ServeSettings(state=str(tmp_path / "state")), apps=(app,))
        async with serving(settings) as service:
            task = await service.create(app, moderation_order())
            assert (await service.describe(app, Product.MODERATION, task)).state is State.RUNNING
        assert customer.connections == 0


async def test_one_state_folder_serves_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slicer.sqlite.BUSY_SECONDS", 0.05)
    settings = ServiceSettings(serve=ServeSettings(state=str(tmp_path)))
    async with serving(settings):
        with pytest.raises(BadInput, match="no other process uses"):
            async with serving(settings):
                pass


@pytest.mark.parametrize("url", ["whip://127.0.0.1/{room}", "whip://127.0.0.1:1/a b/{room}"])
async def test_a_room_that_its_connector_refuses_stops_the_start(tmp_path: Path, url: str) -> None:
    app = replace(APP, rooms=(("1*", "replay:///none/{room}.pcap"), ("*", url)))
    settings = ServiceSettings(serve=ServeSettings(state=str(tmp_path / "state")), apps=(app,))
    with pytest.raises(BadInput, match=r"^apps\[0\]\.rooms\[1\]\.url: got 'whip:"):
        async with serving(settings):
            pass


async def test_another_setting_that_a_room_needs_is_named_itself(tmp_path: Path) -> None:
    app = replace(APP, rooms=(("*", "whip://127.0.0.1:0/{room}"),))
    serve = ServeSettings(state=str(tmp_path / "state"))
    media = Settings(whip=WhipSettings(udp="192.0.2.1:1"))
    with pytest.raises(BadInput, match=r"^whip\.udp: got '192\.0\.2\.1:1: "):
        async with serving(ServiceSettings(media, serve, apps=(app,))):
            pass


async def test_a_state_folder_that_others_may_write_to_stops_the_start(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    settings = ServiceSettings(serve=ServeSettings(state=str(tmp_path)))
    with pytest.raises(BadInput, match=r"^serve\.state: .* of mode 0770"):
        async with serving(settings):
            pass
    allowed = replace(settings, serve=replace(settings.serve, group_writes=True))
    async with serving(allowed):
        pass


async def test_a_file_in_place_of_the_state_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    settings = ServiceSettings(serve=ServeSettings(state=str(tmp_path / "state")))
    with pytest.raises(BadInput, match=r"^serve\.state: .*made and written \(File exists\)"):
        async with serving(settings):
            pass


@pytest.mark.usefixtures("supplier")
async def test_a_reload_gives_callbacks_their_new_receiver(tmp_path: Path) -> None:
    async with receiver("key") as before, receiver("other") as after:
        app = replace(APP, callback_url=before.url)
        settings = ServiceSettings(
            serve=ServeSettings(state=str(tmp_path / "state")),
            webhooks=WebhookSettings(allow_private=True),
            apps=(app,),
        )
        async with serving(settings) as service:
            task = await service.create(app, moderation_order())
            await before.until(lambda: len(before.received) == 1)
            app = replace(app, callback_url=after.url, callback_key="other")
            service.reload(replace(settings, apps=(app,)))
            await service.delete(app, Product.MODERATION, task)
            await after.until(lambda: len(after.received) == 2)
    assert [one.signed for one in after.received] == [True, True]
