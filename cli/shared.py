"""What ``augment`` and ``retarget`` share: options, how their values are read, how a run ends."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from eeaug.cli import out
from eeaug.cli.kinds import (
    DEBOUNCE,
    MISSED,
    MOST_SECONDS,
    NAMES,
    NONE,
    SECONDS,
    SHAPE,
    ModelPlace,
    OrNone,
    Place,
    Quantity,
    Sha256,
)
from eeaug.errors import InputError
from eeaug.settings import ALWAYS, COSTS, FORMATS, MAX_THREADS, PROMISES
from eeaug.support import quantities
from eeaug.support.outputs import Output

__all__ = [
    "DEBOUNCE", "MISSED", "MOST_SECONDS", "NAMES", "NONE", "SECONDS", "SHAPE", "ModelPlace", "Place", "Quantity",
    "format_of", "give", "inherited", "interruptible", "manifest_line", "option", "pairs", "show", "show_lines",
    "show_result", "thresholds",
]  # fmt: skip

_SHARE = Quantity(quantities.SHARE, 0, 1)
_SHARE_ABOVE_0 = Quantity(quantities.SHARE, 0, 1, min_open=True)
_DROP = Quantity(quantities.DROP, 0, 1)
_SIZE = Quantity(quantities.BYTES, min=0, min_open=True)
# long flag → what click.option takes
_OPTIONS: Mapping[str, dict[str, Any]] = {
    "--hw": {
        "names": ["hardware"],
        "metavar": "NAME|FILE",
        "help": "Target: a YAML file, or a shipped profile (eeaug hw list).",
        "shell_complete": lambda context, option, typed: completed(typed),
    },
    "-o": {"names": ["output"], "type": Place(), "metavar": "DIR"},
    "--force": {"is_flag": True, "help": "Replace a bundle that is there, if nothing but it is in its directory."},
    "--architecture": {
        "type": Place(),
        "metavar": "FILE",
        "help": "The layers of a MODEL that holds weights only: what model.to_json() gives; default: the .json "
        "that stands beside it.",
    },
    "--input-shape": {
        "type": SHAPE,
        "metavar": "N,N,...",
        "help": "Shape of a sample, as 96,96,3, for a MODEL that leaves it open; default: that of the data.",
    },
    "--max-latency": {
        "names": ["max_latency_s"],
        "type": SECONDS,
        "metavar": "SECONDS",
        "help": "Worst-case latency that no design may exceed: 2.5, or with a unit, 200ms.",
    },
    "--period": {
        "names": ["period_s"],
        "type": SECONDS,
        "metavar": "SECONDS",
        "help": "Time from one inference to the next: every inference must end within it, and energies include the "
        "sleep until the next one.",
    },
    "--max-ram": {
        "names": ["max_ram_bytes"],
        "type": _SIZE,
        "metavar": "BYTES",
        "help": "RAM that may be used in any one memory, 64000 or 64k (64KiB is 65,536): by the linked files for "
        "devices, else by tensors. The sizes of the target's memories are limits in any case.",
    },
    "--max-flash": {
        "names": ["max_flash_bytes"],
        "type": _SIZE,
        "metavar": "BYTES",
        "help": "Flash that may be used by all processors together: by the linked files for devices, else by "
        "weights.",
    },
    "--max-accuracy-drop": {
        "type": _DROP,
        "metavar": "SHARE",
        "help": "Accuracy that may be lost, 0.01 or 1% for one percentage point; --promise says how surely.",
    },
    "--max-class-drop": {
        "type": _DROP,
        "metavar": "SHARE",
        "help": "Accuracy that any single class may lose; --promise says how surely",
    },
    "--promise": {
        "type": click.Choice(PROMISES),
        "default": None,
        "help": "How surely new data keep the budget. proven: guaranteed by an exact test on the calibration set "
        "(--risk). "
        "expected: the drop on the calibration set plus one standard error is within the budget. none: kept on the "
        "calibration set, often not on new data. Default: proven, or expected where a proof would save less than "
        "half as much.",
        "show_default": False,
    },
    "--risk": {
        "type": Quantity(quantities.SHARE, 0, 1, min_open=True, max_open=True),
        "metavar": "DELTA",
        "help": "Largest probability that what is proven does not hold; default: 0.05. If given, the promise is "
        "never weaker than proven.",
    },
    "--objective": {
        "type": click.Choice(tuple(COSTS)),
        "default": "macs",
        "help": "The mean cost that is minimised.",
    },
    "--efficiency-weight": {
        "type": _SHARE,
        "metavar": "W",
        "help": "Instead of a budget: minimise W × relative cost + (1 − W) × accuracy lost.",
    },
    "--scoring": {
        "type": click.Choice(["exact", "independent"]),
        "default": "exact",
        "help": "exact: count on the samples where each of them leaves. independent: treat exits as independent, "
        "as the paper does.",
    },
    "--correction": {
        "type": _SHARE_ABOVE_0,
        "default": 1.0,
        "metavar": "C",
        "help": "Factor on the thresholds that were found (the paper: 1, 0.67, 0.5); below 1 more samples leave "
        "than the budget allows.",
    },
    "--points": {
        "type": click.Choice(["1", "3", "4", "5"]),
        "default": "3",
        "metavar": "N",
        "help": "Operating points in the bundle: threshold vectors to switch between while it runs (1, 3, 4 or 5).",
    },
    "--mapping": {
        "type": click.Choice(["free", "one-each"]),
        "default": "free",
        "help": "free: a processor may run several stages or none. one-each: one stage each, as in the paper.",
    },
    "--max-exits": {"type": click.IntRange(0, 6), "metavar": "N", "help": "Early exits at most"},
    "--reuse/--no-reuse": {
        "default": True,
        "help": "Later decisions also use the answers of earlier exits, where that saves more; not possible with "
        "--threshold or --scoring independent, which treat each exit by itself.",
    },
    "--thresholds": {
        "type": click.IntRange(2, 101),
        "default": 13,
        "metavar": "N",
        "help": "Thresholds tried per exit, 'never' included; the second search is finer.",
    },
    "--exit-at": {
        "multiple": True,
        "metavar": "LOCATION[:PROCESSOR]",
        "help": "There must be an exit here (on this processor); input: on the model's input. Repeatable.",
    },
    "--threshold": {
        "multiple": True,
        "metavar": "LOCATION=VALUE",
        "help": "An exit at this location uses this threshold. Repeatable.",
    },
    "--forbid": {"multiple": True, "metavar": "LOCATION", "help": "No exit here. Repeatable."},
    "--format": {
        "names": ["formats"],
        "type": NAMES,
        "metavar": "NAME[,NAME...]",
        "help": f"Write stages in these formats, too: {', '.join(name for name in FORMATS if name not in ALWAYS)}; "
        f"{' and '.join(ALWAYS)} files are always there.",
    },
    "--c-prefix": {
        "metavar": "NAME",
        "help": "What all names in C and C++ files begin with, so that two cascades link into one firmware; "
        "default: the model's name.",
    },
    "--custom-objects": {
        "multiple": True,
        "metavar": "FILE|MODULE",
        "help": "Code that defines layers or activations of the model: my_layers.py, or package.module. It is run. "
        "Repeatable.",
    },
    "--threads": {"type": click.IntRange(1, MAX_THREADS), "metavar": "N"},
    "--manifest-sha256": {
        "type": Sha256(),
        "metavar": "HEX",
        "help": "SHA-256 that DIR's manifest.json must have, as printed by the run that wrote it; the manifest "
        "holds the hashes of all other files.",
    },
    "--data": {
        "required": True,
        "metavar": "FILE",
        "help": "As for augment: a .npz, .data.yaml, directory, keras:NAME, tfds:NAME or module:function.",
    },
    "--part": {
        "type": click.Choice(["test", "val", "train"]),
        "help": "Which part of it; default: the first of test, val, train that is there.",
    },
    "--prepared": {"is_flag": True, "help": "The samples are preprocessed already."},
    "--cache-dir": {
        "type": Place(file_okay=False),
        "metavar": "DIR",
        "help": "Where data is unpacked; default: $EEAUG_CACHE_DIR, else $XDG_CACHE_HOME/eeaug.",
    },
    "--dry-run": {"is_flag": True},
    "--slim": {"is_flag": True, "help": "Leave search/ (outcomes and trained heads) out of the bundle."},
    "--json": {"names": ["as_json"], "is_flag": True, "help": "Print report.json on stdout, nothing else."},
    "--quiet": {"names": ["-q"], "is_flag": True, "help": "No progress; warnings and errors only."},
    "--verbose": {"names": ["-v"], "is_flag": True, "help": "Say more while working."},
}
_TAKEN_AWAY = {
    "--max-latency", "--period", "--max-ram", "--max-flash", "--max-class-drop", "--risk", "--max-exits",
    "--exit-at", "--threshold", "--forbid",
}  # fmt: skip


def option(flag: str, more: str = "", **changes: Any) -> Callable[[Any], Any]:
    """The shared option ``flag``; ``more`` is added to its help, ``changes`` are made to what click is told."""
    declared = {**_OPTIONS[flag], **changes}
    names = [flag, *declared.pop("names", [])]
    declared["help"] = declared.get("help", "") + more
    return click.option(*names, **{"show_default": "default" in declared, **declared})


def inherited(flag: str, more: str = "") -> Callable[[Any], Any]:
    """The same for a command that takes from a bundle what is not given, which is None or empty then."""
    declared = _OPTIONS[flag]
    kind = OrNone(declared.get("type", str)) if flag in _TAKEN_AWAY else declared.get("type")
    return option(flag, more, type=kind, default=None, show_default=False)


def pairs(flag: str, values: tuple[str, ...], separator: str, *, needed: bool) -> dict[str, Any]:
    """``LOCATION<separator>VALUE`` of a repeatable option, by location; a value that may be left out is None."""
    by_location: dict[str, Any] = {}
    for value in values:
        name, split, rest = value.rpartition(separator)
        if needed and not split:
            raise InputError(f"{flag} {value}: must be LOCATION{separator}VALUE")
        location = name if split else value
        if location in by_location:
            raise InputError(f"{flag}: {location} is given twice")
        by_location[location] = rest if split else None
    return by_location


def thresholds(values: tuple[str, ...]) -> dict[str, float]:
    """``--threshold`` by location."""
    given = pairs("--threshold", values, "=", needed=True)
    return {location: _confidence(location, text) for location, text in given.items()}


def _confidence(location: str, text: str) -> float:
    try:
        value = quantities.parse(text, quantities.SHARE)
    except quantities.QuantityError:
        value = -1.0
    if not 0 < value <= 1:
        raise InputError(f"--threshold {location}={text}: a confidence is a number above 0 and up to 1")
    return value


def format_of(asked: str | None, as_json: bool, output: Path | None) -> str:
    """What is written: as --format or --json ask, else what the file's name ends with, else text.

    Raises
    ------
    UsageError : --json and another format
    """
    if as_json and asked not in (None, "json"):
        raise click.UsageError(f"--json and --format {asked} contradict each other")
    ends = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json", ".svg": "svg"}
    return "json" if as_json else asked or ends.get(output.suffix.lower() if output else "", "text")


def give(content: bytes, to: Output) -> None:
    """The result, on stdout or as a file."""
    if to.place is None:
        out.write(content)
        return
    to.write(content)
    out.say(f"written: {to.place}", err=True)


def show(printed: Callable[[Any], None], to: Output) -> None:
    """What ``printed`` prints on a rich console: the terminal's, or a file of plain text."""
    if to.place is None:
        printed(out.console())
        return
    from eeaug.report.render import terminal

    give(terminal.plain(printed).encode(), to)


