"""The JSON Schema (2020-12) of settings, made from their dataclasses."""

import ast
import inspect
import math
from dataclasses import MISSING, Field
from enum import StrEnum
from typing import Any

from slicer.config import limits, section_fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBERS = {int: "integer", float: "number"}


def table_schema(section: type) -> dict[str, Any]:
    """The schema of a table: types, ranges, choices, defaults and descriptions of its fields.
    Secrets are `writeOnly`, and have no default."""
    texts = descriptions(section)
    known = [(one, kind) for one, kind in section_fields(section)]
    schema: dict[str, Any] = {
        "type": "object",
        "description": inspect.cleandoc(section.__doc__ or ""),
        "properties": {one.name: _field_schema(one, kind, texts) for one, kind in known},
        "additionalProperties": False,
    }
    required = [one.name for one, _ in known if one.default is MISSING]
    return schema | ({"required": required} if required else {})


def descriptions(section: type) -> dict[str, str]:
    """The text below each field. Python keeps none of them, so they are read from the source."""
    (definition,) = ast.parse(inspect.cleandoc(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for line, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    texts[line.target.id] = " ".join(text.split())
    return texts


def _field_schema(one: Field[object], kind: Any, texts: dict[str, str]) -> dict[str, Any]:
    schema = _type_schema(one, kind)
    if one.name in texts:
        schema["description"] = texts[one.name]
    if not one.repr:
        return schema | {"writeOnly": True}
    if one.default is not MISSING:
        default = one.default
        schema["default"] = list(default) if isinstance(default, tuple) else default
    return schema


def _type_schema(one: Field[object], kind: Any) -> dict[str, Any]:
    if kind in _NUMBERS:
        low, high = limits(one)
        top = {} if math.isinf(high) else {"maximum": high}
        return {"type": _NUMBERS[kind], "minimum": low, **top}
    if kind is str:
        return {"type": "string"} | _pattern(one, empty=not one.default)
    if kind is bool:
        return {"type": "boolean"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"type": "string", "enum": list(kind)}
    if kind == tuple[str, ...]:
        return {"type": "array", "items": {"type": "string"} | _pattern(one, empty=False)}
    names = one.metadata["pair"]
    properties = {name: {"type": "string", "minLength": 1} for name in names}
    pair = {"type": "object", "properties": properties, "required": list(names)}
    return {"type": "array", "items": pair | {"additionalProperties": False}}


def _pattern(one: Field[object], *, empty: bool) -> dict[str, str]:
    syntax = one.metadata.get("syntax")
    if syntax is None:
        return {}
    return {"pattern": f"^(?:{syntax.pattern}{'|' if empty else ''})$"}
