"""Timing a bundle on its board: layers of C sources, what a board printed, and the rates that this means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eeaug import hardware
from eeaug.errors import ConversionError, InputError
from eeaug.export.measure import layers, rates, readings
from eeaug.export.measure.firmware import COLUMNS
from eeaug.export.measure.layers import TimedLayer
from eeaug.export.measure.rates import TimedWork
from eeaug.export.measure.readings import WHOLE, Printout
from eeaug.hardware.fit import Measurement, estimated
from eeaug.hardware.target import Level

INT8 = """\
#include "net_stage_1.h"

static const net_op_convolution convolve_0 = {{128, -128, {2, 2}, {1, 4}, {1, 1}, {-128, 127}}, {1, 49, 10, 3}, \
{64, 10, 4, 3}, {1, 25, 5, 64}, convolve_weights_0, b_0, m_0, s_0, 204};
static const net_op_depthwise_convolution depthwise_1 = {{128, -128, 2, {1, 1}, {1, 1}, {1, 1}, {-128, 127}}, \
{1, 25, 5, 64}, {1, 3, 3, 128}, {1, 25, 5, 128}, depthwise_weights_1, depthwise_bias_1, m_1, s_1, 4464};
static const net_op_convolution convolve_2 = {{128, 21, {1, 1}, {0, 0}, {1, 1}, {-128, 127}}, {1, 25, 5, 128}, \
{8, 1, 1, 128}, {1, 25, 5, 8}, convolve_weights_2, convolve_bias_2, m_2, s_2, 0};
static const net_op_dense dense_4 = {2, 64, 12, 24, -128, 127, dense_weights_4, b_4, m_4, s_4};

void net_stage_1(void *arena, const int8_t *input, int8_t *probabilities)
{
    (void)arena;
    /* the network */
    net_op_convolve(&convolve_0, AT(16), input, AT(0));
    net_op_depthwise_single(&depthwise_1, AT(16), AT(0), AT(8));
    net_op_convolve_points(&convolve_2, AT(16), AT(8), AT(0));
    (void)memcpy(AT(32), AT(0), 64);
    net_op_connect(&dense_4, AT(32), AT(0));
    net_op_softmax(&softmax_5, AT(0), probabilities);
}
"""
FLOATS = """\
static const NET_WEIGHTS_SECTION net_op_window a_window = {28, 28, 16, 14, 14, 32, 3, 3, 2, 2, 1, 1, 0, 0, 1, \
0.0f, INFINITY};
static const NET_WEIGHTS_SECTION net_op_window b_window = {14, 14, 32, 14, 14, 32, 5, 5, 1, 1, 1, 1, 0, 0, 32, \
-INFINITY, INFINITY};
static const NET_WEIGHTS_SECTION net_op_window c_window = {1, 1, 64, 1, 1, 10, 1, 1, 1, 1, 1, 1, 0, 0, 1, \
-INFINITY, INFINITY};

