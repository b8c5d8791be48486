"""Which processors a description leaves idle, against all placements that the search tries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from boards import board, core
from instances import make

from eeaug import hardware
from eeaug.hardware import Hardware, Link, idle
from eeaug.search.placing import placements

SLOW, FAST = core("slow", 1e6, 0.1), core("fast", 1e7, 0.2)


@pytest.mark.parametrize("seed", range(60))
def test_what_no_design_can_use_is_in_no_placement(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = make(rng, locations=2, samples=20).problem(
        objective=None,  # type: ignore[arg-type]  # no score is looked at
        max_exits=2,
    )
    target = problem.costs.hardware
    few = replace(target, links=tuple(link for link in target.links if rng.random() < 0.6))
    problem.costs.hardware = few
    sequences = [s for m in range(len(few.processors)) for s in placements(problem, m)]
    used = {few.processors[p].name for sequence in sequences for p in sequence}
    assert set(idle.unreached(few)) == {p.name for p in few.processors} - used
    two = any(len(set(sequence)) > 1 for sequence in sequences)
    assert (idle.apart(few) is None) == (two or len(few.processors) == 1)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_outclassed_runs_nothing_where_handing_over_is_free(seed: int) -> None:
    rng = np.random.default_rng(seed)
    instance = make(rng, locations=2, samples=20)
    rates = [{key: float(rng.uniform(1e5, 1e6)) for key in ("default", *hardware.KINDS)} for _ in range(2)]
    rates[1] = {key: rate * float(rng.choice([0.2, 1.0, 5.0])) for key, rate in rates[seed % 2].items()}
    cores = [
        replace(core(name, 1.0, float(rng.uniform(0.1, 0.2))), rates_macs_per_s=rates[i])
        for i, name in enumerate("ab")
    ]
    target = replace(board(*cores, links=(("a", "b"),)), links=(Link("a", "b", 1e300, energy_j_per_byte=0.0),))
    problem = replace(instance, hardware=target).problem(objective=None, max_exits=1)  # type: ignore[arg-type]
    outclassed = {"ab".index(name) for name in idle.outclassed(target)}
    archs = np.array([[0]], np.intp)
    costs = {s: problem.segments(archs, s) for s in placements(problem, 1)}
    for sequence, segments in costs.items():
        if not outclassed & set(sequence):
            continue
        others = [costs[s] for s in costs if not outclassed & set(s)]
        for of in ("latency", "energy"):
            assert any((one.of(of) <= segments.of(of) * (1 + 1e-9)).all() for one in others)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            board(SLOW, FAST, links=()),
            "processors[1]: fast: no design can use it: no link leads to fast: it needs one from slow",
        ),
        (
            board(SLOW, FAST, links=(("fast", "slow"),)),
            "links[0]: nothing goes from fast to slow, which stands before it in processors: stages run in that",
        ),
        (
            board(FAST, SLOW, links=(("slow", "fast"),), input_at="slow"),
            "links[0]: only samples go from slow to fast, which stands before it in processors",
        ),
        (
            board(FAST, SLOW, links=(("fast", "slow"),)),
            "processors[1]: slow: fast is at least 10 times as fast and takes at most 20 % of its energy per MAC: "
            "placing anything on slow saves neither",
        ),
        (
            board(FAST, replace(FAST, name="same"), links=(("fast", "same"),)),
            "processors[1]: same: it is no faster than fast and takes no less energy per MAC: handing over",
        ),
        (
            board(core("a", 1e6, None), core("b", 1e6, None), links=(("a", "b"),)),
            "processors[1]: b: it is no faster than a: handing over to it saves no time (energies are unknown)",
        ),
        (
            board(SLOW, replace(FAST, ram="flash"), links=(("slow", "fast"),)),
            "or handing over to it costs more or the memory of fast is too small",
        ),
        (
            board(SLOW, core("a", 1e5, 0.01), core("b", 1e6, 0.01), links=(("a", "b"), ("b", "slow"))),
            "processors[2]: b: no design can use it: a, which would hand over to b, gets nothing itself",
        ),
    ],
)
def test_reasons_are_said_with_their_place(target: Hardware, expected: str) -> None:
    assert any(expected in line for line in idle.warnings(target)), idle.warnings(target)


@pytest.mark.parametrize(
    "target",
    [
        board(core("little", 1e6, 0.005), core("big", 1e7, 0.2), links=(("little", "big"),)),  # slower but frugal
        board(core("little", 1e6, None), core("big", 1e7, 0.2), links=(("little", "big"),)),  # who knows
        board(core("little", None, 0.1), core("big", 1e7, 0.2), links=(("little", "big"),)),
        board(FAST, links=()),
    ],
)
def test_nothing_is_said_where_a_processor_may_serve(target: Hardware) -> None:
    assert idle.warnings(target) == ()
    assert idle.apart(target) is None


def test_power_of_a_sleeping_processor_counts() -> None:
    """A small core is no better if the large one sleeps at half its power meanwhile."""
    little, big = core("little", 1e6, 0.005), core("big", 1e7, 0.1)
    assert not idle.outclassed(board(little, big, links=(("little", "big"),)))
    sleepy = replace(big, sleep_power_w=0.05)
    assert list(idle.outclassed(board(little, sleepy, links=(("little", "big"),)))) == ["little"]
