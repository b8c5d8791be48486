"""Cycles per instruction: whose they are, and that the package has what the benchmark gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from eeaug import hardware
from eeaug.hardware import cycles
from eeaug.hardware.fields import CPUS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "mlperf_tiny_results.json"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """benchmarks/instructions.py, which stands in no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import instructions  # type: ignore[import-not-found]

    yield instructions


def test_variants_of_a_core_have_its_cycles() -> None:
    known = {cpu: cycles.per_instruction(cpu) for cpu in CPUS}
    assert known["cortex-m4+nofp"] == known["cortex-m4"] == cycles.CORES["cortex-m4"]
    assert known["cortex-m7+nofp.dp"] == cycles.CORES["cortex-m7"]
    assert [cpu for cpu in CPUS if known[cpu] is None] == ["cortex-m0", "cortex-m1", "cortex-m23"]


def test_instructions_become_seconds() -> None:
    core = cycles.CyclesPerInstruction(1.5, 0.125, "somewhere")
    assert core.seconds(3e6, 150e6) == pytest.approx(0.03)
    assert core.words == "±12 %"


def test_a_processor_s_own_cycles_come_first() -> None:
    processor = replace(hardware.read("psoc6").processor("cm4f"), cycles_per_instruction=None)
    assert cycles.of(processor) == cycles.CORES["cortex-m4"]
    for basis, error in (("timed", cycles.TIMED), ("published", cycles.DESCRIBED), (None, cycles.DESCRIBED)):
        its = cycles.of(replace(processor, cycles_per_instruction=1.25, basis=basis))
        assert its is not None
        assert (its.cycles, its.error) == (1.25, error)
    assert cycles.of(replace(processor, cpu=None)) is None


def test_the_package_has_what_the_benchmark_gives(benchmark: ModuleType) -> None:
    if not PUBLISHED.exists():
        pytest.skip("the published results of MLPerf Tiny are not here")
    counts = json.loads((BENCHMARKS / "cycles.json").read_text())
    fitted = benchmark.fitted(json.loads(PUBLISHED.read_text()), counts)
    shipped = {core: (c.cycles, c.error) for core, c in cycles.CORES.items() if core != "cortex-m55"}
    assert shipped == {core: (round(f.cycles, 2), round(f.error, 2)) for core, f in fitted.items()}


def test_shipped_profiles_have_their_boards(benchmark: ModuleType) -> None:
    if not PUBLISHED.exists():
        pytest.skip("the published results of MLPerf Tiny are not here")
    counts = json.loads((BENCHMARKS / "cycles.json").read_text())
    boards = benchmark.boards(json.loads(PUBLISHED.read_text()), counts)
    profiles = {
        "psoc6": "CY8CPROTO", "psoc6-measured": "CY8CPROTO", "stm32l4r5": "L4R5ZI", "stm32h7a3": "H7A3ZI",
        "stm32u575": "U575ZI", "nrf5340": "NRF5340",
    }  # fmt: skip
    for name, board in profiles.items():
        (its,) = (p.cycles_per_instruction for p in hardware.read(name).processors if p.cycles_per_instruction)
        assert its == round(boards[board].cycles, 2)
        assert boards[board].error < cycles.DESCRIBED


