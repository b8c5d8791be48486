"""Which samples need a label before a budget is proven on them, and in what order.

The loss of a sample is [cascade wrong] − [given model wrong]. Where both say the same it is 0, whatever the label:
no label is needed there. Where they differ and there is no label, the cascade is taken to be wrong and the given
model right, a loss of 1. That is never less than the true loss, so what such losses prove is proven:

- The region in which the exact paired test rejects has with (a, c), a worse and c better ones, also (a − 1, c)
  and (a, c + 1) (:mod:`eeaug.cascade.paired_test`): true losses instead of assumed ones only prove more, whoever
  decided when to stop labelling, and by whatever.
- Bets on means of groups have no such order. There a step counts only if all its differing samples have labels, so
  that labels never decide which losses a step is tested with; or no sample has one, and all losses are assumed.

With no label at all this bounds the drop by the disagreement of cascade and given model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage

__all__ = ["LabelOrder", "assumed", "label_order"]

Thresholds = Sequence[float | None]


@dataclass(frozen=True)
class LabelOrder:
    """Where a path of S steps begins to matter for each of n samples.

    Parameters
    ----------
    first : int (n,), the first step at which cascade and given model differ; S where they never do
    answer : (n,), what the cascade says there
    samples : numbers of those that differ, in the order in which labels are of use: the safest step first
    steps : S
    """

    first: NDArray[np.intp]
    answer: NDArray[np.integer]
    samples: NDArray[np.intp]
    steps: int

    def labelled_steps(self, known: NDArray[np.bool_]) -> int:
        """How many steps from the safest on have a label (``known``, (n,)) wherever the two differ."""
        return int(self.first[~known].min(initial=self.steps))

    def up_to(self, step: int) -> int:
        """How many labels the steps up to this one need."""
        return int((self.first <= step).sum())


def label_order(rows: Outcomes, steps: Sequence[Thresholds]) -> LabelOrder:
    """Of the m + 1 ``rows`` of a design, whose labels are not looked at, and a path of its thresholds."""
    first = np.full(rows.samples, len(steps), np.intp)
    answer = rows.baseline.copy()
    for k, thresholds in enumerate(steps):
        answers = Passage(rows, thresholds).predicted
        new = (answers != rows.baseline) & (first == len(steps))
        first[new], answer[new] = k, answers[new]
    differ = np.flatnonzero(first < len(steps))
    return LabelOrder(first, answer, differ[np.argsort(first[differ], kind="stable")], len(steps))


def assumed(rows: Outcomes, known: NDArray[np.bool_], labels: NDArray[np.integer]) -> Outcomes:
    """The rows with labels where they are ``known`` (n,), else with what the given model says: the worst case."""
    return replace(rows, labels=np.where(known, labels, rows.baseline))
