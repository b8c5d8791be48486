"""Exits that hear each other: what they say together, when that is used, and a bundle that does it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement, pairwise, product
from typing import Any

import numpy as np
import pytest
from brute import Brute, cascaded
from instances import random_problem
from random_parts import WIDTH

from eeaug.cascade.combining import combined
from eeaug.cascade.outcomes import Outcomes, class_limit
from eeaug.cascade.output import Decision
from eeaug.cascade.passage import Passage
from eeaug.design import refine, reuse
from eeaug.design.design import Chosen
from eeaug.design.problem import Rules
from eeaug.design.refine import refined
from eeaug.network.costs import Costs
from eeaug.report.content.build import metrics_of
from eeaug.search import solver
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective, quantile_grid

DECISION = Decision("softmax", 5)
RULES = Rules((), {}, {}, 2)


def answers(seed: int, rows: int, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities (rows, n, classes) of classifiers that err apart, each better than the last."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, DECISION.classes, n)
    logits = rng.normal(0, 1, (rows, n, DECISION.classes))
    logits[:, np.arange(n), labels] += np.linspace(1, 3, rows)[:, None]
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return labels, (e / e.sum(-1, keepdims=True)).astype(np.float32)


def search(seed: int, **options: Any) -> tuple[Problem, Design, np.ndarray]:
    """A problem of a random target whose candidates give :func:`answers`, and its best design of two exits."""
    fixed = {"independent": False, "one_each": False, "pinned": {}, "cost": "macs", "max_exits": 2}
    instance, _ = random_problem(seed, **fixed, **options)
    instance = instance.with_memories({memory.name: 10**12 for memory in instance.hardware.memories})
    problem = instance.problem(**{**fixed, "objective": Objective(0.0, 1.0, (0.02))})
    labels, said = answers(seed, len(instance.exits) + 1)
    pairs = [DECISION.answers(p) for p in said]
    outcomes = Outcomes(np.array([c for c, _ in pairs]), np.array([p for _, p in pairs]), labels)
    problem = replace(
        problem,
        outcomes=outcomes,
        grid=np.array([quantile_grid(row, 7) for row in outcomes.confidence[:-1]]),
        objective=Objective(float(outcomes.accuracies[-1]), float(problem.costs.total_macs), (0.02)),
        max_latency_s=None,
    )
    archs = sorted(
        {(a, b) for a in range(len(said) - 1) for b in range(a) if problem.costs.after[b] < problem.costs.after[a]}
    )
    design = refined(problem, RULES, Design(archs[0][::-1], (0, 0, 0), (None, None)))
    assert design is not None  # nothing need leave
    return problem, design, said


def test_alone_a_classifier_says_what_it_says() -> None:
    _, said = answers(0, 2)
    np.testing.assert_array_equal(combined(said[:1], (1.0,), DECISION), said[0])
    np.testing.assert_allclose(combined(said, (0.0, 1.0), DECISION), said[1], atol=1e-6)


def test_together_they_multiply() -> None:
    _, said = answers(1, 3)
    product = said[0] ** 0.3 * said[1] ** 0.3 * said[2]
    expected = product / product.sum(-1, keepdims=True)
    np.testing.assert_allclose(combined(said, (0.3, 0.3, 1.0), DECISION), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_sigmoids_add_their_logits(kind: str) -> None:
    decision = Decision(kind, 2 if kind == "binary" else 3)
    z = np.random.default_rng(2).normal(0, 2, (2, 50, decision.outputs))
    said = (1 / (1 + np.exp(-z))).astype(np.float32)
    expected = 1 / (1 + np.exp(-(0.4 * z[0] + z[1])))
    np.testing.assert_allclose(combined(said, (0.4, 1.0), decision), expected, rtol=1e-4)


@pytest.fixture
def anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Used even where it saves nothing."""
    monkeypatch.setattr(reuse, "WORTH", -10.0)


