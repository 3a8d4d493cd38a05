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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from slicer.errors import BadInput
from slicer.moderation import Label, Suggest

MAX_LIST = 1024 * 1024
"""Bytes of a list."""
MAX_PHRASE = 100
"""Characters of a phrase."""
LISTS = ("en.txt", "zh.txt")
"""Those of the package."""
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
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
    """The phrases of all lists."""

    def __init__(self, sections: Iterable[tuple[Rule, list[str]]]) -> None:
        phrases: dict[Rule, list[str]] = {}
        for rule, listed in sections:
            phrases.setdefault(rule, []).extend(listed)
        self._patterns = [(rule, _any_of(listed)) for rule, listed in phrases.items() if listed]

    @classmethod
    def load(cls, path: str = "") -> "WordLists":
        """The package's lists, and the operator's own at *path*. Raises BadInput that names
        moderation.local_words."""
        sections: list[tuple[Rule, list[str]]] = []
        folder = resources.files(__package__) / "words"
        for name in LISTS:
            sections += read((folder / name).read_text(encoding="utf-8"))
        if path:
            try:
                data = Path(path).read_bytes()
                text = data.decode() if len(data) <= MAX_LIST else None
            except (OSError, ValueError):
                text = None
            if text is None:
                allowed = f"a text file in UTF-8 of at most {MAX_LIST} bytes"
                raise BadInput("moderation.local_words", path, allowed)
            sections += read(text)
        return cls(sections)

    def find(self, text: str) -> list[Match]:
        """All that a normalized text has, in no order."""
        return [
            Match(rule, found[0], *found.span())
            for rule, pattern in self._patterns
            for found in pattern.finditer(text)
        ]


def normalized(text: str) -> str:
    """A text as phrases are looked for in it."""
    return unicodedata.normalize("NFKC", text).casefold()


def read(text: str) -> Iterator[tuple[Rule, list[str]]]:
    """The sections of a list. Raises BadInput that names its line."""
    rule: Rule | None = None
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        phrase = line.strip()
        if not phrase or phrase.startswith("#"):
            continue
        if phrase.startswith("["):
            rule = _rule(phrase, number)
        elif rule is None or len(phrase) > MAX_PHRASE or not re.search(r"[^\W_]", phrase):
            allowed = f"a phrase of at most {MAX_PHRASE} characters, below a section's head"
            raise BadInput(f"moderation.local_words, line {number}", phrase, allowed)
        else:
            yield rule, [phrase]


def _rule(head: str, number: int) -> Rule:
    found = _SECTION.fullmatch(head)
    labels = [label.value for label in Label if label is not Label.NORMAL]
    if not found or found[1] not in labels:
        allowed = f"[LABEL review] or [LABEL block]; a label is one of {', '.join(labels)}"
        raise BadInput(f"moderation.local_words, line {number}", head, allowed)
    return Rule(Label(found[1]), Suggest[found[2].upper()])


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    """One expression for all: the longest first, so that the whole phrase is told."""
    ordered = sorted({normalized(phrase) for phrase in phrases}, key=len, reverse=True)
    return re.compile("|".join(_expression(phrase) for phrase in ordered))


def _expression(phrase: str) -> str:
    """A phrase as a regular expression. Letters of the same script beside it make another word."""
    letter = f"[^\\W_{_CHINESE}]"
    words = re.findall(rf"[{_CHINESE}]|{letter}+\*?", phrase)
    parts: list[str] = []
    before = ""
    for word in words:
        chinese = re.fullmatch(f"[{_CHINESE}]", word) is not None
        if parts:
            parts.append(r"\s*" if chinese or before == "chinese" else r"[\W_]+")
        if word.endswith("*"):
            parts.append(re.escape(word[:-1]) + f"{letter}*")
        else:
            parts.append(re.escape(word))
        before = "chinese" if chinese else "letters"
    starts = "" if re.match(f"[{_CHINESE}]", words[0]) else f"(?<!{letter})"
    ends = "" if before == "chinese" else f"(?!{letter})"
    return starts + "".join(parts) + ends
