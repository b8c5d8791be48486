"""From trained candidates to the design: exits, thresholds, processors, its proof, its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import certification, choice, class_specific, cross_validation, operating, reuse
from eeaug.cascade import outcomes as cascade_outcomes
from eeaug.cascade.outcomes import Outcomes
from eeaug.certification import Guarantee
from eeaug.choice import Rules
from eeaug.cross_validation import Estimate
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import InfeasibleError
from eeaug.heads.candidates import Candidates, Search
from eeaug.heads.specific import Specific
from eeaug.network.costs import Costs
from eeaug.operating import Point
from eeaug.preparation import Network
from eeaug.quantising import Measure
from eeaug.report.build import Chosen
from eeaug.search.settle import EVERY_FRONT
from eeaug.search.solver import Result
from eeaug.search.space import Design, Problem
from eeaug.search.thresholds import Objective
from eeaug.settings import Settings
from eeaug.settings.vocabulary import LEAST_ALPHA
from eeaug.stages import partition
from eeaug.stages.partition import Stage

__all__ = ["Decided", "Earlier", "Material", "decide"]


@dataclass(frozen=True)
class Earlier:
    """The bundle that another one is made from: base name, SHA-256 of its manifest, all that its search/ holds."""

    name: str
    sha256: str
    search: Search


@dataclass(frozen=True)
class Material:
    """What a design is chosen from and a bundle is written with.

    Parameters
    ----------
    inputs, data : as in manifest and report: files with their hashes, samples by part
    x : float32 (n, *input shape), prepared samples that every written file is run on
    test : outcomes of a cascade's stages on the test part; None: there is none
    earlier : the bundle that all of this was read from, instead of from data
    finetune : what fine-tuning came to, if it was asked for
    held : the same as ``test`` for choose, and certify if there is such a part, of which there is data
    calibration : float32 (n, *input shape), prepared choose samples that int8 ranges are taken from
    """

    network: Network
    found: Candidates
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    inputs: Sequence[dict[str, str]]
    data: dict[str, Any]
    x: NDArray[np.float32]
    test: Measure | None
    earlier: Earlier | None = None
    finetune: dict[str, Any] | None = None
    held: Mapping[str, Measure] = field(default_factory=dict)
    calibration: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Decided:
    """The design and all that was found out about it without running it.

    ``rows``: its outcomes on choose; ``cost`` (1, m + 1) of its segments, what ``objective`` weighs;
    ``task``: the problem that it was chosen in, where exits that use each other do so; ``specific``: the classes
    that its exits are for, None: all; ``validated``: what it loses on samples that did not choose, None: was not
    asked.
    """

    costs: Costs
    result: Result
    chosen: Chosen
    guarantee: Guarantee | None
    points: tuple[Point, ...]
    stages: tuple[Stage, ...]
    rows: Outcomes
    cost: NDArray[np.float64]
    objective: Objective
    task: Problem
    specific: Specific | None = None
    validated: Estimate | None = None

    @property
    def leaves(self) -> NDArray[np.intp]:
        """At which classifier every choose sample leaves, (n,)."""
        return cascade_outcomes.decide(self.rows, self.chosen.thresholds)

    @property
    def accuracy(self) -> float:
        return float(self.rows.share(self.rows.correct[self.leaves, np.arange(self.rows.samples)]))

    @property
    def mean_macs(self) -> float:
        return self._mean(self.chosen.segments.macs)

    @property
    def score(self) -> float:
        """What the objective makes of it, on choose."""
        return float(self.objective.value(self._mean(self.cost), self.accuracy))

    def _mean(self, costs: NDArray[np.float64]) -> float:
        return float(np.cumsum(costs[0])[self.leaves] @ self.rows.counts / self.rows.counts.sum())


def decide(settings: Settings, material: Material) -> Decided:
    network, found = material.network, material.found
    costs = network.costs([trained.head.cost() for trained in found.trained])
    base = network.baseline()
    decision = network.classifier.decision

    def problem(outcomes: Outcomes) -> Problem:
        return choice.problem(settings, costs, outcomes, network.rules, base, decision)

    task = problem(found.outcomes)
    specific = Specific.named(settings.target_class, material.classes, decision)
    validated = None
    if specific is None:
        result, design = choice.choose(task, network.rules)
        if settings.cross_validates(task.outcomes.samples) and result.placements <= EVERY_FRONT:
            validated = cross_validation.estimated(task, problem, settings.seed)
        if validated is not None and validated.index != 0:
            task, result, design, validated = _held_back(task, network.rules, validated)
        design = choice.worthwhile(task, design)
    else:
        result, design = class_specific.choose(task, network.rules, specific, settings.least_alpha or LEAST_ALPHA)
    hears = guarantee = None
    if settings.reuse and settings.risk is None and specific is None:
        better = reuse.improved(task, network.rules, design, found.answers, decision)
        if better is not None:
            hears, task, design = better
    if settings.risk is not None:
        assert found.certify is not None and settings.max_accuracy_drop is not None
        design, guarantee = certification.certified(
            task, network.rules, design, found.certify,
            budget=settings.max_accuracy_drop, risk=settings.risk, seed=settings.seed,
        )  # fmt: skip
        if specific is None and guarantee.proven:
            design = choice.worthwhile(task, design, proven=True)
            if not design.exits:  # what can be proven saves nothing: without exits nothing need be proven
                guarantee = replace(guarantee, proven=False, tested=0, p_value=None)
    points: tuple[Point, ...] = ()
    if specific is None:
        points = operating.points(settings, task, network.rules, design, guarantee, found.certify)
    chosen = Chosen(
        design=design,
        thresholds=tuple(
            None if np.isinf(t) else t for t in operating.corrected(design.thresholds, settings.correction)
        ),
        segments=task.segments([design.exits], design.processors),
        baseline_processor=base.processor,
        baseline_segments=base.segments,
        classes=material.classes,
        decision=decision,
        reuse=hears,
    )  # fmt: skip
    return Decided(
        costs, result, chosen, guarantee, points, _stages(network, found, chosen),
        task.outcomes.rows(design.exits), task.cost_of(chosen.segments), task.objective, task, specific, validated,
    )  # fmt: skip


def _held_back(task: Problem, rules: Rules, estimate: Estimate) -> tuple[Problem, Result, Design, Estimate]:
    """The design within the budget that cross-validation leaves on choose; without exits if there is none."""
    if estimate.index is not None:
        inner = cross_validation.within(task, estimate.budgets[estimate.index])
        with suppress(InfeasibleError):
            return inner, *choice.choose(inner, rules), estimate
    # without exits nothing is lost, wherever; those that there must be lose nothing on choose at least
    inner = cross_validation.within(task, 0.0)
    tried = inner if task.pinned else replace(inner, max_exits=0)
    return inner, *choice.choose(tried, rules), replace(estimate, unreached=True)


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
