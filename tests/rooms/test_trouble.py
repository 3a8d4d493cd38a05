"""Counters in words: what is news, and how often it is told."""

import re
from collections import Counter
from pathlib import Path

import pytest

from slicer.rooms.trouble import LOOK, QUIET, TROUBLES, Watch
from slicer.slicing.audio import MAX_SLICE_BYTES

ROOT = Path(__file__).parents[2]

NAME = "srtp_authentication"
WORDS, NEWS = TROUBLES[NAME]


def test_a_damaged_packet_now_and_then_is_no_news() -> None:
    watch, counters = Watch(), Counter[str]()
    for look in range(100):
        counters[NAME] += NEWS - 1
        assert list(watch.look(counters, look * LOOK)) == []


def test_many_are_told_once_a_minute_with_how_many() -> None:
    watch, counters = Watch(), Counter[str]()
    told = []
    for look in range(19):
        counters[NAME] += 500
        counters["reordered"] += 500
        told += [(look * LOOK, *each) for each in watch.look(counters, look * LOOK)]
    assert told == [
        (0.0, WORDS, 500),
        (QUIET, WORDS, 3_000),
        (2 * QUIET, WORDS, 3_000),
        (3 * QUIET, WORDS, 3_000),
    ]


def test_each_reason_has_its_own_minute() -> None:
    watch = Watch()
    assert list(watch.look(Counter({NAME: NEWS}), 0.0)) == [(WORDS, NEWS)]
    both = Counter({NAME: 2 * NEWS, "out_of_memory": 1})
    assert list(watch.look(both, LOOK)) == [(TROUBLES["out_of_memory"][0], 1)]


def counters_of_media() -> set[str]:
    """Those of the native plane, which has all of the reference's."""
    header = (ROOT / "native" / "core.h").read_text()
    return {name for name in re.findall(r"X\((\w+)\)", header) if name != "name"} - {"X"}


def counters_without_words() -> list[str]:
    """The first column of the table of counters in the operator's page."""
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition("| counter alone |")[2].partition("\n\n")[0]
    return [
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]


def test_of_each_counter_it_is_decided_what_a_user_hears() -> None:
    """An `AnchorTrouble`, or a reason in the operator's page for why there is none."""
    silent = counters_without_words()
    assert len(silent) == len(set(silent))
    assert TROUBLES.keys() & set(silent) == set()
    assert TROUBLES.keys() | set(silent) == counters_of_media()


@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_is_told_when_it_is_news(name: str) -> None:
    words, news = TROUBLES[name]
    watch = Watch()
    assert list(watch.look(Counter({name: news - 1}), 0.0)) == []
    assert list(watch.look(Counter({name: 2 * news - 1}), LOOK)) == [(words, news)]


def test_the_bound_in_words_is_the_bound() -> None:
    assert f"{MAX_SLICE_BYTES >> 20} MiB" in TROUBLES["slice_full"][0]
