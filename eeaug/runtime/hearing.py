"""What a stage decides by: its own answer, or that of all stages up to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.entries import StageEntry
from eeaug.cascade.combining import combined
from eeaug.cascade.output import Decision

__all__ = ["Floats", "heard", "hearing"]

Floats = NDArray[np.float32]


def heard(decision: Decision, stages: Sequence[StageEntry], answers: Sequence[Floats]) -> list[Floats]:
    """What every stage with a classifier decides by, of what each says by itself: (n, outputs) each."""
    return [hearing(decision, stages[k], answers[: k + 1]) for k in range(len(answers))]


def hearing(decision: Decision, stage: StageEntry, answers: Sequence[Floats]) -> Floats:
    """What this stage decides by, of what it and those before it say: (n, outputs)."""
    return combined(answers, stage.reuse, decision) if stage.reuse else answers[-1]
