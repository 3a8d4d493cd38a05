"""Rules for fields (type, range, default, error code), and the reading of an object by them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slicer.api.errors import MISSING, OUT_OF_RANGE, WRONG_TYPE, WRONG_VALUE, ApiError
from slicer.errors import counted, shown

_DECIMAL = re.compile(r"-?[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of *low* to *high*; those *refused* are TRTC's but not ours."""

    low: int
    high: int
    meaning: str = ""
    refused: tuple[int, ...] = ()

    @property
    def allowed(self) -> str:
        return f"{self.low} to {self.high}" + (f" ({self.meaning})" if self.meaning else "")


@dataclass(frozen=True, slots=True)
class Text:
    """A printable string of up to *most* bytes in UTF-8; one that is *secret* is never shown."""

    most: int
    allowed: str
    pattern: str = ""
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of up to *most* strings."""

    most: int
    item: Text

    @property
    def allowed(self) -> str:
        return f"at most {self.most}, each {self.item.allowed}"


@dataclass(frozen=True, slots=True)
class Wholes:
    """A list of up to *most* whole numbers."""

    most: int
    item: Whole

    @property
    def allowed(self) -> str:
        return f"at most {self.most}, each {self.item.allowed}"


@dataclass(frozen=True, slots=True)
class Table:
    """An object."""

    fields: tuple["Field", ...]

    @property
    def allowed(self) -> str:
        return "below"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, rule, need and default, and the codes for its absence and its value."""

    name: str
    rule: Whole | Text | Texts | Wholes | Table
    required: bool = False
    default: int | None = None
    missing: str = MISSING
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Values:
    """What was read of an object: only names of the table, only values within their rules."""

    read: Mapping[str, object]

    def __contains__(self, name: str) -> bool:
        return name in self.read

    def whole(self, name: str) -> int:
        value = self.read[name]
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        """The string, or an empty one where it is absent."""
        value = self.read.get(name, "")
        assert isinstance(value, str)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings; none where the list is absent."""
        value = self.read.get(name, ())
        assert isinstance(value, tuple)
        return value

    def table(self, name: str) -> "Values":
        """The object; an empty one where it is absent."""
        value = self.read.get(name)
        return value if isinstance(value, Values) else Values({})


class Reader:
    """Reads objects by their fields. *textual*: from a query, where all values are strings."""

    def __init__(self, textual: bool = False) -> None:
        self._textual = textual

    def read(
        self, fields: tuple[Field, ...], values: Mapping[str, object], path: str = ""
    ) -> Values:
        """Everything in *values*, with defaults. Raises ApiError that names the field.

        null is absent, and so is an empty string. What is missing is told before what is unknown.
        """
        found: dict[str, object] = {}
        for field in fields:
            value = values.get(field.name)
            if value is None or (value == "" and isinstance(field.rule, Text)):
                if field.required:
                    raise ApiError(
                        field.missing, f"{path}{field.name}: missing; allowed: {_allowed(field)}"
                    )
                if field.default is not None:
                    found[field.name] = field.default
            else:
                found[field.name] = self._value(field, value, path + field.name)
        known = {field.name for field in fields}
        for name in values:
            if name not in known:
                allowed = ", ".join(sorted(known))
                raise ApiError(
                    "UnknownParameter", f"{path}{shown(name)}: unknown field; allowed: {allowed}"
                )
        return Values(found)

    def _value(self, field: Field, value: object, path: str) -> object:
        rule = field.rule
        if isinstance(rule, Whole):
            return self._whole(field, rule, value, path)
        if isinstance(rule, Text):
            return _text(rule, value, path, field.wrong or WRONG_VALUE)
        if isinstance(rule, Texts):
            wrong = field.wrong or WRONG_VALUE
            items = self._listed(rule.most, value, path, "strings")
            return tuple(
                _text(rule.item, item, f"{path}[{at}]", wrong) for at, item in enumerate(items)
            )
        if isinstance(rule, Wholes):
            items = self._listed(rule.most, value, path, "whole numbers")
            return tuple(
                self._whole(field, rule.item, item, f"{path}[{at}]")
                for at, item in enumerate(items)
            )
        if not isinstance(value, dict):
            raise _wrong_type(path, value, "an object")
        return self.read(rule.fields, value, f"{path}.")

    def _whole(self, field: Field, rule: Whole, value: object, path: str) -> int:
        if self._textual and isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(path, value, f"a whole number, {rule.allowed}")
        if value in rule.refused:
            raise ApiError("UnsupportedOperation", f"{path}: got {value}; allowed: {rule.allowed}")
        if not rule.low <= value <= rule.high:
            message = f"{path}: got {value}; allowed: {rule.allowed}"
            raise ApiError(field.wrong or OUT_OF_RANGE, message)
        return value

    def _listed(self, most: int, value: object, path: str, of: str) -> list[object]:
        items = _listed(value) if self._textual else value
        if not isinstance(items, list):
            raise _wrong_type(path, value, f"a list of {of}")
        if len(items) > most:
            message = f"{path}: got {len(items)} entries; allowed: at most {most}"
            raise ApiError(OUT_OF_RANGE, message)
        return items


def _text(rule: Text, value: object, path: str, wrong: str) -> str:
    if not isinstance(value, str):
        raise _wrong_type(path, value, f"a string: {rule.allowed}")
    fits = (
        value.isprintable()
        and len(value.encode()) <= rule.most
        and (not rule.pattern or re.fullmatch(rule.pattern, value))
    )
    if not fits:
        length = counted(len(value), "character")
        got = f"{length} (not shown)" if rule.secret else shown(value)
        raise ApiError(wrong, f"{path}: got {got}; allowed: {rule.allowed}")
    return value


def _listed(value: object) -> object:
    """The list that a query spells as entries `.0`, `.1`, …; anything else as it is."""
    if not isinstance(value, dict) or {str(index) for index in range(len(value))} != set(value):
        return value
    return [value[str(index)] for index in range(len(value))]


def _allowed(field: Field) -> str:
    return "an object" if isinstance(field.rule, Table) else field.rule.allowed


_JSON_TYPES: Mapping[type, Callable[[object], str]] = {
    bool: lambda value: f"the boolean {str(value).lower()}",
    int: lambda value: f"the number {value}",
    float: lambda value: f"the number {value}",
    str: lambda _: "a string",
    list: lambda _: "a list",
    dict: lambda _: "an object",
    type(None): lambda _: "null",
}


def _wrong_type(path: str, value: object, allowed: str) -> ApiError:
    """Tells the JSON type only: a value in the wrong place may be a secret."""
    return ApiError(
        WRONG_TYPE, f"{path}: got {_JSON_TYPES[type(value)](value)}; allowed: {allowed}"
    )
