"""The wall: one tile for each anchor that is cut now, made of the engine's events and files.

Theory of operation. Every change gives its tile the next number, and moves it to the end of the
table. A page remembers the number it has seen; what is behind it in the table is what is new to it.
So there is no queue for any page: one that is slow asks later, and gets the newest state of every
tile once, whatever happened between. Tiles that have gone are remembered in a bounded list; a page
that is further behind than that gets the whole wall anew.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from slicer.console.media import identity_of
from slicer.console.task_troubles import TaskTrouble
from slicer.console.verdict import Judgement
from slicer.media.slice import SliceInfo
from slicer.rtp.parameters import Kind

MAX_TILES = 5_000
"""Anchors on the wall; more are counted, and not shown."""
MAX_GONE = 5_000
"""Tiles that have gone, of which pages that are behind are told."""


@dataclass(slots=True)
class Tile:
    """One anchor of one task; its auxiliary tracks have a tile of their own, "ada (aux)". *taken*,
    *recorded*: when the newest picture and the newest audio slice began; *late*: seconds from when
    that picture was taken until its file was first ready; *heard*: somebody speaks in the newest
    audio slice, None: not known; *judgement*: the last one, *hit*: the last that somebody should
    look at; *task_troubles*: what concerns all of its task."""

    identity: str
    task: str
    anchor: str
    room: str
    tracks: set[Kind] = field(default_factory=set)
    waits: bool = False
    picture: str = ""
    taken: datetime | None = None
    late: float = 0.0
    recorded: datetime | None = None
    heard: bool | None = None
    judgement: Judgement | None = None
    hit: Judgement | None = None
    trouble: str = ""
    task_troubles: tuple[TaskTrouble, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new since a page's number. *whole*: the page has to forget what it knew."""

    number: int
    whole: bool
    tiles: list[Tile]
    gone: list[str]


class Wall:
    """Tiles by their identity, the one that changed last at the end."""

    def __init__(self, most: int = MAX_TILES, most_gone: int = MAX_GONE) -> None:
        self.number = 0
        self.left_out = 0
        """Anchors that found the wall full."""
        self._most = most
        self._tiles: OrderedDict[str, Tile] = OrderedDict()
        self._of_task: dict[str, dict[str, None]] = {}
        self._gone: deque[tuple[int, str]] = deque(maxlen=most_gone)
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._tiles)

    def find(self, task: str, anchor: str) -> Tile | None:
        """The tile of an anchor, if it is on the wall."""
        return self._tiles.get(tile_identity(task, anchor))

    def of_task(self, task: str) -> list[Tile]:
        """Those of one task."""
        return [self._tiles[one] for one in self._of_task.get(task, ())]

    def take(self, task: str, anchor: str, room: str) -> Tile | None:
        """The tile of an anchor, put up if need be; None where the wall is full."""
        identity = tile_identity(task, anchor)
        tile = self._tiles.get(identity)
        if tile is None:
            if len(self._tiles) >= self._most:
                self.left_out += 1
                return None
            tile = self._tiles[identity] = Tile(identity, task, anchor, room)
            self._of_task.setdefault(task, {})[identity] = None
        self.changed(tile)
        return tile

    def changed(self, tile: Tile) -> None:
        """Have every page told of a tile."""
        self.number += 1
        tile.number = self.number
        self._tiles.move_to_end(tile.identity)

    def remove(self, tile: Tile) -> None:
        """Take a tile down."""
        self.number += 1
        del self._tiles[tile.identity]
        del self._of_task[tile.task][tile.identity]
        if not self._of_task[tile.task]:
            del self._of_task[tile.task]
        if len(self._gone) == self._gone.maxlen:
            self._forgotten = self._gone[0][0]
        self._gone.append((self.number, tile.identity))

    def retain(self, tasks: Iterable[str]) -> list[Tile]:
        """Take down what is of no task of these; gives what that was."""
        kept = set(tasks)
        old = [tile for tile in self._tiles.values() if tile.task not in kept]
        for tile in old:
            self.remove(tile)
        return old

    def since(self, number: int) -> Changes:
        """What a page that has seen *number* does not know; -1: it has seen nothing."""
        if number < self._forgotten or number < 0:
            return Changes(self.number, True, list(self._tiles.values()), [])
        tiles = []
        for tile in reversed(self._tiles.values()):
            if tile.number <= number:
                break
            tiles.append(tile)
        gone = [one for at, one in self._gone if at > number and one not in self._tiles]
        return Changes(self.number, False, tiles, gone)


def tile_identity(task: str, anchor: str) -> str:
    """What an anchor of a task is called: no anchor's name can be taken for another one."""
    return identity_of(f"{len(task)}:{task}{anchor}")


def lateness(slice: SliceInfo, ready: datetime) -> float:
    """Seconds from when a picture was taken until its file was ready; a clock that is corrected
    makes no picture early."""
    return max(0.0, (ready - slice.began).total_seconds())
