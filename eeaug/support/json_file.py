"""Strict reading of JSON that somebody else may have written, and comparison of what a bundle says with its schema.

Sizes, depth and digits are bounded before they cost anything; a mistake is one line, with its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from eeaug.errors import ConversionError, InputError
from eeaug.support import regular
from eeaug.support.printable import shown
from eeaug.support.regular import Unreadable

__all__ = ["MOST_BYTES", "check", "differences", "parsed", "place", "raw", "strict", "value"]

MOST_BYTES = 32 << 20
DIGITS = 18  # of integers: what fits 64 bits
DEEPEST = 100  # brackets: a nested model takes about ten, a report less
NESTED = (dict, list)
Place = tuple[str | int, ...]


def strict(content: str | bytes, *, digits: int = DIGITS, constants: bool = False) -> Any:
    """JSON as Python has it: no field twice, bounded in depth, and whole characters.

    Parameters
    ----------
    digits : of an integer, at most
    constants : whether there may be NaN, Infinity and numbers beyond those of a computer, as Python writes them

    Raises
    ------
    Unreadable : it is JSON, and not so
    ValueError : it is no JSON
    """
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    hooks: dict[str, Any] = {} if constants else {"parse_float": _float, "parse_constant": _constant}
    try:
        document = json.loads(text, parse_int=partial(_integer, digits), object_pairs_hook=_object, **hooks)
        _check_depth(document)
        if "\\ud" in text.lower():  # halves of a pair of surrogates can be written as escapes
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep() from None
    except UnicodeEncodeError:
        raise Unreadable("holds half a character (a lone surrogate)") from None
    return document


def raw(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises
    ------
    InputError : it cannot be read
    ConversionError : it is no regular file, or larger
    """
    try:
        return regular.content(path, most)
    except Unreadable as error:
        raise ConversionError(f"{path} {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def parsed(path: Path, content: bytes) -> Any:
    """What a file of a bundle says: :func:`strict` JSON, no NaN, integers of 64 bits.

    Raises
    ------
    InputError : it is no JSON
    ConversionError : it is JSON that no file of a bundle holds
    """
    try:
        return strict(content)
    except Unreadable as error:
        raise ConversionError(f"{path} {error}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is broken JSON at line {error.lineno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is broken JSON: not UTF-8 at byte {error.start}") from error


def check(path: Path, content: Any, schema: Mapping[str, Any]) -> None:
    """Raise ConversionError at the first place where ``content`` is not as the schema says."""
    try:
        error = next(_validator()(schema).iter_errors(content), None)
    except RecursionError:
        raise ConversionError(f"{path} is nested too deep") from None
    if error is not None:
        raise ConversionError(f"{path}: {place(error.absolute_path)}: {_wrong(error)}")


def differences(one: Any, other: Any, at: Place = ()) -> Place | None:
    """Where two documents differ first; None: nowhere. 1, 1.0 and true are three different things."""
    if type(one) is not type(other):
        return at
    if isinstance(one, dict):
        for key in sorted(one.keys() ^ other.keys()):
            return (*at, key)
        pairs: Iterable[tuple[str | int, Any, Any]] = ((key, one[key], other[key]) for key in one)
    elif isinstance(one, list):
        pairs = ((i, a, b) for i, (a, b) in enumerate(zip(one, other, strict=False)))
    else:
        return None if one == other else at
    for key, a, b in pairs:
        place_inside = differences(a, b, (*at, key))
        if place_inside is not None:
            return place_inside
    return at if len(one) != len(other) else None


def place(path: Iterable[str | int]) -> str:
    """A path in a document as text: ``stages[0].files.onnx``."""
    dotted = ""
    for key in path:
        dotted += f"[{key}]" if isinstance(key, int) else f".{shown(key)}"
    return shown(dotted.removeprefix("."), 120) or "the file"


def value(given: Any) -> str:
    """A value as it may stand in a message."""
    if isinstance(given, list):
        return f"a list of {len(given)}"
    if isinstance(given, dict):
        return f"an object with {len(given)} fields"
    return shown(json.dumps(given, ensure_ascii=False))


@cache
def _validator() -> Any:
    """jsonschema's, but 1.0 is no integer."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    kinds = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, given: type(given) is int)
    return extend(Draft202012Validator, type_checker=kinds)


def _wrong(error: Any) -> str:
    """What is wrong, what was given, what would be right."""
    kind, wanted, given = error.validator, error.validator_value, error.instance
    if kind == "required":
        return f"{_listed(name for name in wanted if name not in given)} missing"
    if kind == "additionalProperties":
        return f"unknown: {_listed(name for name in given if name not in error.schema['properties'])}"
    if kind == "type":
        names = {"object": "an object", "array": "a list", "string": "text", "null": "null"}
        kinds = [wanted] if isinstance(wanted, str) else wanted
        right = " or ".join(names.get(name, f"a{'n' * (name[0] in 'aeiou')} {name}") for name in kinds)
    else:
        words: Mapping[str, Callable[[], str]] = {
            "enum": lambda: f"one of {', '.join(map(value, wanted))}",
            "const": lambda: value(wanted),
            "minimum": lambda: f"{wanted} or more",
            "exclusiveMinimum": lambda: f"more than {wanted}",
            "maximum": lambda: f"{wanted} or less",
            "minItems": lambda: f"a list of {wanted} or more",
            "maxItems": lambda: f"a list of {wanted} or fewer",
            "minLength": lambda: "a name",
            "pattern": lambda: "64 hexadecimal digits" if "{64}" in wanted else f"text that matches {wanted}",
        }
        right = words[kind]() if kind in words else error.schema.get("description", kind).rstrip(".")
    return f"must be {right}, given {value(given)}"


def _listed(names: Iterable[str], most: int = 3) -> str:
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return f"{', '.join(map(shown, every[:most]))}{more}"


def _check_depth(document: Any) -> None:
    """Breadth first: deep JSON must not exhaust Python's stack here or later."""
    level, depth = [document] if document.__class__ in NESTED else [], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [child for values in inner for child in values if child.__class__ in NESTED]


def _too_deep() -> Unreadable:
    return Unreadable(f"is nested too deep: more than {DEEPEST} brackets within each other")


def _integer(most: int, text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > most:
        raise Unreadable(f"holds an integer of {digits:,} digits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise Unreadable(f"holds the number {shown(text)}, which is beyond all that can be computed with")
    return number


def _constant(text: str) -> NoReturn:
    raise Unreadable(f"holds {text}, which is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Unreadable(f"holds the field {shown(twice)!r} twice in one place")
    return fields
