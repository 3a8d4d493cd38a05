"""Lists of words and phrases, and where a text has one of them.

A list is a text file in UTF-8: `# ` begins a comment, `[Abuse block]` says which label and
suggestion the lines below it have, and each other line is a phrase. `*` at the end of a word stands
for any letters that follow.

Text and phrases are compared without regard to case and width (Unicode NFKC, then casefold). A
phrase is found as whole words, of which spaces and punctuation may lie between: *ass* is not in
*class*. Chinese is written without spaces, so that its phrases are found anywhere, and spaces
between their characters do not matter.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from operator import itemgetter
from pathlib import Path

from slicer.errors import BadInput
from slicer.moderation import Label, Suggest

MAX_LIST = 1024 * 1024
"""Bytes of a list."""
MAX_PHRASES = 20_000
MAX_PHRASE = 100
"""Characters of a phrase."""
LISTS = ("en.txt", "zh.txt")
"""Those of the package."""
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTERS = f"[^\\W_{_CHINESE}]+"
_WORD = re.compile(f"[{_CHINESE}]|{_LETTERS}")
"""A Chinese character, or letters and digits of others."""
_PHRASE_WORD = re.compile(rf"[{_CHINESE}]|{_LETTERS}\*?")
_CHINESE_CHARACTER = re.compile(f"[{_CHINESE}]")
_SECTION = re.compile(r"\[(\w+) (review|block)\]")


@dataclass(frozen=True, slots=True)
class Rule:
    """What the phrases of a section mean."""

    label: Label
    suggest: Suggest


@dataclass(frozen=True, slots=True)
class Match:
    """A phrase found, and where: characters of the text that was normalized."""

    rule: Rule
    phrase: str
    begin: int
    end: int


class WordLists:
    """The phrases of all lists, as a tree of their words: what a text costs does not depend on how
    many there are, nor on how many begin alike. A node is a number, the root 0."""

    def __init__(self, sections: Iterable[tuple[Rule, list[str]]]) -> None:
        self._next: dict[tuple[int, str], int] = {}  # a node and a word, or a stem with its `*`
        self._stems: dict[int, int] = {}  # the length of the longest stem behind a node
        self._rules: dict[int, dict[Rule, None]] = {}  # of the phrases that end at a node
        for rule, listed in sections:
            for phrase in listed:
                self._add(rule, phrase)

    def _add(self, rule: Rule, phrase: str) -> None:
        node = 0
        for word in _PHRASE_WORD.findall(normalized(phrase)):
            if word.endswith("*"):
                self._stems[node] = max(self._stems.get(node, 0), len(word) - 1)
            node = self._next.setdefault((node, word), len(self._next) + 1)
        self._rules.setdefault(node, {})[rule] = None

    @classmethod
    def load(cls, path: str = "") -> "WordLists":
        """The package's lists, and the operator's own at *path*. Raises BadInput that names
        moderation.local_words."""
        return cls([*_ours(), *read_file(path)])

    def find(self, text: str) -> list[Match]:
        """All that a normalized text has, by their beginnings. Of phrases of one rule that overlap
        the first is told, and of those that begin together the longest."""
        words = list(_WORD.finditer(text))
        found: list[Match] = []
        free: dict[Rule, int] = {}
        for index, first in enumerate(words):
            here = sorted(self._ends(words, index, text), key=itemgetter(0), reverse=True)
            for end, rule in here:
                if index >= free.get(rule, 0):
                    free[rule] = end
                    last = words[end - 1].end()
                    found.append(Match(rule, text[first.start() : last], first.start(), last))
        return found

    def _ends(
        self, words: Sequence[re.Match[str]], begin: int, text: str
    ) -> Iterator[tuple[int, Rule]]:
        """Behind which word phrases end that begin at one, and their rules."""
        nodes = [0]
        for index in range(begin, len(words)):
            if index > begin and not _joined(words[index - 1], words[index], text):
                return
            word = words[index][0]
            nodes = [following for node in nodes for following in self._after(node, word)]
            if not nodes:
                return
            for node in nodes:
                yield from ((index + 1, rule) for rule in self._rules.get(node, ()))

    def _after(self, node: int, word: str) -> Iterator[int]:
        """Where a word of a text leads."""
        if found := self._next.get((node, word)):
            yield found
        for length in range(1, min(len(word), self._stems.get(node, 0)) + 1):
            if found := self._next.get((node, f"{word[:length]}*")):
                yield found


def read_file(path: str) -> list[tuple[Rule, list[str]]]:
    """The sections of the operator's list, none where there is no path. Raises BadInput."""
    if not path:
        return []
    allowed = f"a text file in UTF-8 of at most {MAX_LIST} bytes and {MAX_PHRASES} phrases"
    try:
        data = Path(path).read_bytes()
        text = data.decode() if len(data) <= MAX_LIST else None
    except (OSError, ValueError):
        text = None
    found = read(text) if text is not None else []
    if text is None or sum(len(phrases) for _, phrases in found) > MAX_PHRASES:
        raise BadInput("moderation.local_words", path, allowed)
    return found


def _ours() -> Iterator[tuple[Rule, list[str]]]:
    folder = resources.files(__package__) / "words"
    for name in LISTS:
        yield from read((folder / name).read_text(encoding="utf-8"))


def normalized(text: str) -> str:
    """A text as phrases are looked for in it."""
    return unicodedata.normalize("NFKC", text).casefold()


def read(text: str) -> list[tuple[Rule, list[str]]]:
    """The sections of a list, with their phrases. Raises BadInput that names the line."""
    sections: list[tuple[Rule, list[str]]] = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        phrase = line.strip()
        if not phrase or phrase.startswith("#"):
            continue
        if phrase.startswith("["):
            sections.append((_rule(phrase, number), []))
        elif not sections or len(phrase) > MAX_PHRASE or not _WORD.search(phrase):
            allowed = f"a phrase of at most {MAX_PHRASE} characters, below a section's head"
            raise BadInput(f"moderation.local_words, line {number}", phrase, allowed)
        else:
            sections[-1][1].append(phrase)
    return sections


def _rule(head: str, number: int) -> Rule:
    found = _SECTION.fullmatch(head)
    labels = [label.value for label in Label if label is not Label.NORMAL]
    if not found or found[1] not in labels:
        allowed = f"[LABEL review] or [LABEL block]; a label is one of {', '.join(labels)}"
        raise BadInput(f"moderation.local_words, line {number}", head, allowed)
    return Rule(Label(found[1]), Suggest[found[2].upper()])


def _joined(one: re.Match[str], other: re.Match[str], text: str) -> bool:
    """Whether two words that follow each other may be of one phrase: a mark between Chinese ones
    ends a sentence, and one between others may be an apostrophe or a hyphen."""
    between = text[one.end() : other.start()]
    chinese = _CHINESE_CHARACTER.match(one[0]) or _CHINESE_CHARACTER.match(other[0])
    return not between.strip() if chinese else True
