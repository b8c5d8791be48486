"""A decision with memory sought again for the exits of a design, whose stages are int8 files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import STEP, Decision
from eeaug.design import again, screened, streamed
from eeaug.design.problem import Rules
from eeaug.design.promise import Terms
from eeaug.design.streamed import MemoryTerms, Streamed
from eeaug.search.space import Design, Problem
from eeaug.settings import Goal
from eeaug.streams.kinds import Family, in_steps
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course

__all__ = ["sought"]


def sought(
    goal: Goal, terms: Terms, seed: int, tasks: Mapping[str, Problem], rules: Rules, design: Design,
    decision: Decision, by_part: Mapping[str, Outcomes], sequences: Mapping[str, Sequences],
) -> Streamed:  # fmt: skip
    """What decides streams for what the int8 stages say, and what is promised of it.

    Parameters are those of again.sought; ``by_part`` have the probabilities of the first stage, ``sequences`` say
    which samples of a part follow which. Each decision is promised with its share of the risk.
    """
    asked, choose = MemoryTerms.of(goal), by_part["choose"]
    on_choose = again.in_place(tasks["choose"], rules, design, choose, decision)
    if terms.nothing:
        steps = screened.steps_of(on_choose, rules, design) or ((None,) * len(design.exits),)
        _, best = streamed.best_within(
            on_choose, [(design, steps)], lambda _: _first(choose), sequences["choose"], asked
        )  # fmt: skip
        return replace(best, alone=in_steps(best.alone, STEP), memory=in_steps(best.memory, STEP))
    path = again.path_of(
        on_choose, tasks.get("screen"), rules, design, decision, by_part, goal.max_class_drop, None
    )  # fmt: skip
    path = replace(path, steps=path.steps[1:] or path.steps)  # decisions begin with nothing leaving by themselves
    course = asked.judged(Course(choose, _first(choose), sequences["choose"]))
    families = [_in_steps(asked.alone(course))]
    if "screen" in tasks:
        screen = by_part["screen"]
        on_screen = again.in_place(tasks["screen"], rules, design, screen, decision)
        there = asked.judged(Course(screen, _first(screen), sequences["screen"]))
        on_path = streamed.tried(on_screen, design, path.steps, there, asked, choose.judged_units)
        families += [_in_steps(family) for _, family in on_path.families]
    shared = replace(terms, risk=terms.risk / len(families))
    assert goal.max_accuracy_drop is not None
    alone, *others = (
        streamed.opened(family, path, course, shared, goal.max_accuracy_drop, seed) for family in families
    )
    memory = max(others, key=lambda one: one.saved) if others else alone
    remembers = memory.saved > alone.saved + streamed.WORTH
    both = Streamed(
        alone.rule, alone.promise, memory.rule, memory.promise, remembers, course,
        (alone.saved, memory.saved), alone.saved,
    )  # fmt: skip
    return both.of_any(terms.risk)


def _in_steps(family: Family) -> Family:
    along = family.along
    return replace(family, along=lambda path: tuple(in_steps(rule, STEP) for rule in along(path)))


def _first(outcomes: Outcomes) -> NDArray[np.float32]:
    assert outcomes.first is not None
    return outcomes.first
