"""The curve of the cost: every point where it belongs, a line where there are lines."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from bench.peers.curve import Line, draw, lines

SVG = "{http://www.w3.org/2000/svg}"


def point(job: str, way: str, anchors: int, core: float) -> dict[str, Any]:
    return {"job": job, "way": way, "anchors": anchors, "core": core}


POINTS = [
    point("vp8-ogg-webp", "srtp", 500, 0.8),
    point("vp8-ogg-webp", "srtp", 1, 0.01),
    point("vp8-ogg-webp", "webrtc", 64, 0.15),
    point("h264-ogg-jpg", "srtp", 250, 0.9),
]


def circles(svg: str) -> list[tuple[float, float]]:
    found = ET.fromstring(svg).iter(f"{SVG}circle")
    return [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in found]


def test_a_line_for_each_job_and_way() -> None:
    too_many = point("h264-ogg-jpg", "srtp", 500, 1.0)
    assert lines({"points": [*POINTS, too_many]}) == [
        Line("vp8-ogg-webp", "srtp", [(1, 0.01), (500, 0.8)]),
        Line("vp8-ogg-webp", "webrtc", [(64, 0.15)]),
        Line("h264-ogg-jpg", "srtp", [(250, 0.9)]),
    ]


def test_points_are_true_to_scale() -> None:
    shown = [Line("vp8-ogg-webp", "srtp", [(0, 0.0), (100, 0.25), (200, 0.5)])]
    (x0, y0), (x1, y1), (x2, y2) = circles(draw(shown))
    assert x2 - x0 == pytest.approx(2 * (x1 - x0), abs=0.3)
    assert y2 - y0 == pytest.approx(2 * (y1 - y0), abs=0.3)
    assert y2 < y1 < y0, "more is higher"


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], []])
def test_every_point_lies_inside(points: list[dict[str, Any]]) -> None:
    svg = draw(lines({"points": points}))
    _, _, width, height = map(float, ET.fromstring(svg).attrib["viewBox"].split())
    assert len(circles(svg)) == len(points)
    assert all(0 < x < width and 0 < y < height for x, y in circles(svg))
