"""Settings as TOML, without their secrets: what is shown can be read again."""

import json
from collections.abc import Sequence
from typing import Any

from slicer.config import section_fields


def table_lines(heading: str, section: Any) -> list[str]:
    """A table, one line a field. Of a secret it says whether there is one; a text that may hold a
    secret is shown as its field's `shown` shows it."""
    lines = [heading]
    for one, _ in section_fields(type(section)):
        value = getattr(section, one.name)
        if one.repr:
            pair, show = one.metadata.get("pair", ()), one.metadata.get("shown", str)
            if pair:
                value = tuple(tuple(show(part) for part in entry) for entry in value)
            lines.append(f"{one.name} = {_value(value, pair)}")
        else:
            lines.append(f"# {one.name}: {'set, not shown' if value else 'not set'}")
    return lines


def _value(value: Any, pair: Sequence[str]) -> str:
    """A value; *pair* names the two texts of each entry, where it is a list of pairs."""
    if pair:
        return f"[{', '.join(_pair(pair, entry) for entry in value)}]"
    if isinstance(value, tuple):
        return f"[{', '.join(_text(part) for part in value)}]"
    if isinstance(value, str):
        return _text(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _pair(names: Sequence[str], entry: tuple[str, str]) -> str:
    return (
        "{ "
        + ", ".join(f"{n} = {_text(part)}" for n, part in zip(names, entry, strict=True))
        + " }"
    )


def _text(text: str) -> str:
    """A basic string; TOML's escapes are JSON's, and TOML wants DEL escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
