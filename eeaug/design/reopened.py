"""A design as a bundle has it, with other thresholds of its path and another promise: nothing is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from eeaug.design.choose import chosen_of, stages_of
from eeaug.design.design import Decided
from eeaug.design.material import Material
from eeaug.design.operating_points import Point
from eeaug.design.promise import Promise, Thresholds
from eeaug.design.reuse import Reuse
from eeaug.design.screened import Screened
from eeaug.errors import ConversionError
from eeaug.search import solver
from eeaug.search.space import Design
from eeaug.settings import Goal

__all__ = ["Built", "reopened"]


@dataclass(frozen=True)
class Built:
    """A design by names: location and head of each of m exits, processor and choices of each of m + 1 segments.

    ``reuse``: what every classifier hears, None: itself alone; ``steps``: the path of its thresholds.
    """

    exits: Sequence[tuple[str, str]]
    modes: Sequence[tuple[str, Mapping[str, str]]]
    reuse: Reuse | None
    steps: tuple[Thresholds, ...]


def reopened(
    goal: Goal, material: Material, built: Built, thresholds: Thresholds, promise: Promise, points: Sequence[Point]
) -> Decided:
    """The design of the material that is ``built``, with these thresholds.

    Raises
    ------
    ConversionError : the material has no such head, processor, level or memory
    """
    network, candidates = material.network, material.candidates
    decision, problem = network.classifier.decision, network.problems(goal, candidates.trained)
    on_choose, on_screen = problem(candidates.outcomes), problem(candidates.screen)
    heads = [(exit_.location, exit_.head) for exit_ in on_choose.costs.exits]
    modes = [(mode.processor.name, mode.choices) for mode in on_choose.costs.modes]
    missing = [str(name) for name in built.exits if name not in heads]
    missing += [" ".join((name, *chosen.values())) for name, chosen in built.modes if (name, chosen) not in modes]
    if missing:
        raise ConversionError(f"search/ and hardware.yaml have no {', '.join(missing)}, which report.json has")
    design = Design(tuple(map(heads.index, built.exits)), tuple(map(modes.index, built.modes)), thresholds)
    if built.reuse is not None:
        on_screen = replace(on_screen, carried=decision.outputs)
    fixed = Screened(on_screen, design, built.reuse, built.steps)
    task = fixed.on(on_choose, candidates.answers, decision)
    chosen = chosen_of(goal, material, task, design, thresholds, built.reuse)
    return Decided(
        solver.solve(problem(candidates.screen)), chosen, promise, tuple(points),
        stages_of(network, candidates, chosen), task.outcomes.rows(design.exits), on_choose, task, None, fixed,
    )  # fmt: skip
