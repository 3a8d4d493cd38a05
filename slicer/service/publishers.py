"""Leads publishers of our own rooms to the worker that has the room, by a redirect (RFC 9725 4.5).

A publisher may come to any copy of the API and to any worker. It is led only to addresses that
workers have announced for themselves in their heartbeats; nothing of the request is in the URL but
the room and the user, which are checked. Who is led away has shown a bearer token that fits, and
gets a ticket along: browsers leave the token out on their way to another origin.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import quote

from slicer.engine.sample import Sample
from slicer.errors import BadInput, RoomError, TaskNotExist, Unauthorized
from slicer.rooms import Authorize
from slicer.rooms.whip.address import RoomAddress
from slicer.rooms.whip.endpoint import TICKET, Published
from slicer.service.encryption import Encryption
from slicer.service.own_rooms import OwnRooms

GOOD = 120
"""Seconds for which a ticket is good: one minute, and another by which clocks may differ."""

METRICS = {
    "fleet_publishers_total": "publishers who came to a process that does not have their room (one "
    "of ours); outcome: redirected, moving (no worker can be named now), refused",
}


class Publishers:
    """Of one process. *address_of*: where a worker that lives has announced its rooms, or nothing;
    *worker*: the one that this process is, if it is one."""

    def __init__(
        self,
        rooms: OwnRooms,
        address_of: Callable[[str], str],
        encryption: Encryption,
        worker: str = "",
    ) -> None:
        self.rooms = rooms
        self._address_of, self._encryption, self._worker = address_of, encryption, worker
        self._counters: Counter[str] = Counter()

    def leading(self, admit: Authorize) -> Authorize:
        """Who may publish, as *admit* says or by a ticket; and where."""

        def authorize(room: RoomAddress, user: str, bearer: str | None) -> str | None:
            try:
                if bearer is not None and bearer.startswith(TICKET):
                    self._check_ticket(room, user, bearer)
                else:
                    admit(room, user, bearer)
            except Unauthorized:
                self._counters["refused"] += 1
                raise
            return self._elsewhere(room, user)

        return authorize

    def url(self, task: str) -> str:
        """Where publishers reach a task's room, without the user that follows: at the worker that
        has it. Empty where it is none of ours, or nobody can say now."""
        room = self.rooms.room(task)
        if room is None:
            return ""
        try:
            return self._url(room)
        except RoomError:
            return ""

    def samples(self) -> Iterator[Sample]:
        """What it counts."""
        for outcome in ("redirected", "moving", "refused"):
            count = self._counters[outcome]
            yield Sample("fleet_publishers_total", count, (("outcome", outcome),))

    def _elsewhere(self, room: RoomAddress, user: str) -> str | None:
        workers = self.rooms.workers(room)
        if not workers or self._worker in workers - {""}:
            return None  # it is here; or nowhere, which is said where it is looked for
        try:
            url = self._url(room)
        except RoomError:
            self._counters["moving"] += 1
            raise
        self._counters["redirected"] += 1
        ticket = self._encryption.seal(_leave(room, user), {}).decode("ascii")
        return f"{url}/{quote(user)}?ticket={TICKET}{ticket}"

    def _url(self, room: RoomAddress) -> str:
        """Raises RoomError."""
        workers = sorted(self.rooms.workers(room) - {""})
        if not workers:
            raise RoomError(f"room {room.room} is on its way to another worker: try again")
        addresses = [address for worker in workers if (address := self._address_of(worker))]
        if not addresses:
            text = f"room {room.room} is at worker {workers[0]}, which has announced no address"
            raise RoomError(f"{text} for publishers (fleet.rooms), or is not heard")
        return f"{addresses[0]}/whip/{room.room}"

    def _check_ticket(self, room: RoomAddress, user: str, ticket: str) -> None:
        sealed = ticket.removeprefix(TICKET).encode()
        try:
            self._encryption.unseal(_leave(room, user), sealed, GOOD)
        except BadInput:
            text = "ticket: expired, or made for another room or user; allowed: one that is new"
            raise Unauthorized(text) from None


class Lobby:
    """The sessions of a process that has no rooms, at a port of its own: it leads on, and that is
    all. *at*: the address that the rooms have at each worker, by the settings."""

    def __init__(self, at: RoomAddress, authorize: Authorize) -> None:
        self._at, self._authorize = at, authorize

    def authorize(self, room: str, user: str, bearer: str | None) -> str | None:
        return self._authorize(RoomAddress(self._at.host, self._at.port, room), user, bearer)

    async def publish(self, room: str, user: str, offer: str, address: str) -> Published:
        raise TaskNotExist(f"no task slices room {room!r}: start one, then publish")

    def etag(self, room: str, user: str, session: str) -> str:
        raise TaskNotExist("no such session: it is at the worker that has the room")

    async def trickle(self, session: str, fragment: str) -> bool:
        raise TaskNotExist(session)

    async def restart(self, session: str, fragment: str) -> tuple[str, str] | None:
        raise TaskNotExist(session)

    async def unpublish(self, session: str) -> None:
        raise TaskNotExist(session)


def _leave(room: RoomAddress, user: str) -> str:
    return f"publish {room.room} {user}"
