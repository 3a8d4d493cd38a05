"""What is found in a text, and what is another word."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from slicer.errors import BadInput
from slicer.moderation import Label, Suggest
from slicer.moderation.local.word_lists import (
    MAX_LIST,
    MAX_PHRASES,
    Match,
    Rule,
    WordLists,
    normalized,
    read,
)

ABUSE = Rule(Label.ABUSE, Suggest.BLOCK)


def found(lists: WordLists, text: str) -> set[str]:
    plain = normalized(text)
    matches = lists.find(plain)
    assert all(plain[match.begin : match.end] == match.phrase for match in matches)
    return {match.phrase for match in matches}


def listed(*phrases: str) -> WordLists:
    return WordLists([(ABUSE, list(phrases))])


@pytest.mark.parametrize(
    ("phrase", "text", "hits"),
    [
        ("ass", "What an ass.", {"ass"}),
        ("ass", "ASS", {"ass"}),
        ("ass", "a first class assassin passes", set()),
        ("ass", "ass_ass", {"ass"}),
        ("kill you", "I'll kill, you!", {"kill, you"}),
        ("kill you", "skill you kill your", set()),
        ("i'll go", "I’ll go", {"i’ll go"}),
        ("fool*", "foolish fools, tomfoolery", {"foolish", "fools"}),
        ("fool", "ｆｏｏｌ", {"fool"}),
        ("fool", "你fool好", {"fool"}),
        ("混蛋", "你这个混蛋啊", {"混蛋"}),
        ("混蛋", "混 蛋", {"混 蛋"}),
        ("混蛋", "混合鸡蛋", set()),
        ("加我qq", "快加我 QQ 吧", {"加我 qq"}),
        ("加我qq", "加我qqmusic", set()),
        ("straße", "STRASSE", {"strasse"}),
        ("a+b", "a + b", {"a + b"}),
    ],
)
def test_phrases(phrase: str, text: str, hits: set[str]) -> None:
    assert found(listed(phrase), text) == hits


def test_the_longest_phrase_is_told_with_its_rule() -> None:
    rude = Rule(Label.ABUSE, Suggest.REVIEW)
    lists = WordLists([(ABUSE, ["go", "go away"]), (rude, ["away"]), (rude, [])])
    matches = lists.find("just go away")
    assert {(one.rule, one.phrase) for one in matches} == {(ABUSE, "go away"), (rude, "away")}


HARMLESS = [
    "Scunthorpe's assassins passed the class on analysis in Essex with a cocktail.",
    "It was the best of times, it was the worst of times.",
    "The doctor gave a dose. The dam broke. A bass guitar. Shiitake mushrooms.",
    "Dick and Fanny sell grapes; the cockpit of the Titan was hot.",
    "大家好，今天我们来聊一聊智能手机和微信支付的历史。",
    "他的妈妈买了鸡蛋，操场上有很多学生。",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_texts_pass_our_lists(text: str) -> None:
    assert found(WordLists.load(), text) == set()


def test_our_lists_find_what_they_list() -> None:
    lists = WordLists.load()
    assert found(lists, "Go fuck yourself, you moron") == {"go fuck yourself", "you moron"} | {
        "fuck"
    }
    assert found(lists, "加我微信，日赚千元") == {"加我微信", "日赚千元"}
    labels = {match.rule.label for match in lists.find("an online casino; horny; pipe bombs")}
    assert labels == {Label.ILLEGAL, Label.PORN, Label.TERROR}


def test_a_list_of_your_own(tmp_path: Path) -> None:
    own = tmp_path / "words.txt"
    own.write_text("\ufeff# ours\n\n[Custom review]\nproject x\n[Polity block]\n口号\n")
    matches = WordLists.load(str(own)).find(normalized("Project X 口号"))
    assert {(one.rule.label, one.phrase) for one in matches} == {
        (Label.CUSTOM, "project x"),
        (Label.POLITY, "口号"),
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("word", "line 1"),
        ("[Abuse block]\n" + "x" * 101, "line 2"),
        ("[Abuse block]\n_**", "line 2"),
        ("\n[Normal block]", "line 2"),
        ("[Abuse pass]", "line 1"),
        ("[Abuse]", "line 1"),
    ],
)
def test_a_list_that_is_none(text: str, line: str) -> None:
    with pytest.raises(BadInput, match=f"moderation.local_words, {line}"):
        read(text)


def test_a_long_list_finds_all_and_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    names = [f"w{number}ord" for number in range(MAX_PHRASES)]
    path.write_text("[Custom review]\n" + "\n".join(names))
    assert found(WordLists.load(str(path)), f"say {names[-1]} w1 {names[0]}s") == {names[-1]}
    path.write_text("[Custom review]\n" + "\n".join([*names, "one more"]))
    with pytest.raises(BadInput, match=f"{MAX_PHRASES} phrases"):
        WordLists.load(str(path))


def calls(work: Callable[[], list[Match]]) -> int:
    """How many functions, of Python and of C, are called to find nothing."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    gc.disable()  # a collection calls those who asked to be told
    sys.setprofile(counted)
    try:
        found = work()
    finally:
        sys.setprofile(before)
        gc.enable()
    assert found == []
    return count


def test_phrases_that_begin_alike_cost_no_more() -> None:
    """As many as a list may have, at each word of a long text; counted, not timed."""
    rule = Rule(Label.CUSTOM, Suggest.REVIEW)
    lists = WordLists([(rule, [f"a b c {number}" for number in range(MAX_PHRASES)])])
    few = WordLists([(rule, ["a b c 1"])])
    text = "a b c " * 2_000
    assert calls(lambda: lists.find(text)) == calls(lambda: few.find(text))
    assert [match.phrase for match in lists.find(f"{text} 7")] == ["a b c  7"]


def test_a_long_word_is_looked_at_as_far_as_phrases_go() -> None:
    lists = WordLists([(Rule(Label.CUSTOM, Suggest.REVIEW), ["idiot*", "b*"])])
    assert [match.begin for match in lists.find("idiot" + "x" * 100_000)] == [0]
    assert not lists.find("x" * 1_000_000)


@pytest.mark.parametrize("data", [None, b"\xff", b" " * (MAX_LIST + 1)])
def test_a_file_that_is_none(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "words.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BadInput, match=r"moderation\.local_words"):
        WordLists.load(str(path))