void net_stage_0(void *arena, const float *input, float *probabilities, float *handover)
{
    net_op_conv(&a_window, input, a_weights, a_bias, NULL, handover);
    net_op_depthwise(&b_window, handover, b_weights, b_bias, NULL, AT(b_at));
    node_2_convtranspose(AT(b_at), AT(c_at));
    net_op_conv(&c_window, AT(c_at), c_weights, c_bias, NULL, AT(d_at));
    net_op_softmax(10, AT(d_at), probabilities);
}
"""
CONV = TimedLayer("Conv", "conv", 1000, 10)


def test_layers_of_an_int8_stage() -> None:
    assert layers.layers(INT8, "net", 1) == [
        TimedLayer("convolve", "conv", 25 * 5 * 64 * 10 * 4 * 3, 25 * 5 * 64),
        TimedLayer("depthwise_single", "depthwise", 25 * 5 * 128 * 9, 25 * 5 * 128),
        TimedLayer("convolve_points", "pointwise", 25 * 5 * 8 * 128, 25 * 5 * 8),
        TimedLayer("copy"),
        TimedLayer("connect", "dense", 2 * 64 * 12, 2 * 12),
        TimedLayer("softmax"),
    ]


def test_layers_of_a_stage_of_floats() -> None:
    assert layers.layers(FLOATS, "net", 0) == [
        TimedLayer("conv", "conv", 14 * 14 * 32 * 9 * 16, 14 * 14 * 32),
        TimedLayer("depthwise", "depthwise", 14 * 14 * 32 * 25, 14 * 14 * 32),
        TimedLayer("node_2_convtranspose"),
        TimedLayer("conv", "dense", 640, 10),
        TimedLayer("softmax"),
    ]


@pytest.mark.parametrize(("text", "k", "count"), [(INT8, 1, 6), (FLOATS, 0, 5)])
def test_hooks_stand_behind_every_layer(text: str, k: int, count: int) -> None:
    hooked = layers.with_hooks(text, "net", k, 7).splitlines()
    hooks = [line for line in hooked if "measure_layer" in line]
    assert hooks == [f"    measure_layer({7 + i});" for i in range(count)]
    assert hooked[0] == '#include "measure.h"'
    assert [line for line in hooked[1:] if line not in hooks] == text.splitlines()
    calls = [hooked[i - 1] for i, line in enumerate(hooked) if line in hooks]
    assert [layers.layers(text, "net", k)[i].kernel in call or "memcpy" in call for i, call in enumerate(calls)]
    assert not any("(void)arena" in call or "/*" in call for call in calls)


def test_another_source_is_no_stage() -> None:
    with pytest.raises(ConversionError, match="has no function net_stage_3"):
        layers.layers(INT8, "net", 3)


# -- what a board printed -----------------------------------------------------------------------------

WANTED = {
    "little": [(0, 0, "conv"), (0, 1, "softmax"), (0, WHOLE, "stage")],
    "big": [(1, 0, "conv"), (1, WHOLE, "stage"), (2, 0, "copy"), (2, WHOLE, "stage")],
}
LITTLE = [
    "ab12cd34,little,0,0,conv,900,100",
    "ab12cd34,little,0,1,softmax,0,100",
    "ab12cd34,little,0,all,stage,950,100",
]
LAST = "ab12cd34,little,end,,,3,100"
WHOLE_RUN = [COLUMNS, *LITTLE, LAST]


def printed(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "out.csv"
    path.write_text("\r\n".join(lines), encoding="utf-8", newline="")
    return path


def test_a_whole_printout(tmp_path: Path) -> None:
    path = printed(tmp_path, "boot 1.2", "", *WHOLE_RUN, "idle")
    expected = Printout("little", 100.0, {(0, 0): 900, (0, 1): 0, (0, WHOLE): 950})
    assert readings.read([path], "ab12cd34", WANTED) == [expected]


def test_the_last_whole_run_counts(tmp_path: Path) -> None:
    again = [line.replace("950", "940") for line in WHOLE_RUN]
    path = printed(tmp_path, *WHOLE_RUN, *again, *WHOLE_RUN[:3], "ab12cd34,lit")
    (reading,) = readings.read([path], "ab12cd34", WANTED)
    assert reading.cycles[0, WHOLE] == 940


def test_processors_of_several_files_come_in_their_order(tmp_path: Path) -> None:
    big = [
        COLUMNS, "ab12cd34,big,1,0,conv,5,0", "ab12cd34,big,1,all,stage,6,0", "ab12cd34,big,2,0,copy,1,0",
        "ab12cd34,big,2,all,stage,1,0", "ab12cd34,big,end,,,4,0",
    ]  # fmt: skip
    first, second = tmp_path / "big.csv", printed(tmp_path, *WHOLE_RUN)
    first.write_text("\n".join(big), encoding="utf-8")
    both = readings.read([first, second], "ab12cd34", WANTED)
    assert [(r.processor, r.clock_hz) for r in both] == [("little", 100.0), ("big", None)]
    assert readings.read([printed(tmp_path, *WHOLE_RUN, *big)], "ab12cd34", WANTED) == both


def test_layers_of_a_runtime_say_what_they_do(tmp_path: Path) -> None:
    wanted = {"little": [(0, WHOLE, "stage")]}
    names = [line.replace(",conv,", ",FusedConv;conv;1200;30,") for line in LITTLE]
    (reading,) = readings.read([printed(tmp_path, COLUMNS, *names, LAST)], "ab12cd34", wanted)
    assert reading.cycles == {(0, 0): 900, (0, 1): 0, (0, WHOLE): 950}
    assert reading.layers == {0: [TimedLayer("FusedConv", "conv", 1200, 30), TimedLayer("softmax")]}
    wrong = [line.replace(",conv,", ",FusedConv;cow;1200;30,") for line in LITTLE]
    with pytest.raises(InputError, match="line 2: kernel must be an operator, or operator;type;MACs;elements"):
        readings.read([printed(tmp_path, COLUMNS, *wrong, LAST)], "ab12cd34", wanted)
    with pytest.raises(InputError, match="little: breaks off behind 0 of 1 lines"):
        readings.read([printed(tmp_path, COLUMNS, *names[:2])], "ab12cd34", wanted)


def test_layers_of_a_runtime_give_rates() -> None:
    board = hardware.read("psoc6")
    reading = Printout("cm4f", 1e6, {(0, 0): 10, (0, 1): 10, (0, WHOLE): 25}, {0: [CONV, TimedLayer("Softmax")]})
    works = {"cm4f": TimedWork({0: 1000}, {})}
    new = rates.described(board, [reading], works, name="new", source="timed", runtime="x", by_core=False)
    its = new.processor("cm4f")
    assert its.rates_macs_per_s["conv"] == its.rates_macs_per_s["default"] == pytest.approx(1000 / 10e-6)
    assert its.overhead_s_per_element == pytest.approx(15e-6 / 10)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "is empty: give what the board printed"),
        (["boot"], f"has no line '{COLUMNS}': give what the board printed, from that line on"),
        ([COLUMNS], "breaks off behind its header: keep all that the board prints"),
        (WHOLE_RUN[:3], "little: breaks off behind 2 of 3 lines and the last: keep all that the board prints"),
        (WHOLE_RUN[:4], "little: breaks off behind 3 of 3 lines and the last: keep all that the board prints"),
        ([*WHOLE_RUN[:3], LITTLE[2][:-7]], "little: breaks off behind 2 of 3 lines and the last: keep all"),
        ([COLUMNS, *LITTLE[:2], LAST], "little: breaks off behind 2 of 3 lines and the last: keep all"),
        ([COLUMNS, "a,b", *LITTLE], f"line 2: must be '{COLUMNS}', given 'a,b'"),
        ([COLUMNS, LITTLE[0].replace("900", "9e2"), *LITTLE[1:]],
         "line 2: cycles must be a whole number of at least 0, given '9e2'"),
        ([COLUMNS, *(line.replace("ab12", "ff12") for line in LITTLE)],
         "line 2: was printed for other files ('ff12cd34') than these of the bundle (ab12cd34): give the bundle"),
        ([COLUMNS, *(line.replace("little", "huge") for line in LITTLE)],
         "line 2: the bundle has no processor 'huge' (processors: little, big)"),
        ([COLUMNS, LITTLE[1], LITTLE[0], LITTLE[2], LAST],
         "line 2: little must go on with '0,0,conv', given '0,1,softmax'"),
        ([COLUMNS, *LITTLE[:2], LITTLE[2].replace("950", "0"), LAST],
         "line 4: a stage takes no cycles: the counter of the core stands still"),
        ([COLUMNS, *LITTLE, LAST.replace(",3,", ",4,")], "little: 3 lines, and the last says 4"),
        ([COLUMNS, *LITTLE, LAST.replace("100", "200")], "little: clock_hz differs between lines: 100, 200"),
    ],
)  # fmt: skip
def test_what_is_no_whole_printout_is_one_line(tmp_path: Path, lines: list[str], says: str) -> None:
    path = printed(tmp_path, *lines)
    with pytest.raises(InputError) as caught:
        readings.read([path], "ab12cd34", WANTED)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert "\n" not in str(caught.value)


# -- rates --------------------------------------------------------------------------------------------


def described(
    work: TimedWork, cycles: Mapping[tuple[int, int], int], clock_hz: float | None = 1e6, *, by_core: bool = True,
    base_hz: float | None = None,
) -> hardware.Processor:  # fmt: skip
    board = hardware.read("psoc6")
    processors = tuple(replace(p, clock_hz=base_hz, operating_points=()) for p in board.processors)
    board = replace(board, processors=processors)
    reading = Printout("cm4f", clock_hz, cycles)
    new = rates.described(
        board, [reading], {"cm4f": work}, name="new", source="timed", runtime="c", by_core=by_core
    )
    assert new.processor("cm0p") == board.processor("cm0p")
    assert (new.name, new.links, new.memories) == ("new", board.links, board.memories)
    return new.processor("cm4f")


@pytest.mark.parametrize("seed", range(20))
def test_an_estimate_by_the_rates_is_what_was_measured(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [*hardware.KINDS, None]
    stages = {
        k: [
            TimedLayer("x", kind, *((0, 0) if kind is None else map(int, rng.integers(1, 10**6, 2))))
            for kind in rng.choice(np.array(kinds, object), rng.integers(1, 9))
        ]
        for k in range(int(rng.integers(1, 4)))
    }
    stages[0].append(TimedLayer("conv", "conv", 1000, 10))
    cycles = {(k, i): int(rng.integers(1, 10**7)) for k, rows in stages.items() for i in range(len(rows))}
    whole = {k: sum(c for (stage, _), c in cycles.items() if stage == k) + 50 for k in stages}
    work = TimedWork({k: sum(layer.macs for layer in rows) for k, rows in stages.items()}, stages, 1e6)
    processor = described(work, cycles | {(k, WHOLE): c for k, c in whole.items()})
    every = [layer for rows in stages.values() for layer in rows]
    macs = {kind: sum(layer.macs for layer in every if layer.kind == kind) for kind in hardware.KINDS}
    measured = Measurement("all", "", macs, 1.0, len(every), sum(layer.elements for layer in every))
    assert estimated(processor, measured) == pytest.approx(sum(whole.values()) / 1e6, rel=2e-3)
    assert processor.cycles_per_instruction == pytest.approx(sum(whole.values()) / 1e6, rel=1e-3)
    assert (processor.basis, processor.clock_hz, processor.runtime) == ("timed", 1e6, "c")


def test_without_all_layers_there_is_one_rate() -> None:
    work = TimedWork({0: 5000}, {0: [TimedLayer("conv", "conv", 1000, 10), TimedLayer("node_1_convtranspose")]})
    processor = described(work, {(0, 0): 10, (0, 1): 10, (0, WHOLE): 25})
    assert processor.rates_macs_per_s == {"default": pytest.approx(5000 / 25e-6), **dict.fromkeys(hardware.KINDS)}
    assert processor.overhead_s_per_element is None
    assert processor.cycles_per_instruction is None


def test_the_frequency_is_the_board_s_or_the_description_s() -> None:
    work, cycles = TimedWork({0: 1000}, {}, 100), {(0, WHOLE): 200}
    assert described(work, cycles, 2e6, base_hz=1e6).clock_hz == 2e6
    assert described(work, cycles, None, base_hz=1e6).rates_macs_per_s["default"] == pytest.approx(1000 / 200e-6)
    assert described(work, cycles, 1e9, by_core=False, base_hz=1e6).clock_hz == 1e6
    with pytest.raises(InputError, match="the frequency of cm4f is not known"):
        described(work, cycles, None)


def test_power_is_that_of_the_clock() -> None:
    levels = (Level("slow", 1e6, active_power_w=0.5), Level("fast", 2e6, active_power_w=1.5))
    processor = replace(
        hardware.read("psoc6").processor("cm4f"), clock_hz=2e6, active_power_w=1.5, operating_points=levels
    )
    assert rates.at_clock(processor, 2.01e6) == processor
    at_half = rates.at_clock(processor, 0.999e6)
    assert (at_half.clock_hz, at_half.active_power_w, at_half.operating_points) == (1e6, 0.5, levels)
    elsewhere = rates.at_clock(processor, 1.5e6)
    assert (elsewhere.clock_hz, elsewhere.active_power_w, elsewhere.operating_points) == (1.5e6, None, ())


def test_no_macs_no_rate() -> None:
    with pytest.raises(InputError, match="cm4f runs no MACs"):
        described(TimedWork({0: 0}, {}), {(0, WHOLE): 200})
