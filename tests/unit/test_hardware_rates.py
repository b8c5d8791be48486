"""Rates from counted instructions and their cycles, against what whole networks take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eeaug import hardware
from eeaug.hardware import cycles, kernels
from eeaug.hardware.fields import CPUS
from eeaug.hardware.rates import LAYERS, macs, rates

DOCS = Path(__file__).parents[2] / "docs" / "c.md"
# MACs by kind
NETWORKS = {
    "ResNet-8": {"conv": 12_238_848, "pointwise": 262_144, "dense": 640},
    "DS-CNN": {"conv": 320_000, "depthwise": 288_000, "pointwise": 2_048_000, "dense": 768},
    "MobileNetV1": {"conv": 497_664, "depthwise": 798_336, "pointwise": 6_193_152, "dense": 512},
}


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
@pytest.mark.parametrize("network", NETWORKS)
def test_rates_give_back_what_was_counted_of_networks(network: str, core: str) -> None:
    row = re.search(rf"^\| {network} \| {core} \| c-int8 \| ([\d.]+) M ", DOCS.read_text(encoding="utf-8"), re.M)
    per_instruction = cycles.per_instruction(core)
    assert row is not None and per_instruction is not None
    of_core = rates(core, 1e8).by_kind
    seconds = sum(number / (of_core[kind] or 0.0) for kind, number in NETWORKS[network].items())
    assert seconds * 1e8 / per_instruction.cycles == pytest.approx(float(row[1]) * 1e6, rel=0.15)


def test_rates_grow_with_the_clock() -> None:
    slow, fast = rates("cortex-m4", 1e8).by_kind, rates("cortex-m4", 2e8).by_kind
    assert {kind: 2 * (rate or 0.0) for kind, rate in slow.items()} == pytest.approx(fast, rel=1e-2)
    assert min(slow[kind] or 0.0 for kind in hardware.KINDS) < (slow["default"] or 0.0)


def test_known_are_cores_with_counts_and_cycles() -> None:
    unknown = [cpu for cpu in CPUS if rates(cpu, 1e8).by_kind["default"] is None]
    assert unknown == ["cortex-m0", "cortex-m1", "cortex-m23"]
    assert set(rates(None, 1e8).by_kind.values()) == {None}


def test_a_core_without_dsp_executes_what_a_cortex_m3_does() -> None:
    def instructions(cpu: str, kind: str) -> list[float | None]:
        return [kernels.instructions("c-int8", cpu, layer) for layer in LAYERS[kind]]

    for kind in hardware.KINDS:
        plain = instructions("cortex-m33+nodsp+nofp", kind)
        assert plain == instructions("cortex-m3", kind)
        assert sum(n or 0.0 for n in plain) > sum(n or 0.0 for n in instructions("cortex-m33", kind))


def test_macs_of_a_layer() -> None:
    conv, depthwise, dense = LAYERS["conv"][1], LAYERS["depthwise"][1], LAYERS["dense"][0]
    assert (macs(conv), macs(depthwise), macs(dense)) == (32 * 32 * 16 * 9 * 16, 24 * 24 * 32 * 9, 640 * 128)
