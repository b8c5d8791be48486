"""Strict reading of JSON that somebody else may have written, and its comparison with a schema.

Sizes, depth and digits are bounded before they cost anything; a mistake is one line, with its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from eeaug.errors import ConversionError, InputError
from eeaug.support.regular import opened, shown

__all__ = ["MOST_BYTES", "check", "differences", "parsed", "place", "raw", "value"]

MOST_BYTES = 32 << 20
DIGITS = 18  # of integers: what fits 64 bits
Place = tuple[str | int, ...]


class _Strange(Exception):
    """What JSON may say and no file of a bundle does."""


def raw(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises
    ------
    InputError : it cannot be read
    ConversionError : it is no regular file, or larger
    """
    try:
        with opened(path, most) as file:
            return file.read(most + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def parsed(path: Path, content: bytes) -> Any:
    """JSON as Python has it: no NaN, no field twice, no text that is no Unicode, integers of 64 bits.

    Raises
    ------
    InputError : it is no JSON
    ConversionError : it is JSON that no file of a bundle holds
    """
    try:
        text = content.decode("utf-8")
        found = json.loads(
            text, parse_int=_integer, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object
        )
        if "\\ud" in text.lower():  # halves of a pair of surrogates can be written as escapes
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is broken JSON at line {error.lineno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is broken JSON: not UTF-8 at byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise ConversionError(f"{path} holds half a character (a lone surrogate)") from error
    except RecursionError as error:
        raise ConversionError(f"{path} is nested too deep") from error
    except _Strange as error:
        raise ConversionError(f"{path} {error}") from error
    return found


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
        found = differences(a, b, (*at, key))
        if found is not None:
            return found
    return at if len(one) != len(other) else None


def place(path: Iterable[str | int]) -> str:
    """stages[0].files.onnx"""
    made = ""
    for key in path:
        made += f"[{key}]" if isinstance(key, int) else f".{shown(key)}"
    return shown(made.removeprefix("."), 120) or "the file"


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


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise _Strange(f"holds an integer of {len(text.lstrip('-')):,} digits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _Strange(f"holds the number {shown(text)}, which is beyond all that can be computed with")
    return number


def _constant(text: str) -> NoReturn:
    raise _Strange(f"holds {text}, which is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Strange(f"holds the field {shown(twice)!r} twice in one place")
    return made
