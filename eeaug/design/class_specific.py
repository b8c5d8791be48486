"""Exits for a target class: leave early what is surely of it, keep the given model's accuracy, cost others little.

Bonato and Bouganis, "Class-specific early exit design methodology for convolutional neural networks" (Applied Soft
Computing 107, 2021). B is the given model, k the target, V all classes; everything is counted on samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.cascade.tables import Tables, bins, exact_tables
from eeaug.design.problem import Rules
from eeaug.design.refine import LEAST_SAVING
from eeaug.errors import InfeasibleError
from eeaug.heads.specific import Specific
from eeaug.search import solver
from eeaug.search.placing import architectures, neighbours, placements
from eeaug.search.settle import Settled
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import of_design, quantile_grid
from eeaug.settings.vocabulary import LEAST_ALPHA

__all__ = ["choose", "figures"]

Floats = NDArray[np.float64]
REACHES_BACK = "dense-connection"
ALONE = 400  # thresholds of an exit alone
FINE = 20_000  # threshold configurations of the second search
BEST = 50  # architectures that a further exit is added to, beyond two
CELLS = 4_000_000  # configurations that are held at once
ROUNDING = 1e-9


@dataclass
class _Best:
    """The design with the largest gain over loss so far, and how many were looked at.

    ``key``: its score, and what decides between equal ones: mean energy, mean and worst latency.
    """

    design: Design | None = None
    key: tuple[float, ...] = (np.inf,)
    looked_at: int = 0
    placements: int = 0
    configurations: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


def choose(task: Problem, rules: Rules, specific: Specific, least: float | None = None) -> tuple[Result, Design]:
    """The viable design with the largest gain over loss; without exits if none is viable (sections 3.3, 3.4).

    Gain: the given model's cost over the mean cost of the target's samples. Loss: the mean cost of the others over
    the given model's. Viable: target samples cost less than before, equations (5) to (7) hold, and the budget, if
    there is one. A head that reaches back to earlier locations is only tried as the first exit: behind another one
    what it reads would have to be handed over. Thresholds are from ``least`` to 1, by default from where each exit
    alone is viable; the paper's are from 0.95, of outputs without a temperature, which are surer than right.

    Raises
    ------
    InfeasibleError : the limits on latency and memory leave nothing, not even the given model; or exits that there
        must be are not viable
    """
    best, shortlist = _Best(), np.zeros((0, 0), np.intp)
    from_here = _least(task, rules, specific) if least is None else np.full(len(task.costs.exits), least)
    for m in range(1, task.max_exits + 1):
        if m <= 2:
            archs = architectures(task, m)
        else:
            near = [neighbours(task, tuple(arch), m) for arch in shortlist.tolist()]
            archs = np.unique(np.concatenate([*near, np.zeros((0, m), np.intp)]), axis=0)
        back = np.array([exit_.head.startswith(REACHES_BACK) for exit_ in task.costs.exits], bool)
        archs = archs[~back[archs[:, 1:]].any(axis=1)]
        grid = _grid(task, rules, task.thresholds, from_here)
        scores = _settle(task, specific, archs, grid, best) if len(archs) else np.zeros(0)
        shortlist = archs[np.argsort(scores, kind="stable")[:BEST]]
    if best.design is None and task.pinned:
        eta = _accuracies(task.outcomes, specific.hits(task.outcomes.labels))[1]
        raise InfeasibleError(
            f"no exits at {', '.join(task.pinned)} (--exit-at) keep the given model's accuracy on the target, "
            f"{eta:.2%}, and on the others, and pay",
            limit="target_accuracy", given=eta, best=None,
        )  # fmt: skip
    if best.design is None:
        result = solver.solve(replace(task, max_exits=0, pinned={}))
        settled = replace(result.settled, configurations=best.configurations)
        return replace(result, settled=settled, architectures=1 + best.looked_at, placements=best.placements), (
            result.design
        )
    fine = replace(best, rejected={})
    exits = best.design.exits
    count = max(task.thresholds, min(400, int(FINE ** (1 / len(exits)))))
    _settle(task, specific, np.array([exits]), _grid(task, rules, count, from_here), fine)
    design = fine.design or best.design
    settled = Settled(design, None, best.looked_at, best.placements, best.configurations, best.rejected)
    return Result(design, settled, best.looked_at, best.placements, task.max_exits <= 2, {}), design


def _least(task: Problem, rules: Rules, specific: Specific) -> Floats:
    """The smallest threshold at which each exit alone is viable, (exits,); LEAST_ALPHA where none is.

    Behind another exit, such a one may be.
    """
    exits = np.arange(len(task.costs.exits))
    if not len(exits):
        return np.zeros(0)
    grid = _grid(task, rules, ALONE, np.full(len(exits), LEAST_ALPHA))
    *_, viable = _counted(task, specific, exits[:, None], grid)
    return np.asarray(grid[exits, viable.argmax(axis=1)], np.float64)


def _grid(task: Problem, rules: Rules, count: int, least: Floats) -> NDArray[np.float32]:
    """``least`` of each exit, quantiles of the confidences above it, never: (exits, count) ascending.

    A pinned threshold stands alone.
    """
    rows = []
    for exit_, confidence, from_here in zip(task.costs.exits, task.outcomes.confidence[:-1], least, strict=True):
        if exit_.location in rules.thresholds:
            rows.append(np.full(count, rules.thresholds[exit_.location], np.float32))
            continue
        sure = confidence[confidence >= np.float32(from_here)]
        rows.append(np.concatenate([[np.float32(from_here)], quantile_grid(sure, count - 1)]))
    return np.array(rows, np.float32).reshape(len(rows), count)


def _settle(
    task: Problem, specific: Specific, archs: NDArray[np.intp], grid: NDArray[np.float32], best: _Best
) -> Floats:
    """Count every configuration of architectures (A, m) on every placement; the best score of each, (A,)."""
    size = grid.shape[1] ** archs.shape[1]
    step = max(1, CELLS // size)
    parts = [_settle_some(task, specific, archs[i : i + step], grid, best) for i in range(0, len(archs), step)]
    return np.concatenate(parts)


def _settle_some(
    task: Problem, specific: Specific, archs: NDArray[np.intp], grid: NDArray[np.float32], best: _Best
) -> Floats:
    thresholds, m = grid.shape[1], archs.shape[1]
    share, mine, others, viable = _counted(task, specific, archs, grid)
    scores = np.full(len(archs), np.inf)
    best.looked_at += len(archs)
    best.configurations += viable.size
    for sequence in placements(task, m):
        segments = task.segments(archs, sequence)
        fits = task.on_pinned_processors(archs, sequence)
        for limit, over in task.excess(segments).items():
            missed = fits & (over > 0)
            best.rejected[limit] = best.rejected.get(limit, 0) + int(missed.sum())
            fits &= ~missed
        best.placements += len(archs)
        costs = task.cost_of(segments)
        gains = mine.mean(costs)
        # the larger gain / loss, the smaller the product of both means
        score = np.where(
            viable & fits.reshape(-1, *(1,) * m) & (gains < (1 - LEAST_SAVING) * task.objective.base_cost),
            gains * others.mean(costs),
            np.inf,
        )
        flat = score.reshape(len(archs), -1)
        scores = np.minimum(scores, flat.min(axis=1))
        row, config = np.unravel_index(int(flat.argmin()), flat.shape)
        if np.isinf(flat[row, config]):
            continue
        index = np.unravel_index(config, (thresholds,) * m)
        reach = [
            share * mine.reach[k][row][index[:k]] + (1 - share) * others.reach[k][row][index[:k]]
            for k in range(m + 1)
        ]
        means = (np.dot(reach, segments.of("energy")[row]), np.dot(reach, segments.time_s[row]))
        worst = segments.worst_latency_s[row]
        key = tuple(_rounded(value) for value in (flat[row, config], *means, worst))
        if key < best.key:
            limits = of_design(grid[e, i] for e, i in zip(archs[row], index, strict=True))
            best.design, best.key = Design(tuple(archs[row].tolist()), sequence, limits), key
    return scores


def _counted(
    task: Problem, specific: Specific, archs: NDArray[np.intp], grid: NDArray[np.float32]
) -> tuple[float, Tables, Tables, NDArray[np.bool_]]:
    """The target's share of the samples, tables of the target and of the others, and what is viable."""
    outcomes = task.outcomes
    target = specific.hits(outcomes.labels)
    bin_of = bins(outcomes.confidence[:-1], grid)
    mine, others = (
        exact_tables(bin_of, outcomes.correct, archs, grid.shape[1], outcomes.counts * part)
        for part in (target, ~target)
    )
    share = float(outcomes.counts @ target / outcomes.counts.sum())
    viable = _viable(task, target, share, mine.reach, others.reach, mine.accuracy, others.accuracy)
    return share, mine, others, viable


