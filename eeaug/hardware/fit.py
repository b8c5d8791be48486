"""Rates of processors by operation type, and overheads, fitted to measured latencies.

A network is taken to need Σ_k MACs_k / rate_k seconds over the operation types k (target.KINDS), and besides so
much for each layer with MACs and for each element that these give, as in cost. A few whole networks do not tell six
figures apart, so all are held to one common rate, from which they depart as far as the measurements ask for: the
most probable figures under

    ln latency_i ~ N(ln estimate_i, MISFIT²)
    ln rate_k ~ N(ln common rate, SPREAD²)
    ln (overhead · common rate) ~ N(ln MACs that are worth as much, OVERHEAD_SPREAD²)

(ridge regression in logarithms: what counts is the relative error, and no rate can be negative or infinite). A type
that the measurements say nothing about gets no rate of its own: the default serves, which is the common one.
Overheads are fitted where measurements say how many layers and elements they have, as models do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeaug.hardware.target import KINDS, Hardware, Processor

__all__ = ["Fit", "Measurement", "estimated", "fit", "fitted", "left_out"]

MISFIT = 0.1  # standard deviation of ln latency: noise, and what such a cost model leaves out
SPREAD = 0.3  # usual standard deviation of ln rate between operation types
# usual cost in MACs of a layer (a call and its loops) and of an element (scaling, activation, storing)
OVERHEADS = {"overhead_s_per_layer": 10_000.0, "overhead_s_per_element": 10.0}
OVERHEAD_SPREAD = 0.7
KNOWN = 0.95  # a figure counts as measured if its deviation is below this share of the usual one
ITERATIONS = 2000  # hundreds are needed where measurements contradict each other
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """``latency_s`` seconds that a network or layer took on a processor.

    ``macs`` by operation type; ``operations`` and ``results`` as in graph.Block, None where nobody says; ``file``
    is the model that said all this, None where none did.
    """

    name: str
    processor: str
    macs: Mapping[str, float]
    latency_s: float
    operations: float | None = None
    results: float | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Fit:
    """What was found for one processor.

    Parameters
    ----------
    rates : MAC/s of ``default`` and all of KINDS; None where nothing was measured
    overheads : seconds, by the names of OVERHEADS; None if no measurement said how many layers and elements it had
    factors : of every figure, by what factor it may well be off (one standard deviation)
    measured : names of the figures that the measurements say something about; others are what is so as a rule
    """

    rates: Mapping[str, float | None]
    overheads: Mapping[str, float | None]
    factors: Mapping[str, float]
    measured: frozenset[str]


def fit(measured: Sequence[Measurement]) -> Fit:
    """The figures of one processor that one or more measurements make most probable.

    Levenberg and Marquardt's method on logarithms of seconds, starting from one rate for all.
    """
    counted = all(m.operations is not None and m.results is not None for m in measured)
    names = (*KINDS, *(OVERHEADS if counted else ()))
    usual = np.array([*(1.0 for _ in KINDS), *(OVERHEADS.values() if counted else ())])
    spread = np.array([*(SPREAD for _ in KINDS), *(OVERHEAD_SPREAD for _ in names[len(KINDS) :])])
    n, k = len(measured), len(names)
    work = np.array([_work(m)[:k] for m in measured])
    logs = np.log([m.latency_s for m in measured])

    def residuals(z: Floats) -> tuple[Floats, Floats]:
        """Of parameters (k + 1,), ln seconds and last the common one: (n + k,), and their slopes (n + k, k + 1)."""
        parts = work * np.exp(z[:k])
        seconds = parts.sum(axis=1)
        slopes = np.zeros((n + k, k + 1))
        slopes[:n, :k] = parts / seconds[:, None] / MISFIT
        slopes[n:, :k] = np.diag(1 / spread)
        slopes[n:, k] = -1 / spread
        return np.concatenate(
            [(np.log(seconds) - logs) / MISFIT, (z[:k] - z[k] - np.log(usual)) / spread]
        ), slopes  # fmt: skip

    common = np.mean(logs - np.log(work @ usual))
    z = np.append(common + np.log(usual), common)
    off, slopes = residuals(z)
    damping = 1e-3
    for _ in range(ITERATIONS):
        curvature = slopes.T @ slopes
        step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), -slopes.T @ off)
        tried, their_slopes = residuals(z + step)
        if tried @ tried > off @ off:
            damping *= 10
            continue
        z, off, slopes, damping = z + step, tried, their_slopes, damping / 10
        if np.abs(step).max() < 1e-9:
            break
    covariance = np.linalg.inv(slopes.T @ slopes)
    variances = (
        np.diag(covariance)[:k] + covariance[k, k] - 2 * covariance[:k, k]
    )  # of distances to the common rate
    known = {
        name for name, variance, s in zip(names, variances, spread, strict=True) if variance < (KNOWN * s) ** 2
    }
    seconds = dict(zip((*names, "default"), np.exp(z).tolist(), strict=True))
    errors = dict(zip((*names, "default"), np.exp(np.sqrt(np.diag(covariance))).tolist(), strict=True))
    return Fit(
        {kind: 1 / seconds[kind] if kind in {*known, "default"} else None for kind in ("default", *KINDS)},
        {name: seconds.get(name) for name in OVERHEADS},
        errors,
        frozenset({*known, "default"}),
    )


def left_out(processor: Processor, measured: Sequence[Measurement]) -> list[float | None]:
    """The seconds that a fit to all others gives for each measurement on a processor; None for the only one."""
    if len(measured) < 2:
        return [None]
    others = ([*measured[:i], *measured[i + 1 :]] for i in range(len(measured)))
    return [estimated(with_fit(processor, fit(o)), m) for o, m in zip(others, measured, strict=True)]


def with_fit(processor: Processor, fitted_figures: Fit) -> Processor:
    """The processor with these rates and overheads, to four digits."""
    return replace(
        processor,
        rates_macs_per_s={key: _digits(rate) for key, rate in fitted_figures.rates.items()},
        overhead_s_per_layer=_digits(fitted_figures.overheads["overhead_s_per_layer"]),
        overhead_s_per_element=_digits(fitted_figures.overheads["overhead_s_per_element"]),
    )


def fitted(
    hardware: Hardware, measured: Sequence[Measurement], *, source: str, name: str, runtime: str | None
) -> tuple[Hardware, dict[str, Fit]]:
    """The target with the rates and overheads of all processors that were measured, and the fits by processor.

    ``source`` and ``runtime`` say where these come from; a processor without measurements stays as it is.
    """
    by_processor = {p.name: [m for m in measured if m.processor == p.name] for p in hardware.processors}
    fits = {name: fit(measurements) for name, measurements in by_processor.items() if measurements}
    processors = []
    for p in hardware.processors:
        if p.name in fits:
            unmeasured = [key for key in OVERHEADS if key not in fits[p.name].measured]
            origin = f"rates and overheads {source}"
            if fits[p.name].overheads["overhead_s_per_layer"] is not None and unmeasured:
                origin += f", but {' and '.join(unmeasured)}, hardly measured: what is usual"
            more = f"; all else: {p.source}" if p.source else ""
            p = replace(with_fit(p, fits[p.name]), source=origin + more, runtime=runtime)
        processors.append(p)
    return replace(hardware, name=name, processors=tuple(processors)), fits


def estimated(processor: Processor, measured: Measurement) -> float | None:
    """What a processor's figures make of a measurement, in seconds, as in cost; None where a rate is unknown."""
    seconds = processor.overhead_s(measured.operations or 0, measured.results or 0)
    for kind, number in measured.macs.items():
        rate = processor.rate(kind)
        if number and rate is None:
            return None
        seconds += number / rate if rate else 0.0
    return seconds


def _work(m: Measurement) -> list[float]:
    return [*(float(m.macs.get(kind, 0)) for kind in KINDS), float(m.operations or 0), float(m.results or 0)]


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
