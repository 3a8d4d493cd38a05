"""Authorization for our own rooms: a publisher proves with a UserSig which user it is."""

from slicer.clock import Clock
from slicer.errors import Unauthorized
from slicer.rooms import Authorize
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.settings import WhipSettings
from slicer.usersig import SdkApp


def authorization(settings: WhipSettings, clock: Clock) -> Authorize:
    """Takes the UserSig of a user of `sdk_app_id`; without a `usersig_key`, everybody."""
    if not settings.usersig_key:
        return _allow_anyone
    app = SdkApp(settings.sdk_app_id, settings.usersig_key)

    def authorize(_room: RoomAddress, user: str, bearer: str | None) -> None:
        if bearer is None:
            raise Unauthorized("bearer token: missing; allowed: the user's UserSig")
        app.verify_usersig(bearer, user, clock.wall(clock.now()).timestamp())

    return authorize


def _allow_anyone(_room: RoomAddress, _user: str, _bearer: str | None) -> None:
    """The authorization of a room without a key."""
