#!/usr/bin/env python3
"""How wrong latencies are for a network that was not measured: rates fitted to the other networks of a board.

    python benchmarks/latency_model.py RESULTS.json --data-dir DIR

RESULTS.json: published results of MLPerf Tiny, {submission: {benchmark: {"ms": latency}}}, a submission being
"version|division|submitter|board". DIR holds the reference models, see public_models.py; those of the closed
division run these very networks. For every closed submission with latencies of three or more of ic (ResNet-8), kws
(DS-CNN), vww (MobileNetV1 0.25) and ad (an autoencoder), each network in turn is estimated by what is fitted to the
others: one rate, rates by operation type, and those with overheads per layer and element, as `eeaug hw fit` does.
Exit code 1 if the median relative error of the last is above 30 %.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

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
    found = {"ad": Measurement("ad", "", macs, 0.0, len(AUTOENCODER) - 1, sum(AUTOENCODER[1:]))}
    for benchmark, name in NETWORKS.items():
        blocks = graph.blocks(model.load(directory / "models" / MODELS[name][0]))
        macs = {kind: sum(block.macs.get(kind, 0) for block in blocks) for kind in KINDS}
        operations, results = sum(b.operations for b in blocks), sum(b.results for b in blocks)
        found[benchmark] = Measurement(benchmark, "", macs, 0.0, operations, results)
    return found


def one_rate(measured: list[Measurement]) -> list[float]:
    """Seconds by the geometric mean of the others' rates."""
    totals = np.array([sum(m.macs.values()) for m in measured])
    rates = np.log(totals / [m.latency_s for m in measured])
    return list(totals / np.exp((rates.sum() - rates) / (len(rates) - 1)))


def estimates(measured: list[Measurement]) -> np.ndarray:
    """Relative errors of the three ways, (measurements, 3)."""
    processor = Processor("", {}, "int8", "", "")
    alone = [replace(m, operations=None, results=None) for m in measured]
    ways = one_rate(measured), left_out(processor, alone), left_out(processor, measured)
    return np.abs(np.array(ways, float).T / np.array([[m.latency_s] for m in measured]) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    given = parser.parse_args()
    known = networks(given.data_dir)
    errors: dict[str, list[np.ndarray]] = {name: [] for name in known}
    submissions = 0
    for name, published in json.loads(given.results.read_text()).items():
        latencies = {b: published[b]["ms"] / 1000 for b in known if published.get(b, {}).get("ms")}
        if name.split("|")[1] != "closed" or len(latencies) < 3:
            continue
        submissions += 1
        measured = [replace(known[b], latency_s=seconds) for b, seconds in latencies.items()]
        for m, row in zip(measured, estimates(measured), strict=True):
            errors[m.name].append(row)
    print("| left out | submissions | one rate | by operation type | with overheads | 90 % are within |")
    print("|---|---|---|---|---|---|")
    every = np.concatenate([np.array(rows) for rows in errors.values()])
    for name, rows in [*errors.items(), (f"any of {submissions} × 3 or 4", every)]:
        one, types, own = np.median(rows, axis=0)
        print(
            f"| {name} | {len(rows)} | {one:.1%} | {types:.1%} | **{own:.1%}** | "
            f"{np.quantile(np.array(rows)[:, 2], 0.9):.1%} |"
        )
    sys.exit(bool(np.median(every[:, 2]) > REACH))


if __name__ == "__main__":
    main()