def test_boards_come_of_chains_of_the_same_kernels(benchmark: ModuleType) -> None:
    """Made-up submissions whose cycles are exactly instructions times what each board takes for one."""
    takes = {"L4R5ZI": 1.5, "H7A3ZI": 0.5, "U575ZI": 1.25, "RA6M4": 2.0}
    results: dict[str, dict[str, dict[str, float]]] = {}

    def add(who: str, what: str, board: str, instructions: dict[str, float]) -> None:
        mhz = benchmark.BOARDS[board][1]
        rows = {task: {"ms": count * takes[board] / mhz / 1000} for task, count in instructions.items()}
        results[f"v1.0|closed|{who}|{what}{board}"] = rows

    add("OctoML", "microtvm_cmsis_nn/", "L4R5ZI", {"ic": 100, "kws": 10})
    add("one", "", "L4R5ZI", {"ic": 70, "kws": 20})
    add("one", "", "H7A3ZI", {"ic": 70, "kws": 20})
    add("two", "", "H7A3ZI", {"kws": 30})
    add("two", "", "U575ZI", {"kws": 30})
    add("alone", "", "RA6M4", {"kws": 30})
    counts = {"cmsis-nn": {"ic": {"cortex-m4": 100}, "kws": {"cortex-m4": 10}}}
    boards = benchmark.boards(results, counts)
    assert {name: its.cycles for name, its in boards.items()} == pytest.approx(
        {name: each for name, each in takes.items() if name != "RA6M4"}
    )
    assert max(its.error for its in boards.values()) < 1e-9


def test_left_out_networks_are_estimated_by_the_others(benchmark: ModuleType) -> None:
    assert benchmark.left_out({"a": 1.0, "b": 1.0, "c": 1.0}) == pytest.approx({"a": 0, "b": 0, "c": 0})
    errors = benchmark.left_out({"a": 1.0, "b": 2.0, "c": 8.0})
    assert errors == pytest.approx({"a": 3.0, "b": 8**0.5 / 2 - 1, "c": 2**0.5 / 8 - 1})


def test_what_ran_on_another_network_or_clock_is_no_run(benchmark: ModuleType) -> None:
    tasks = {"ic": {"ms": 10.0}, "vww": {"ms": 20.0}, "sww": {"ms": None}}
    names = {
        "v1.0|closed|plumerai|NUCLEO_L4R5ZI": {"ic": 10.0, "vww": 20.0},
        "v1.2|closed|plumerai|NUCLEO-L4R5ZI": {"ic": 10.0},  # vww without constant channels
        "v1.2|open|bosch|NUCLEO_L4R5ZI": None,
        "v1.2|closed|bosch|NUCLEO_L4R5ZI_float": None,
        "v1.3|closed|bosch|NUCLEO_L4R5ZI-P_70MHz": None,
        "v1.2|closed|bosch|ANOTHER": None,
    }
    runs = {run.name: run for run in benchmark.runs(dict.fromkeys(names, tasks))}
    assert {name: run.milliseconds for name, run in runs.items()} == {k: v for k, v in names.items() if v}
    run = runs["v1.0|closed|plumerai|NUCLEO_L4R5ZI"]
    assert run.cycles("ic") == 10 * 120_000
    assert benchmark.ratios(run, {"ic": {"cortex-m4": 600_000}}) == {"ic": 2.0}


def test_arm_s_tables(benchmark: ModuleType) -> None:
    import arm_tables  # type: ignore[import-not-found]

    def of(core: str, *texts: str, taken: int = 0) -> float:
        rows = [arm_tables.Instruction(2 * i, 2, 10, 0, text) for i, text in enumerate(texts)]
        rows[-1] = arm_tables.Instruction(rows[-1].address, 2, 10, taken, texts[-1])
        return float(arm_tables.cycles(rows, core)) / 10

    assert of("cortex-m4", "ldr r0, [r1]", "ldr r2, [r3]", "adds r0, r0, r2") == 1 + 2 + 1
    assert of("cortex-m0plus", "ldr r0, [r1]", "ldr r2, [r3]", "adds r0, r0, r2") == 2 + 2 + 1
    assert of("cortex-m4", "bne #0x10", taken=8) == 1 + 0.8 * 2
    assert of("cortex-m0plus", "bne #0x10", taken=8) == 1 + 0.8
    assert of("cortex-m4", "pop.w {r4, r5, pc}", taken=10) == 4 + 2
    assert of("cortex-m0plus", "bl #0x80", taken=10) == 3
    assert of("cortex-m3", "umull r0, r1, r2, r3") == 4
    assert of("cortex-m4", "umull r0, r1, r2, r3") == 1
