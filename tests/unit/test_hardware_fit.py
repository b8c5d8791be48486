"""Rates fitted to latencies: synthetic truths are found again, few measurements are not believed too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eeaug.hardware import KINDS, Hardware, Memory, Processor
from eeaug.hardware import fit as rates
from eeaug.hardware.fit import OVERHEADS, Measurement, estimated, fit, fitted, left_out

LAYER, ELEMENT = OVERHEADS


def processor(name: str = "m4", **changes: object) -> Processor:
    known = {"default": None, "conv": 8e7, "pointwise": 5e7, "depthwise": 1.5e7, "dense": 4e7}
    made = Processor(name, known, "int8", "sram", "flash", overhead_s_per_layer=2e-4, overhead_s_per_element=1e-7)
    return replace(made, **changes)  # type: ignore[arg-type]


def measured(truth: Processor, macs: dict[str, float], layers: float, elements: float) -> Measurement:
    m = Measurement("x", truth.name, macs, 1.0, layers, elements)
    return replace(m, latency_s=float(estimated(truth, m) or 0))


def layers_of_a_profile(truth: Processor, n: int, seed: int = 0) -> list[Measurement]:
    """One layer each, of all types and sizes."""
    rng = np.random.default_rng(seed)
    return [
        measured(truth, {KINDS[i % 4]: 10 ** rng.uniform(4, 7)}, 1, 10 ** rng.uniform(2, 4.5)) for i in range(n)
    ]


def test_a_profile_of_many_layers_gives_back_the_truth() -> None:
    truth = processor()
    found = fit(layers_of_a_profile(truth, 400))
    for kind in KINDS:
        assert found.rates[kind] == pytest.approx(truth.rates_macs_per_s[kind], rel=0.02), kind
    assert found.overheads[LAYER] == pytest.approx(2e-4, rel=0.02)
    assert found.overheads[ELEMENT] == pytest.approx(1e-7, rel=0.05)
    assert found.measured == {"default", *KINDS, *OVERHEADS}
    assert all(1 < factor < 1.1 for name, factor in found.factors.items() if name != "default")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
@example(89275)  # needs some hundred steps
def test_what_is_found_is_most_probable(seed: int) -> None:
    """Against random steps away from it, with the model of the docstring written out."""
    rng = np.random.default_rng(seed)
    truth = processor(rates_macs_per_s={"default": None, **{k: 10 ** rng.uniform(6, 9) for k in KINDS}})
    runs = [
        measured(truth, {k: 10 ** rng.uniform(3, 7) for k in KINDS if rng.random() < 0.7} or {"conv": 1e5}, 9, 1e4)
        for _ in range(int(rng.integers(1, 5)))
    ]
    runs = [replace(m, latency_s=m.latency_s * float(np.exp(rng.normal(0, 0.3)))) for m in runs]
    found = fit(runs)

    def improbability(seconds: dict[str, float], common: float) -> float:
        lost = 0.0
        for m in runs:
            s = sum(n * seconds[k] for k, n in m.macs.items()) + 9 * seconds[LAYER] + 1e4 * seconds[ELEMENT]
            lost += (np.log(s / m.latency_s) / rates.MISFIT) ** 2
        lost += sum((np.log(seconds[k] / common) / rates.SPREAD) ** 2 for k in KINDS)
        return lost + sum(
            (np.log(seconds[k] / common / usual) / rates.OVERHEAD_SPREAD) ** 2 for k, usual in OVERHEADS.items()
        )

    common = 1 / float(found.rates["default"] or 0)
    here = {k: 1 / float(found.rates[k] or found.rates["default"] or 0) for k in KINDS}
    here |= {k: float(v or 0) for k, v in found.overheads.items()}
    if set(KINDS) <= found.measured:
        best = improbability(here, common)
        for _ in range(200):
            near = {k: v * float(np.exp(rng.normal(0, 0.05))) for k, v in here.items()}
            assert improbability(near, common * float(np.exp(rng.normal(0, 0.05)))) >= best - 1e-6


def test_one_network_gives_one_rate_and_its_own_latency() -> None:
    run = Measurement("resnet", "m4", {"conv": 12e6, "pointwise": 3e5}, 0.2, 10, 90_000)
    found = fit([run])
    made = rates.with_fit(processor(), found)
    assert estimated(made, run) == pytest.approx(0.2, rel=0.02)
    assert found.rates["dense"] is None and found.rates["depthwise"] is None
    assert {"dense", "depthwise", LAYER}.isdisjoint(found.measured)
    # what was hardly measured is what is usual
    assert float(found.overheads[LAYER] or 0) * float(found.rates["default"] or 0) == pytest.approx(1e4, rel=0.1)
    alone = fit([replace(run, operations=None, results=None)])
    assert alone.overheads == {LAYER: None, ELEMENT: None}
    assert estimated(rates.with_fit(processor(), alone), replace(run, operations=None)) == pytest.approx(0.2, 0.02)


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 1e3))
def test_units_do_not_matter(factor: float) -> None:
    truth = processor()
    runs = layers_of_a_profile(truth, 12, seed=3)
    one, other = fit(runs), fit([replace(m, latency_s=m.latency_s * factor) for m in runs])
    assert one.measured == other.measured
    for kind, rate in one.rates.items():
        assert rate is None or rate / factor == pytest.approx(other.rates[kind], rel=1e-5)
    for name, seconds in one.overheads.items():
        assert float(seconds or 0) * factor == pytest.approx(other.overheads[name], rel=1e-5)


def test_left_out_is_fitted_to_the_others() -> None:
    truth = processor()
    runs = layers_of_a_profile(truth, 200)
    runs[7] = replace(runs[7], latency_s=3 * runs[7].latency_s)  # a mistake of a stop-watch
    others = left_out(truth, runs)
    assert others[7] == pytest.approx(runs[7].latency_s / 3, rel=0.05)
    assert left_out(truth, runs[:1]) == [None]
    few = runs[5:8]
    for k, seconds in enumerate(left_out(truth, few)):
        others = [m for i, m in enumerate(few) if i != k]
        assert seconds == pytest.approx(float(estimated(rates.with_fit(truth, fit(others)), few[k]) or 0))
        assert seconds != pytest.approx(few[k].latency_s, rel=0.01)


def test_only_measured_processors_change() -> None:
    big = processor("m7", runtime="old", source="a data sheet")
    memories = (Memory("sram", 1000), Memory("flash", 1000))
    board = Hardware("board", None, "m4", True, None, (processor(), big), memories, ())
    runs = [replace(m, processor="m7") for m in layers_of_a_profile(processor(), 40)]
    new, fits = fitted(board, runs, source="fitted to runs.csv", name="new", runtime="TFLM")
    assert (new.name, list(fits), new.processors[0]) == ("new", ["m7"], board.processors[0])
    m7 = new.processors[1]
    assert m7.runtime == "TFLM"
    assert m7.source == "rates and overheads fitted to runs.csv; all else: a data sheet"
    assert m7.rates_macs_per_s["conv"] == pytest.approx(8e7, rel=0.1)
    assert len(f"{m7.rates_macs_per_s['conv']:.10g}".rstrip("0")) <= 4, "four digits"
    few, _ = fitted(board, [Measurement("x", "m7", {"conv": 1e6}, 1.0, 1, 10)], source="s", name="n", runtime=None)
    assert f"but {LAYER} and {ELEMENT}, hardly measured: what is usual" in str(few.processors[1].source)


def test_an_unknown_rate_gives_no_estimate() -> None:
    slow = processor(rates_macs_per_s=dict.fromkeys(("default", *KINDS)))
    assert estimated(slow, Measurement("x", "m4", {"conv": 1.0}, 1.0)) is None
    assert estimated(slow, Measurement("x", "m4", {"conv": 0}, 1.0, 1, 0)) == 2e-4
