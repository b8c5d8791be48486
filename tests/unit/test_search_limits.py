"""What limits leave, counted: whether anything can meet them, and how many designs each of them rejects."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from instances import random_problem

from eeaug.errors import InfeasibleError
from eeaug.search import solver
from eeaug.search.placing import architectures, placements
from eeaug.search.space import Problem
from eeaug.search.thresholds import Objective

FREE = Objective(0.9, 1000.0, None, 0.5)  # no accuracy is too low


def first_missed(problem: Problem) -> Counter[str | None]:
    """Of every architecture on every placement that pins allow, the first limit that it misses; None: it fits."""
    found: Counter[str | None] = Counter()
    for m in range(problem.max_exits + 1):
        for arch in architectures(problem, m):
            for sequence in placements(problem, m):
                if problem.on_pinned_processors(arch[None], sequence)[0]:
                    over = problem.excess(problem.segments(arch[None], sequence))
                    found[next((limit for limit, by in over.items() if by[0] > 0), None)] += 1
    return found


def test_what_limits_leave() -> None:
    infeasible = rejecting = 0
    for seed in range(120):
        _, problem = random_problem(seed, objective=FREE, max_exits=1 + seed % 2)
        expected = first_missed(problem)
        if not expected.pop(None, 0):
            infeasible += 1
            for check in (solver.check_feasible, solver.solve):
                with pytest.raises(InfeasibleError):
                    check(problem)
            continue
        solver.check_feasible(problem)
        result = solver.solve(problem)
        assert result.complete
        assert result.settled.rejected == {limit: expected[limit] for limit in problem.limits}
        rejecting += bool(expected)
    assert infeasible >= 5 and rejecting >= 20


def test_beyond_two_exits_nothing_is_refused_beforehand() -> None:
    """More cuts may still fit; a search will tell."""
    refused = 0
    for seed in range(60):
        _, problem = random_problem(seed, objective=FREE, max_exits=3, pinned={})
        solver.check_feasible(problem)
        with np.errstate(all="raise"):
            refused += not first_missed(problem)[None]
    assert refused >= 1
