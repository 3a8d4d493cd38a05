"""The contact sheet shows every slice at its time, and nothing of what it is given is markup."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicer.demo.contact_sheet import Entry, render
from slicer.rtp.parameters import Kind, Role

START = datetime(2026, 5, 4, 14, 30, tzinfo=UTC)
END = START + timedelta(seconds=60)
Attributes = dict[str, str]


class Sheet(HTMLParser):
    """A page taken apart: elements by tag, visible words, and which lane holds what."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.words: list[str] = []
        self.lanes: dict[str, list[Attributes]] = {}
        self._lane = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag == "section":
            self._lane = attributes["data-anchor"]
            self.lanes[self._lane] = []
        if attributes.get("class") in ("picture", "audio"):
            self.lanes[self._lane].append(attributes)

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def all(self, tag: str) -> list[Attributes]:
        return [attributes for name, attributes in self.elements if name == tag]


def picture(at: float, anchor: str = "ann", path: str = "a.png") -> Entry:
    return Entry(path, anchor, Kind.VIDEO, START + timedelta(seconds=at), 0, 30_000)


def audio(at: float, seconds: float = 15, anchor: str = "ann", path: str = "a.ogg") -> Entry:
    return Entry(path, anchor, Kind.AUDIO, START + timedelta(seconds=at), seconds, 60_000)


def style(attributes: Attributes) -> dict[str, float]:
    pairs = (part.split(":") for part in attributes["style"].split(";"))
    return {name: float(value.removesuffix("%")) for name, value in pairs}


def test_an_audio_slice_has_its_own_length_and_not_its_players() -> None:
    """Browsers count the pre-roll of 160 ms in `duration`."""
    page = render("room", [audio(0, 15), audio(15, 6.25)], START, END)
    slots = Sheet(page).lanes["ann"]
    assert [slot["data-seconds"] for slot in slots] == ["15", "6.25"]
    assert ["15 s" in slots[0]["title"], "6.25 s" in slots[1]["title"]] == [True, True]
    assert "currentTime / slot.dataset.seconds" in page


def test_slices_lie_at_their_time_in_their_anchors_lane() -> None:
    entries = [audio(30, 15, "bea"), picture(45, "ann"), picture(15, "ann"), audio(0, 6, "ann")]
    sheet = Sheet(render("room", entries, START, END))
    assert list(sheet.lanes) == ["ann", "bea"]
    assert [style(element) for element in sheet.lanes["ann"]] == [
        {"left": 25}, {"left": 75}, {"left": 0, "width": 10},
    ]  # fmt: skip
    assert [style(element) for element in sheet.lanes["bea"]] == [{"left": 50, "width": 25}]


def test_the_line_reaches_from_the_first_to_the_last_slice() -> None:
    # A first sample can be captured before the task counts as started, the last after its end.
    sheet = Sheet(render("room", [audio(-20, 10), audio(70, 10)], START, END))
    assert [style(element) for element in sheet.lanes["ann"]] == [
        {"left": 0, "width": 10}, {"left": 90, "width": 10},
    ]  # fmt: skip


def test_pictures_link_to_themselves_and_audio_can_be_played() -> None:
    sheet = Sheet(
        render("room", [picture(5, path="x/p.png"), audio(0, path="x/s.ogg")], START, END)
    )
    (link,) = [a for a in sheet.all("a") if a["class"] == "picture"]
    image = sheet.all("img")[0]
    (player,) = sheet.all("audio")
    assert link["href"] == image["src"] == "./x/p.png"
    assert image["loading"] == "lazy"
    assert player["src"] == "./x/s.ogg"
    assert "controls" in player
    assert player["preload"] == "none"


def test_the_head_tells_what_there_is() -> None:
    entries = [picture(5), picture(10), audio(0), audio(0, anchor="bea")]
    words = " ".join(Sheet(render("A & B", entries, START, END)).words)
    assert "A & B" in words
    assert (
        "2026-05-04, 14:30:00 – 14:31:00 UTC (0:01:00) · 2 anchors · 2 pictures"
        in words.replace("  ", " ")
    )
    assert "180 kB" in words


