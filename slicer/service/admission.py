"""Who may publish into a room of ours: the users of the application whose task is in it."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from slicer.clock import Clock
from slicer.errors import BadInput, Unauthorized
from slicer.rooms import Authorize
from slicer.rooms.whip.address import RoomAddress
from slicer.service.applications import Application
from slicer.service.registry import Registry
from slicer.usersig import SdkApp

MAX_ADDRESSES = 10_000
"""Rooms whose addresses are remembered; more tasks do not run at once."""


class Admission:
    """Its `authorize` is what an Engine asks for."""

    def __init__(
        self,
        apps: Iterable[Application],
        registry: Registry,
        clock: Clock,
        otherwise: Authorize,
        owners: Callable[[RoomAddress], Iterable[int]] | None = None,
    ) -> None:
        """*otherwise* decides where an application that slices the room has no UserSig key;
        *owners* knows the applications that slice a room, where the registry is a fleet's."""
        self._apps = {app.sdk_app_id: app for app in apps}
        self._registry, self._clock, self._otherwise = registry, clock, otherwise
        self._known_owners = owners
        # Asked for every task at every request, which anybody may send.
        self._address = lru_cache(MAX_ADDRESSES)(self._find_address)

    def replace(self, apps: Iterable[Application], otherwise: Authorize) -> None:
        """Take other applications."""
        self._apps = {app.sdk_app_id: app for app in apps}
        self._otherwise = otherwise
        self._address.cache_clear()

    def authorize(self, room: RoomAddress, user: str, bearer: str | None) -> str | None:
        """Take a UserSig of an application that slices this room; where one of them has no key,
        what the `whip` settings take. Raises Unauthorized."""
        owners = self._owners(room) or list(self._apps.values())
        if not all(app.usersig_key for app in owners):
            return self._otherwise(room, user, bearer)
        if bearer is None:
            raise Unauthorized("bearer token: missing; allowed: the user's UserSig")
        now = self._clock.wall(self._clock.now()).timestamp()
        refused = Unauthorized("bearer token: no application has this room")
        for app in owners:
            try:
                SdkApp(app.sdk_app_id, app.usersig_key).verify_usersig(bearer, user, now)
            except Unauthorized as error:
                refused = error
            else:
                return None
        raise refused

    def _owners(self, room: RoomAddress) -> list[Application]:
        if self._known_owners is not None:
            return [self._apps[number] for number in self._known_owners(room)]
        found = {}
        for record in self._registry.unfinished():
            if record.order.stream is not None:
                continue  # it is in no room of ours, whatever its id is
            if self._address(record.app, record.order.room_id) == room:
                found[record.app] = self._apps[record.app]
        return list(found.values())

    def _find_address(self, number: int, room_id: str) -> RoomAddress | None:
        return address_of(self._apps.get(number), room_id)


def address_of(app: Application | None, room_id: str) -> RoomAddress | None:
    """Where an application's room is, if it is one of ours."""
    url = urlsplit((app and app.room_url(room_id)) or "")
    if url.scheme != "whip":
        return None
    try:
        return RoomAddress.parse(url)
    except BadInput:
        return None
