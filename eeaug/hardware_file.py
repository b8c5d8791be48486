"""Strict reading of a hardware description: every mistake of a file is found, each with its path.

This module knows YAML and single values; what the keys of a description mean stands in ``hardware``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from eeaug.errors import InputError

__all__ = ["Mistakes", "Section", "nearest", "parse"]

# Names become folders (stages/0-<name>) and parts of options (--exit-at LOCATION:PROCESSOR).
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REQUIRED = object()
_NOTHING = object()  # what stands where a value is missing and that has been noted


class Mistakes:
    """What is wrong in one file, collected so that it can be said all at once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: list[str] = []

    def add(self, path: str, what: str) -> None:
        self._lines.append(f"{path}: {what}")

    def raise_if_any(self) -> None:
        """Raise one InputError: a single line for one mistake, else a summary and a line for each."""
        if len(self._lines) == 1:
            raise InputError(f"{self._file}: {self._lines[0]}")
        if self._lines:
            raise InputError("\n  ".join([f"{self._file}: {len(self._lines)} mistakes", *self._lines]))


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known word most like this one, or the empty string."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""


def parse(path: Path, mistakes: Mistakes) -> object:
    """The YAML document in a file as plain values; keys that stand twice are noted in ``mistakes``.

    Raises
    ------
    InputError
        The file cannot be read, is empty, or is not one YAML document.
    """
    try:
        loader = yaml.SafeLoader(path.read_bytes())
        node = loader.get_single_node()
        repeated = list(_repeated_keys(node, "", set()))  # before merge keys (<<) are resolved into the nodes
        document = None if node is None else loader.construct_document(node)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {where}not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not a YAML text file: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:  # a date such as 2024-13-01; lists in lists without end
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if document is None:
        raise InputError(f"{path}: is empty; a hardware description starts with 'schema_version: 1'")
    for key_path, line in repeated:
        mistakes.add(key_path, f"stands a second time in line {line}")
    return document


def _repeated_keys(node: yaml.Node | None, path: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Path and line of every key that its mapping already has; PyYAML silently keeps the last one."""
    if id(node) in seen:  # an alias; it may even contain itself
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # no key of ours; refused when the document is built
            key_path = _join(path, key.value)
            if key.value in keys:
                yield key_path, key.start_mark.line + 1
            keys.add(key.value)
            yield from _repeated_keys(value, key_path, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated_keys(value, f"{path}[{index}]", seen)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
    text = repr(value) if isinstance(value, int | float | str) else f"'{value}'"
    return text if len(text) <= 60 else f"{text[:57]}..."


class Section:
    """One mapping of a description. Getters note a mistake and go on with a stand-in.

    A stand-in never leaves ``hardware.read``, which ends with ``Mistakes.raise_if_any``.
    """

    def __init__(self, value: object, path: str, known: tuple[str, ...], mistakes: Mistakes) -> None:
        self._path, self._mistakes = path, mistakes
        self._values: dict[Any, object] | None = value if isinstance(value, dict) else None
        if self._values is None:
            what = f"must be a mapping with the keys {', '.join(known)}, given {_shown(value)}"
            mistakes.add(path or "the file", what)
            return
        for key in self._values:
            if key not in known:
                hint = nearest(str(key), known) or f"; known keys: {', '.join(known)}"
                self.note(str(key), f"unknown key{hint}")

    def note(self, key: str, what: str) -> None:
        self._mistakes.add(_join(self._path, key), what)

    def _take(self, key: str, default: object = _REQUIRED) -> object:
        if self._values is None:
            return _NOTHING
        if key in self._values:
            return self._values[key]
        if default is _REQUIRED:
            self.note(key, "missing")
            return _NOTHING
        return default

    def text(self, key: str, *, required: bool = False) -> str | None:
        """Free text on one line; None after a mistake, or where an optional one is missing or null."""
        value = self._take(key, _REQUIRED if required else None)
        if value is _NOTHING or (value is None and not required):
            return None
        if not isinstance(value, str) or not value.strip():
            self.note(key, f"must be text, given {_shown(value)}{_quotes(value)}")
            return None
        return " ".join(value.split())

    def name(self, key: str, *, optional: bool = False) -> str:
        """A name; the empty string after a mistake, or where an optional one is missing or null."""
        value = self._take(key, None if optional else _REQUIRED)
        if value is _NOTHING or (value is None and optional):
            return ""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            what = "must be a name of letters, digits, '.', '_' and '-'"
            self.note(key, f"{what}, given {_shown(value)}{_quotes(value)}")
            return ""
        return value

    def choice(self, key: str, known: Iterable[str]) -> str:
        """A required word out of a few; the empty string after a mistake."""
        known = tuple(known)
        value = self._take(key)
        if value is _NOTHING:
            return ""
        if not isinstance(value, str) or value not in known:
            hint = nearest(value, known) if isinstance(value, str) else ""
            self.note(key, f"must be one of {', '.join(known)}, given {_shown(value)}{hint}")
            return ""
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            if value is not _NOTHING:
                self.note(key, f"must be true or false, given {_shown(value)}")
            return default
        return value

    def version(self, supported: int) -> None:
        """Notes a ``schema_version`` other than the supported one."""
        value = self._take("schema_version")
        if value is not _NOTHING and (type(value) is not int or value != supported):
            self.note("schema_version", f"must be {supported}, given {_shown(value)}")

    def number(
        self, key: str, *, required: bool = False, zero: bool = False, default: float | None = None
    ) -> float | None:
        """A finite number, positive or (``zero``) not negative.

        Null stands for unknown, except where the default is a number. Text that reads as a number counts
        as one: YAML 1.1 takes ``1e6`` for text.
        """
        value = self._take(key, _REQUIRED if required else default)
        if value is _NOTHING or (value is None and default is None):
            return None
        number = _as_number(value)
        if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
            wanted = "of at least 0" if zero else "greater than 0"
            unknown = " or null" if default is None else ""
            self.note(key, f"must be a number {wanted}{unknown}, given {_shown(value)}")
            return default
        return number

    def whole(self, key: str) -> int:
        """A required whole number greater than zero; 0 after a mistake."""
        value = self._take(key)
        if value is _NOTHING:
            return 0
        number = _as_number(value)
        if not number > 0 or not number.is_integer():
            self.note(key, f"must be a whole number greater than 0, given {_shown(value)}")
            return 0
        return int(number)

    def section(self, key: str, known: tuple[str, ...]) -> Section | None:
        """A required mapping; None, noted, where it is missing."""
        value = self._take(key)
        if value is _NOTHING:
            return None
        return Section(value, _join(self._path, key), known, self._mistakes)

    def sections(self, key: str, known: tuple[str, ...], *, required: bool = True) -> tuple[Section, ...]:
        """One section per item of a list; a required list has at least one item."""
        value = self._take(key, _REQUIRED if required else [])
        if value is _NOTHING:
            return ()
        if not isinstance(value, list) or (required and not value):
            given = "an empty list" if value == [] else _shown(value)
            self.note(key, f"must be a list of mappings with the keys {', '.join(known)}, given {given}")
            return ()
        path = _join(self._path, key)
        return tuple(Section(v, f"{path}[{i}]", known, self._mistakes) for i, v in enumerate(value))


def _as_number(value: object) -> float:
    """The number, or nan for what is none; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _quotes(value: object) -> str:
    """YAML 1.1 reads on, no, 0017 and 2024-01-01 as something else than text."""
    return "" if value is None or isinstance(value, dict | list | str) else "; put it in quotes"
