"""The exported stages run as the cascade that they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import conversion
from eeaug.cascade import Outcomes
from eeaug.decision import Decision

__all__ = ["Cascade", "Decisions"]

BATCH = 64


@dataclass(frozen=True)
class Decisions:
    """What a cascade decided: for n samples, the classifier that each left at, its class and confidence."""

    exits: NDArray[np.intp]
    predicted: NDArray[np.intp]
    confidence: NDArray[np.float32]


@dataclass(frozen=True)
class Cascade:
    """ONNX stages in ONNX Runtime.

    ``stages`` are the entries of the manifest, ``sessions`` one per stage.
    """

    decision: Decision

    stages: tuple[Mapping[str, Any], ...]
    sessions: tuple[Any, ...]

    @classmethod
    def load(cls, directory: Path, manifest: Mapping[str, Any], threads: int) -> Cascade:
        """Open the stages of a bundle (or of one that is being written)."""
        stages = tuple(manifest["stages"])
        paths = [directory / stage["files"]["onnx"] for stage in stages]
        decision = Decision(**manifest["decision"])
        return cls(decision, stages, tuple(conversion.session(path, threads) for path in paths))

    def run(self, x: NDArray[np.float32]) -> Decisions:
        """Run prepared samples (n, *input shape); what has left costs nothing more."""
        n = len(x)
        exits, predicted = np.zeros(n, np.intp), np.zeros(n, np.intp)
        confidence = np.zeros(n, np.float32)
        rest, tensor = np.arange(n), x
        for k, stage in enumerate(self.stages):
            probabilities, onward = self._stage(k, tensor)
            sure, chosen = self.decision.answers(probabilities)
            leaves = np.ones(len(rest), bool) if k == len(self.stages) - 1 else _leaves(stage, sure)
            gone = rest[leaves]
            exits[gone], predicted[gone], confidence[gone] = k, chosen[leaves], sure[leaves]
            rest = rest[~leaves]
            if not len(rest):
                break
            assert onward is not None
            tensor = onward[~leaves]
        return Decisions(exits, predicted, confidence)

    def outcomes(self, batches: Iterable[NDArray[np.float32]], labels: NDArray[np.integer]) -> Outcomes:
        """Every classifier's answer to every sample, as if none ever left."""
        confidence: list[list[NDArray[np.float32]]] = [[] for _ in self.stages]
        predicted: list[list[NDArray[np.intp]]] = [[] for _ in self.stages]
        for x in batches:
            tensor: Any = x
            for k in range(len(self.stages)):
                probabilities, tensor = self._stage(k, tensor)
                sure, chosen = self.decision.answers(probabilities)
                confidence[k].append(sure)
                predicted[k].append(chosen)
        return Outcomes(
            np.array([np.concatenate(c) for c in confidence]),
            np.array([np.concatenate(p) for p in predicted]),
            labels,
        )

    def _stage(self, k: int, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        stage = self.stages[k]
        outputs = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        made = self.sessions[k].run(outputs, {stage["inputs"][0]: tensor})
        return made[0], made[1] if len(made) > 1 else None


def _leaves(stage: Mapping[str, Any], confidence: NDArray[np.float32]) -> NDArray[np.bool_]:
    if stage["threshold"] is None:
        return np.zeros(len(confidence), bool)
    return confidence >= np.float32(stage["threshold"])
