"""The rooms of one connector that are open, and what all it ever opened have counted."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class OpenRoom(Protocol):
    """What the collection needs of a room. It calls `left` once it has left."""

    @property
    def counters(self) -> Counter[str]: ...

    async def leave(self) -> None: ...


R = TypeVar("R", bound=OpenRoom)


class OpenRooms(Generic[R]):
    """A room is here from `add` until it has left."""

    def __init__(self) -> None:
        self._rooms: set[R] = set()
        self._ended: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._rooms)

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._rooms))

    @property
    def counters(self) -> Counter[str]:
        """Of all rooms, those that were left too."""
        return sum((room.counters for room in self._rooms), self._ended.copy())

    def add(self, room: R) -> R:
        self._rooms.add(room)
        return room

    def left(self, room: R) -> None:
        """The room was left: what it counted is kept. May be called twice."""
        if room in self._rooms:
            self._rooms.remove(room)
            self._ended += room.counters

    async def close(self) -> None:
        """Leave all rooms, side by side: one that takes its time holds up no other."""
        await asyncio.gather(*(room.leave() for room in self._rooms))
