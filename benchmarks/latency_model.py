#!/usr/bin/env python3
"""How wrong latencies are for a network that was not measured: of rates, and of counted instructions.

    python benchmarks/latency_model.py RESULTS.json --data-dir DIR

RESULTS.json: published results of MLPerf Tiny, {submission: {benchmark: {"ms": latency}}}, a submission being
"version|division|submitter|board". DIR holds the reference models, see public_models.py; those of the closed
division run these very networks. For every closed submission with latencies of three or more of ic (ResNet-8), kws
(DS-CNN), vww (MobileNetV1 0.25) and ad (an autoencoder), each network in turn is estimated by what is fitted to the
others: one rate, rates by operation type, and those with overheads per layer and element, as `eeaug hw fit` does.

Cortex-M cores besides by counted instructions of c-int8 (cycles.json, by cycles.py): nothing but the cycles of an
instruction is fitted, to the other networks of the submission; and where a submission ran kernels of CMSIS-NN, by
the instructions of these. Last come the cycles per instruction that eeaug/hardware/cycles.py has, and what their
errors are. Exit code 1 if the median relative error of rates with overheads is above 30 %.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import instructions
import numpy as np
from public_models import MODELS

from eeaug.backbone import model
from eeaug.hardware import KINDS, Processor
from eeaug.hardware.fit import Measurement, left_out
from eeaug.network import graph

REACH = 0.30
NETWORKS = {"ic": "resnet8", "kws": "dscnn", "vww": "mobilenetv1"}
# MLPerf Tiny's autoencoder for anomalies, dense layers only; no classifier, so eeaug does not read it
AUTOENCODER = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)


def networks(directory: Path) -> dict[str, Measurement]:
    """What the networks have to do, without latencies."""
    macs = {"dense": sum(a * b for a, b in pairwise(AUTOENCODER))}
    known = {"ad": Measurement("ad", "", macs, 0.0, len(AUTOENCODER) - 1, sum(AUTOENCODER[1:]))}
    for benchmark, name in NETWORKS.items():
        blocks = graph.blocks(model.load(directory / "models" / MODELS[name][0]))
        macs = {kind: sum(block.macs.get(kind, 0) for block in blocks) for kind in KINDS}
        operations, results = sum(b.operations for b in blocks), sum(b.results for b in blocks)
        known[benchmark] = Measurement(benchmark, "", macs, 0.0, operations, results)
    return known


def one_rate(measured: Sequence[Measurement]) -> list[float]:
    """Seconds by the geometric mean of the others' rates."""
    totals = np.array([sum(m.macs.values()) for m in measured])
    rates = np.log(totals / [m.latency_s for m in measured])
    return list(totals / np.exp((rates.sum() - rates) / (len(rates) - 1)))


def estimates(measured: Sequence[Measurement]) -> np.ndarray:
    """Relative errors of the three ways, (measurements, 3)."""
    processor = Processor("", {}, "int8", "", "")
    alone = [replace(m, operations=None, results=None) for m in measured]
    ways = one_rate(measured), left_out(processor, alone), left_out(processor, measured)
    return np.abs(np.array(ways, float).T / np.array([[m.latency_s] for m in measured]) - 1)


def latencies(known: Mapping[str, Measurement], tasks: Mapping[str, Mapping[str, float]]) -> list[Measurement]:
    """The networks with what one submission says of them."""
    return [replace(m, latency_s=tasks[b]["ms"] / 1000) for b, m in known.items() if tasks.get(b, {}).get("ms")]


def rates_table(known: Mapping[str, Measurement], results: instructions.Results) -> tuple[list[str], float]:
    """The table of rates, and the median error of the last way."""
    errors: dict[str, list[np.ndarray]] = {name: [] for name in known}
    submissions = 0
    for name, tasks in results.items():
        measured = latencies(known, tasks)
        if name.split("|")[1] != "closed" or len(measured) < 3:
            continue
        submissions += 1
        for m, row in zip(measured, estimates(measured), strict=True):
            errors[m.name].append(row)
    every = np.concatenate([np.array(rows) for rows in errors.values()])
    lines = [
        "| left out | submissions | one rate | by operation type | with overheads | 90 % are within |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in [*errors.items(), (f"any of {submissions} × 3 or 4", every)]:
        one, types, own = np.median(rows, axis=0)
        within = np.quantile(np.array(rows)[:, 2], 0.9)
        lines.append(f"| {name} | {len(rows)} | {one:.1%} | {types:.1%} | **{own:.1%}** | {within:.1%} |")
    return lines, float(np.median(every[:, 2]))


def counted_table(
    known: Mapping[str, Measurement], results: instructions.Results, counts: instructions.Counts
) -> Iterator[str]:
    """Errors of rates with overheads and of counted instructions, on the same networks of the same submissions."""
    yield "| core | submissions | networks | rates with overheads | counted instructions | 90 % are within |"
    yield "|---|---|---|---|---|---|"
    every = [run for run in instructions.runs(results) if len(instructions.ratios(run, counts["c-int8"])) > 1]
    for core in instructions.CORES:
        yield _row(core, [run for run in every if run.core == core], counts["c-int8"], known)
    yield _row("all", every, counts["c-int8"], known)
    theirs = [run for run in every if instructions.CMSIS_NN.search(run.name)]
    yield _row("with CMSIS-NN; c-int8 counted", theirs, counts["c-int8"], known)
    yield _row("with CMSIS-NN; CMSIS-NN counted", theirs, counts["cmsis-nn"], known)


def _row(
    name: str, runs: Sequence[instructions.Run], counts: Mapping[str, Mapping[str, float]],
    known: Mapping[str, Measurement],
) -> str:  # fmt: skip
    rows = []
    for run in runs:
        measured = latencies(known, {b: {"ms": ms} for b, ms in run.milliseconds.items()})
        rates = dict(zip((m.name for m in measured), estimates(measured)[:, 2], strict=True))
        by_count = instructions.left_out(instructions.ratios(run, counts))
        rows += [(rates[task], abs(error)) for task, error in by_count.items()]
    by_rates, counted = np.median(rows, axis=0)
    within = np.quantile(np.array(rows)[:, 1], 0.9)
    return f"| {name} | {len(runs)} | {len(rows)} | {by_rates:.1%} | **{counted:.1%}** | {within:.1%} |"


def cycles_table(results: instructions.Results, counts: instructions.Counts) -> Iterator[str]:
    """Of boards, and what eeaug/hardware/cycles.py has of cores."""
    yield "| board | core | cycles per instruction | error |"
    yield "|---|---|---|---|"
    for board, its in instructions.boards(results, counts).items():
        yield f"| {board} | {its.source} | {its.cycles:.2f} | ±{100 * its.error:.0f} % |"
    yield ""
    yield "| core | cycles per instruction | error | from |"
    yield "|---|---|---|---|"
    for core, its in instructions.fitted(results, counts).items():
        yield f"| {core} | {its.cycles:.2f} | ±{100 * its.error:.0f} % | {its.source} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--counts", type=Path, default=Path(__file__).with_name("cycles.json"))
    given = parser.parse_args()
    known = networks(given.data_dir)
    results, counts = json.loads(given.results.read_text()), json.loads(given.counts.read_text())
    rates, median = rates_table(known, results)
    lines = [*rates, "", *counted_table(known, results, counts), "", *cycles_table(results, counts)]
    print("\n".join(lines))
    sys.exit(median > REACH)


if __name__ == "__main__":
    main()
