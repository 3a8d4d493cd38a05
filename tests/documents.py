"""The documents of this project as data: pages, their fenced blocks, commands and links."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("bench", "native", "samples")),
)
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<![`\w])`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROGRAMS = ("slicer", "make", "pip", "python")
"""What is a command where it stands in a line of text, and not in a block."""


@dataclass(frozen=True)
class Command:
    """A command line as a reader would type it."""

    page: str
    words: tuple[str, ...]
    whole: bool
    """Whether it stands in a block, to be typed as it is; in a line of text a name may do."""

    @property
    def program(self) -> str:
        return self.words[0].rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks of a page in one language; one in a list without its indentation."""
    for found in _FENCE.finditer(page.read_text()):
        if found[1] == language:
            lines = found[2].splitlines(keepends=True)
            indent = min(len(one) - len(one.lstrip(" ")) for one in lines if one.strip())
            yield "".join(one[indent:] if one.strip() else one for one in lines)


def commands(page: Path) -> Iterator[Command]:
    """Each command of a page: in its blocks, and between backquotes in its text."""
    for language in ("console", "sh"):
        for block in blocks(page, language):
            for line in _lines(block, language == "console"):
                for words in _simple(line):
                    yield Command(name(page), words, True)
    text = _FENCE.sub("", page.read_text())
    for line in _lines(text.replace("\n    $ ", "\n    "), False):
        if line.startswith("    ") and line.split()[0] in _PROGRAMS:
            for words in _simple(line):
                yield Command(name(page), words, True)
    for inline in _INLINE.findall(" ".join(text.splitlines())):
        if inline.split()[0] in _PROGRAMS and " " in inline:
            for words in _simple(inline.replace("\\|", "|")):
                yield Command(name(page), words, False)


def links(page: Path) -> Iterator[str]:
    """Where a page leads, other sites left out."""
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def headings(page: Path) -> set[str]:
    """The fragments by which a page's headings are linked to, as GitHub makes them."""
    found: dict[str, int] = {}
    fragments = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text())):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        fragment = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        again = found.get(fragment, 0)
        found[fragment] = again + 1
        fragments.add(f"{fragment}-{again}" if again else fragment)
    return fragments


def variables() -> Mapping[str, str]:
    """Each variable SLICER_… that a page names, and a page that does."""
    return {
        found: name(page)
        for page in PAGES
        for found in re.findall(r"\bSLICER_[A-Z0-9_]*[A-Z0-9]\b", page.read_text())
    }


def _lines(text: str, prompts: bool) -> Iterator[str]:
    """Lines with those that go on in the next ones; of a dialogue those behind a prompt."""
    for line in text.replace("\\\n", " ").splitlines():
        if not prompts and line.strip():
            yield line
        elif line.startswith("$ "):
            yield line[2:]


def _simple(line: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a line, without variables before them, redirections and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    parts = iter([*lexer, ";"])
    for word in parts:
        if word in {">", "<"}:
            next(parts)
        elif word in {"&&", "|", ";"}:
            while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
                del words[0]
            if words:
                yield tuple(words)
            words = []
        else:
            words.append(word)