@pytest.mark.usefixtures("anyway")
@pytest.mark.parametrize("seed", range(4))
def test_what_is_promised_is_what_the_samples_do(seed: int) -> None:
    problem, design, said = search(seed)
    found = reuse.improved(problem, RULES, design, lambda i: said[i], DECISION)
    assert found is not None
    hears, other, better = found
    index = [*design.exits, -1]
    rows = [combined([said[i] for i in index[: k + 1]], hears.weights[k], DECISION) for k in range(3)]
    expected = [DECISION.answers(p) for p in rows]
    mine = other.outcomes.rows(better.exits)
    np.testing.assert_array_equal(mine.confidence, [c for c, _ in expected])
    np.testing.assert_array_equal(mine.predicted, [p for _, p in expected])
    np.testing.assert_array_equal(mine.baseline, problem.outcomes.predicted[-1])
    at = Passage(mine, better.thresholds).at
    right = mine.correct[at, np.arange(mine.samples)].mean()
    assert right >= problem.outcomes.accuracies[-1] - 0.02 - 1e-9
    assert (better.exits, better.modes) == (design.exits, design.modes)


def test_classifiers_that_err_apart_save_more_together() -> None:
    """On a target where heads are cheap."""
    better = 0
    for seed in range(6):
        problem, design, said = search(seed)
        problem.costs.head_macs[:] = 1
        design = refined(problem, RULES, design) or design
        better += reuse.improved(problem, RULES, design, said.__getitem__, DECISION) is not None
    assert better >= 4


def test_it_must_be_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, design, said = search(0)
    monkeypatch.setattr(reuse, "WORTH", 1.0)
    assert reuse.improved(problem, RULES, design, lambda i: said[i], DECISION) is None


@pytest.mark.usefixtures("anyway")
def test_what_is_about_exits_by_themselves_leaves_them_alone() -> None:
    problem, design, said = search(0)

    def found(problem: Problem, rules: Rules = RULES, design: Design = design, unknown: int = 99) -> Any:
        known = {i: said[i] for i in (*design.exits, -1) if i != unknown}
        return reuse.improved(problem, rules, design, known.get, DECISION)

    assert found(problem) is not None
    assert found(problem, unknown=-1) is None
    assert found(replace(problem, independent=True)) is None
    assert found(replace(problem, classes=class_limit(problem.outcomes, DECISION, 1.0))) is not None
    assert found(problem, Rules((), {}, {"a": 0.5}, 2)) is None
    assert found(problem, design=Design((), (0,), ())) is None


@pytest.mark.usefixtures("anyway")
def test_a_limit_counts_what_is_carried() -> None:
    """Hand-overs that just fit without the probabilities of the exits before do not fit with them."""
    for seed in range(40):
        problem, design, said = search(seed, known=True)
        processors = problem.costs.hardware.processors
        if len(processors) < 2 or not problem.costs.connected(0, 1):
            continue
        design = replace(design, modes=(0, 0, 1))
        worst = problem.costs.segments(np.array([design.exits]), design.modes).worst_latency_s[0]
        more = problem.costs.segments(np.array([design.exits]), design.modes, carried=5)
        if np.isnan(worst) or more.worst_latency_s[0] <= worst * (1 + 1e-9):
            continue
        assert more.handover_bytes[0, 2] > 0
        tight, loose = (replace(problem, max_latency_s=float(s)) for s in (worst, more.worst_latency_s[0]))
        assert reuse.improved(tight, RULES, design, said.__getitem__, DECISION) is None
        assert reuse.improved(loose, RULES, design, said.__getitem__, DECISION) is not None
        return
    pytest.fail("no such target among the seeds")


