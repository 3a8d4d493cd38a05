"""Settings as frozen dataclasses: the range of a number, the variable of a secret, the check.

A section is a dataclass whose fields are `int`, `float`, `bool`, `str`, a `StrEnum` or a tuple of
texts. It stands beside the code that it sets; the text below a field describes it.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_type_hints

from slicer.errors import BadInput

PREFIX = "SLICER_"
DAY = 86_400
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Syntax:
    """What a text looks like: *pattern* is a regular expression of all of it, *rule* says it;
    *parse* raises ValueError for what has the pattern and is wrong all the same."""

    pattern: str
    rule: str
    parse: Callable[[str], object] = str

    def fits(self, text: str) -> bool:
        """Whether a text is one of these."""
        if re.fullmatch(self.pattern, text) is None:
            return False
        try:
            self.parse(text)
        except ValueError:
            return False
        return True


def _parse_address_port(text: str) -> object:
    host = text.rpartition(":")[0]
    return host == "localhost" or ip_address(host.removeprefix("[").removesuffix("]"))


_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])"
_PORT = r":(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
ADDRESS = Syntax(
    r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*",
    "an IP address",
    ip_address,
)
_ZONE = r"(?:%[A-Za-z0-9._-]+)?"  # of a link-local address: fe80::1%eth0
HOST = Syntax(rf"{_HOST}|(?:{ADDRESS.pattern}){_ZONE}", "a host's name or address, without port")
HOST_PORT = Syntax(rf"{_HOST}(?:{_PORT})?", "HOST or HOST:PORT")
ADDRESS_PORT = Syntax(
    _HOST + _PORT, "ADDRESS:PORT, such as 0.0.0.0:8189 or [::]:8189", _parse_address_port
)
ORIGIN = Syntax(rf"https?://{_HOST}(?:{_PORT})?", "http:// or https://, a host, perhaps a port")
SERVER_URL = Syntax(f"{ORIGIN.pattern}/?", ORIGIN.rule)
HTTP_URL = Syntax(rf"{ORIGIN.pattern}(?:[/?][!-~]*)?", "an http:// or https:// URL without a user")
REGION = Syntax(r"[a-z0-9][a-z0-9-]{0,39}", "a region: letters a-z, digits and -")


def spelled(default: Any, syntax: Syntax) -> Any:
    """A text, or a list of texts, and what each must look like. A text may be empty where its
    default is."""
    return field(default=default, metadata={"syntax": syntax})


def bounded(default: float, low: float, high: float) -> Any:
    """A number and the range that it must be in; one without a range must be at least 1."""
    return field(default=default, metadata={"range": (low, high)})


def secret(variable: str) -> Any:
    """A text that is never shown, and the environment variable that may hold it."""
    return field(default="", repr=False, metadata={"variable": variable})


def section_fields(section: type) -> Iterator[tuple[Field[object], Any]]:
    """The fields of a section with their types."""
    hints = get_type_hints(section)
    return ((one, hints[one.name]) for one in fields(section))


def variable(table: str, one: Field[object]) -> str:
    """The environment variable of a field."""
    return str(one.metadata.get("variable", f"{PREFIX}{table}_{one.name}".upper()))


def limits(one: Field[object]) -> tuple[float, float]:
    """The lowest and the highest value of a number."""
    low, high = one.metadata.get("range", (1, math.inf))
    return low, high


def check(table: str, section: Any) -> None:
    """Raise BadInput that names `table.field` unless every value has its type, its range and its
    syntax."""
    for one, kind in section_fields(type(section)):
        check_value(f"{table}.{one.name}", getattr(section, one.name), one, kind)


def check_value(name: str, value: Any, one: Field[object], kind: Any) -> None:
    """The same of one field."""
    if kind == tuple[str, ...]:
        right = isinstance(value, tuple) and all(map(_is_text, value))
    else:
        right = type(value) is kind and (kind is not str or _is_text(value))
    if right and isinstance(value, int | float) and kind is not bool:
        low, high = limits(one)
        right = low <= value <= high
    if not right:
        raise wrong_value(name, value, one, kind)
    syntax: Syntax | None = one.metadata.get("syntax")
    if syntax is None:
        return
    texts = value if isinstance(value, tuple) else (value,) if value or one.default else ()
    for text in texts:
        if not syntax.fits(text):
            got = "a text with '@'" if "@" in text else text  # it may hold a password
            raise BadInput(name, got, syntax.rule)


def wrong_value(name: str, value: object, one: Field[object], kind: Any) -> BadInput:
    """The error for a value that a field cannot have; a secret is not shown."""
    return BadInput(name, value if one.repr else "a secret of another type", _allowed(one, kind))


def in_words(names: Sequence[str]) -> str:
    """`png, jpg or webp`."""
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def refuse_pipe(name: str, path: Path) -> None:
    """Raise BadInput where a file that is read more than once is a pipe."""
    if path.is_fifo():
        raise BadInput(
            name, str(path), "a file: it is read more than once, and a pipe is empty then"
        )


def split_authority(name: str, text: str) -> tuple[str, int]:
    """The host and the port of HOST:PORT or [IPv6]:PORT. Raises BadInput for *name*."""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    right = bare and (":" not in bare or host == f"[{bare}]")
    if not right or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
        raise BadInput(name, text, "HOST:PORT or [IPv6]:PORT, port 0 (any free one) to 65535")
    return bare, int(port)


def _is_text(value: object) -> bool:
    """Whether it is a text that a path and a host name can be: NUL ends both."""
    return isinstance(value, str) and "\0" not in value


def _allowed(one: Field[object], kind: Any) -> str:
    low, high = limits(one)
    numbers = f"from {low:g}" + (f" to {high:.10g}" if high < math.inf else " up")
    if kind is int:
        return f"a whole number {numbers}"
    if kind is float:
        return f"a number {numbers}"
    if kind is bool:
        return "true or false"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return in_words(list(kind))
    return "a text without NUL" if kind is str else "a list of texts without NUL"
