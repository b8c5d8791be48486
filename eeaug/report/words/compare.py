"""Several designs side by side: what differs, every quantity, and which design is best at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eeaug.report import units
from eeaug.report.words import battery
from eeaug.report.words.battery import Use
from eeaug.report.words.facts import Report, decided, drop_bound_95, drop_name, estimated
from eeaug.schema.figures import FIGURES, Figure
from eeaug.settings.vocabulary import flag

__all__ = ["BEST", "Line", "Named", "as_json", "differences", "lines", "notes", "rows", "sentence"]

BEST = "✓"  # stands beside the best figures
_SOURCES = {
    "profile": "the hardware profile", "counted kernels": "counted kernels",
    "counted kernels and profile": "counted kernels and the hardware profile",
}  # fmt: skip
_FEW = 3  # designs whose values fit into a sentence

Value = float | None
# name, key, value of (report, baseline, result), its text, whether less is better, whether samples matter
_Compared = tuple[str, str, Callable[[Any, Any, Any], Value], Callable[[Any], str], bool, bool]


@dataclass(frozen=True)
class Named:
    """A bundle's report under the name that it was given by."""

    name: str
    report: Report


@dataclass(frozen=True)
class Line:
    """One quantity of every design; ``best``: positions of those that nothing beats, none if not comparable."""

    quantity: str
    key: str
    values: tuple[Any, ...]
    cells: tuple[str, ...]
    best: tuple[int, ...]

    @property
    def marked(self) -> tuple[str, ...]:
        """The cells, the best ones with a mark."""
        return tuple(f"{cell} {BEST}" if i in self.best else cell for i, cell in enumerate(self.cells))


def rows(designs: Sequence[Named], use: Use | None = None) -> tuple[Line, ...]:
    """The table: what the designs were made from and for, where that differs, and all quantities."""
    return (*(Line(name, name, words, words, ()) for name, words in differences(designs)), *lines(designs, use))


def _wanted(key: str, figure: Figure) -> _Compared:
    name = f"{figure.words}*" if figure.estimated else figure.words
    return name, key, lambda r, b, m: m[key], units.quantity(figure.unit), True, figure.counted


def lines(designs: Sequence[Named], use: Use | None = None) -> tuple[Line, ...]:
    """All quantities, in order."""
    alike, same_task = _same_samples(designs), len({d.report["data"]["sha256"] for d in designs}) == 1
    reports = [design.report for design in designs]
    pairs = [decided(report) for report in reports]
    quality = "accuracy" if all(r["settings"]["labels"] == "given" for r in reports) else "accuracy or agreement"
    names = {drop_name(report) for report in reports}
    macs, *others = (_wanted(key, figure) for key, figure in FIGURES.items())
    wanted: list[_Compared] = [
        (quality, "accuracy", lambda r, b, m: m["accuracy"], units.share, False, True),
        (
            names.pop() if len(names) == 1 else "drop", "drop", lambda r, b, m: _drop(b, m),
            lambda v: units.points(v, signed=False), True, True,
        ),
        (
            "95 % bound of the drop", "accuracy_drop_bound_95", lambda r, b, m: drop_bound_95(r),
            units.at_most, True, True,
        ),
        macs,
        (
            "MACs against given model", "macs_saved", lambda r, b, m: 1 - m["mean_macs"] / b["mean_macs"],
            lambda v: units.relative(1, 1 - v), False, True,
        ),
        *others,
    ]  # fmt: skip
    if use is not None:
        life = lambda r, b, m: battery.life_s(r, m, use)  # noqa: E731
        wanted.append(("battery life*", "battery_life_s", life, battery.life_text, False, True))
    leave = tuple(1 - metrics["leave_rates"][-1] for _, metrics in pairs)
    exits = tuple([exit_["location"] for exit_ in report["design"]["exits"]] for report in reports)
    table = [
        Line("samples", "samples", tuple(m["samples"] for _, m in pairs),
             tuple(f"{m['samples']:,} {units.data_part(m['split'])}" for _, m in pairs), ()),
        Line("exits", "exits", exits, tuple(", ".join(names) or "none" for names in exits), ()),
        Line("leave early", "leave_early", leave, tuple(map(units.share, leave)), ()),
    ]  # fmt: skip
    for quantity, key, value, text, less, of_samples in wanted:
        values = tuple(value(report, *pair) for report, pair in zip(reports, pairs, strict=True))
        cells = tuple(map(text, values))
        best = _best(values, cells, less=less) if alike or (same_task and not of_samples) else ()
        table.append(Line(quantity, key, values, cells, best))
    return tuple(table)


def _drop(baseline: Report, metrics: Report) -> Value:
    if baseline.get("accuracy") is None or metrics["accuracy"] is None:
        return None
    return float(baseline["accuracy"] - metrics["accuracy"])


def _best(values: Sequence[Value], cells: Sequence[str], *, less: bool) -> tuple[int, ...]:
    """Those that read like the best known value; none where all read alike."""
    known = [value for value in values if value is not None]
    if not known or len(set(cells)) == 1:
        return ()
    text = cells[values.index(min(known) if less else max(known))]
    return tuple(i for i, cell in enumerate(cells) if cell == text)


