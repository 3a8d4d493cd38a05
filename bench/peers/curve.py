"""Draws how much of a core ours takes as anchors come: a straight line is what is wanted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.peers.chart import STYLE, TEXT, text
from bench.peers.scale import FULL

WIDTH, HEIGHT = 860, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 64, 52
WORDS = {
    "h264-ogg-jpg": "H.264 → JPEG",
    "vp8-ogg-webp": "VP8 → WebP",
    "srtp": "SRTP",
    "webrtc": "WebRTC",
}
COLOURS = {"h264-ogg-jpg": "#c2703d", "vp8-ogg-webp": "#1f9d74"}
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
TICKS = 6
STYLE_OF_LINES = f"""{STYLE}  .grid {{ stroke: {TEXT}; stroke-width: .5; fill: none; }}
  .line {{ fill: none; stroke-width: 2; }}
"""


class Line(NamedTuple):
    """One job, one way: (anchors, share of a core) with the fewest first."""

    job: str
    way: str
    points: Sequence[tuple[int, float]]

    @property
    def label(self) -> str:
        return f"{WORDS[self.job]}, {WORDS[self.way]}"


def lines(told: dict[str, Any]) -> list[Line]:
    """What `scale` measured, a line for each job and way; without what did not keep up."""
    met: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for one in told["points"]:
        if one["core"] > FULL:
            continue
        met.setdefault((one["job"], one["way"]), []).append((one["anchors"], one["core"]))
    return [Line(*key, sorted(points)) for key, points in met.items()]


def draw(shown: Sequence[Line]) -> str:
    """The SVG: SRTP as lines, full WebRTC as rings."""
    most = max((anchors for line in shown for anchors, _ in line.points), default=1)

    def x(anchors: float) -> float:
        return LEFT + anchors / most * (WIDTH - LEFT - RIGHT)

    def y(share: float) -> float:
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    title = "Share of one core, 1 to 500 anchors at 720p30"
    body = [
        text(12, 26, title, "title"),
        text(12, 46, "one sound file every 15 s, one picture every 5 s, each anchor"),
    ]
    for percent in range(0, 101, 25):
        height = y(percent / 100)
        body += [
            _stroke([(LEFT, height), (WIDTH - RIGHT, height)], "grid"),
            text(LEFT - 8, height + 4, f"{percent} %", end=True),
        ]
    step = next(step for step in (*STEPS, most) if most / step <= TICKS)
    for anchors in range(0, most + 1, step):
        body.append(text(x(anchors), HEIGHT - BOTTOM + 22, str(anchors), end=True))
    body.append(text(WIDTH - RIGHT, HEIGHT - 8, "anchors", end=True))
    for line in shown:
        places = [(x(anchors), y(share)) for anchors, share in line.points]
        colour = COLOURS[line.job]
        if line.way == "srtp":
            body.append(_stroke(places, "line", f' stroke="{colour}"'))
        fill = colour if line.way == "srtp" else "none"
        body += [
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{fill}" stroke="{colour}"/>'
            for left, top in places
        ]
        body.append(text(places[-1][0] + 10, places[-1][1] + 4, line.label))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{title}">'
    )
    top = [head, f"<title>{title}</title>", f"<style>{STYLE_OF_LINES}</style>"]
    return "\n".join([*top, *body, "</svg>", ""])


def _stroke(places: Sequence[tuple[float, float]], kind: str, more: str = "") -> str:
    along = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
    return f'<polyline class="{kind}"{more} points="{along}"/>'


def write(path: Path, told: dict[str, Any]) -> None:
    """Draw what `scale` measured into a file."""
    path.write_text(draw(lines(told)), encoding="utf-8")
