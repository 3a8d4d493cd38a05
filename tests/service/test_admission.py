"""Who may publish: users of the application whose task is in the room, by their UserSig."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.errors import Unauthorized
from slicer.rooms.whip.address import RoomAddress
from slicer.service.admission import Admission
from slicer.service.applications import Application
from slicer.service.encryption import Encryption
from slicer.service.registry import Record, Registry
from slicer.service.sqlite_registry import SqliteRegistry
from slicer.usersig import Privilege, SdkApp
from tests.harness.clock import EPOCH, ManualClock
from tests.harness.service.orders import live_order, slice_order

ROOMS = (("*", "whip://127.0.0.1:1/a-{room}"),)
ONE, TWO = (Application(number, f"key-{number}", rooms=ROOMS) for number in (1, 2))
OPEN = replace(ONE, sdk_app_id=3, usersig_key="")


def at(room: str, port: int = 1) -> RoomAddress:
    return RoomAddress("127.0.0.1", port, room)


def anybody(_room: RoomAddress, _user: str, _bearer: str | None) -> None:
    """The `whip` settings without a key."""


def nobody(_room: RoomAddress, _user: str, _bearer: str | None) -> None:
    """The `whip` settings with a key that this bearer is not made with."""
    raise Unauthorized("bearer token: another key")


@pytest_asyncio.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    opened = await SqliteRegistry.open(tmp_path, Encryption([Fernet.generate_key().decode()]))
    await opened.add(Record("t1", 1, slice_order("5"), 0.0, 1.0))
    await opened.add(Record("t3", 3, slice_order("6"), 0.0, 1.0))
    await opened.add(Record("live", 1, replace(live_order(), room_id="8"), 0.0, 1.0))
    await opened.add(Record("t4", 4, slice_order("7"), 0.0, 1.0))
    yield opened
    await opened.close()


def sig(app: Application, user: str = "ada", age: int = 0) -> str:
    signed = int(EPOCH.timestamp()) - age
    return SdkApp(app.sdk_app_id, app.usersig_key).usersig(user, signed, 3600)


async def test_the_rooms_own_users_may(registry: Registry) -> None:
    admission = Admission((ONE, TWO, OPEN), registry, ManualClock(), anybody)
    admission.authorize(at("a-5"), "ada", sig(ONE))
    for bearer in (sig(TWO), sig(ONE, "bo"), sig(ONE, age=7200), "nonsense", None):
        with pytest.raises(Unauthorized):
            admission.authorize(at("a-5"), "ada", bearer)


async def test_a_stream_that_is_called_like_a_room_opens_none(registry: Registry) -> None:
    admission = Admission((ONE, OPEN), registry, ManualClock(), nobody)
    with pytest.raises(Unauthorized, match="another key"):
        admission.authorize(at("a-8"), "ada", sig(ONE))


async def test_a_room_of_an_app_without_key_is_open(registry: Registry) -> None:
    admission = Admission((ONE, TWO, OPEN), registry, ManualClock(), anybody)
    admission.authorize(at("a-6"), "ada", None)


async def test_where_an_app_has_no_key_the_whip_settings_decide(registry: Registry) -> None:
    admission = Admission((ONE, TWO, OPEN), registry, ManualClock(), nobody)
    with pytest.raises(Unauthorized, match="another key"):
        admission.authorize(at("a-6"), "ada", None)
    admission.authorize(at("a-5"), "ada", sig(ONE))


async def test_a_room_that_nobody_slices_yet_takes_anybodys_users(registry: Registry) -> None:
    admission = Admission((ONE, TWO), registry, ManualClock(), anybody)
    for app in (ONE, TWO):
        admission.authorize(at("a-7"), "ada", sig(app))
    with pytest.raises(Unauthorized):
        admission.authorize(at("a-7"), "ada", None)


async def test_both_apps_of_one_room(registry: Registry) -> None:
    await registry.add(Record("t2", 2, slice_order("5"), 0.0, 1.0))
    admission = Admission((ONE, TWO), registry, ManualClock(), anybody)
    for app in (ONE, TWO):
        admission.authorize(at("a-5"), "ada", sig(app))


async def test_a_room_of_the_same_name_on_another_server_is_another_room(
    registry: Registry,
) -> None:
    """Neither an app without key nor another's users open a room by having one of its name."""
    elsewhere = (("*", "whip://127.0.0.1:2/a-{room}"),)
    keyless = replace(OPEN, rooms=elsewhere)
    keyed = replace(TWO, rooms=elsewhere)
    await registry.add(Record("t5", 3, slice_order("5"), 0.0, 1.0))
    await registry.add(Record("t6", 2, slice_order("5"), 0.0, 1.0))
    admission = Admission((ONE, keyed, keyless), registry, ManualClock(), anybody)
    for bearer in (None, "nonsense", sig(TWO)):
        with pytest.raises(Unauthorized):
            admission.authorize(at("a-5"), "ada", bearer)
    admission.authorize(at("a-5"), "ada", sig(ONE))
    admission.authorize(at("a-5", 2), "ada", None)


async def test_however_its_url_is_written(registry: Registry) -> None:
    written = replace(ONE, rooms=(("*", "WHIP://LocalHost:1/a-{room}"),))
    admission = Admission((written, OPEN), registry, ManualClock(), anybody)
    with pytest.raises(Unauthorized):
        admission.authorize(at("a-5"), "ada", None)


async def test_a_room_that_is_none_of_ours(registry: Registry) -> None:
    capture = replace(ONE, rooms=(("*", "replay:///captures/a-{room}"),))
    broken = replace(TWO, rooms=(("*", "whip://h:1/a-{room}"),))
    await registry.add(Record("t2", 2, slice_order("5"), 0.0, 1.0))
    admission = Admission((capture, broken), registry, ManualClock(), anybody)
    admission.authorize(at("a-5"), "ada", sig(TWO))  # nobody's yet


async def test_a_private_map_key_is_no_usersig(registry: Registry) -> None:
    admission = Admission((ONE,), registry, ManualClock(), anybody)
    app = SdkApp(ONE.sdk_app_id, ONE.usersig_key)
    key = app.private_map_key("ada", "a-5", int(EPOCH.timestamp()), privileges=Privilege(8))
    with pytest.raises(Unauthorized, match="this is a PrivateMapKey"):
        admission.authorize(at("a-5"), "ada", key)


async def test_other_applications_are_taken(registry: Registry) -> None:
    admission = Admission((ONE, TWO), registry, ManualClock(), anybody)
    admission.authorize(at("a-5"), "ada", sig(ONE))
    renewed = replace(ONE, usersig_key="renewed", rooms=(("*", "whip://127.0.0.1:1/b-{room}"),))
    admission.replace((renewed, TWO), nobody)
    admission.authorize(at("b-5"), "ada", sig(renewed))
    with pytest.raises(Unauthorized):
        admission.authorize(at("b-5"), "ada", sig(TWO))