def _rounded(value: float) -> float:
    """To what sums in another order agree in; unknown is worst."""
    return np.inf if np.isnan(value) else float(f"{value:.11e}")


def _viable(
    task: Problem, target: NDArray[np.bool_], share: float, mine: Sequence[Floats], others: Sequence[Floats],
    right: Floats, right_others: Floats,
) -> NDArray[np.bool_]:  # fmt: skip
    """Equations (5) to (7) and the budget, for every configuration, (A,) + (T,)·m.

    ``mine`` and ``others``: shares of the target's samples and of the others that reach each classifier; ``right``
    and ``right_others``: shares of them that the cascade gets right.
    """
    beta, eta = _accuracies(task.outcomes, target)
    m = right.ndim - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        fine = ~(right_others / others[m] < beta - ROUNDING)  # (5): of the others that reach the output
        for k in range(m):  # (6): the exit as a binary classifier of what reaches it
            ends = (..., *(None,) * (m - k - 1))
            before_mine, before_others = (part[k][..., None][ends] for part in (mine, others))
            accepted = before_mine - mine[k + 1][ends]
            refused = others[k + 1][ends]
            exact = share * accepted + (1 - share) * refused
            fine = fine & ~(exact / (share * before_mine + (1 - share) * before_others) < eta - ROUNDING)
    fine &= right >= eta - ROUNDING  # (7)
    if task.objective.budget is not None:
        total = share * right + (1 - share) * right_others
        fine &= total >= task.objective.base_accuracy - task.objective.budget - ROUNDING
    return np.asarray(fine)


