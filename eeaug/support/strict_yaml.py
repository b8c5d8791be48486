"""Strict reading of a hardware description: every mistake of a file is found, each with its path.

This module knows YAML and single values; which keys a description has stands in ``hardware``, as ``Field``:
the reader and the reference of the format both go by it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from eeaug.errors import InputError
from eeaug.support import places
from eeaug.support.printable import one_line, quoted
from eeaug.support.spelling import nearest

__all__ = ["MOST_BYTES", "Field", "Mistakes", "Section", "as_number", "key_text", "parse", "quotes", "shown"]

# Names become folders (stages/0-<name>) and parts of options (--exit-at LOCATION:PROCESSOR).
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MOST_MISTAKES = 20  # that one message lists
MOST_BYTES = 1 << 18  # of a file that people write; PyYAML takes seconds for as many
MOST_VALUES = 200_000
_NOTHING = object()  # what stands where a value is missing and that has been noted


@dataclass(frozen=True)
class Field:
    """One key of a mapping: what the reader accepts, and what the reference says about it.

    ``null`` tells what null, which is the same as leaving an optional key out, stands for; None: null is a
    mistake. ``default`` serves where a key that has no null is left out. Numbers are greater than zero, or
    at least zero if ``zero``. ``options`` are the words of a choice, ``of`` is what a reference names, and
    ``fields`` are the keys of a mapping or of every mapping in a list.
    """

    key: str
    kind: Literal[
        "text", "name", "reference", "references", "choice", "flag", "version", "number", "whole", "mapping", "list"
    ]
    meaning: str
    required: bool = False
    null: str | None = None
    default: float | bool | tuple[()] | None = None
    unit: str = ""
    zero: bool = False
    options: tuple[str, ...] = ()
    of: str = ""
    fields: tuple[Field, ...] = ()

    @property
    def wanted(self) -> str:
        """What a right value is, in words."""
        keys = ", ".join(field.key for field in self.fields)
        what = {
            "text": "text",
            "name": "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit",
            "reference": f"the name of a {self.of} of this file",
            "references": f"the name of a {self.of} of this file, or a list of such names",
            "choice": f"one of {', '.join(self.options)}",
            "flag": "true or false",
            "version": ", ".join(self.options),
            "number": f"a number {'of at least' if self.zero else 'greater than'} 0",
            "whole": "a whole number greater than 0",
            "mapping": f"a mapping with the keys {keys}",
            "list": f"a list of mappings with the keys {keys}",
        }[self.kind]
        return what if self.null is None else f"{what} or null"


class Mistakes:
    """What is wrong in one file, collected so that it can be said all at once: the first MOST_MISTAKES of it."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: list[str] = []
        self._more = 0

    @property
    def enough(self) -> bool:
        """Whether further ones are only counted: what would be right need not be sought."""
        return len(self._lines) >= MOST_MISTAKES

    def add(self, path: str, what: str) -> None:
        if self.enough:
            self._more += 1
        else:
            self._lines.append(f"{path}: {what}")

    def raise_if_any(self) -> None:
        """Raise one InputError: a single line for one mistake, else a summary and a line for each."""
        if len(self._lines) == 1:
            raise InputError(f"{self._file}: {self._lines[0]}")
        if self._lines:
            more = [f"and {self._more:,} more"] if self._more else []
            count = len(self._lines) + self._more
            raise InputError(f"{self._file}: {count:,} mistakes", lines=[*self._lines, *more])


def parse(path: Path, mistakes: Mistakes) -> object:
    """The YAML document in a file as plain values; keys that stand twice are noted in ``mistakes``.

    Raises
    ------
    InputError
        The file cannot be read, is empty, is not one YAML document, or is larger, deeper or more entangled
        than what people write.
    """
    content = places.read(path, MOST_BYTES)
    try:
        loader = yaml.SafeLoader(content)
        node = loader.get_single_node()
        _check_size(path, node)
        repeated = list(_repeated_keys(node, "", set()))  # before merge keys (<<) are resolved into the nodes
        document = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {where}not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not a YAML text file: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise InputError(f"{path}: not valid YAML: nested too deeply") from None
    except (ValueError, TypeError, OverflowError) as error:  # a date such as 2024-13-01, a list as a key
        digits = "a whole number of thousands of digits" if "integer string conversion" in str(error) else ""
        raise InputError(f"{path}: not valid YAML: {digits or one_line(str(error), 150)}") from error
    if document is None:
        raise InputError(f"{path}: is empty; must be a YAML mapping")
    for key_path, line in repeated:
        mistakes.add(key_path, f"stands a second time in line {line}")
    return document


