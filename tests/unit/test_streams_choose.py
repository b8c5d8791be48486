"""The search over decisions with a state, against every one of them walked sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from stream_parts import Naive, course, some_rules

from eeaug.cascade.outcomes import ClassLimit, Outcomes, class_limit
from eeaug.cascade.output import Decision
from eeaug.search.thresholds import Objective
from eeaug.streams.choose import Candidate, best
from eeaug.streams.missed import event_limit
from eeaug.streams.rules import Rule


def brute(candidate: Candidate, rule: Rule) -> tuple[float, float, bool]:
    """Mean cost, accuracy, and whether classes lose and events are missed no more than may be."""
    rows, limit = candidate.course.rows, candidate.classes
    events, missed = 0, 0
    counts, spent, right, lost = rows.counts, 0.0, 0.0, dict.fromkeys(range(4), 0.0)
    for members in candidate.course.sequences.members:
        stream = Naive(rule, candidate.course)
        event, caught, by_given = None, True, True
        for i in members:
            if rows.labels[i] != event:
                missed += int(by_given) - int(caught)
                event, caught, by_given, events = rows.labels[i], False, False, events + 1
            at, answer, _ = stream.push(i)
            label = int(rows.labels[i])
            spent += counts[i] * float(candidate.costs[: at + 1].sum())
            right += counts[i] * (answer == label)
            given = int(rows.predicted[-1, i])
            lost[label] += counts[i] * (int(given == label) - int(answer == label))
            caught, by_given = caught or answer == label, by_given or given == label
        missed += int(by_given) - int(caught)
    of_class = {c: counts[rows.labels == c].sum() for c in lost}
    kept = limit is None or all(lost[c] <= limit.most * of_class[c] + 1e-9 for c in lost if of_class[c])
    if candidate.events is not None:
        kept = kept and missed <= candidate.events.most * events + 1e-9
    return spent / counts.sum(), right / counts.sum(), kept


def limited(rng: np.random.Generator, rows: Outcomes) -> ClassLimit | None:
    return class_limit(rows, Decision("softmax", 4), 0.1) if rng.random() < 0.3 else None


@pytest.mark.parametrize("block", range(10))
def test_two_hundred_instances(block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        rng = np.random.default_rng([7, seed])
        candidates = []
        for design in range(int(rng.integers(1, 3))):
            some = course(1000 * design + seed, 20)
            rules = some_rules(rng, some)
            few = [rules[i] for i in sorted(rng.choice(len(rules), 6, replace=False))]
            limit = limited(rng, some.rows)
            most = None if rng.random() < 0.6 else float(rng.choice([0.0, 0.1]))
            events = None if most is None else event_limit(most, None, some.rows.labels, some.sequences)
            candidates.append(Candidate(some, rng.uniform(1, 9, some.exits + 1), few, limit, events))
        base = float(candidates[0].course.rows.accuracies[-1])
        objective = Objective(base, 20.0, budget=float(rng.choice([0.0, 0.05, 0.2])))
        if rng.random() < 0.4:
            objective = Objective(base, 20.0, weight=float(rng.uniform(0.1, 0.9)))
        values = {}
        for c, candidate in enumerate(candidates):
            for r, rule in enumerate(candidate.rules):
                cost, accuracy, kept = brute(candidate, rule)
                values[c, r] = float(objective.value(cost, accuracy)) if kept else np.inf
        selected = best(candidates, objective.value)
        if selected is None:
            assert np.isinf(list(values.values())).all(), seed
            continue
        assert selected.value == pytest.approx(min(values.values()), abs=1e-9), seed
        assert values[selected.candidate, selected.rule] == pytest.approx(selected.value, abs=1e-9), seed


def test_of_equal_decisions_the_first_is_taken() -> None:
    some = course(5, 30)
    rules = some_rules(np.random.default_rng(5), some)
    candidate = Candidate(some, np.ones(some.exits + 1), [rules[0], rules[0], rules[0]])
    chosen = best([candidate, candidate], lambda cost, accuracy: cost)
    assert chosen is not None and (chosen.candidate, chosen.rule) == (0, 0)
