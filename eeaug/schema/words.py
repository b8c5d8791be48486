"""What JSON Schemas are written with: strict objects, and numbers with a unit."""

from __future__ import annotations

from typing import Any

__all__ = [
    "Schema", "by_name", "count", "extended", "flag", "number", "or_null", "record", "ref", "rows", "sha256",
    "share", "text",
]  # fmt: skip

Schema = dict[str, Any]


def record(description: str, **properties: Schema) -> Schema:
    """An object that has these fields, all of them, and no other."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def extended(schema: Schema, **optional: Schema) -> Schema:
    """The :func:`record` with fields that may be missing."""
    return {**schema, "properties": {**schema["properties"], **optional}}


def rows(description: str, items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "description": description, "items": items, **limits}


def by_name(description: str, values: Schema) -> Schema:
    return {"type": "object", "description": description, "additionalProperties": values}


def _type(name: str, null: bool) -> Any:
    return [name, "null"] if null else name


def text(description: str, *, null: bool = False, one_of: tuple[str, ...] = (), **limits: Any) -> Schema:
    choices = {"enum": [*one_of, *([None] if null else [])]} if one_of else {}
    return {"type": _type("string", null), "description": description, **choices, **limits}


def flag(description: str, *, null: bool = False) -> Schema:
    return {"type": _type("boolean", null), "description": description}


def number(
    description: str, unit: str, *, least: float | None = 0, most: float | None = None, null: bool = False,
    kind: str = "number", **limits: Any,
) -> Schema:  # fmt: skip
    ends = {name: limit for name, limit in (("minimum", least), ("maximum", most)) if limit is not None}
    return {"type": _type(kind, null), "description": description, "unit": unit, **ends, **limits}


def count(
    description: str, unit: str, *, least: float | None = 0, most: float | None = None, null: bool = False
) -> Schema:
    return number(description, unit, least=least, most=most, kind="integer", null=null)


def share(description: str, *, null: bool = False) -> Schema:
    # sums of shares may pass 1 by rounding
    return number(description, "1", most=1 + 1e-9, null=null)


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def or_null(schema: Schema) -> Schema:
    """The same, or null; written so that what does not fit is told by its own place, not as "none of these"."""
    if "type" in schema:
        return {**schema, "type": _type(schema["type"], null=True)}
    return {"if": {"type": "null"}, "else": schema}


def sha256(description: str) -> Schema:
    return {"type": "string", "description": description, "pattern": "^[0-9a-f]{64}$"}
