"""Reads a session description (RFC 8866) as lines and sections, in time linear in its length.

Read as devices write it: lines may end in CR, LF or both, any white space may set words apart,
letters of names may be of either case, and `SDP:` (of an RTSP log), a byte order mark, empty lines
or a NUL at the end are passed over. What a description says is not guessed at: a line that is none
is refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from slicer.errors import BadInput

MAX_SECTIONS = 512
"""m-lines of one description: twice what a bundle receives, for many may be stopped or refused."""
_MEDIA = re.compile(r"([^ ]+) (\d{1,5})(?:/\d+)? ([^ ]+)((?: [^ ]+)+)", re.ASCII)
_ATTRIBUTE = re.compile(r"\s*([^:\s]+)\s*(?::(.*))?")
_LINE_END = re.compile(r"\r\n?|\n")
_AROUND = " \t\0\ufeff"


@dataclass(frozen=True, slots=True)
class Attributes:
    """The a-lines of one place, as (name, value) in order; a flag's value is empty.

    They are indexed once: a peer chooses how many there are, and each is looked up by name often.
    """

    pairs: tuple[tuple[str, str], ...]
    _values: Mapping[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values: dict[str, list[str]] = {}
        for name, value in self.pairs:
            values.setdefault(name, []).append(value)
        object.__setattr__(self, "_values", values)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def has(self, name: str) -> bool:
        return name in self._values

    def first(self, name: str) -> str | None:
        """The value of the first attribute of this name."""
        return self._values.get(name, [None])[0]

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def by_payload_type(self, name: str) -> dict[str, str]:
        """What `a=rtpmap` or `a=fmtp` lines say of each payload type; the last one counts."""
        pairs = (value.split(maxsplit=1) for value in self.all(name))
        return {pair[0]: "".join(pair[1:]) for pair in pairs if pair}


@dataclass(frozen=True, slots=True)
class Section:
    """What an m-line says, and the attributes below it."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: Attributes

    @property
    def mid(self) -> str:
        """Its name in the session (RFC 5888); empty where it has none."""
        return self.attributes.first("mid") or ""


@dataclass(frozen=True, slots=True)
class Description:
    """The session's own attributes, and its sections in order."""

    attributes: Attributes
    sections: tuple[Section, ...]

    def all(self, name: str) -> Iterator[str]:
        """The values of this attribute, wherever it stands."""
        for place in (self.attributes, *(section.attributes for section in self.sections)):
            yield from place.all(name)


def parse(text: str) -> Description:
    """Split an SDP into sections. Lines of no use here are skipped. Raises BadInput."""
    lines = _lines(text)
    if lines and lines[0].lower() == "sdp:":
        del lines[0]
    if not lines or lines[0].lower() != "v=0":
        got = lines[0] if lines else ""
        raise BadInput("sdp", got, "a session description that begins with v=0")
    return _description(lines[1:])


def parse_fragment(text: str) -> Description:
    """Split a trickle-ice-sdpfrag (RFC 8840 section 9), which has no v-line. Raises BadInput."""
    return _description(_lines(text))


def _lines(text: str) -> list[str]:
    """The lines that say something, without white space around them."""
    lines = (line.strip(_AROUND) for line in _LINE_END.split(text))
    return [line for line in lines if line]


def _description(lines: list[str]) -> Description:
    session, *sections = _groups(lines)
    if len(sections) > MAX_SECTIONS:
        raise BadInput("sdp", f"{len(sections)} m-lines", f"at most {MAX_SECTIONS}")
    return Description(_attributes(session), tuple(_section(lines) for lines in sections))


def _groups(lines: list[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for line in lines:
        # A value may be empty: `s= ` is a session without a name (RFC 8866 5.3).
        if line[1:2] != "=":
            raise BadInput("sdp", line, "lines written as letter=value")
        if line[0] in "mM":
            groups.append([])
        groups[-1].append(line)
    return groups


def _section(lines: list[str]) -> Section:
    kind, _, rest = " ".join(lines[0][2:].split()).partition(" ")
    media = _MEDIA.fullmatch(f"{kind.lower()} {rest}")
    if media is None or int(media[2]) > 65_535:
        raise BadInput("sdp", lines[0], "m=kind port protocol formats")
    kind, port, protocol, formats = media.groups()
    return Section(kind, int(port), protocol, tuple(formats.split()), _attributes(lines[1:]))


def _attributes(lines: Iterable[str]) -> Attributes:
    matches = (_ATTRIBUTE.fullmatch(line[2:]) for line in lines if line[0] in "aA")
    pairs = ((match[1].lower(), (match[2] or "").strip()) for match in matches if match)
    return Attributes(tuple(pairs))
