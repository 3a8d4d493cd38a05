"""Counters in words: what is news, and how often it is told."""

from collections import Counter
from pathlib import Path

from slicer.rooms.whip.trouble import LOOK, QUIET, TROUBLES, Watch

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


def test_every_reason_is_a_counter_of_the_native_plane() -> None:
    names = (Path(__file__).parents[3] / "native" / "core.h").read_text()
    assert [name for name in TROUBLES if f"X({name})" not in names] == []