def _same_samples(designs: Sequence[Named]) -> bool:
    """Whether accuracies and means are of the same samples, counted alike."""

    def counted(report: Report) -> tuple[Any, ...]:
        metrics, settings = decided(report)[1], report["settings"]
        keys = ("labels", "priors", "seed")  # the seed decides which samples each part has
        decided_as = "stream" in report
        identity = (report["data"]["sha256"], decided_as, metrics["split"], metrics["samples"])
        return (*identity, *(settings[key] for key in keys))

    return len({counted(design.report) for design in designs}) == 1


def differences(designs: Sequence[Named]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What the designs were made from and for, where it is not the same: name, value of each."""
    reports = [design.report for design in designs]
    versions = [r["eeaug"] for r in reports]
    compared: list[tuple[str, list[Any], list[str]]] = [("eeaug", versions, versions)]
    for part, name in (("hardware", "name"), ("data", "source"), ("model", "file")):
        hashes = [r[part]["sha256"] for r in reports]
        names = [r[part][name] for r in reports]
        if len(set(names)) < len(set(hashes)):  # equal names, other contents
            names = [f"{word} {digest[:8]}" for word, digest in zip(names, hashes, strict=True)]
        compared.insert(0, (part, hashes, names))
    # threads depend on the machine, and the default of max_exits on the number of processors
    processors = {len(r["hardware"]["processors"]) for r in reports}
    follow = {"threads"} if len(processors) == 1 else {"threads", "max_exits"}
    # some settings are written only where they are asked for
    for key in dict.fromkeys(key for r in reports for key in r["settings"] if key not in follow):
        values = [r["settings"].get(key) for r in reports]
        compared.append((flag(key), values, [_setting(value) for value in values]))
    return tuple((name, tuple(words)) for name, values, words in compared if any(v != values[0] for v in values))


def _setting(value: Any) -> str:
    if value in (None, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def sentence(designs: Sequence[Named]) -> str:
    """What differs, in one sentence, and which design is best, if that can be told."""
    return " ".join(filter(None, [_what_differs(designs), _who_wins(designs)]))


def _what_differs(designs: Sequence[Named]) -> str:
    different = differences(designs)
    if not different:
        return f"The {len(designs)} designs are of the same model, data and hardware, and have the same settings."
    few = len(different) == 1 and len(designs) <= _FEW
    listed = _listed([f"{name} ({' / '.join(words)})" if few else name for name, words in different])
    kept = [w for w in ("model", "data", "hardware") if w not in {name for name, _ in different}]
    same = f"have the same {_listed(kept)}; they differ" if kept else "differ"
    return f"The {len(designs)} designs {same} in {listed}."


def _who_wins(designs: Sequence[Named]) -> str:
    by_key = {line.key: line for line in lines(designs) if line.best}
    winners = [
        f"{what}: {_listed([designs[i].name for i in by_key[key].best])} "
        f"({by_key[key].cells[by_key[key].best[0]].replace(' pp', ' percentage points, pp')})"
        for key, what in (("mean_macs", "fewest mean MACs"), ("drop", "least accuracy lost"))
        if key in by_key
    ]
    return f"{winners[0][0].upper()}{'; '.join(winners)[1:]}." if winners else ""


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def notes(designs: Sequence[Named], use: Use | None = None) -> tuple[str, ...]:
    """How to read the table."""
    sentences = [f"{BEST} best" if any(line.best for line in lines(designs, use)) else ""]
    if not _same_samples(designs):
        sentences.append(
            "Accuracies and means are from different samples, or weighted differently: they cannot be compared."
        )
    bases = dict.fromkeys(decided(d.report)[1]["basis"] for d in designs)
    if any(estimated(d.report) for d in designs):
        sources = [_SOURCES[basis] for basis in bases if basis in _SOURCES]
        sentences.append(f"* estimated from {' or '.join(sources)}.")
        if len(bases) > 1:
            sentences.append(
                f"Latencies and energies come from different sources ({', '.join(bases)}): they cannot be compared."
            )
    for design in designs:
        if design.report["design"]["measured"] is None:
            samples = "the calibration samples, which decided its thresholds"
            sentences.append(f"{design.name} was not measured: its figures are from {samples}.")
        if (warnings := len(design.report["warnings"])) and len(designs) > 1:
            number = f"{warnings} {'warning' if warnings == 1 else 'warnings'}"
            sentences.append(f"{design.name}: {number}, see eeaug report {design.name}.")
    if use is not None:
        sentences += dict.fromkeys(battery.note(design.report, use) for design in designs)
    return tuple(filter(None, sentences))


def as_json(designs: Sequence[Named], use: Use | None = None) -> dict[str, Any]:
    """The comparison for programs: SI units, null where not known, names of the best by quantity."""
    return {
        "designs": [design.name for design in designs],
        "summary": sentence(designs),
        "differences": {name: list(words) for name, words in differences(designs)},
        "quantities": {
            line.key: {"values": list(line.values), "best": [designs[i].name for i in line.best]}
            for line in lines(designs, use)
        },
        "notes": list(notes(designs, use)),
    }
