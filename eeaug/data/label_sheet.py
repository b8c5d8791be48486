"""``label-these.csv``: the samples that need a label, for people and their spreadsheets.

The first line names the bundle and the samples by hash, so that labels of others are noticed. Then follow a line
of column names and one for each sample; ``label`` is left empty. Separated by commas; read with semicolons or tabs
too, which is what spreadsheets of some countries write.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.output import Decision
from eeaug.errors import InputError
from eeaug.support import places
from eeaug.support.printable import quoted, shown
from eeaug.support.spelling import nearest

__all__ = ["Names", "ToLabel", "read", "written"]

COLUMNS = ("index", "step", "leave", "cascade", "model", "label")
ORIGIN = re.compile(r"# eeaug certify: bundle ([0-9a-f]{64}), (\w+) ([0-9a-f]{64})")
BETWEEN, NO_LABEL = "|", "(none)"  # names of several labels at once
MOST_BYTES = 1 << 28
SHOWN = 10  # class names in a message


@dataclass(frozen=True)
class Names:
    """How codes of a decision are written: by the names of its ``classes``."""

    decision: Decision
    classes: Sequence[str]

    def of(self, code: int) -> str:
        marked = np.flatnonzero(self.decision.marks(np.array([code]))[0]).tolist()
        return BETWEEN.join(self.classes[c] for c in marked) or NO_LABEL

    def code(self, text: str) -> int:
        """Raises InputError for what is none."""
        if self.decision.kind != "multilabel":
            return self._number(text)
        if text == NO_LABEL:
            return 0
        return sum(1 << c for c in {self._number(name.strip()) for name in text.split(BETWEEN)})

    def _number(self, name: str) -> int:
        if name not in self.classes:
            few = ", ".join(self.classes[:SHOWN]) + (", ..." if len(self.classes) > SHOWN else "")
            raise InputError(
                f"{quoted(name)} is no class of the bundle{nearest(name, self.classes) or f'; it has {few}'}"
            )
        return list(self.classes).index(name)


@dataclass(frozen=True)
class ToLabel:
    """A sample: what the two say of it, the step (from 1) that its label is for, what share leaves early there."""

    index: int
    step: int
    leave: float
    cascade: int
    model: int


def written(rows: Sequence[ToLabel], names: Names, bundle: str, part: str, samples: str) -> bytes:
    """The file; ``bundle`` and ``samples`` are SHA-256 of the manifest and of the part of that name."""
    text = io.StringIO()
    text.write(f"# eeaug certify: bundle {bundle}, {part} {samples}\n")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for row in rows:
        lines.writerow(
            [row.index, row.step, f"{row.leave:.4f}", names.of(row.cascade), names.of(row.model), ""]
        )  # fmt: skip
    return text.getvalue().encode()


def read(
    path: Path, names: Names, bundle: str, part: str, samples: str, count: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which of ``count`` samples have a label, and the labels as codes: (count,) each.

    Raises
    ------
    InputError : it is no such file, of another bundle or other samples, holds no label, or a line is wrong: an
        index that there is not or that stands twice, a name that is no class
    """
    try:
        text = places.read(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text: save it as CSV (UTF-8)") from error
    first, _, rest = text.partition("\n")
    _check_origin(path, first, bundle, part, samples)
    header = rest.partition("\n")[0]
    separator = next((s for s in ",;\t" if {"index", "label"} <= set(_cells(header, s))), None)
    if separator is None:
        raise InputError(f"{path}: line 2: must have the columns {', '.join(COLUMNS)}, is {shown(header.strip())}")
    columns = _cells(header, separator)
    at, of = columns.index("index"), columns.index("label")
    known, labels, lines = np.zeros(count, bool), np.zeros(count, np.int64), np.zeros(count, np.int64)
    reader = csv.reader(io.StringIO(rest), delimiter=separator)
    try:
        for number, cells in enumerate(reader, start=2):
            if number == 2 or not any(cell.strip() for cell in cells):
                continue
            where = f"{path}: line {number}"
            if len(cells) <= max(at, of):
                raise InputError(f"{where}: has {len(cells)} columns, needs {max(at, of) + 1}")
            index = _index(where, cells[at].strip(), part, count)
            if lines[index]:
                raise InputError(f"{where}: sample {index} stands in line {lines[index]} already")
            lines[index] = number
            if label := cells[of].strip():
                try:
                    labels[index], known[index] = names.code(label), True
                except InputError as error:
                    raise InputError(f"{where}: {error}") from None
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num + 1}: {error}") from error
    if not known.any():
        raise InputError(f"{path}: no sample has a label: fill in the column label, from the first line on")
    return known, labels


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line.strip("\r")], delimiter=separator), [])]


def _check_origin(path: Path, line: str, bundle: str, part: str, samples: str) -> None:
    if not line.strip():
        raise InputError(f"{path}: is empty: `eeaug certify DIR --data ...` writes such a file")
    origin = ORIGIN.search(line)
    if origin is None:
        raise InputError(
            f"{path}: line 1 does not say which samples it is about: keep the line that `eeaug certify` wrote"
        )
    if origin[1] != bundle:
        raise InputError(
            f"{path}: was written for another bundle (manifest sha256 {origin[1][:12]}..., here {bundle[:12]}...)"
        )
    if (origin[2], origin[3]) != (part, samples):
        raise InputError(
            f"{path}: was written for other samples ({origin[2]}, sha256 {origin[3][:12]}..., here {part}, "
            f"{samples[:12]}...)"
        )


def _index(where: str, text: str, part: str, count: int) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise InputError(f"{where}: index {quoted(text)} is no whole number")
    if int(text) >= count:
        raise InputError(f"{where}: index {text}: {part} has {count:,} samples, numbered from 0")
    return int(text)
