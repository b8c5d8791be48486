"""The solver and its labels on one problem, compared with brute force."""

from __future__ import annotations

import pytest
from brute import Brute

from eeaug.errors import InfeasibleError
from eeaug.search import labels, solver
from eeaug.search.solver import Result
from eeaug.search.space import Problem

__all__ = ["first_of_fronts", "solved"]


def solved(problem: Problem, brute: Brute, seed: int) -> Result | None:
    """What the solver gives, which is best by brute force; None where both say that nothing fits."""
    expected = brute.best()
    if expected is None:
        with pytest.raises(InfeasibleError):
            solver.solve(problem)
        return None
    result = solver.solve(problem)
    assert result.design in brute.winners(), seed
    assert result.settled.key is not None
    assert result.settled.key[0] == pytest.approx(expected, rel=1e-9), seed
    return result


def first_of_fronts(problem: Problem, brute: Brute, seed: int) -> list[int]:
    """The front of labels for every number of exits begins with an optimum, and holds architectures that meet the
    limits on some placement, each once; the numbers of exits that have an optimum."""
    known = []
    for m in range(1, problem.max_exits + 1):
        rows = [row for row in brute.rows if len(row.exits) == m and row.fits(problem)]
        front, best = list(map(tuple, labels.front(problem, m).tolist())), brute.best(rows)
        if best is not None:
            known.append(m)
            assert front[0] in {r.exits for r in rows if r.value.min() <= best * (1 + 1e-9) + 1e-12}, (seed, m)
        assert set(front) <= {row.exits for row in rows}, (seed, m)
        assert bool(front) == bool(rows), (seed, m)
        assert len(set(front)) == len(front), (seed, m)
    return known