def _check_size(path: Path, root: yaml.Node | None) -> None:
    """Aliases and merge keys make a document of any size of a few lines: counted before it is built.

    Raises
    ------
    InputError : more than MOST_VALUES values
    """
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        sizes[id(node)] = 1  # counted as 1 if an alias makes it contain itself
        if isinstance(node, yaml.MappingNode):
            nodes = 1 + sum(size(key) + size(value) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            nodes = 1 + sum(map(size, node.value))
        else:
            nodes = 1
        sizes[id(node)] = nodes
        return nodes

    if root is not None and (count := size(root)) > MOST_VALUES:
        shown = f"{count:,}" if count < 10**12 else "far more than 10^12"
        raise InputError(f"{path}: aliases and lists make {shown} values of it; at most {MOST_VALUES:,} are read")


def _repeated_keys(node: yaml.Node | None, path: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Path and line of every key that its mapping already has; PyYAML silently keeps the last one."""
    if id(node) in seen:  # an alias; it may even contain itself
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # an unknown key: refused when the document is built
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


def shown(value: object) -> str:
    """A value as messages quote it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list" if value else "an empty list"
    if isinstance(value, int) and value.bit_length() > 200:  # Python refuses to print so many digits
        return "a whole number of more than 60 digits"
    return quoted(value if isinstance(value, int | float | str) else str(value), 60)  # a date as text


def key_text(key: object) -> str:
    """A key of a mapping as messages have it."""
    return key if isinstance(key, str) else shown(key)


class Section:
    """One mapping of a description. Getters note a mistake and go on with a stand-in.

    A stand-in never leaves ``profiles.read``, which ends with ``Mistakes.raise_if_any``.
    """

    def __init__(self, value: object, path: str, fields: tuple[Field, ...], mistakes: Mistakes) -> None:
        self._path, self._mistakes = path, mistakes
        self._fields = {field.key: field for field in fields}
        self._values: dict[Any, object] | None = value if isinstance(value, dict) else None
        known = ", ".join(self._fields)
        if self._values is None:
            mistakes.add(path or "the file", f"must be a mapping with the keys {known}, given {shown(value)}")
            return
        for key in self._values:
            if key not in self._fields:
                name = key_text(key)
                hint = "" if mistakes.enough else nearest(name, self._fields) or f"; known keys: {known}"
                self.note(name, f"unknown key{hint}")

    def note(self, key: str, what: str) -> None:
        self._mistakes.add(_join(self._path, key), what)

    def _take(self, key: str) -> tuple[Field, object]:
        """The field and its value; ``_NOTHING`` after a mistake, None for a null that is allowed."""
        field = self._fields[key]
        if self._values is None:
            return field, _NOTHING
        if key not in self._values:
            if field.required:
                self.note(key, f"missing; must be {field.wanted}")
                return field, _NOTHING
            return field, field.default
        value = self._values[key]
        if value is None and field.null is None:
            self._refuse(field, value)
            return field, _NOTHING
        return field, value

    def _refuse(self, field: Field, value: object, hint: str = "") -> None:
        self.note(field.key, f"must be {field.wanted}, given {shown(value)}{hint}")

    def text(self, key: str) -> str | None:
        """Free text on one line; None after a mistake, or for null."""
        field, value = self._take(key)
        if value is _NOTHING or value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self._refuse(field, value, quotes(value))
            return None
        return " ".join(value.split())

    def name(self, key: str) -> str:
        """A name, or what may be a reference to one; the empty string after a mistake, or for null."""
        field, value = self._take(key)
        if value is _NOTHING or value is None:
            return ""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            self._refuse(field, value, quotes(value))
            return ""
        return value

    def reference(self, key: str, names: list[str]) -> str:
        """One of the names; the empty string after a mistake, or for null."""
        name = self.name(key)
        # a name that could not be read (noted already) may be the one that is meant here
        if name and name not in names and names and "" not in names:
            what = self._fields[key].of
            self.note(key, f"there is no {what} '{name}'{nearest(name, names)} (known: {', '.join(names)})")
            return ""
        return name

    def references(self, key: str, names: list[str]) -> tuple[str, ...]:
        """One or more of the names, each once, given as a name or a list; one empty string after a mistake."""
        field, value = self._take(key)
        if value is _NOTHING:
            return ("",)
        given = value if isinstance(value, list) else [value]
        if not given or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in given):
            self._refuse(field, value, "" if isinstance(value, list) else quotes(value))
            return ("",)
        for i, name in enumerate(given):
            if name in given[:i]:
                self.note(key, f"'{name}' stands a second time")
                return ("",)
            if name not in names and names and "" not in names:
                known = f"{nearest(name, names)} (known: {', '.join(names)})"
                self.note(key, f"there is no {field.of} '{name}'{known}")
                return ("",)
        return tuple(given)

    def choice(self, key: str) -> str:
        """One of the field's words; the empty string after a mistake, or for null."""
        field, value = self._take(key)
        if value is _NOTHING or value is None:
            return ""
        if not isinstance(value, str) or value not in field.options:
            self._refuse(field, value, nearest(value, field.options) if isinstance(value, str) else "")
            return ""
        return value

    def flag(self, key: str) -> bool:
        field, value = self._take(key)
        if not isinstance(value, bool):
            if value is not _NOTHING:
                self._refuse(field, value)
            return False
        return value

    def version(self, key: str) -> None:
        """Notes a version other than the supported ones."""
        field, value = self._take(key)
        if value is not _NOTHING and (type(value) is not int or str(value) not in field.options):
            self._refuse(field, value)

    def number(self, key: str) -> float | None:
        """A finite number; None after a mistake, or for null, which stands for unknown.

        Text that reads as a number counts as one: YAML 1.1 takes ``1e6`` for text.
        """
        field, value = self._take(key)
        if value is _NOTHING or value is None:
            return None
        number = as_number(value)
        if not math.isfinite(number) or number < 0 or (number == 0 and not field.zero):
            self._refuse(field, value, _unit_hint(field, value))
            return None
        return number

    def whole(self, key: str) -> int:
        """A whole number; 0 after a mistake."""
        field, value = self._take(key)
        if value is _NOTHING:
            return 0
        number = as_number(value)
        if not number > 0 or not number.is_integer():
            self._refuse(field, value, _unit_hint(field, value))
            return 0
        return int(number)

    def section(self, key: str) -> Section | None:
        """A mapping; None, noted, where it is missing."""
        field, value = self._take(key)
        if value is _NOTHING:
            return None
        return Section(value, _join(self._path, key), field.fields, self._mistakes)

    def sections(self, key: str) -> tuple[Section, ...]:
        """One section per item of a list; a required list has at least one item."""
        field, value = self._take(key)
        if value is _NOTHING or value == ():
            return ()
        if not isinstance(value, list) or (field.required and not value):
            self._refuse(field, value)
            return ()
        path = _join(self._path, key)
        return tuple(Section(v, f"{path}[{i}]", field.fields, self._mistakes) for i, v in enumerate(value))


def _unit_hint(field: Field, value: object) -> str:
    """A hint for 200ms or 64 KiB where a number is wanted."""
    with_unit = isinstance(value, str) and re.fullmatch(r"\s*[\d.]+\s*[A-Za-zµμ%/]+\s*", value)
    return f"; the number alone, in {field.unit}" if with_unit and field.unit else ""


def as_number(value: object) -> float:
    """The number, or nan for what is none. YAML 1.1 takes 1e-3 for text; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def quotes(value: object) -> str:
    """A hint for what should be text: YAML 1.1 reads on, no, 0017 and 2024-01-01 as something else."""
    return "" if value is None or isinstance(value, dict | list | str) else "; put it in quotes"
