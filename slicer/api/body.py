"""Bytes to an object: JSON as strict as it can be, or a flattened query."""

import json
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import parse_qsl

from slicer.api.errors import UNREADABLE, ApiError
from slicer.errors import shown

MAX_DEPTH = 8
"""Objects and lists within each other; the deepest field of the actions is at 5."""
MAX_DIGITS = 20
"""Digits of a number; the largest uint64 has as many."""
MAX_NAMES = 1_000
"""Parameters of one query."""

DUPLICATE = "InvalidRequest.DuplicateKey"
TOO_DEEP = "InvalidRequest.TooDeep"
NUMBER_TOO_LONG = "InvalidRequest.NumberTooLong"


def read_json(body: bytes) -> Mapping[str, object]:
    """The JSON object in *body*. Raises ApiError, with a code for each kind of fault."""
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_int=_whole,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as error:
        raise ApiError(UNREADABLE, f"body: no UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ApiError(UNREADABLE, f"body: no JSON at character {error.pos}: {error.msg}") from None
    if not isinstance(value, dict):
        raise ApiError(UNREADABLE, "body: no JSON object")
    _check_depth(value)
    return value


def read_query(query: str) -> Mapping[str, object]:
    """The object that names like `A.B.0` spell; all its values are strings. Raises ApiError."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_NAMES)
    except ValueError:  # UnicodeDecodeError is one
        raise ApiError(
            UNREADABLE, f"query: no UTF-8, or more than {MAX_NAMES} parameters"
        ) from None
    root: dict[str, object] = {}
    for name, text in pairs:
        *folders, last = name.split(".")
        if len(folders) >= MAX_DEPTH:
            raise _too_deep()
        at = root
        for folder in folders:
            inner = at.setdefault(folder, {})
            if not isinstance(inner, dict):
                raise _doubled(name)
            at = inner
        if last in at:
            raise _doubled(name)
        at[last] = text
    return root


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _doubled(name)
        found[name] = value
    return found


def _whole(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise ApiError(
            NUMBER_TOO_LONG, f"body: a number of {len(text)} digits; allowed: {MAX_DIGITS}"
        )
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise ApiError(UNREADABLE, f"body: {name} is no JSON")


def _doubled(name: str) -> ApiError:
    return ApiError(DUPLICATE, f"{shown(name)}: given twice; allowed: once")


def _too_deep() -> ApiError:
    return ApiError(TOO_DEEP, f"body: deeper than {MAX_DEPTH} levels")


def _check_depth(value: dict[str, object]) -> None:
    level: list[dict[str, object] | list[object]] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep()