def _accuracies(outcomes: Outcomes, target: NDArray[np.bool_]) -> tuple[float, float]:
    """β and η: the given model's accuracy on the other classes and on the target."""
    right, counts = outcomes.baseline_right, outcomes.counts
    beta, eta = (float(counts[part] @ right[part] / counts[part].sum()) for part in (~target, target))
    return beta, eta


def figures(
    specific: Specific,
    passage: Passage,
    costs: Mapping[str, tuple[Floats, float]],
    names: Sequence[str],
) -> dict[str, Any]:
    """What the exits bring the target and cost the others: the columns of the paper's tables 2 to 4.

    ``passage`` through the design; ``costs`` by name: of its segments, (m + 1,), and of the given model. Counts are
    numbers of samples (sums of weights, where samples have any).
    """
    outcomes, thresholds, at, right = passage.outcomes, passage.thresholds, passage.at, passage.right
    counts, given_right = outcomes.counts, outcomes.baseline_right
    target = specific.hits(outcomes.labels)
    beta, eta = _accuracies(outcomes, target)
    exits, left = [], float(counts @ target)  # what γ is a share of: equation (12) takes off what has left
    for k in range(len(thresholds)):
        reached, taken = at >= k, at == k
        true, false = float(counts @ (taken & target)), float(counts @ (taken & ~target))
        exact = true + float(counts @ (reached & ~taken & ~target))
        exits.append({
            "threshold": thresholds[k],
            "true_positives": true,
            "false_positives": false,
            "gamma": _ratio(true + false, left),
            "precision": _ratio(true, true + false),
            "accuracy": _ratio(exact, float(counts @ reached)),
        })  # fmt: skip
        left -= true + false
    output = at == len(thresholds)
    predicted = specific.hits(outcomes.baseline)
    return {
        "classes": [names[c] for c in specific.classes],
        "target_samples": float(counts @ target),
        "other_samples": float(counts @ ~target),
        "given": {
            "others_accuracy": beta,
            "target_accuracy": eta,
            "precision": _ratio(float(counts @ (predicted & target)), float(counts @ predicted)),
        },
        "others_accuracy_at_output": _ratio(
            float(counts @ (output & ~target & right)), float(counts @ (output & ~target))
        ),
        "target_accuracy": _ratio(float(counts @ (target & right)), float(counts @ target)),
        "exits": exits,
        "costs": {
            name: _gain_and_loss(passage, target, segments, base, [e["gamma"] for e in exits])
            for name, (segments, base) in costs.items()
        },
        "false_negatives": [
            {
                "class": names[c],
                "given": float(counts @ (of_class & ~given_right)),
                "at_output": float(counts @ (of_class & output & ~right)),
                "at_exits": float(counts @ (of_class & ~output & ~right)),
            }
            for c in range(len(names))
            if (of_class := outcomes.labels == c).any()
        ],
    }


def _gain_and_loss(
    passage: Passage, target: NDArray[np.bool_], segments: Floats, base: float, gammas: Sequence[float | None],
) -> dict[str, float] | None:  # fmt: skip
    """Counted gain and loss, and the gain that equation (11) gives from the rates; None where costs are unknown."""
    if np.isnan(segments).any() or np.isnan(base):
        return None
    spent, counts = passage.spent(segments), passage.outcomes.counts
    mine, others = (float(spent[part] @ counts[part] / counts[part].sum()) for part in (target, ~target))
    expected = float(segments[-1])
    for cost, gamma in zip(segments[-2::-1], reversed(gammas), strict=True):
        expected = float(cost) + (1 - min(1.0, gamma or 0.0)) * expected
    return {"gain": base / mine, "loss": others / base, "gain_by_equation_11": base / expected}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
