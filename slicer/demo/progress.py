"""Shows what an engine does while it does it: a live table on a terminal, plain lines elsewhere."""

import json
import logging
import sys
from collections import Counter, deque
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from slicer.engine.event_json import event_json
from slicer.engine.events import (
    AnchorDropped,
    AnchorLeft,
    AnchorTrouble,
    AnchorWaits,
    Event,
    EventsMissed,
    FactsDiscarded,
    PicturesMissing,
    RobotLeft,
    SliceJudged,
    SliceLost,
    SliceSettled,
    SliceSpooled,
    SliceStored,
    SliceUnjudged,
    StoreRecovered,
    SupplierRecovered,
    SupplierTrouble,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.errors import counted
from slicer.logs.lines import escaped
from slicer.rtp.parameters import Kind, Slot
from slicer.slicing.outputs import whose

_LAST_LINES = 6
_COLUMNS = {"cut now": 13, "audio": 5, "pictures": 8, "stored": 8, "last": 24}
"""Columns beside the anchor's, with the cells that each takes."""
_LEAST_WANTED = ("last", "cut now", "stored", "pictures", "audio")
"""In which order columns go from a terminal that is too narrow."""
_GAP = 2
_ANCHOR = 12
"""Cells that ids have at least, as far as the terminal has them."""
_LAST_MORE = 40
"""Cells that the last file's name may have beyond its column's."""


class Progress(Protocol):
    """Somebody who watches."""

    def show(self, event: Event) -> None: ...

    def note(self, text: str) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def bytes_text(size: int) -> str:
    """A size as people read it."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def clock_text(at: datetime) -> str:
    """A time of day as people read it, with milliseconds."""
    return f"{at:%H:%M:%S.%f}"[:-3]


def _why(reason: str) -> str:
    return f" ({reason})" if reason else ""


def line(event: Event) -> str:
    """An event in one plain line, without its time. An id in it forges no line, and a terminal
    obeys none."""
    return escaped(_line(event))


def _line(event: Event) -> str:  # noqa: PLR0911, PLR0912 (one for each event)
    match event:
        case TaskState():
            return f"task {event.state.value}" + (f": {event.reason}" if event.reason else "")
        case TrackStarted():
            return f"+ {whose(event.anchor, event.role)} {event.kind}"
        case TrackEnded():
            return f"- {whose(event.anchor, event.role)} {event.kind}" + _why(event.reason)
        case PicturesMissing():
            return f"no pictures: {whose(event.anchor, event.role)}: {event.reason}"
        case AnchorTrouble():
            return f"trouble: {event.anchor}: {event.reason} ({event.count})"
        case TrackRefused():
            return f"refused: {whose(event.anchor, event.role)} {event.kind}: {event.reason}"
        case AnchorLeft():
            return f"left: {event.anchor}" + _why(event.reason)
        case AnchorDropped():
            return f"dropped: {event.anchor}: {event.reason}"
        case FactsDiscarded():
            return f"trouble: {counted(event.count, 'fact')} of the room discarded"
        case AnchorWaits():
            return f"waiting: {event.anchor} (the task has all the anchors it may take)"
        case SliceSpooled():
            return f"cut {event.slice.key}"
        case SliceStored(slice=stored):
            length = f"{stored.seconds:.3f} s, " if stored.kind is Kind.AUDIO else ""
            return f"stored {stored.key} ({length}{bytes_text(stored.size)})"
        case SliceSettled(slice=slice, told=told):
            return f"{slice.key} began {clock_text(slice.began)}, not {clock_text(told)}"
        case SliceJudged(slice=judged, verdict=verdict):
            score = f" {verdict.score}" if verdict.hit else ""
            words = sorted({word for found in verdict.findings for word in found.keywords})
            detail = f": {', '.join(words)}" if words else ""
            again = ", as before" if verdict.repeated else ""
            shown = f"{verdict.label}{score}{detail}{again}"
            return f"{verdict.suggest.name.lower()} {judged.key} ({shown})"
        case SliceUnjudged():
            return f"UNJUDGED {event.slice.key}: {event.reason}"
        case SupplierTrouble():
            return f"trouble: {event.reason}"
        case SupplierRecovered():
            return f"{event.supplier} judges again"
        case SliceLost():
            return f"LOST {event.slice.key}: {event.reason}"
        case TaskTrouble(reason=reason, store=store):
            return f"trouble: {store}: {reason}" if store else f"trouble: {reason}"
        case StoreRecovered():
            return f"{event.destination} takes slices again"
        case RobotLeft():
            return f"out of the room ({event.reason})"
        case TaskFinished():
            lost = f", {event.lost} LOST" if event.lost else ""
            kept = f", {event.kept} kept in the spool" if event.kept else ""
            verdicts = f", {event.judged} judged" if event.judged or event.unjudged else ""
            unjudged = f", {event.unjudged} UNJUDGED" if event.unjudged else ""
            slices = f"{counted(event.stored, 'slice')} stored{verdicts}{unjudged}{lost}{kept}"
            return f"finished ({event.reason}): {slices}"
        case EventsMissed():
            return f"{counted(event.count, 'event')} missed"


class PlainProgress:
    """One line an event, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, event: Event) -> None:
        """Print it with its time."""
        self.note(f"{event.at:%H:%M:%S} {line(event)}")

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to end."""


class JsonProgress:
    """One JSON object an event, for programs; what is said beside goes to *console*."""

    def __init__(self, out: TextIO, console: Console) -> None:
        self._out, self._plain = out, PlainProgress(console)

    def show(self, event: Event) -> None:
        """Write it at once: whoever reads waits for it."""
        self._out.write(json.dumps(event_json(event)) + "\n")
        self._out.flush()

    def note(self, text: str) -> None:
        """Print a line beside."""
        self._plain.note(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to end."""


