"""What is known of true accuracy drops: bounds from test samples, and the classes that clearly lose."""

from __future__ import annotations

from typing import Any

from eeaug.cascade import class_drop
from eeaug.cascade.learn_then_test import Claim, upper_bound
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.design.design import Chosen
from eeaug.report.content import metrics
from eeaug.settings import Settings

__all__ = ["bound", "figures"]

ERROR = 0.05  # of every bound; and of saying of any class that it clearly loses
TIMES = 3  # of the budget on the mean: what a class may lose unsaid


def figures(
    chosen: Chosen, choose: Outcomes, test: Outcomes | None, settings: Settings, *, retargeted: bool = False,
    streamed: Passage | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The report's fields of one cascade; ``choose`` and ``test`` are its m + 1 rows.

    Classes lose as ``streamed`` says, where samples are decided as streams.
    """
    seed, passage = settings.running.seed, Passage(choose if test is None else test, chosen.thresholds)
    all_classes, missing = bound(chosen, test, seed)
    if missing is not None and retargeted:
        missing = "it was made from an earlier bundle, without test samples"
    worst = all_classes
    if test is not None and not _nothing_changes(chosen, test):
        picked = metrics.worst(passage, chosen.decision)
        worst = class_drop.bound(passage, chosen.decision, picked, error=ERROR, seed=seed)
    return {
        "classes_that_lose": []
        if streamed is None and _nothing_changes(chosen, passage.outcomes)
        else _that_lose(chosen, streamed or passage, settings, "choose" if test is None else "test"),
        "worst_class_drop_bound_95": worst,
        "worst_class_drop_bound_95_missing": missing,
        "accuracy_drop_bound_95": all_classes,
        "accuracy_drop_bound_95_missing": missing,
        "bounds_unit": "sample" if test is None or test.groups is None else "group",
    }


def bound(chosen: Chosen, test: Outcomes | None, seed: int) -> tuple[float | None, str | None]:
    """95 % upper bound of the accuracy drop on samples that no choice has seen; else None and why.

    Choose samples have said how far the path is opened: what follows from them is the promise.
    Where nothing leaves early the drop is 0, whatever samples say.
    """
    if _nothing_changes(chosen, test):
        return 0.0, None
    if test is None:
        return None, "there are no test samples, which no choice has seen"
    claim = Claim.of(test, Passage(test, chosen.thresholds).losses, -1.0)
    return upper_bound(claim, error=ERROR, seed=seed, exact=False), None


def _nothing_changes(chosen: Chosen, test: Outcomes | None) -> bool:
    """Nothing leaves early, and the last classifier is the given model."""
    return all(threshold is None for threshold in chosen.thresholds) and (test is None or test.given is None)


def _that_lose(chosen: Chosen, passage: Passage, settings: Settings, split: str) -> list[dict[str, Any]]:
    """Classes that lose more than TIMES the budget, and clearly more than the budget itself; most first.

    With --max-class-drop its limit is meant by both. Exits for a target class are judged otherwise.
    """
    goal, seed = settings.goal, settings.running.seed
    budget, times = (goal.max_accuracy_drop, TIMES) if goal.max_class_drop is None else (goal.max_class_drop, 1)
    if budget is None or goal.target_class:
        return []
    given, mine = metrics.by_class(passage, chosen.decision)
    clear = class_drop.above(passage, chosen.decision, budget, error=ERROR, seed=seed)
    rows = [
        {
            "name": chosen.classes[c],
            "split": split,
            "samples": samples,
            "baseline_accuracy": float(given[c]),
            "accuracy": float(mine[c]),
        }
        for c, samples in clear.items()
        if given[c] - mine[c] > times * budget + 1e-9
    ]
    return sorted(rows, key=lambda row: row["accuracy"] - row["baseline_accuracy"])
