"""Draws the result as an SVG: one bar a contestant, readable on a light and on a dark page."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

WIDTH, LEFT, RIGHT = 860, 310, 190
ROW, BAR, HEAD, TITLE, GAP = 30, 16, 62, 34, 18
# Mid tones keep three to one against white and against near-black.
OURS, THEIRS, TEXT = "#1f9d74", "#8a94a6", "#7d8590"

STYLE = f"""
  text {{ font: 13px system-ui, sans-serif; fill: {TEXT}; }}
  .title {{ font-weight: 600; font-size: 14px; }}
  .ours {{ fill: {OURS}; }}
  .theirs {{ fill: {THEIRS}; }}
  .spread {{ stroke: {TEXT}; stroke-width: 1.5; }}
  @media (prefers-color-scheme: light) {{ text {{ fill: #24292f; }} }}
  @media (prefers-color-scheme: dark) {{ text {{ fill: #d0d7de; }} }}
"""


class Bar(NamedTuple):
    """One contestant: what it costs, least and most, and how many times cheaper than ffmpeg."""

    label: str
    cost: float
    low: float
    high: float
    times: float | None
    ours: bool


class Group(NamedTuple):
    """One comparison."""

    title: str
    bars: Sequence[Bar]


def groups(results: dict[str, Any]) -> list[Group]:
    """Each comparison with the most anchors that were measured."""
    most: dict[str, dict[str, Any]] = {}
    for result in results["results"]:
        known = most.get(result["comparison"])
        if known is None or result["anchors"] > known["anchors"]:
            most[result["comparison"]] = result
    return [
        Group(
            f"{result['title']} ({result['anchors']} anchor{'s' * (result['anchors'] > 1)})",
            [_bar(one) for one in result["contestants"].values()],
        )
        for result in most.values()
        if result["contestants"]
    ]


def _bar(one: dict[str, Any]) -> Bar:
    times = one["times_cheaper_than_ffmpeg"]
    cost = one["cost"]
    return Bar(
        one["label"],
        cost["median"],
        cost["low"],
        cost["high"],
        None if times is None else times["median"],
        one["label"].startswith("rtc-slicer"),
    )


def draw(shown: Sequence[Group]) -> str:
    """The SVG. Bars of all groups have one scale."""
    highest = max((bar.high for group in shown for bar in group.bars), default=1.0)
    body: list[str] = []
    y = HEAD
    for group in shown:
        body.append(text(12, y + 18, group.title, "title"))
        y += TITLE
        for bar in group.bars:
            body += _row(bar, y, (WIDTH - LEFT - RIGHT) / highest)
            y += ROW
        y += GAP
    title = "CPU seconds for a minute of one anchor’s media"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img"'
            f' aria-label="{title}">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            text(12, 26, title, "title"),
            text(12, 46, "less is better; compared with ffmpeg decoding every frame"),
            *body,
            "</svg>",
            "",
        ]
    )


def _row(bar: Bar, y: float, scale: float) -> list[str]:
    top = y + (ROW - BAR) / 2
    middle, length = y + ROW / 2, max(bar.cost * scale, 1.0)
    words = f"{figure(bar.cost)} s{compared(bar.times)}"
    kind = "ours" if bar.ours else "theirs"
    low, high = LEFT + bar.low * scale, LEFT + bar.high * scale
    return [
        text(LEFT - 10, middle + 4, bar.label, end=True),
        f'<rect class="{kind}" x="{LEFT}" y="{top:g}" width="{length:.1f}" height="{BAR}" rx="2"/>',
        f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle:g}" y2="{middle:g}"/>',
        text(max(high, LEFT + length) + 8, middle + 4, words),
    ]


def compared(times: float | None) -> str:
    """How many times cheaper, or dearer; nothing for who is compared with."""
    if times is None or times == 1:
        return ""
    return f" – {figure(times)} × cheaper" if times > 1 else f" – {figure(1 / times)} × dearer"


def figure(value: float) -> str:
    """Two digits that mean something; more would promise what a benchmark cannot hold."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def text(x: float, y: float, said: str, kind: str = "", end: bool = False) -> str:
    words = f' class="{kind}"' if kind else ""
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{words}{anchor}>{escape(said)}</text>'


def write(path: Path, results: dict[str, Any]) -> None:
    """Draw the results into a file."""
    path.write_text(draw(groups(results)), encoding="utf-8")
