"""Reads settings from a TOML file and from environment variables, which beat it."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

from slicer.config import (
    PREFIX,
    check_value,
    refuse_pipe,
    section_fields,
    variable,
    wrong_value,
)
from slicer.errors import BadInput

NOT_SETTINGS = {"SLICER_LIBCRYPTO", "SLICER_NATIVE"}
"""Variables with the prefix that are read elsewhere."""
MAX_FILE = 1024 * 1024
"""Bytes of the largest file that is read."""
_SWITCH = {"true": True, "false": False}
T = TypeVar("T")


class SettingsReader:
    """Hands out the tables of a file, with the variables of an environment over them. Whoever owns
    a table takes it; `end` refuses what nobody took, so that a misspelt name is never ignored."""

    def __init__(
        self,
        tables: Mapping[str, object],
        environment: Mapping[str, str],
        moved: Mapping[str, str],
    ) -> None:
        """*moved*: `table.field` as it was called once → as it is called now. Raises BadInput for
        a name that has moved."""
        self.tables = dict(tables)
        self.variables = {
            name: text
            for name, text in environment.items()
            if name.startswith(PREFIX) and name not in NOT_SETTINGS
        }
        self._known: list[str] = []
        self._refuse_moved(moved)

    @classmethod
    def read(
        cls, path: Path | None, environment: Mapping[str, str] | None, moved: Mapping[str, str]
    ) -> Self:
        """Read the file, if one is named. Raises BadInput."""
        return cls(_tables(path) if path else {}, environment or {}, moved)

    def take(self, name: str, section: type[T]) -> T:
        """A section, from the table and the variables of its name. Raises BadInput."""
        self._known.append(name)
        table = self.tables.pop(name, {})
        if not isinstance(table, dict):
            # A text or a list may hold a secret: [[storage]] in place of [storage].
            got = table if isinstance(table, int | float) else "something else"
            raise BadInput(name, got, f"a table: [{name}]")
        known = {one.name: (one, kind) for one, kind in section_fields(section)}
        unknown = sorted(table.keys() - known.keys())
        if unknown:
            raise BadInput(f"{name}.{unknown[0]}", "an unknown field", ", ".join(known))
        values: dict[str, object] = {}
        for key, (one, kind) in known.items():
            text = self.variables.pop(variable(name, one), None)
            if text is not None:
                values[key] = _from_text(f"{name}.{key}", text, one, kind)
            elif key in table:
                values[key] = _from_toml(f"{name}.{key}", table[key], one, kind)
            if key in values:
                # Before the section looks at it: that takes types for granted.
                check_value(f"{name}.{key}", values[key], one, kind)
        return section(**values)

    def end(self, others: Sequence[str] = (), prefixes: Sequence[str] = ()) -> None:
        """Raise BadInput if a table or a variable is left, but for tables of *others* and
        variables that begin with one of *prefixes*: another program's, in the same file."""
        unknown = sorted(self.tables.keys() - set(others))
        if unknown:
            known = ", ".join(sorted({*self._known, *others}))
            raise BadInput(unknown[0], "an unknown table", known)
        left = [name for name in self.variables if not name.startswith(tuple(prefixes))]
        if left:
            raise BadInput(min(left), "an unknown variable", self._allowed(min(left)))

    def _allowed(self, variable: str) -> str:
        if of_app := re.match(rf"{PREFIX}APP_(\d{{1,10}})_", variable):
            return (
                f"one of an application that the file has: [[apps]] with sdk_app_id = {of_app[1]}"
            )
        return f"SLICER_TABLE_FIELD, where TABLE is one of {', '.join(self._known)}"

    def _refuse_moved(self, moved: Mapping[str, str]) -> None:
        for old, new in moved.items():
            table, _, name = old.partition(".")
            values = self.tables.get(table)
            if isinstance(values, dict) and name in values:
                raise BadInput(old, "a field that has moved", new)
            if values == {}:
                raise BadInput(table, "a table that has moved", new.partition(".")[0])
            if (was := _variable(old)) in self.variables:
                raise BadInput(was, "a variable that has moved", _variable(new))


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", "_").upper()


def _tables(path: Path) -> dict[str, object]:
    refuse_pipe("settings", path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise BadInput("settings", str(path), f"a file of at most {MAX_FILE} bytes")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise BadInput(
            "settings", str(path), f"a file that can be read ({error.strerror})"
        ) from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and TOMLDecodeError are both
        raise BadInput("settings", str(path), f"a TOML file ({error})") from None


def _from_text(name: str, text: str, one: Field[object], kind: Any) -> object:
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool and text in _SWITCH:
        return _SWITCH[text]
    try:
        if kind in (int, float):
            return int(text) if kind is int else float(text)
    except ValueError:
        raise wrong_value(name, text, one, kind) from None
    return _from_toml(name, text, one, kind)


def _from_toml(name: str, value: object, one: Field[object], kind: Any) -> object:
    """A value of the field's type where TOML has none: a tuple, an enumeration, 30 for 30.0."""
    if kind == tuple[str, ...] and isinstance(value, list):
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise wrong_value(name, math.inf, one, kind) from None
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str):
        if value not in list(kind):
            raise wrong_value(name, value, one, kind)
        return kind(value)
    return value
