"""From trained candidates to the design: exits, thresholds, processors, what is promised of it, its points."""

from __future__ import annotations

from dataclasses import replace

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.design import class_specific, operating_points, refine, reuse, screened
from eeaug.design import problem as problems
from eeaug.design.design import Chosen, Decided
from eeaug.design.material import Material
from eeaug.design.network import Network
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Promise, Terms, nothing
from eeaug.design.reuse import Reuse
from eeaug.design.screened import Screened
from eeaug.errors import InfeasibleError
from eeaug.heads.candidates import Candidates
from eeaug.heads.specific import Specific
from eeaug.search import solver
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.settings import Goal
from eeaug.stages import partition
from eeaug.stages.partition import Stage

__all__ = ["decide", "on_choose_together", "opening", "stages_of"]


def decide(goal: Goal, terms: Terms, material: Material, seed: int) -> Decided:
    """The design for a goal, and what of ``terms`` can be promised of it.

    Raises
    ------
    InfeasibleError : no design meets the limits
    """
    network, candidates = material.network, material.candidates
    costs = network.costs([trained.head.cost() for trained in candidates.trained])
    base = network.baseline()
    decision = network.classifier.decision

    def problem(outcomes: Outcomes) -> Problem:
        return problems.problem(goal, costs, outcomes, network.rules, base, decision)

    on_choose = problem(candidates.outcomes)
    specific = Specific.named(goal.target_class, material.classes, decision)
    fixed = path = None
    if terms.nothing:
        result, task, design, hears = _that_fits(goal, on_choose, network.rules, specific, candidates, decision)
        promise = nothing(goal.max_accuracy_drop)
    else:
        result, fixed = screened.screened(
            problem(candidates.screen), network.rules, terms,
            candidates.screen_answers if goal.reuse else None, decision, candidates.outcomes.units,
        )  # fmt: skip
        task = on_choose_together(on_choose, fixed, candidates, decision)
        path = opening(task, fixed, goal.max_class_drop, decision)
        design, hears, promise = _opened(on_choose, fixed, path, terms, goal, seed)
        if not design.exits:
            task = on_choose
    if path is not None and design.exits:
        points = operating_points.along(goal, terms, path, promise, design.thresholds, seed)
    else:
        points = () if specific else operating_points.points(goal, task, network.rules, design)
    chosen = Chosen(
        design=design,
        thresholds=operating_points.corrected(design.thresholds, goal.correction),
        segments=task.segments([design.exits], design.processors),
        baseline_processor=base.processor,
        baseline_segments=base.segments,
        classes=material.classes,
        decision=decision,
        reuse=hears,
    )  # fmt: skip
    return Decided(
        result, chosen, promise, points, stages_of(network, candidates, chosen), task.outcomes.rows(design.exits),
        on_choose, task, specific, fixed if design.exits else None,
    )  # fmt: skip


def opening(task: Problem, fixed: Screened, class_drop: float | None, decision: Decision) -> Opening:
    """The design that screen has fixed, and what its exits say of the samples of ``task``."""
    design = fixed.design
    return Opening(
        fixed.steps,
        task.outcomes.rows(design.exits),
        task.cost_of(task.segments([design.exits], design.processors))[0],
        task.objective.base_cost,
        decision,
        class_drop,
    )


def _that_fits(
    goal: Goal, task: Problem, rules: Rules, specific: Specific | None, candidates: Candidates, decision: Decision
) -> tuple[Result, Problem, Design, Reuse | None]:
    """What just keeps the budget on the samples that it is chosen on."""
    if specific is not None:
        result, design = class_specific.choose(task, rules, specific, goal.least_alpha)
        return result, task, design, None
    result, design = refine.choose(task, rules)
    design = refine.worthwhile(task, design)
    better = reuse.improved(task, rules, design, candidates.answers, decision) if goal.reuse else None
    if better is None:
        return result, task, design, None
    hears, task, design = better
    return result, task, design, hears


def on_choose_together(task: Problem, fixed: Screened, candidates: Candidates, decision: Decision) -> Problem:
    """The problem on choose in which the exits of the fixed design hear each other, if they do."""
    if fixed.reuse is None:
        return task
    index = [*fixed.design.exits, -1]
    probabilities = [p for i in index if (p := candidates.answers(i)) is not None]
    assert len(probabilities) == len(index), "they are known on screen, so on choose, too"
    outcomes = task.outcomes
    together = reuse.heard(outcomes.rows(fixed.design.exits), probabilities, fixed.reuse, decision)
    confidence, predicted = outcomes.confidence.copy(), outcomes.predicted.copy()
    confidence[index], predicted[index] = together.confidence, together.predicted
    outcomes = replace(outcomes, confidence=confidence, predicted=predicted, given=together.given)
    return replace(task, outcomes=outcomes, carried=fixed.task.carried)


def _opened(
    task: Problem, fixed: Screened, path: Opening, terms: Terms, goal: Goal, seed: int
) -> tuple[Design, Reuse | None, Promise]:
    """The fixed design as far open as can be promised; without exits where that is not at all."""
    assert goal.max_accuracy_drop is not None
    index, promise = path.promised(terms, goal.max_accuracy_drop, seed)
    if index is not None and path.saved(index) >= refine.LEAST_SAVING:
        return replace(fixed.design, thresholds=path.steps[index]), fixed.reuse, promise
    promise = replace(promise, kept=False, drop=None, error=None)
    try:
        return solver.solve(replace(task, max_exits=0), ()).design, None, promise
    except InfeasibleError:  # pins and limits allow no design without exits
        return replace(fixed.design, thresholds=(None,) * len(fixed.design.exits)), fixed.reuse, promise


def stages_of(network: Network, candidates: Candidates, chosen: Chosen) -> tuple[Stage, ...]:
    processors = [network.hardware.processors[p] for p in chosen.design.processors]
    return partition.stages(
        network.classifier,
        [candidates.trained[e] for e in chosen.design.exits],
        chosen.thresholds,
        [(p.name, p.bytes_per_element) for p in processors],
        [int(macs) for macs in chosen.segments.macs[0]],
        () if chosen.reuse is None else chosen.reuse.weights,
    )
