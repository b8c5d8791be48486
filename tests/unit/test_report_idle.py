"""What a report says of processors that run nothing, and of a target on which no exit can pay."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from boards import board, core
from instances import make
from reports import SAMPLE_FILE

from eeaug.report.content import idle
from eeaug.report.words import details
from eeaug.search.space import Problem

LITTLE, BIG = core("little", 1e6, 0.1), core("big", 1e7, 0.2)


def problem(*cores: Any, links: tuple[tuple[str, str], ...], one_each: bool = True, most: int = 1) -> Problem:
    instance = replace(make(np.random.default_rng(0), locations=2, samples=20), hardware=board(*cores, links=links))
    return instance.problem(objective=None, max_exits=most, one_each=one_each)  # type: ignore[arg-type]


def test_an_idle_processor_is_compared_with_one_that_runs() -> None:
    costs = problem(LITTLE, BIG, links=(("little", "big"),)).costs
    assert idle.reasons(costs, {0, 1}) == {}
    assert idle.reasons(costs, {0}) == {}  # big would be better: that it is idle has other reasons
    (reason,) = idle.reasons(costs, {1}).values()
    milliseconds = costs.total_macs / 1e6 * 1e3
    assert reason == (
        f"the whole model takes {milliseconds:.3g} ms and {0.1 * milliseconds:.3g} mJ on little, "
        f"{milliseconds / 10:.3g} ms and {200 * milliseconds / 10:.3g} µJ on big"
    )


def test_unknown_energies_are_not_spoken_of() -> None:
    costs = problem(core("little", 1e6, None), BIG, links=(("little", "big"),)).costs
    assert "J" not in idle.reasons(costs, {1})["little"]
    unknown = problem(core("little", None, 0.1), BIG, links=(("little", "big"),)).costs
    assert idle.reasons(unknown, {1}) == {}


def test_a_missing_link_is_why_no_exit_can_be_on_a_processor_of_its_own() -> None:
    apart = problem(LITTLE, BIG, links=())
    why = "no link leads to big: it needs one from little, where samples arrive"
    assert idle.without_exits(apart) == f"can be placed: --mapping one-each needs two processors, and {why}"
    assert idle.reasons(apart.costs, {0}) == {"big": why}


@pytest.mark.parametrize(
    ("cores", "one_each", "most", "words"),
    [
        (
            (LITTLE, BIG),
            True,
            1,
            "pays off, as with --mapping one-each the first stage runs on little: the whole model takes ",
        ),
        ((BIG, LITTLE), True, 1, None),
        ((LITTLE, BIG), False, 1, None),
        ((LITTLE, BIG), True, 0, None),
        ((core("little", 1e6, 0.001), BIG), True, 1, None),  # slower, and frugal
    ],
)
def test_the_order_is_why_only_where_each_has_one(cores: Any, one_each: bool, most: int, words: str | None) -> None:
    task = problem(*cores, links=((cores[0].name, cores[1].name),), one_each=one_each, most=most)
    reason = idle.without_exits(task)
    assert reason is None if words is None else reason is not None and reason.startswith(words)


def test_reports_name_them_in_the_small_print() -> None:
    facts = json.loads(SAMPLE_FILE.read_bytes())
    facts["hardware"]["idle"] = {"cm0p": "the whole model takes 1 s there"}
    assert ("nothing runs on cm0p", "the whole model takes 1 s there") in details.details(facts)
