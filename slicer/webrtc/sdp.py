"""Reads a session description (RFC 8866) as lines and sections; knows no codec and no transport."""

import re
from dataclasses import dataclass

from slicer.errors import BadInput

MAX_SECTIONS = 32
_MEDIA = re.compile(r"([a-z0-9]+) (\d{1,5})(?:/\d+)? ([A-Za-z0-9/.-]+)((?: [^ ]+)+)")
_ATTRIBUTE = re.compile(r"([^:\s]+)(?::(.*))?")

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What an m-line says, and the attributes below it; a flag's value is empty."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: Attributes

    def has(self, name: str) -> bool:
        return any(name == given for given, _ in self.attributes)

    def first(self, name: str) -> str | None:
        return first(self.attributes, name)

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.attributes if given == name]


@dataclass(frozen=True, slots=True)
class Description:
    """The session's own attributes, and its sections in order."""

    attributes: Attributes
    sections: tuple[Section, ...]


def first(attributes: Attributes, name: str) -> str | None:
    """The value of the first attribute of this name."""
    return next((value for given, value in attributes if given == name), None)


def parse(text: str) -> Description:
    """Split an SDP into sections. Lines of no use here are skipped. Raises BadInput."""
    version, *lines = text.split("\n")
    if version.rstrip() != "v=0":
        raise BadInput("sdp", version.rstrip(), "a session description that begins with v=0")
    session, *sections = _groups(lines)
    if len(sections) > MAX_SECTIONS:
        raise BadInput("sdp", f"{len(sections)} m-lines", f"at most {MAX_SECTIONS}")
    return Description(_attributes(session), tuple(_section(lines) for lines in sections))


def parse_fragment(text: str) -> Description:
    """Split a trickle-ice-sdpfrag (RFC 8840 section 9), which has no v-line. Raises BadInput."""
    session, *sections = _groups(text.split("\n"))
    if len(sections) > MAX_SECTIONS:
        raise BadInput("sdp", f"{len(sections)} m-lines", f"at most {MAX_SECTIONS}")
    return Description(_attributes(session), tuple(_section(lines) for lines in sections))


def _groups(lines: list[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for raw in lines:
        line = raw.strip("\r ")
        if line.startswith("m="):
            groups.append([])
        if len(line) > 2 and line[1] == "=":
            groups[-1].append(line)
        elif line:
            raise BadInput("sdp", line, "lines written as letter=value")
    return groups


def _section(lines: list[str]) -> Section:
    media = _MEDIA.fullmatch(lines[0][2:])
    if media is None or int(media[2]) > 65_535:
        raise BadInput("sdp", lines[0], "m=kind port protocol formats")
    kind, port, protocol, formats = media.groups()
    return Section(kind, int(port), protocol, tuple(formats.split()), _attributes(lines[1:]))


def _attributes(lines: list[str]) -> Attributes:
    matches = (_ATTRIBUTE.fullmatch(line[2:]) for line in lines if line.startswith("a="))
    return tuple((match[1], match[2] or "") for match in matches if match)
