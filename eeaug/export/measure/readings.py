"""Lines of CSV that a board printed, held against the files that they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eeaug.errors import InputError
from eeaug.export.measure.firmware import COLUMNS
from eeaug.export.measure.layers import TimedLayer
from eeaug.hardware import KINDS
from eeaug.support import places
from eeaug.support.printable import quoted

__all__ = ["WHOLE", "Line", "Printout", "read"]

WHOLE = -1  # in place of a layer: all of its stage
MOST_BYTES = 1 << 24
END = "end"
Line = tuple[int, int, str]  # stage, layer or WHOLE, kernel


@dataclass(frozen=True)
class Printout:
    """What one processor printed: cycles by stage and layer (or WHOLE), and their frequency; None: unknown.

    ``layers`` of every stage, where these are a runtime's and what it printed says what they have to do.
    """

    processor: str
    clock_hz: float | None
    cycles: Mapping[tuple[int, int], int]
    layers: Mapping[int, Sequence[TimedLayer]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    """A line below a header, its fields not yet understood but for those that every line has."""

    number: int
    fields: Sequence[str]
    count: int
    clock_hz: int

    @property
    def processor(self) -> str:
        return self.fields[1]

    @property
    def is_end(self) -> bool:
        return self.fields[2] == END


def read(paths: Sequence[Path], files: str, wanted: Mapping[str, Sequence[Line]]) -> list[Printout]:
    """What the processors of ``wanted`` printed, of each the last that is whole.

    Parameters
    ----------
    files : identity of the files that were timed
    wanted : processor → the lines that it prints, in order; where these name no layers, lines of a runtime's layers
        may stand before their stages

    Raises
    ------
    InputError : a file is empty, is no such output, breaks off, or is of other files
    """
    whole: dict[str, Printout] = {}
    for path in paths:
        broken: dict[str, str] = {}
        here: dict[str, Printout] = {}
        for rows in _blocks(path):
            for name, mine in _by_processor(path, rows, files, wanted).items():
                try:
                    here[name] = _reading(path, name, mine, wanted[name])
                except _BrokenOffError as error:
                    broken[name] = str(error)
        for name, what in broken.items():
            if name not in here:
                raise InputError(what)
        whole |= here
    return [whole[name] for name in wanted if name in whole]


class _BrokenOffError(Exception):
    """Lines are missing at the end: an earlier or later run may have them."""


def _blocks(path: Path) -> Iterator[list[_Row]]:
    """The lines below each header, down to the last; what a UART has printed before it does not count."""
    lines = places.read(path, MOST_BYTES).decode("utf-8", "replace").splitlines()
    if not any(line.strip() for line in lines):
        raise InputError(f"{path}: is empty: give what the board printed")
    starts = [i for i, line in enumerate(lines) if line.strip().endswith(COLUMNS)]
    if not starts:
        raise InputError(f"{path}: has no line '{COLUMNS}': give what the board printed, from that line on")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        numbers = [i for i in range(start + 1, end) if lines[i].strip()]
        rows: list[_Row] = []
        for i in numbers:
            try:
                rows.append(_row(lines[i], i + 1))
            except ValueError as error:
                if rows and rows[-1].is_end:  # something else is printed from here on
                    break
                if i == numbers[-1]:  # the last one may be half a line
                    break
                raise InputError(f"{path}: line {i + 1}: {error}") from None
        yield rows


def _row(line: str, number: int) -> _Row:
    """Raises ValueError with what is wrong."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != COLUMNS.count(",") + 1:
        raise ValueError(f"must be '{COLUMNS}', given {quoted(line.strip())}")
    for name, text in zip(("cycles", "clock_hz"), fields[5:], strict=True):
        if not (text.isascii() and text.isdigit() and len(text) <= 19):
            raise ValueError(f"{name} must be a whole number of at least 0, given {quoted(text)}")
    return _Row(number, fields, int(fields[5]), int(fields[6]))


