"""The model taken apart for one target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eeaug.backbone.model import Classifier
from eeaug.cascade.outcomes import Outcomes
from eeaug.design import problem
from eeaug.design.problem import Baseline, Rules
from eeaug.hardware import Hardware
from eeaug.heads.training import Trained
from eeaug.network.costs import Costs, ExitCosts
from eeaug.network.graph import Block
from eeaug.network.segments import Segments
from eeaug.search.space import Problem
from eeaug.settings import Goal

__all__ = ["Network"]


@dataclass(frozen=True)
class Network:
    """The model taken apart for one target, and the format that designs are for (network.times.decisive)."""

    classifier: Classifier
    hardware: Hardware
    blocks: tuple[Block, ...]
    rules: Rules
    left_out: int = 0  # locations that are not tried
    given: tuple[Block, ...] | None = None  # blocks of the given model, where ``blocks`` are of one made from it
    format: str | None = None

    @property
    def macs(self) -> int:
        return sum(block.total_macs for block in self.blocks)

    @property
    def given_blocks(self) -> tuple[Block, ...]:
        return self.blocks if self.given is None else self.given

    def baseline(self, goal: Goal) -> Baseline:
        """The given model on this target."""
        return problem.baseline(goal, self._costs(goal, self.hardware, self.given_blocks, []))

    def segments_of_given(self, goal: Goal, modes: Sequence[int]) -> Segments:
        """The given model in this mode: one architecture, one segment."""
        costs = self._costs(goal, self.hardware, self.given_blocks, [])
        return costs.segments(np.zeros((1, 0), dtype=np.intp), modes)

    def costs(self, goal: Goal, exits: Sequence[ExitCosts]) -> Costs:
        return self._costs(goal, self.rules.within(self.hardware), self.blocks, exits)

    def _costs(self, goal: Goal, hardware: Hardware, blocks: Sequence[Block], exits: Sequence[ExitCosts]) -> Costs:
        elements = int(np.prod(self.classifier.input_shape))
        return Costs(hardware, blocks, exits, elements, self.format, goal.period_s)

    def problems(self, goal: Goal, exits: Sequence[Trained]) -> Callable[[Outcomes], Problem]:
        """The search problem with these exits, by what they say of some samples."""
        costs, base = self.costs(goal, [exit_.head.cost() for exit_ in exits]), self.baseline(goal)
        return lambda outcomes: problem.problem(goal, costs, outcomes, self.rules, base, self.classifier.decision)
