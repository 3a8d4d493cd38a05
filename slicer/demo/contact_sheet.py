"""The contact sheet: one HTML page with a task's slices on a time line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby, pairwise
from string import Template
from urllib.parse import quote

from slicer.rtp.parameters import Kind, Role
from slicer.slicing.outputs import whose

_PICTURE_PIXELS = 116
_AUDIO_PIXELS = 200
_TICK_PIXELS = 96
_MAX_PIXELS = 1_000_000
"""Some 12 h of pictures every 5 s; on longer lines slices come to lie on each other."""
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400)
_FIRST_HUE, _HUE_STEP = 45.0, 222.5
_EMPTY = '<p class="empty">No slice was stored.</p>'


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored slice. *path* is relative to the sheet; *start* is UTC; *size* in bytes.

    *seconds* is the length of an audio slice and 0 for a picture.
    """

    path: str
    anchor: str
    kind: Kind
    start: datetime
    seconds: float
    size: int
    role: Role = Role.MAIN


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps time to a share of the time line."""

    begin: datetime
    seconds: float

    def left(self, at: datetime) -> str:
        return f"left:{100 * (at - self.begin).total_seconds() / self.seconds:.4f}%"

    def width(self, seconds: float) -> str:
        return f"width:{100 * seconds / self.seconds:.4f}%"


def render(title: str, slices: Sequence[Entry], started: datetime, ended: datetime) -> str:
    """The page, to lie beside the slices; it loads nothing but them, and reads without scripts."""
    entries = sorted(slices, key=lambda entry: (entry.anchor, entry.start))
    ends = [entry.start + timedelta(seconds=entry.seconds) for entry in entries]
    begin = min([started, *(entry.start for entry in entries)])
    scale = _Scale(begin, max((max([ended, *ends]) - begin).total_seconds(), 1.0))
    return _template().substitute(
        title=escape(title),
        facts=_facts(entries, started, ended),
        lanes=_time_line(entries, scale) if entries else _EMPTY,
    )


@cache
def _template() -> Template:
    return Template(files(__package__).joinpath("contact_sheet.html").read_text("utf-8"))


def _facts(entries: Sequence[Entry], started: datetime, ended: datetime) -> str:
    audios = [entry for entry in entries if entry.kind is Kind.AUDIO]
    counts = [
        (len({entry.anchor for entry in entries}), "anchor"),
        (len(entries) - len(audios), "picture"),
        (len(audios), "audio slice"),
    ]
    parts = [f"<b>{number}</b> {noun}{'s' * (number != 1)}" for number, noun in counts]
    parts.append(_size(sum(entry.size for entry in entries)))
    length = timedelta(seconds=round((ended - started).total_seconds()))
    day = started.astimezone(UTC).strftime("%Y-%m-%d")
    return f"{day}, {_clock(started)} – {_clock(ended)} UTC ({length}) · " + " · ".join(parts)


def _time_line(entries: Sequence[Entry], scale: _Scale) -> str:
    pixels = min(scale.seconds * _pixels_per_second(entries), _MAX_PIXELS)
    ticks = list(_ticks(scale, pixels))
    axis = "".join(f'<time style="{scale.left(at)}">{_clock(at)}</time>' for at in ticks)
    grid = "".join(f'<i style="{scale.left(at)}"></i>' for at in ticks)
    lanes = [
        _lane(anchor, list(group), number, scale)
        for number, (anchor, group) in enumerate(groupby(entries, key=lambda e: e.anchor))
    ]
    return "\n".join(
        (
            f'<div class="canvas" style="min-width:{pixels + 160:.0f}px">',
            f'<div class="axis">{axis}</div>',
            f'<div class="grid">{grid}<i class="head" hidden></i></div>',
            *lanes,
            "</div>",
        )
    )


def _pixels_per_second(entries: Sequence[Entry]) -> float:
    """So many that most neighbours in a row do not cover each other."""
    gaps = [
        (after.start - before.start).total_seconds()
        for before, after in pairwise([e for e in entries if e.kind is Kind.VIDEO])
        if (before.anchor, before.role) == (after.anchor, after.role)
    ]
    audios = [entry.seconds for entry in entries if entry.kind is Kind.AUDIO]
    return max(_PICTURE_PIXELS / _typical(gaps), _AUDIO_PIXELS / _typical(audios))


def _typical(seconds: Iterable[float]) -> float:
    """The median of the positive ones; a minute where there is none."""
    ordered = sorted(value for value in seconds if value > 0)
    return ordered[len(ordered) // 2] if ordered else 60.0


def _ticks(scale: _Scale, pixels: float) -> Iterable[datetime]:
    """Round times, so far apart that their labels do not touch."""
    wanted = _TICK_PIXELS * scale.seconds / max(pixels, _TICK_PIXELS)
    step = next((tick for tick in _TICKS if tick >= wanted), _TICKS[-1])
    second = -(-scale.begin.timestamp() // step) * step
    while second <= scale.begin.timestamp() + scale.seconds:
        yield datetime.fromtimestamp(second, UTC)
        second += step


def _lane(anchor: str, entries: Sequence[Entry], number: int, scale: _Scale) -> str:
    hue = (_FIRST_HUE + number * _HUE_STEP) % 360
    rows = ""
    for role in Role:
        of_role = [entry for entry in entries if entry.role is role]
        pictures = [_picture(entry, scale) for entry in of_role if entry.kind is Kind.VIDEO]
        audios = [_audio(entry, scale) for entry in of_role if entry.kind is Kind.AUDIO]
        if pictures:
            rows += f'<div class="row pictures" data-role="{role}">{"".join(pictures)}</div>\n'
        if audios:
            rows += f'<div class="row audios" data-role="{role}">{"".join(audios)}</div>\n'
    return (
        f'<section class="lane" data-anchor="{escape(anchor)}" style="--hue:{hue:.0f}">\n'
        f"<h2>{escape(anchor)}<small>{_size(sum(e.size for e in entries))}</small></h2>\n"
        f"{rows}</section>"
    )


def _picture(entry: Entry, scale: _Scale) -> str:
    link, time = _link(entry.path), _clock(entry.start)
    alt = escape(f"{whose(entry.anchor, entry.role)}, {time} UTC, {_size(entry.size)}")
    return (
        f'<a class="picture" style="{scale.left(entry.start)}" href="{link}" target="_blank">'
        f'<img src="{link}" alt="{alt}" title="{alt}" loading="lazy">{time}</a>'
    )


def _audio(entry: Entry, scale: _Scale) -> str:
    words = f"{_clock(entry.start)} · {round(entry.seconds, 2):g} s · {_size(entry.size)}"
    return (
        f'<div class="audio" title="{escape(words)}" data-seconds="{max(entry.seconds, 0.001):g}" '
        f'style="{scale.left(entry.start)};{scale.width(entry.seconds)}"><span>{escape(words)}</span>'
        f'<audio controls preload="none" src="{_link(entry.path)}"></audio></div>'
    )


def _link(path: str) -> str:
    """A relative reference (RFC 3986 section 4.2): no path can name another scheme or host."""
    return escape("./" + quote(path, safe="/@~"))


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%H:%M:%S")


def _size(size: int) -> str:
    if size < 1_000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1_000:.0f} kB"
    return f"{size / 1_000_000:.1f} MB"
