"""The chart is well-formed, true to scale and complete."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from bench.peers.chart import Bar, Group, compared, draw, figure, groups

SVG = "{http://www.w3.org/2000/svg}"


def bar(label: str, cost: float, times: float | None = None, ours: bool = False) -> Bar:
    return Bar(label, cost, cost * 0.9, cost * 1.1, times, ours)


def rects(svg: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(f"{SVG}rect"))


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_true_to_scale() -> None:
    svg = draw([Group("a", [bar("x", 4.0)]), Group("b", [bar("y", 1.0)])])
    widths = [float(one.attrib["width"]) for one in rects(svg)]
    assert widths[0] == pytest.approx(4 * widths[1], rel=0.01)


def test_ours_is_set_apart() -> None:
    svg = draw([Group("a", [bar("x", 4.0), bar("rtc-slicer", 0.1, 40.0, ours=True)])])
    assert [one.attrib["class"] for one in rects(svg)] == ["theirs", "ours"]
    assert any("0.1 s – 40 × cheaper" in text for text in texts(svg))


@pytest.mark.parametrize(
    ("times", "text"), [(None, ""), (1.0, ""), (13.2, " – 13 × cheaper"), (0.5, " – 2 × dearer")]
)
def test_cheaper_and_dearer(times: float | None, text: str) -> None:
    assert compared(times) == text


def test_labels_are_escaped() -> None:
    assert "a < b & c" in texts(draw([Group("a < b & c", [bar("<x>", 1.0)])]))


def test_nothing_lies_outside() -> None:
    svg = draw([Group("a", [bar(f"{n}", 1.0 + n) for n in range(20)])])
    root = ET.fromstring(svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for one in rects(svg):
        assert float(one.attrib["x"]) + float(one.attrib["width"]) <= width
        assert float(one.attrib["y"]) + float(one.attrib["height"]) <= height


def test_a_chart_of_nothing_can_be_drawn() -> None:
    assert rects(draw([])) == []


@pytest.mark.parametrize(
    ("value", "text"), [(31.4, "31"), (9.96, "10"), (3.14, "3.1"), (0.1234, "0.12")]
)
def test_figures_have_two_digits(value: float, text: str) -> None:
    assert figure(value) == text


def result(comparison: str, anchors: int, cost: float) -> dict[str, Any]:
    one = {
        "label": "rtc-slicer, native",
        "cost": {"low": cost, "median": cost, "high": cost},
        "times_cheaper_than_ffmpeg": None,
    }
    return {
        "comparison": comparison,
        "title": comparison,
        "anchors": anchors,
        "contestants": {"native": one},
    }


def test_the_most_anchors_of_each_comparison_are_shown() -> None:
    told = {"results": [result("jpg", 1, 2.0), result("jpg", 16, 1.0), result("png", 1, 3.0)]}
    found = groups(told)
    assert [(one.title, one.bars[0].cost) for one in found] == [
        ("jpg (16 anchors)", 1.0),
        ("png (1 anchor)", 3.0),
    ]
    assert found[0].bars[0].ours