def show_lines(lines: Iterable[str], json: str | None) -> None:
    """On stdout: lines of text, or instead of them JSON."""
    if json is not None:
        out.write(json.encode())
        return
    for line in lines:
        out.say(line)


@contextmanager
def interruptible(place: Path | None, hint: str = "") -> Iterator[None]:
    """Ctrl-C within says whether the bundle at ``place`` is written already, and, if not, how to go on."""
    before = _written(place)
    try:
        yield
    except KeyboardInterrupt:
        complete = _written(place) not in (None, before)
        raise KeyboardInterrupt(f"{place} is complete" if complete else f"nothing was written{hint}") from None


def _written(place: Path | None) -> tuple[int, int] | None:
    """What differs between a bundle and one that was there before; None: there is none."""
    try:
        stat = None if place is None else (place / "manifest.json").stat()
    except OSError:
        return None
    return stat and (stat.st_ino, stat.st_mtime_ns)


def completed(typed: str) -> list[CompletionItem]:
    """What a shell offers for --hw: profiles that begin so, and files."""
    from eeaug import hardware

    names = [CompletionItem(name) for name in hardware.shipped() if name.startswith(typed)]
    return names or [CompletionItem(typed, type="file")]


def manifest_line(sha256: str) -> str:
    """What later commands can be held to; not in report.json, which the manifest vouches for."""
    return f"manifest sha256: {sha256}"


def show_result(report: dict[str, Any], place: Path, *, as_json: bool, quiet: bool) -> None:
    """On stdout: report.json as it was written, or what it says and where the bundle is."""
    if as_json:
        out.write((place / "report.json").read_bytes())
        return
    from eeaug.report.render import terminal
    from eeaug.report.words import next_steps

    if not quiet:
        out.console().print(terminal.render(report))
        out.say("Next:")
        for command, purpose in next_steps.steps(report, place, sys.argv[1:]):
            out.say(f"  {purpose + ':':34}{command}")
        out.say(manifest_line(hashlib.sha256((place / "manifest.json").read_bytes()).hexdigest()))
    out.say(f"bundle: {place}")