def test_times_are_utc_whatever_zone_they_come_in() -> None:
    there = START.astimezone(timezone(timedelta(hours=8)))
    assert render("r", [], there, END) == render("r", [], START, END)


def test_labels_of_the_axis_are_round_and_do_not_touch() -> None:
    for count, gap in ((12, 5), (60, 1), (100, 60)):
        entries = [picture(gap * number) for number in range(count)]
        page = Sheet(render("r", entries, START, START + timedelta(seconds=gap * count)))
        (canvas,) = [a for a in page.all("div") if a.get("class") == "canvas"]
        wide = float(canvas["style"].removeprefix("min-width:").removesuffix("px")) - 160
        lefts = [style(mark)["left"] for mark in page.all("time")]
        assert len(lefts) > 2
        assert (lefts[1] - lefts[0]) / 100 * wide >= 90
        pictures = [style(element)["left"] for element in page.lanes["ann"]]
        assert (pictures[1] - pictures[0]) / 100 * wide >= 110


def test_a_task_of_days_stays_within_what_browsers_lay_out() -> None:
    page = Sheet(render("r", [audio(0, 1), audio(86_400 * 3, 1)], START, END))
    (canvas,) = [a for a in page.all("div") if a.get("class") == "canvas"]
    assert float(canvas["style"].removeprefix("min-width:").removesuffix("px")) < 1_001_000


def test_nothing_stored_is_said() -> None:
    sheet = Sheet(render("room", [], START, START))
    assert "No slice was stored." in sheet.words
    assert sheet.lanes == {}


NASTY = '"><script>alert(1)</script><img src=x onerror="alert(2)">&amp;$title${facts}'


def test_nothing_given_becomes_markup() -> None:
    plain = Sheet(render("room", [picture(0), audio(0)], START, END))
    entries = [picture(0, NASTY, NASTY), audio(0, 15, NASTY, NASTY)]
    nasty = Sheet(render(NASTY, entries, START, END))
    assert [tag for tag, _ in nasty.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(a) for _, a in nasty.elements] == [sorted(a) for _, a in plain.elements]
    assert list(nasty.lanes) == [NASTY]
    assert NASTY in nasty.words


@pytest.mark.parametrize("path", ["javascript:alert(1)", "//evil.example/x", "a%2Fb ü?#.png"])
def test_a_path_is_nothing_but_a_path(path: str) -> None:
    (link,) = [a["href"] for a in Sheet(render("r", [picture(0, path=path)], START, END)).all("a")]
    assert link.startswith("./")
    assert not set(link) & set(":?#")
    assert unquote(link) == f"./{path}"


@given(st.text(), st.text(min_size=1), st.floats(-100, 100), st.floats(0, 1_000))
def test_any_words_and_times_make_a_page(
    title: str, anchor: str, at: float, seconds: float
) -> None:
    sheet = Sheet(render(title, [picture(at, anchor), audio(at, seconds, anchor)], START, END))
    (lane,) = sheet.lanes.values()
    assert all(0 <= style(element)["left"] <= 100 for element in lane)


def test_nothing_is_loaded_from_outside() -> None:
    page = render("room", [picture(0), audio(0)], START, END)
    for tag, attributes in Sheet(page).elements:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "href"):
            assert attributes.get(name, "./").startswith("./")
    assert "url(" not in page
    assert "@import" not in page
    assert "http" not in page


def test_a_shared_screen_has_a_row_of_its_own() -> None:
    screen = replace(picture(1, path="s.png"), role=Role.AUX)
    sheet = Sheet(render("t", [picture(1), screen], START, END))
    rows = [one for one in sheet.all("div") if "data-role" in one]
    assert [(one["class"], one["data-role"]) for one in rows] == [
        ("row pictures", "main"),
        ("row pictures", "aux"),
    ]
    assert [one["alt"].partition(",")[0] for one in sheet.all("img")][:2] == [
        "ann",
        "ann (aux)",
    ]