def _by_processor(
    path: Path, rows: Sequence[_Row], files: str, wanted: Mapping[str, Sequence[Line]]
) -> dict[str, list[_Row]]:
    """The rows of each processor. InputError: they are of other files, or of none of the bundle's processors."""
    mine: dict[str, list[_Row]] = {}
    for row in rows:
        at = f"{path}: line {row.number}"
        if row.fields[0] != files:
            raise InputError(
                f"{at}: was printed for other files ({quoted(row.fields[0])}) than these of the bundle ({files}): "
                f"give the bundle and the --format that the board timed"
            )
        if row.processor not in wanted:
            known = ", ".join(wanted)
            raise InputError(f"{at}: the bundle has no processor {quoted(row.processor)} (processors: {known})")
        mine.setdefault(row.processor, []).append(row)
    if not mine:
        raise InputError(f"{path}: breaks off behind its header: keep all that the board prints")
    return mine


def _reading(path: Path, name: str, rows: Sequence[_Row], wanted: Sequence[Line]) -> Printout:
    """One processor's. _BrokenOffError: it ends too early; InputError: a line is another than that of the files."""
    printed = len(rows)
    cycles: dict[tuple[int, int], int] = {}
    layers: dict[int, list[TimedLayer]] = {}
    if all(layer == WHOLE for _, layer, _ in wanted):
        theirs = [row for row in rows if row.fields[2].isdigit() and row.fields[3].isdigit()]
        rows = [row for row in rows if row not in theirs]
        for row in theirs:
            k = int(row.fields[2])
            rows_of_stage = layers.setdefault(k, [])
            cycles[k, len(rows_of_stage)] = row.count
            rows_of_stage.append(_layer(path, row))
    before = len(cycles)
    for row, line in zip(rows, wanted, strict=False):
        stage, layer, kernel = line
        expected = [str(stage), "all" if layer == WHOLE else str(layer), kernel]
        if row.is_end:
            break
        if list(row.fields[2:5]) != expected:
            given, right = ",".join(row.fields[2:5]), ",".join(expected)
            raise InputError(f"{path}: line {row.number}: {name} must go on with '{right}', given {quoted(given)}")
        if layer == WHOLE and not row.count:
            raise InputError(
                f"{path}: line {row.number}: a stage takes no cycles: the counter of the core stands still"
            )
        cycles[stage, layer] = row.count
    there = len(cycles) - before
    if there < len(wanted) or len(rows) <= len(wanted) or not rows[len(wanted)].is_end:
        raise _BrokenOffError(
            f"{path}: {name}: breaks off behind {there} of {len(wanted)} lines and the last: keep all that "
            f"the board prints"
        )
    if rows[len(wanted)].count != printed - 1:
        raise InputError(f"{path}: {name}: {printed - 1} lines, and the last says {rows[len(wanted)].count}")
    clocks = {row.clock_hz for row in rows}
    if len(clocks) > 1:
        raise InputError(f"{path}: {name}: clock_hz differs between lines: {', '.join(map(str, sorted(clocks)))}")
    (clock_hz,) = clocks
    return Printout(name, float(clock_hz) or None, cycles, layers)


def _layer(path: Path, row: _Row) -> TimedLayer:
    """``Conv;conv;1806336;12544``: operator, type, MACs, elements; the operator alone where it has no MACs."""
    kernel, *facts = row.fields[4].split(";")
    if not facts:
        return TimedLayer(kernel)
    if len(facts) != 3 or facts[0] not in KINDS or not all(n.isascii() and n.isdigit() for n in facts[1:]):
        right = f"an operator, or operator;type;MACs;elements (types: {', '.join(KINDS)})"
        raise InputError(f"{path}: line {row.number}: kernel must be {right}, given {quoted(row.fields[4])}")
    return TimedLayer(kernel, facts[0], int(facts[1]), int(facts[2]))
