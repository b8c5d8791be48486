"""Measured latencies, read from a CSV file: all mistakes at once, each with its line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from eeaug.backbone import model
from eeaug.errors import ConversionError, InputError
from eeaug.hardware import KINDS, Hardware
from eeaug.hardware.fit import Measurement
from eeaug.network import graph
from eeaug.support import places
from eeaug.support.spelling import nearest
from eeaug.support.strict_yaml import Mistakes, as_number

__all__ = ["COLUMNS", "read"]

MOST_BYTES = 1 << 24
COUNTS = ("layers", "elements")
COLUMNS = ("name", "processor", "model", "layer", *KINDS, *COUNTS, "latency_s")


def read(path: Path, hardware: Hardware, *, allow_unsafe: bool = False) -> list[Measurement]:
    """Measurements from a CSV file with a header of COLUMNS, a row each.

    ``latency_s`` is needed, and either ``model``, a Keras model relative to the file (``layer`` names one of its
    layers), or MACs by operation type; with these, ``layers`` counts layers with MACs, and ``elements`` what they
    give. ``processor`` may be left out where the target has only one; ``name`` is for people.

    Raises
    ------
    InputError : the file cannot be read, or all that is wrong in it, each with its line
    """
    try:
        places.regular(path)  # it is read twice
        with io.StringIO(places.read(path, MOST_BYTES).decode("utf-8-sig"), newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: no CSV text in UTF-8: {error}") from error
    mistakes = Mistakes(str(path))
    for column in header:
        if column not in COLUMNS:
            hint = nearest(column, COLUMNS) or f"; known: {', '.join(COLUMNS)}"
            mistakes.add("line 1", f"unknown column '{column}'{hint}")
    if "latency_s" not in header:
        mistakes.add("line 1", f"has no column latency_s (columns: {', '.join(COLUMNS)})")
    elif not rows:
        mistakes.add("line 2", "there is no measurement")
    mistakes.raise_if_any()
    models = _Models(path.parent, allow_unsafe)
    measurements = []
    for line, row in rows:
        try:
            one = _measurement(row, f"line {line}", hardware, models)
            name = str(row.get("model") or "").strip()
            measurements.append(replace(one, file=models.folder / name if name else None))
        except (InputError, ConversionError) as error:
            mistakes.add(f"line {line}", str(error))
    mistakes.raise_if_any()
    return measurements


def _measurement(row: Mapping[str | None, object], at: str, hardware: Hardware, models: _Models) -> Measurement:
    if None in row or None in row.values():
        raise InputError("has more or fewer fields than the header")
    text = {str(key): str(value).strip() for key, value in row.items()}
    names = [p.name for p in hardware.processors]
    processor = text.get("processor") or (names[0] if len(names) == 1 else "")
    if processor not in names:
        what = f"'{processor}' is no processor of {hardware.name}" if processor else "names no processor"
        raise InputError(f"{what}{nearest(processor, names)} (processors: {', '.join(names)})")
    latency = as_number(text["latency_s"])
    if not (math.isfinite(latency) and latency > 0):
        raise InputError(f"latency_s must be a number greater than 0, given '{text['latency_s']}'")
    macs, operations, results = _work(text, models)
    if not sum(macs.values()):
        raise InputError("no MACs, so it gives no rate")
    file, layer = text.get("model", ""), text.get("layer", "")
    name = text.get("name") or ": ".join(filter(None, (Path(file).stem, layer))) or at
    return Measurement(name, processor, macs, latency, operations, results)


def _work(text: Mapping[str, str], models: _Models) -> tuple[Mapping[str, float], float | None, float | None]:
    """MACs by operation type, layers with MACs, elements that these give."""
    given = [key for key in (*KINDS, *COUNTS) if text.get(key)]
    file, layer = text.get("model"), text.get("layer")
    if file and given:
        raise InputError(f"a model is given, which has its own MACs: leave out {', '.join(given)}")
    if layer and not file:
        raise InputError(f"the layer '{layer}' needs its model")
    if file:
        return models.work(file, layer or None)
    if not any(key in KINDS for key in given):
        raise InputError(f"neither a model nor MACs ({', '.join(KINDS)}) are given")
    numbers = {key: as_number(text[key]) for key in given}
    for key, number in numbers.items():
        if not (math.isfinite(number) and number >= 0):
            raise InputError(f"{key} must be a number of at least 0, given '{text[key]}'")
    if len(set(given) & set(COUNTS)) == 1:
        raise InputError("layers and elements must be given together")
    macs = {kind: numbers[kind] for kind in KINDS if kind in numbers}
    return macs, numbers.get("layers"), numbers.get("elements")


class _Models:
    """Layers of model files, each read once."""

    def __init__(self, folder: Path, allow_unsafe: bool) -> None:
        self.folder, self.allow_unsafe = folder, allow_unsafe
        self._read: dict[str, dict[str, Mapping[str, Mapping[str, int]]]] = {}

    def work(self, file: str, layer: str | None) -> tuple[Mapping[str, float], float, float]:
        path = self.folder / file
        if file not in self._read:
            loaded = model.load(path, allow_unsafe=self.allow_unsafe)
            self._read[file] = dict(graph.layer_graph(loaded.calls, loaded.layout).nodes(data=True))
        nodes = self._read[file]
        if layer is not None and layer not in nodes:
            raise InputError(f"{path} has no layer '{layer}'{nearest(layer, nodes)}")
        chosen = [node for name, node in nodes.items() if layer in (None, name)]
        macs: dict[str, float] = {}
        for node in chosen:
            for kind, number in node["macs"].items():
                macs[kind] = macs.get(kind, 0) + number
        return macs, *graph.work(chosen)