class LiveProgress:
    """A table of anchors that fills while it is watched, and the last lines under it.

    It fits any terminal: columns go where there is no room for them, the least wanted first; a text
    that is too long loses its middle, for ids and file names differ at their ends; anchors that the
    screen has no line for are counted.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._counts: Counter[tuple[str, Kind]] = Counter()
        self._bytes: Counter[str] = Counter()
        self._cut: dict[str, set[Slot]] = {}
        self._last: dict[str, str] = {}
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._render)

    def show(self, event: Event) -> None:
        """Take it into the picture; hits, losses and troubles also stay above it."""
        match event:
            case TrackStarted():
                self._cut.setdefault(event.anchor, set()).add((event.kind, event.role))
            case TrackEnded():
                self._cut.setdefault(event.anchor, set()).discard((event.kind, event.role))
            case SliceStored(slice=stored):
                self._cut.setdefault(stored.anchor, set())
                self._counts[stored.anchor, stored.kind] += 1
                self._bytes[stored.anchor] += stored.size
                self._last[stored.anchor] = stored.key.rpartition("/")[2]
            case SliceJudged(verdict=verdict) if verdict.hit:
                self._console.print(Text(line(event), style="yellow"), soft_wrap=True)
            case SliceLost() | SliceUnjudged() | SupplierTrouble() | TaskTrouble():
                self._console.print(Text(line(event), style="red"), soft_wrap=True)
        self._lines.append(line(event))

    def note(self, text: str) -> None:
        """A line that stays; it is not broken, so that a URL can be copied."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        stderr = sys.stderr
        self._live.start()
        if stderr.isatty():
            _move_log(stderr, sys.stderr)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        last = [*self._lines][-1:]
        self._lines.clear()
        drawn = sys.stderr
        self._live.stop()
        _move_log(drawn, sys.stderr)
        for text in last:  # how it ended stays, under the table
            self.note(text)

    def _render(self) -> Group:
        width, height = self._console.size
        anchors = sorted(self._cut)
        # The title, the head with its line, a line for those left out, and the last lines.
        shown = anchors[: max(1, height - 5 - _LAST_LINES)]
        columns = _columns(width, max([cell_len(anchor) for anchor in shown], default=0))
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for name, cells in columns.items():
            right = name in {"audio", "pictures", "stored"}
            table.add_column(
                name, width=cells, justify="right" if right else "left", no_wrap=True,
                style={"anchor": "bold", "last": "dim"}.get(name, ""),
            )  # fmt: skip
        for anchor in shown:
            cells_of = self._row(anchor)
            table.add_row(*(Text(middle_out(cells_of[name], columns[name])) for name in columns))
        lines = (
            [f"and {counted(left, 'more anchor')}"] if (left := len(anchors) - len(shown)) else []
        )
        return Group(
            Text(middle_out(self._title, width), style="italic"),
            table,
            *(Text(middle_out(text, width), style="dim") for text in (*lines, *self._lines)),
        )

    def _row(self, anchor: str) -> dict[str, str]:
        return {
            "anchor": anchor,
            "cut now": " + ".join(whose(*slot) for slot in sorted(self._cut[anchor])) or "–",
            "audio": str(self._counts[anchor, Kind.AUDIO]),
            "pictures": str(self._counts[anchor, Kind.VIDEO]),
            "stored": bytes_text(self._bytes[anchor]),
            "last": self._last.get(anchor, ""),
        }


def _move_log(before: TextIO, now: TextIO) -> None:
    """Have the log written to another stream. What is written to the terminal past the table that
    is drawn there tears it, and is drawn over."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is before:
            handler.setStream(now)


def middle_out(text: str, cells: int) -> str:
    """A text in at most *cells* cells of a terminal, of which a wide character takes two. Of a
    longer one the middle is left out."""
    text = escaped(text)
    if cell_len(text) <= cells:
        return text
    if cells < 3:
        return set_cell_size(text, cells)
    head = set_cell_size(text, cells // 2).rstrip(" ")
    tail = text[::-1]
    return f"{head}…{set_cell_size(tail, cells - 1 - cell_len(head)).strip(' ')[::-1]}"


def _columns(width: int, anchor: int) -> dict[str, int]:
    """The columns that a terminal of this width has room for, and their cells; *anchor* is what the
    longest id takes."""
    kept = dict(_COLUMNS)
    for name in _LEAST_WANTED:
        if width - sum(cells + _GAP for cells in kept.values()) >= min(anchor, _ANCHOR):
            break
        del kept[name]
    room = max(1, width - sum(cells + _GAP for cells in kept.values()))
    columns = {"anchor": max(min(room, anchor), min(room, len("anchor")))} | kept
    if "last" in columns:
        columns["last"] += max(0, min(room - columns["anchor"], _LAST_MORE))
    return columns


def open_progress(console: Console, title: str, plain: bool) -> Progress:
    """Live on a terminal that can be drawn on, plain lines otherwise or where asked for."""
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainProgress(console)
    return LiveProgress(console, title)
