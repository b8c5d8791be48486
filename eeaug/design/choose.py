"""From trained candidates to the design: exits, thresholds, processors, its proof, its points."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from eeaug.cascade.outcomes import Outcomes
from eeaug.design import certify, class_specific, cross_validation, operating_points, refine, reuse
from eeaug.design import problem as choice
from eeaug.design.cross_validation import Estimate
from eeaug.design.design import Chosen, Decided
from eeaug.design.material import Material
from eeaug.design.network import Network
from eeaug.design.operating_points import Point
from eeaug.design.problem import Rules
from eeaug.errors import InfeasibleError
from eeaug.heads.candidates import Candidates
from eeaug.heads.specific import Specific
from eeaug.search.settle import EVERY_FRONT
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.settings import Goal
from eeaug.settings.vocabulary import LEAST_ALPHA
from eeaug.stages import partition
from eeaug.stages.partition import Stage

__all__ = ["decide"]


def decide(goal: Goal, material: Material, seed: int) -> Decided:
    network, found = material.network, material.found
    costs = network.costs([trained.head.cost() for trained in found.trained])
    base = network.baseline()
    decision = network.classifier.decision

    def problem(outcomes: Outcomes) -> Problem:
        return choice.problem(goal, costs, outcomes, network.rules, base, decision)

    task = problem(found.outcomes)
    specific = Specific.named(goal.target_class, material.classes, decision)
    validated = None
    if specific is None:
        result, design = refine.choose(task, network.rules)
        if goal.cross_validates(task.outcomes.samples) and result.placements <= EVERY_FRONT:
            validated = cross_validation.estimated(task, problem, seed)
        if validated is not None and validated.index != 0:
            task, result, design, validated = _held_back(task, network.rules, validated)
        design = refine.worthwhile(task, design)
    else:
        result, design = class_specific.choose(task, network.rules, specific, goal.least_alpha or LEAST_ALPHA)
    searched, hears, guarantee = task, None, None
    if goal.reuse and goal.risk is None and specific is None:
        better = reuse.improved(task, network.rules, design, found.answers, decision)
        if better is not None:
            hears, task, design = better
    if goal.risk is not None:
        assert task.objective.budget is not None
        design, guarantee = certify.certified(
            task, network.rules, design, found.outcomes,
            budget=task.objective.budget.asked, risk=goal.risk, seed=seed,
        )  # fmt: skip
        if specific is None and guarantee.proven:
            design = refine.worthwhile(task, design, proven=True)
            if not design.exits:  # what can be proven saves nothing: without exits nothing need be proven
                guarantee = replace(guarantee, proven=False, tested=0, p_value=None)
    points: tuple[Point, ...] = ()
    if specific is None:
        points = operating_points.points(goal, seed, task, network.rules, design, guarantee, found.outcomes)
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
        result, chosen, guarantee, points, _stages(network, found, chosen), task.outcomes.rows(design.exits),
        searched, task, specific, validated,
    )  # fmt: skip


def _held_back(task: Problem, rules: Rules, estimate: Estimate) -> tuple[Problem, Result, Design, Estimate]:
    """The design within the budget that cross-validation leaves on choose; without exits if there is none."""
    if estimate.index is not None:
        inner = cross_validation.within(task, estimate.budgets[estimate.index])
        with suppress(InfeasibleError):
            return inner, *refine.choose(inner, rules), estimate
    # without exits nothing is lost, wherever; those that there must be lose nothing on choose at least
    inner = cross_validation.within(task, 0.0)
    tried = inner if task.pinned else replace(inner, max_exits=0)
    return inner, *refine.choose(tried, rules), replace(estimate, unreached=True)


def _stages(network: Network, found: Candidates, chosen: Chosen) -> tuple[Stage, ...]:
    processors = [network.hardware.processors[p] for p in chosen.design.processors]
    return partition.stages(
        network.classifier,
        [found.trained[e] for e in chosen.design.exits],
        chosen.thresholds,
        [(p.name, p.bytes_per_element) for p in processors],
        [int(macs) for macs in chosen.segments.macs[0]],
        () if chosen.reuse is None else chosen.reuse.weights,
    )
