"""Shows what an engine does while it does it: a live table on a terminal, plain lines elsewhere."""

from collections import Counter, deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from slicer.engine.events import (
    AnchorDropped,
    AnchorLeft,
    AnchorWaits,
    Event,
    EventsMissed,
    FactsDiscarded,
    RobotLeft,
    SliceLost,
    SliceSpooled,
    SliceStored,
    StoreRecovered,
    TaskFinished,
    TaskState,
    TaskTrouble,
    TrackEnded,
    TrackRefused,
    TrackStarted,
)
from slicer.rtp.parameters import Kind

_LAST_LINES = 6


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


def line(event: Event) -> str:  # noqa: PLR0911, PLR0912 (one for each event)
    """An event in one plain line, without its time."""
    match event:
        case TaskState():
            return f"task {event.state.value}" + (f": {event.reason}" if event.reason else "")
        case TrackStarted():
            return f"+ {event.anchor} {event.kind}"
        case TrackEnded():
            return f"- {event.anchor} {event.kind}" + (f" ({event.reason})" if event.reason else "")
        case TrackRefused():
            return f"refused: {event.anchor} {event.kind}: {event.reason}"
        case AnchorLeft():
            return f"left: {event.anchor}" + (f" ({event.reason})" if event.reason else "")
        case AnchorDropped():
            return f"dropped: {event.anchor}: {event.reason}"
        case FactsDiscarded():
            return f"trouble: {event.count} facts of the room are discarded"
        case AnchorWaits():
            return f"waiting: {event.anchor} (the task has all the anchors it may take)"
        case SliceSpooled():
            return f"cut {event.slice.key}"
        case SliceStored(slice=stored):
            length = f"{stored.seconds:.3f} s, " if stored.kind is Kind.AUDIO else ""
            return f"stored {stored.key} ({length}{bytes_text(stored.size)})"
        case SliceLost():
            return f"LOST {event.slice.key}: {event.reason}"
        case TaskTrouble():
            return f"trouble: {event.reason}"
        case StoreRecovered():
            return f"{event.destination} takes slices again"
        case RobotLeft():
            return f"out of the room ({event.reason})"
        case TaskFinished():
            lost = f", {event.lost} LOST" if event.lost else ""
            kept = f", {event.kept} kept in the spool" if event.kept else ""
            return f"finished ({event.reason}): {event.stored} slices stored{lost}{kept}"
        case EventsMissed():
            return f"{event.count} events missed"


class PlainProgress:
    """One line an event, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, event: Event) -> None:
        """Print it with its time."""
        at = "" if isinstance(event, EventsMissed) else f"{event.at:%H:%M:%S} "
        self.note(at + line(event))

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


class LiveProgress:
    """A table of anchors that fills while it is watched, and the last lines under it."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._counts: Counter[tuple[str, Kind]] = Counter()
        self._bytes: Counter[str] = Counter()
        self._cut: dict[str, set[Kind]] = {}
        self._last: dict[str, str] = {}
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._render)

    def show(self, event: Event) -> None:
        """Take it into the picture; losses and troubles also stay above it."""
        match event:
            case TrackStarted():
                self._cut.setdefault(event.anchor, set()).add(event.kind)
            case TrackEnded():
                self._cut.setdefault(event.anchor, set()).discard(event.kind)
            case SliceStored(slice=stored):
                self._cut.setdefault(stored.anchor, set())
                self._counts[stored.anchor, stored.kind] += 1
                self._bytes[stored.anchor] += stored.size
                self._last[stored.anchor] = stored.key.rpartition("/")[2]
            case SliceLost() | TaskTrouble():
                self._live.console.print(Text(line(event), style="red"))
            case StoreRecovered():
                self._live.console.print(Text(line(event), style="green"))
        self._lines.append(line(event))

    def note(self, text: str) -> None:
        """A line that stays."""
        self._live.console.print(text, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.clear()
        self._live.stop()

    def _render(self) -> Group:
        table = Table(title=escape(self._title), title_justify="left", expand=False)
        table.add_column("anchor", style="bold")
        table.add_column("cut now")
        table.add_column("audio", justify="right")
        table.add_column("pictures", justify="right")
        table.add_column("stored", justify="right")
        table.add_column("last", style="dim", overflow="ellipsis", no_wrap=True)
        for anchor, kinds in sorted(self._cut.items()):
            table.add_row(
                escape(anchor),
                " + ".join(sorted(kinds)) or "–",
                str(self._counts[anchor, Kind.AUDIO]),
                str(self._counts[anchor, Kind.VIDEO]),
                bytes_text(self._bytes[anchor]),
                escape(self._last.get(anchor, "")),
            )
        return Group(
            table,
            *(Text(text, style="dim", no_wrap=True, overflow="ellipsis") for text in self._lines),
        )


def open_progress(console: Console, title: str, plain: bool) -> Progress:
    """Live on a terminal, plain lines otherwise or where asked for."""
    if plain or not console.is_terminal:
        return PlainProgress(console)
    return LiveProgress(console, title)
