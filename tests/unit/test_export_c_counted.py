"""Which calls are a head's, and the sources that count: text alone, no compiler."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eeaug.export.c import counted, emulated, sections
from eeaug.hardware.fields import CPUS


@dataclass(frozen=True)
class Called:
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@st.composite
def stages(draw: st.DrawFn) -> tuple[list[Called], str]:
    """Calls in an order in which they run, each of earlier tensors, and one of all tensors that goes on."""
    calls: list[Called] = []
    for k in range(draw(st.integers(1, 8))):
        reads = draw(st.lists(st.integers(-1, k - 1), min_size=1, max_size=3))
        calls.append(Called(tuple(f"t{i}" for i in reads), (f"t{k}",)))
    return calls, f"t{draw(st.integers(-1, len(calls) - 1))}"


@given(stages())
def test_a_call_is_a_heads_if_nothing_that_goes_on_comes_of_it(made: tuple[list[Called], str]) -> None:
    calls, handover = made

    def reaches(k: int) -> bool:
        mine = calls[k].writes[0]
        return mine == handover or any(mine in calls[j].reads and reaches(j) for j in range(k + 1, len(calls)))

    assert sections.heads(calls, handover) == [not reaches(k) for k in range(len(calls))]
    assert not any(sections.heads(calls, None))


def test_parts_are_marked_where_they_change() -> None:
    lines = ["a;", "b;", "c;", "d;"]
    marked = sections.marked(lines, [False, True, True, False])
    assert marked == [sections.NETWORK, "a;", sections.HEAD, "b;", "c;", sections.NETWORK, "d;"]
    assert sections.marked(lines, [False] * 4) == lines


STAGE = f"""\
#include "net_stage_1.h"

void net_stage_1(void *arena, const float *input, float *probabilities, float *handover)
{{
{sections.NETWORK}
    conv(input, AT(0));
{sections.HEAD}
    dense(AT(0), probabilities);
{sections.NETWORK}
    pool(AT(0), handover);
}}
"""
CASCADE = """\
    net_stage_0(arena, input, AT(PROBABILITIES_0), AT(HANDOVER_0));
    if (decided(AT(PROBABILITIES_0), 0, point, result)) {
        return NET_DECIDED;
    }
    net_stage_1(arena, AT(HANDOVER_0), AT(PROBABILITIES_1));
    (void)decided(AT(PROBABILITIES_1), 1, point, result);
    return NET_DECIDED;
"""


def test_what_runs_in_a_stage_goes_to_its_part() -> None:
    code = [line.strip() for line in counted._ticked_stage(STAGE, "net", 1).splitlines() if line.startswith("    ")]
    code = [line for line in code if not line.startswith("/*")]
    assert code == [
        "eeaug_tick(5);", "eeaug_tick(3);", "conv(input, AT(0));", "eeaug_tick(3);",
        "dense(AT(0), probabilities);", "eeaug_tick(4);", "pool(AT(0), handover);", "eeaug_tick(3);",
    ]  # fmt: skip


def test_every_sample_goes_all_the_way() -> None:
    text = counted._ticked_cascade(CASCADE, 2)
    assert "if (" not in text and text.count("eeaug_tick(2);") == 1
    with pytest.raises(AssertionError, match="1 decisions of 2"):
        counted._ticked_cascade(CASCADE, 3)


def test_there_is_a_board_for_every_core_that_a_description_may_name() -> None:
    assert {cpu.split("+")[0] for cpu in CPUS} == set(emulated.BOARDS)


def test_ticks_become_instructions() -> None:
    assert emulated.instructions("slot 0 3\nslot 1 100\n", "cortex-m4+nofp", 2) == [120, 4000]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize("cpu", [*emulated.BOARDS, "cortex-m33+nodsp+nofp", "cortex-m7+nofp.dp"])
def test_makefiles_know_the_board_of_every_core(tmp_path: Path, cpu: str) -> None:
    text = f"{emulated.make('boards')}\nall:\n\t@echo $(MACHINE) $(LAYOUT)\n"
    (tmp_path / "Makefile").write_text(text, encoding="utf-8")
    done = subprocess.run(["make", "-s", f"CPU={cpu}"], cwd=tmp_path, capture_output=True, text=True, check=True)
    board = emulated.BOARDS[cpu.split("+")[0]]
    assert done.stdout.split() == [board.machine, f"boards/{board.script}.ld"]
