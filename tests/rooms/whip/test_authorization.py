"""Who may publish: with a key, those whose UserSig is right; without one, everybody."""

import pytest

from slicer.errors import Unauthorized
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.authorization import authorization
from slicer.rooms.whip.settings import WhipSettings
from slicer.usersig import SdkApp
from tests.harness.clock import EPOCH, ManualClock

ROOM = RoomAddress("127.0.0.1", 8080, "room")
APP = SdkApp(1400000000, "key")
SIGNED = APP.usersig("ann", int(EPOCH.timestamp()), 60)


def test_a_usersig_opens_until_it_expires() -> None:
    clock = ManualClock()
    authorize = authorization(WhipSettings(1400000000, "key"), clock)
    authorize(ROOM, "ann", SIGNED)
    for user, bearer in (("bob", SIGNED), ("ann", None), ("ann", "x")):
        with pytest.raises(Unauthorized):
            authorize(ROOM, user, bearer)
    clock.advance(61)
    with pytest.raises(Unauthorized, match="expired"):
        authorize(ROOM, "ann", SIGNED)


def test_without_a_key_everybody_may_publish() -> None:
    authorize = authorization(WhipSettings(), ManualClock())
    authorize(ROOM, "ann", None)
    authorize(ROOM, "bob", "anything")
