"""What a connector's rooms have counted, and that all are left side by side."""

import asyncio
from collections import Counter

from slicer.rooms.open_rooms import OpenRooms


class Room:
    """Leaves once two have begun to."""

    def __init__(self, rooms: "OpenRooms[Room]", begun: asyncio.Barrier) -> None:
        self.counters: Counter[str] = Counter(odd=1)
        self._rooms, self._begun = rooms, begun

    async def leave(self) -> None:
        await self._begun.wait()
        self.counters["odd"] += 1
        self._rooms.left(self)
        self._rooms.left(self)


async def test_rooms_are_left_side_by_side_and_what_they_counted_is_kept() -> None:
    rooms: OpenRooms[Room] = OpenRooms()
    begun = asyncio.Barrier(2)
    made = [rooms.add(Room(rooms, begun)) for _ in range(2)]
    assert (len(rooms), set(rooms), rooms.counters) == (2, set(made), Counter(odd=2))
    async with asyncio.timeout(10):
        await rooms.close()
    assert (len(rooms), rooms.counters) == (0, Counter(odd=4))
