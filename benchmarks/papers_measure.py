"""One row of the papers' tables in one split: runs what it says, and keeps the figures that the tables need."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trecx
from papers_rows import Row
from public_models import prepare

__all__ = ["DROPS", "figures", "measured"]

DROPS = (0.0, *trecx.DROPS)  # of T-RecX' curves
METRICS = (
    "samples", "accuracy", "precision", "recall", "mean_macs", "mean_latency_s", "mean_energy_j", "worst_latency_s",
    "leave_rates",
)  # fmt: skip
SEARCH = ("locations", "heads_trained", "architectures", "placements", "threshold_configurations")
SEARCHED = ("convert", "features", "heads", "answers", "search", "finetune")  # what a search takes, of timing.json


def measured(row: Row, seed: int, directory: Path, work: Path, threads: int) -> dict[str, Any]:
    """Figures of a row: in the split and with the training seed ``seed``.

    ``directory``: see public_models.py. ``work`` keeps samples, features and heads: rows that share them take less.
    """
    model, spec, _ = prepare(row.model, directory, work, seed)
    if row.kind.startswith("published"):
        return _published(row, model, spec, directory)
    cache = work / "cache" / f"{row.model}-{seed}-{row.cache}"
    cold = not cache.exists()
    with tempfile.TemporaryDirectory(dir=work) as scratch:  # of its own: several runs may share ``work``
        bundle = Path(scratch) / "bundle"
        command = [
            sys.executable, "-m", "eeaug", "augment", str(model), "--data", str(spec), "--cache-dir", str(cache),
            "-o", str(bundle), "-q", *row.arguments(seed, threads),
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        report, timing = (json.loads((bundle / f"{name}.json").read_bytes()) for name in ("report", "timing"))
        known = figures(report, timing, cold=cold)
        if row.kind == "curve":
            curve, alone, _ = trecx.ours(bundle, *_samples(spec, ("test",)), threads)
            alone = replace(alone, parameters=alone.parameters + _parameters(bundle, report))
            known["curve"] = _curve(curve, alone)
    (work / "rows" / f"{row.name.replace('/', '_')}-{seed}.report.json").write_text(json.dumps(report, indent=1))
    return known


def figures(report: dict[str, Any], timing: dict[str, float], *, cold: bool) -> dict[str, Any]:
    """Of report.json and timing.json. ``cold``: nothing was cached, so that the times are those of a search."""
    design, promise = report["design"], report["promise"]
    known: dict[str, Any] = {
        "parts": {name: part["samples"] for name, part in report["data"]["parts"].items() if part is not None},
        "given": {name: report["baseline"]["measured"][name] for name in METRICS},
        "measured": {name: design["measured"][name] for name in METRICS},
        "exits": [
            {name: exit_[name] for name in ("location", "processor", "head", "threshold")}
            for exit_ in design["exits"]
        ],
        "promise": {name: promise[name] for name in ("promise", "max_accuracy_drop", "kept", "unit", "units")},
        "search": {name: report["search"][name] for name in SEARCH},
        "search_s": round(sum(timing.get(name, 0.0) for name in SEARCHED), 1) if cold else None,
    }
    if design["target"] is not None:
        known["target"] = design["target"]
    if design["finetune"] is not None:
        known["finetune"] = design["finetune"]
    if design["rho"] is not None:
        of = design["rho"]["measured"] or design["rho"]["choose"]
        known["rho"] = {name: of[name] for name in ("trade_offs", "standalone")}
    return known


def _parameters(bundle: Path, report: dict[str, Any]) -> int:
    """Of the heads that were chosen."""
    trained = json.loads((bundle / "search" / "exits.json").read_bytes())
    of = {(head["location"]["name"], head["head"]): head["parameters"] for head in trained}
    return sum(of[exit_["location"], exit_["head"]] for exit_ in report["design"]["exits"])


def _published(row: Row, model: Path, spec: Path, directory: Path) -> dict[str, Any]:
    """T-RecX' own model: on all samples here, or on the test samples of the split."""
    from eeaug.backbone import keras_files

    of = ("test",) if row.kind == "published-test" else trecx.ALL[row.published.partition("/")[0]]
    x, y = _samples(spec, of)
    (answers,) = trecx.predicted(keras_files.load(model), x)
    base = sum(trecx.macs_by_layer(model).values())
    path = directory / "models" / "trecx" / row.published
    return {"curve": _curve(*trecx.published(path, x, y, answers.argmax(1) == y, base))}


def _samples(spec: Path, parts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of these parts, prepared as the model takes them, and their labels."""
    from eeaug.data.preprocessing import Preprocessing, read_sidecar

    stored = np.load(spec.parent / json.loads(spec.read_text())["source"])
    x, y = (np.concatenate([stored[f"{k}_{part}"] for part in parts]) for k in ("x", "y"))
    ready = read_sidecar(spec).preprocessing or Preprocessing()
    return ready(x), y.ravel()


def _curve(curve: trecx.Curve, alone: trecx.Alone) -> dict[str, Any]:
    """``steps``: share saved and accuracy lost at every threshold; ``oracle``: saved at DROPS; ``held_out``: at one
    point, mean and deviation over ``halves``, of which ``over`` lose more."""
    saved, over = curve.held_out(DROPS[1])
    lost = curve.given.mean() - curve.right.mean(axis=1)
    return {
        "samples": len(curve.given),
        "given": float(curve.given.mean()),
        "alone": list(alone.accuracies),
        "parameters": alone.parameters,
        "steps": np.stack([curve.saved.mean(axis=1), lost], axis=1).round(5).tolist(),
        "oracle": [curve.oracle(drop) for drop in DROPS],
        "held_out": [float(np.mean(saved)), float(np.std(saved))] if saved else None,
        "over": over,
        "halves": len(saved),
    }