@pytest.mark.usefixtures("anyway")
@pytest.mark.parametrize("cost", ["latency", "energy"])
def test_the_cost_that_a_choice_minimises_is_the_cost_that_the_report_states(cost: str) -> None:
    """By brute force over thresholds: all that goes over a link counts, probabilities of earlier exits included."""
    turned = 0
    for seed in range(12):
        problem, design, said = search(seed, known=True)
        processors = len(problem.costs.hardware.processors)
        ways = [w for w in combinations_with_replacement(range(processors), 3) if w[0] < w[2]]
        ways = [
            w for w in ways if all(problem.costs.connected(*hop) for hop in pairwise((problem.costs.source, *w)))
        ]
        if not ways:
            continue
        problem = replace(problem, cost=cost, costs=slowly_linked(problem.costs))
        design = replace(design, modes=ways[-1])
        found = reuse.improved(problem, RULES, design, lambda i, said=said: said[i], DECISION)  # type: ignore[misc]
        assert found is not None
        hears, task, better = found
        rows, segments = task.outcomes.rows(better.exits), task.segments([better.exits], better.modes)
        whole = task.segments([()], (0,))
        chosen = Chosen(better, better.thresholds, segments, "", whole, ("",) * 5, DECISION, hears)
        stated = metrics_of(chosen, rows, "choose")[1][f"mean_{cost}_{'s' if cost == 'latency' else 'j'}"]
        grid = [refine._fine(task, rows, RULES, e, k) for k, e in enumerate(better.exits)]
        leaves = rows.confidence[:2] >= np.array(list(product(*grid)), np.float32)[:, :, None]
        reach, accuracy = cascaded(leaves, rows.correct, rows.counts, independent=False)
        allowed = task.objective.allows(accuracy)
        with_all, without = (reach @ handed(task, better, carried) for carried in (DECISION.outputs, 0))
        assert stated == pytest.approx(with_all[allowed].min(), rel=1e-9)
        turned += with_all[allowed][without[allowed].argmin()] > stated * (1 + 1e-9)
    assert turned  # somewhere it matters: else the test could not fail


def slowly_linked(costs: Costs) -> Costs:
    """The same with slow links and small tensors, so that probabilities are much of what is handed over."""
    links = [replace(link, bandwidth_bytes_per_s=2e3, latency_s=0.0) for link in costs.hardware.links]
    blocks = [replace(block, shape=(2,)) for block in costs.blocks]
    return Costs(replace(costs.hardware, links=tuple(links)), blocks, costs.exits, 2)


def handed(task: Problem, design: Design, carried: int) -> np.ndarray:
    """Seconds or joules of the three segments, by the definitions."""
    brute = Brute(task, int(task.costs.elements[0]))
    board, spent, start = task.costs.hardware, [], 0
    names = [board.input_at, *(board.processors[p].name for p in design.modes)]
    for k, (a, b) in enumerate(pairwise(names)):
        head = design.exits[k] if k < 2 else None
        sender = design.modes[k - 1] if k else None
        seconds, joules = brute._stage(start, head, sender, design.modes[k])[1:3]
        if a != b:
            link, sent = brute._links[a, b], k * carried * WIDTH[board.processor(a).arithmetic]
            assert link.bandwidth_bytes_per_s is not None
            more = sent / link.bandwidth_bytes_per_s
            seconds += more
            watts = brute._power(board.processors.index(board.processor(a)), None)
            joules += more * watts + sent * (link.energy_j_per_byte or 0.0)
        spent.append({"latency": seconds, "energy": joules}[task.cost])
        start = 0 if head is None else brute.exits[head].after
    return np.array(spent)


def test_solved_designs_stay_within_the_budget() -> None:
    problem, _, said = search(3)
    design = solver.solve(problem).design
    found = reuse.improved(problem, RULES, design, lambda i: said[i], DECISION)
    if found is not None:
        _, other, better = found
        rows = other.outcomes.rows(better.exits)
        at = Passage(rows, better.thresholds).at
        assert rows.correct[at, np.arange(rows.samples)].mean() >= problem.objective.base_accuracy - 0.02 - 1e-9


def test_thresholds_of_exits_that_hear_nobody_stay() -> None:
    """The first exit's, those of exits that are not in the design; the final classifier has none."""
    problem, design, said = search(3)
    index = (*design.exits[:1], -1)
    heard = reuse.hearing(
        problem, index[:-1], [said[i] for i in index], reuse.Reuse(((1.0,), (0.3, 1.0))), DECISION
    )
    np.testing.assert_array_equal(heard.grid, problem.grid)
    assert (heard.outcomes.confidence[:-1] == problem.outcomes.confidence[:-1]).all()
    assert (heard.outcomes.confidence[-1] != problem.outcomes.confidence[-1]).any()
