"""Who may publish: users of the application whose task is in the room, by their UserSig."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from slicer.errors import Unauthorized
from slicer.service.admission import Admission
from slicer.service.applications import Application
from slicer.service.encryption import Encryption
from slicer.service.registry import Record, Registry
from slicer.usersig import SdkApp
from tests.harness.clock import EPOCH, ManualClock
from tests.harness.service.orders import slice_order

ROOMS = (("*", "whip://127.0.0.1:1/a-{room}"),)
ONE, TWO = (Application(number, f"key-{number}", rooms=ROOMS) for number in (1, 2))
OPEN = replace(ONE, sdk_app_id=3, usersig_key="")


def anybody(_room: str, _user: str, _bearer: str | None) -> None:
    """The `whip` settings without a key."""


def nobody(_room: str, _user: str, _bearer: str | None) -> None:
    """The `whip` settings with a key that this bearer is not made with."""
    raise Unauthorized("bearer token: another key")


@pytest_asyncio.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    opened = await Registry.open(tmp_path, Encryption([Fernet.generate_key().decode()]))
    await opened.add(Record("t1", 1, slice_order("5"), 0.0, 1.0))
    await opened.add(Record("t3", 3, slice_order("6"), 0.0, 1.0))
    await opened.add(Record("t4", 4, slice_order("7"), 0.0, 1.0))
    yield opened
    await opened.close()


def sig(app: Application, user: str = "ada", age: int = 0) -> str:
    signed = int(EPOCH.timestamp()) - age
    return SdkApp(app.sdk_app_id, app.usersig_key).usersig(user, signed, 3600)


async def test_the_rooms_own_users_may(registry: Registry) -> None:
    admission = Admission((ONE, TWO, OPEN), registry, ManualClock(), anybody)
    admission.authorize("a-5", "ada", sig(ONE))
    for bearer in (sig(TWO), sig(ONE, "bo"), sig(ONE, age=7200), "nonsense", None):
        with pytest.raises(Unauthorized):
            admission.authorize("a-5", "ada", bearer)


async def test_a_room_of_an_app_without_key_is_open(registry: Registry) -> None:
    admission = Admission((ONE, TWO, OPEN), registry, ManualClock(), anybody)
    admission.authorize("a-6", "ada", None)


async def test_where_an_app_has_no_key_the_whip_settings_decide(registry: Registry) -> None:
    admission = Admission((ONE, TWO, OPEN), registry, ManualClock(), nobody)
    with pytest.raises(Unauthorized, match="another key"):
        admission.authorize("a-6", "ada", None)
    admission.authorize("a-5", "ada", sig(ONE))


async def test_a_room_that_nobody_slices_yet_takes_anybodys_users(registry: Registry) -> None:
    admission = Admission((ONE, TWO), registry, ManualClock(), anybody)
    for app in (ONE, TWO):
        admission.authorize("a-7", "ada", sig(app))
    with pytest.raises(Unauthorized):
        admission.authorize("a-7", "ada", None)


async def test_both_apps_of_one_room(registry: Registry) -> None:
    await registry.add(Record("t2", 2, slice_order("5"), 0.0, 1.0))
    admission = Admission((ONE, TWO), registry, ManualClock(), anybody)
    for app in (ONE, TWO):
        admission.authorize("a-5", "ada", sig(app))
