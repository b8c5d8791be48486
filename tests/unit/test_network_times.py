"""Times by counted kernels: what decides, in which bytes, and where a PSoC 6 then runs a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eeaug import hardware
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.design.problem import Rules, baseline, problem
from eeaug.errors import InputError
from eeaug.hardware import Hardware, Processor, cycles, kernels
from eeaug.hardware.kernels import WIDTHS
from eeaug.hardware.loops import KernelRun
from eeaug.network import times
from eeaug.network.costs import Costs, ExitCosts, require_rates
from eeaug.network.graph import Block
from eeaug.network.kernels import Kernels
from eeaug.search import solver
from eeaug.settings import Goal

CONV = KernelRun("conv", (16, 16, 16), (16, 16, 16), (3, 3), before=(1, 1))
MACS = 16 * 16 * 9 * 16 * 16  # 589,824
BOTH = {format: Kernels((CONV,)) for format in ("c", "c-int8")}
# 100 MHz without DSP instructions, 150 MHz with; the same rates for each clock, 0.5 MAC a cycle, as a profile has
# them that does not know of DSP
PSOC6 = hardware.read("psoc6")


def at_rate(p: Processor, rate: float | None) -> Processor:
    """With one rate, and its own clock alone."""
    return replace(p, rates_macs_per_s=dict.fromkeys(p.rates_macs_per_s, rate), operating_points=())


NAIVE = replace(PSOC6, processors=tuple(at_rate(p, (p.clock_hz or 0) / 2) for p in PSOC6.processors))


def block(name: str) -> Block:
    return Block(name, (name,), CONV.written, {"conv": MACS}, 2320, 8192, kernels=BOTH)


def costs(target: Hardware = NAIVE, format: str | None = None) -> Costs:
    return Costs(target, [block("one"), block("two")], [], 4096, format)


def whole(target: Hardware, format: str | None, objective: str) -> str:
    """Where the network without exits runs best."""
    of = costs(target, format)
    nothing = Outcomes(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.int64), np.zeros(1, np.int64))
    goal = Goal(objective=objective, max_accuracy_drop=0.0)
    task = problem(goal, of, nothing, Rules((), {}, {}, 0), baseline(goal, of), Decision("softmax", 4))
    (mode,) = solver.solve(task).design.modes
    return of.modes[mode].processor.name


def test_times_are_instructions_times_cycles_over_clock() -> None:
    found = costs(format="c-int8")
    for p, processor in enumerate(NAIVE.processors):
        assert processor.cpu and processor.clock_hz
        instructions = kernels.instructions("c-int8", processor.cpu, CONV) or 0
        known = cycles.of(processor)
        assert known is not None
        each = known.cycles / processor.clock_hz
        np.testing.assert_allclose(found.block_time_s[p], [0, instructions * each, 2 * instructions * each])
        segments = found.segments(np.zeros((1, 0), np.intp), (p,))
        received = found.handover(np.zeros(1, np.intp), found.source, p)[0][0]
        assert segments.time_s[0, 0] == pytest.approx(2 * instructions * each + received)
    assert [basis.kind for basis in found.bases] == ["counted kernels"] * 2 and found.basis == "counted kernels"
    assert costs().basis == "profile" and costs(format="c-int8").by_profile().basis == "profile"


def test_a_psoc_6_wants_its_core_with_dsp_instructions() -> None:
    """By a profile of 0.5 MAC a cycle a MAC costs 19.14 mW / 50 MHz = 0.383 nJ on the M0+, 31.96 mW / 75 MHz =
    0.426 nJ on the M4. Kernels take 5.4 instructions of 1.31 cycles on the M0+: 1.35 nJ; 1.9 of 1.86 cycles on the
    M4 of this board: 0.75 nJ."""
    nanojoules = [p.active_power_w / p.rates_macs_per_s["conv"] * 1e9 for p in NAIVE.processors]  # type: ignore[operator]
    assert nanojoules == pytest.approx([0.383, 0.426], abs=1e-3)
    energies = [costs(format="c-int8").body(np.array([0]), np.array([2]), p)[2][0] / (2 * MACS) for p in (0, 1)]
    assert energies[0] == pytest.approx(5.4 * 1.31 / 100e6 * 0.01914, rel=0.1)
    assert energies[1] == pytest.approx(1.9 * 1.86 / 150e6 * 0.03196, rel=0.1)
    assert whole(NAIVE, None, "energy") == "cm0p"
    assert whole(NAIVE, "c-int8", "energy") == "cm4f"
    assert whole(NAIVE, "c", "energy") == "cm4f"
    # MACs are the same everywhere and stay so
    assert costs().total_macs == costs(format="c").total_macs == 2 * MACS


def test_a_latency_limit_holds_for_the_kernels() -> None:
    """By rates of 50 MMAC/s the M0+ takes 23.6 ms, by its kernels more than three times as long."""
    by_rates = costs().segments(np.zeros((1, 0), np.intp), (0,)).worst_latency_s[0]
    by_kernels = costs(format="c-int8").segments(np.zeros((1, 0), np.intp), (0,)).worst_latency_s[0]
    assert by_rates == pytest.approx(2 * MACS / 50e6) and by_kernels > 3 * by_rates


def test_bytes_are_those_of_the_format() -> None:
    at = np.zeros((1, 0), np.intp)
    for format, width in (("c", 4), ("c-int8", 1), (None, 1)):
        segments = costs(format=format).segments(at, (1,))
        assert segments.parameters_bytes[0, 0] == 2 * 2320 * width
        assert segments.activation_bytes[0, 0] == 8192 * width
        assert segments.handover_bytes[0, 0] == 4096 * width  # samples arrive at the M0+
    floats = replace(NAIVE, processors=tuple(replace(p, arithmetic="float32") for p in NAIVE.processors))
    assert costs(floats).segments(at, (0,)).parameters_bytes[0, 0] == 4 * 2 * 2320
    assert costs(floats, "c-int8").segments(at, (0,)).parameters_bytes[0, 0] == 2 * 2320


def test_the_larger_and_slower_of_two_formats_decides() -> None:
    assert times.decisive(["keras", "onnx", "tflm"]) is None
    assert times.decisive(["c-int8", "onnx"]) == "c-int8"
    assert times.decisive(["c-int8", "c"]) == "c"
    found = {format: costs(format=format) for format in WIDTHS}
    assert (found["c"].block_time_s >= found["c-int8"].block_time_s).all()


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"cpu": None}, "cpu is null"),
        ({"clock_hz": None}, "clock_hz is null"),
        ({"cpu": "cortex-m1"}, "nothing is counted for cortex-m1"),
    ],
    ids=str,
)
def test_a_processor_that_cannot_be_counted_keeps_its_rates(changes: dict[str, None], lacks: str) -> None:
    target = replace(NAIVE, processors=(replace(NAIVE.processors[0], **changes), NAIVE.processors[1]))
    found = costs(target, "c-int8")
    assert [(basis.kind, basis.lacks) for basis in found.bases] == [("profile", lacks), ("counted kernels", None)]
    assert found.basis == "counted kernels and profile"
    assert found.block_time_s[0].tolist() == costs(target).block_time_s[0].tolist()
    assert found.block_time_s[1].tolist() == costs(NAIVE, "c-int8").block_time_s[1].tolist()


def test_one_layer_without_a_kernel_leaves_all_times_to_the_profile() -> None:
    other = replace(block("two"), kernels={"c-int8": Kernels((), ("lstm (LSTM)", "x (X)"))})
    found = Costs(NAIVE, [block("one"), other], [], 4096, "c-int8")
    why = "no kernel is counted for lstm (LSTM) and 1 more"
    assert [(basis.kind, basis.lacks) for basis in found.bases] == [("profile", why)] * 2
    head = ExitCosts("one", 1, "h", {"dense": 10}, 10, 10)  # nobody says what it becomes
    assert Costs(NAIVE, [block("one"), block("two")], [head], 4096, "c").basis == "profile"


def test_rates_are_not_asked_for_where_kernels_are_counted() -> None:
    unknown = replace(NAIVE, processors=tuple(at_rate(p, None) for p in NAIVE.processors))
    require_rates(costs(unknown, "c-int8"), ["conv"], "max_latency_s")
    with pytest.raises(InputError, match=r"rates_macs_per_s.conv \(cm0p\)|default \(cm0p\)"):
        require_rates(costs(unknown), ["conv"], "max_latency_s")
