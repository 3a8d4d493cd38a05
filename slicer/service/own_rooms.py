"""Which tasks of a fleet are in which of our own rooms (`whip://`), whoever runs them.

Kept by records as they come: anybody may ask for a room, and looking through all tasks for each
request would cost more than what it asks for.
"""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2s

from slicer.errors import BadInput
from slicer.fleet.record import TaskRecord
from slicer.fleet.table import Table
from slicer.rooms.whip.address import RoomAddress
from slicer.service.admission import address_of
from slicer.service.applications import Application
from slicer.service.fleet_registry import FleetRegistry
from slicer.service.ports import room_ports
from slicer.service.registry import Record
from slicer.service.settings import ServiceSettings


class OwnRooms:
    """For the loop's thread. *registry* is of the same *table*."""

    def __init__(self, table: Table, registry: FleetRegistry, apps: Iterable[Application]) -> None:
        self._table, self._registry = table, registry
        self._rooms: dict[str, RoomAddress] = {}
        self._tasks: defaultdict[RoomAddress, set[str]] = defaultdict(set)
        self.replace(apps)
        table.on_record.append(self._learn)

    def __len__(self) -> int:
        """Rooms that have tasks."""
        return len(self._tasks)

    def replace(self, apps: Iterable[Application]) -> None:
        """Take other applications."""
        self._apps = {app.sdk_app_id: app for app in apps}
        self._rooms.clear()
        self._tasks.clear()
        for record in self._table.records.values():
            self._learn(record)

    def room(self, task: str) -> RoomAddress | None:
        """The room of ours that a task which has not ended is in."""
        return self._rooms.get(task)

    def room_of(self, record: Record) -> RoomAddress | None:
        """The room of ours that a task is or will be in."""
        if record.order.stream is not None:
            return None  # it is in no room of ours, whatever its id is
        return address_of(self._apps.get(record.app), record.order.room_id)

    def together(self, record: Record) -> str:
        """The same for all tasks of one room of ours, which have to be at one worker, where its
        publishers are; else nothing. It says no room's name."""
        room = self.room_of(record)
        return blake2s(room.room.encode(), digest_size=8).hexdigest() if room else ""

    def apps(self, room: RoomAddress) -> set[int]:
        """Whose tasks are in a room."""
        found = (self._table.records.get(task) for task in self._tasks.get(room, ()))
        return {record.app for record in found if record is not None}

    def workers(self, room: RoomAddress) -> set[str]:
        """Who has them; an empty name for a task that nobody has."""
        return {self._registry.worker_of(task) for task in self._tasks.get(room, ())}

    def _learn(self, found: TaskRecord) -> None:
        before = self._rooms.pop(found.task, None)
        if before is not None:
            self._tasks[before].discard(found.task)
            if not self._tasks[before]:
                del self._tasks[before]
        record = self._registry.get(found.task) if found.ended is None else None
        room = self.room_of(record) if record is not None else None
        if room is not None:
            self._rooms[found.task] = room
            self._tasks[room].add(found.task)


def check_own_rooms(settings: ServiceSettings) -> None:
    """Raise BadInput where a worker would have rooms of ours at several ports: it announces one
    address for all of them (`fleet.rooms`)."""
    ports = list(room_ports(settings))
    for other in ports[1:]:
        allowed = (
            f"{ports[0]}, as in {ports[0].field}: in a fleet all whip:// rooms are at one port"
        )
        raise BadInput(other.field, str(other), allowed)
