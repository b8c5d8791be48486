"""From trained candidates to the design: exits, thresholds, processors, what is promised of it, its points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.design import class_specific, compared, operating_points, refine, reuse, screened, serving, streamed
from eeaug.design.design import Chosen, Decided
from eeaug.design.material import Material
from eeaug.design.network import Network
from eeaug.design.problem import Rules
from eeaug.design.promise import Opening, Promise, Terms, Thresholds, nothing
from eeaug.design.reuse import Reuse
from eeaug.design.screened import Screened
from eeaug.design.streamed import Streamed
from eeaug.errors import InfeasibleError
from eeaug.hardware import modes
from eeaug.heads.candidates import Candidates
from eeaug.heads.specific import Specific
from eeaug.network import times
from eeaug.search import solver
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.settings import Goal
from eeaug.stages import partition
from eeaug.stages.partition import Stage
from eeaug.streams.kinds import Family
from eeaug.support.progress import part

__all__ = ["chosen_of", "decide", "stages_of"]

PROVEN = 2  # designs that serve memory of which a proof is sought


def decide(goal: Goal, terms: Terms, material: Material, seed: int) -> Decided:
    """The design for a goal, and what of ``terms`` can be promised of it.

    Raises
    ------
    InfeasibleError : no design meets the limits
    """
    network, candidates = material.network, material.candidates
    decision, problem = network.classifier.decision, network.problems(goal, candidates.trained)
    on_choose = problem(candidates.outcomes)
    if goal.stream:
        on_choose = streamed.with_events(on_choose, goal, material.classes, material.sequences["choose"])
    specific = Specific.named(goal.target_class, material.classes, decision)
    fixed = path = streams = None
    risk = terms.risk
    proves = np.arange(candidates.outcomes.samples)
    if terms.nothing:
        result, task, design, hears = _that_fits(goal, on_choose, network.rules, specific, candidates, decision)
        promise = nothing(goal.max_accuracy_drop, blank=decision.kind == "blank")
        if goal.stream and design.exits:
            design, hears, task, streams = _best_of_streams(goal, material, (task, on_choose), design, hears)
    else:
        with part(0, 3, 4):
            if goal.stream:
                on_screen = streamed.with_events(
                    problem(candidates.screen), goal, material.classes, material.sequences["screen"]
                )
                result, fixed, streams, designs = _fixed_for_streams(
                    goal, terms, material, on_screen, on_choose, seed
                )  # fmt: skip
                terms = replace(terms, risk=terms.risk / designs)  # choose has had a say in which of them it is
            else:
                compares, proves = compared.divided(candidates.outcomes, seed)
                result, fixed = _fixed(goal, terms, network, candidates, compares, problem)
        with part(3, 1, 4):
            task = fixed.on(on_choose, candidates.answers, decision)
            path = fixed.opening(task, decision, proves)
            design, hears, promise = _opened(on_choose, fixed, path, terms, goal, seed)
        if streams is not None and streams.promise.kept and not design.exits:  # the exits are for streams alone
            design, hears = replace(fixed.design, thresholds=(None,) * len(fixed.design.exits)), fixed.reuse
        if not design.exits:
            task, streams = on_choose, None
    if path is not None and design.exits:
        points = operating_points.along(goal, terms, path, promise, design.thresholds, seed)
    else:
        points = () if specific else operating_points.points(goal, task, network.rules, design)
    if goal.stream:
        promise = streamed.of_any(promise, risk)
        points = tuple(replace(point, promise=streamed.of_any(point.promise, risk)) for point in points)
    thresholds = operating_points.corrected(design.thresholds, goal.correction)
    chosen = chosen_of(goal, material, task, design, thresholds, hears)
    return Decided(
        result, chosen, promise, points, stages_of(network, candidates, chosen), task.outcomes.rows(design.exits),
        on_choose, task, specific, fixed if design.exits else None, proves, streams,
    )  # fmt: skip


def chosen_of(
    goal: Goal, material: Material, task: Problem, design: Design, thresholds: Thresholds, hears: Reuse | None
) -> Chosen:
    """The design with these thresholds, and what it and the given model cost."""
    network = material.network
    base = network.baseline(goal)
    segments = task.segments([design.exits], design.modes)
    profile = None
    if network.format is not None:
        by_profile = replace(task, costs=task.costs.by_profile()).segments([design.exits], design.modes)
        profile = (by_profile, replace(network, format=None).segments_of_given(goal, base.segments.modes))
    return Chosen(
        design=design,
        thresholds=thresholds,
        segments=segments,
        baseline_processor=base.processor,
        baseline_choices=base.choices,
        baseline_segments=base.segments,
        classes=material.classes,
        decision=network.classifier.decision,
        reuse=hears,
        basis=task.costs.basis,
        profile=profile,
    )


def _fixed(
    goal: Goal, terms: Terms, network: Network, candidates: Candidates, compares: NDArray[np.intp],
    problem: Callable[[Outcomes], Problem],
) -> tuple[Result, Screened]:  # fmt: skip
    """The search on screen, and the design that screen fixes, with choose samples that compare, if any."""
    rules, decision, outcomes = network.rules, network.classifier.decision, candidates.outcomes
    on_screen, screen_answers = problem(candidates.screen), candidates.screen_answers if goal.reuse else None
    if not len(compares):
        return screened.screened(on_screen, rules, terms, screen_answers, decision, outcomes.judged_units)
    known, here = compared.OnScreen(on_screen, rules, screen_answers, decision), outcomes.only(compares)

    def answers(i: int) -> NDArray[np.float32] | None:
        return None if (probabilities := candidates.answers(i)) is None else probabilities[compares]

    return known.searched[0], known.best(problem(here), answers, terms, outcomes.judged_units - here.judged_units)


def _fixed_for_streams(
    goal: Goal, terms: Terms, material: Material, task: Problem, on_choose: Problem, seed: int
) -> tuple[Result, Screened, Streamed | None, int]:
    """The search on screen, designs that serve memory, and the best decision of all on choose.

    ``task``: on screen. Gives the search's result, the design, its decisions, and how many designs there were. Each
    decision is promised with its share of the risk, so that the promise holds of whichever is taken.
    """
    network, candidates, asked = material.network, material.candidates, streamed.MemoryTerms.of(goal)
    units, answers = candidates.outcomes.judged_units, candidates.screen_answers
    sequences, decision = material.sequences["screen"], network.classifier.decision
    result, without = screened.screened(
        task, network.rules, terms, answers if goal.reuse else None, decision, units
    )  # fmt: skip
    designs = [without] if without.design.exits else []
    others = serving.serving(task, answers, sequences, asked, units, without.design)
    if terms.kinds != ("expected",):  # every design takes its share of the risk of a proof
        others = others[:PROVEN]
    for design in others:
        if design.exits != without.design.exits or without.reuse is not None:
            designs.append(Screened(task, design, None, screened.steps_of(task, network.rules, design)))
    families = []
    for fixed in designs:
        course = streamed.course_of(fixed.task, fixed.design, answers, sequences, asked)
        on_path = streamed.tried(fixed.task, fixed.design, fixed.steps, course, asked, units)
        families.append([family for _, family in on_path.families])
    claims = sum(map(len, families)) + len(designs)
    shared, decided = replace(terms, risk=terms.risk / max(1, claims)), []
    for fixed, tried in zip(designs, families, strict=True):
        one = _opened_for_streams(goal, shared, material, fixed, tried, on_choose, seed)
        decided.append(one.of_any(terms.risk))
    if not decided:
        return result, without, None, 1
    best_alone = max(streams.saved[0] for streams in decided)
    saved = [streams.saved[1] - streamed.WORTH for streams in decided]
    number = max(range(len(decided)), key=saved.__getitem__)
    if saved[number] <= best_alone:  # the first design of those that save as much without memory
        number = max(range(len(decided)), key=lambda i: decided[i].saved[0])
        decided[number] = replace(decided[number], remembers=False)
    return result, designs[number], replace(decided[number], best_alone=best_alone), len(designs)


def _opened_for_streams(
    goal: Goal, terms: Terms, material: Material, fixed: Screened, families: Sequence[Family], on_choose: Problem,
    seed: int,
) -> Streamed:  # fmt: skip
    """The decisions of a fixed design, without memory and of these families, as far open as can be promised."""
    candidates, asked = material.candidates, streamed.MemoryTerms.of(goal)
    decision = material.network.classifier.decision
    assert goal.max_accuracy_drop is not None
    task = fixed.on(on_choose, candidates.answers, decision)
    course = streamed.course_of(task, fixed.design, candidates.answers, material.sequences["choose"], asked)
    path = fixed.opening(task, decision)
    alone, *others = (
        streamed.opened(family, path, course, terms, goal.max_accuracy_drop, seed)
        for family in (asked.alone(course), *families)
    )
    memory = max(others, key=lambda one: one.saved) if others else alone
    saved = alone.saved, memory.saved
    return Streamed(
        alone.rule, alone.promise, memory.rule, memory.promise, bool(others), course, saved, alone.saved
    )  # fmt: skip


def _best_of_streams(
    goal: Goal, material: Material, tasks: tuple[Problem, Problem], design: Design, hears: Reuse | None
) -> tuple[Design, Reuse | None, Problem, Streamed]:
    """What is best on choose, of which nothing is promised: with the design, or with another of one exit.

    ``tasks``: on choose, where the design's exits hear each other, and where every exit decides by itself.
    """
    rules, answers, sequences = material.network.rules, material.candidates.answers, material.sequences["choose"]
    asked, (task, by_itself) = streamed.MemoryTerms.of(goal), tasks
    designs = [(design, screened.steps_of(task, rules, design))]
    if goal.max_accuracy_drop is not None and hears is None:
        units = task.outcomes.judged_units
        for other in serving.serving(by_itself, answers, sequences, asked, units, design)[:PROVEN]:
            steps = screened.steps_of(by_itself, rules, other)
            designs.append((refine.refined(by_itself, rules, other) or other, steps))
    chosen, streams = streamed.best_within(task, designs, answers, sequences, asked)
    return chosen, hears, task, streams


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
    every = modes(network.hardware)
    chosen_modes = [every[m] for m in chosen.design.modes]
    return partition.stages(
        network.classifier,
        [candidates.trained[e] for e in chosen.design.exits],
        chosen.thresholds,
        [(m.processor.name, times.width(m.processor, network.format)) for m in chosen_modes],
        [int(macs) for macs in chosen.segments.macs[0]],
        () if chosen.reuse is None else chosen.reuse.weights,
        [mode.choices for mode in chosen_modes],
    )
