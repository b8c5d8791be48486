"""The exported stages run as the cascade that they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import conversion
from eeaug.cascade import Outcomes, decide
from eeaug.decision import Decision
from eeaug.errors import InputError
from eeaug.reuse import combined

__all__ = ["DEFAULT", "Cascade", "Decisions", "heard", "thresholds_by_point"]

BATCH = 64
DEFAULT = "default"  # operating.DEFAULT, without importing the search
Thresholds = tuple[float | None, ...]


def thresholds_by_point(manifest: Mapping[str, Any]) -> dict[str, Thresholds]:
    """The m thresholds of every operating point of a bundle; those of the default are its stages' own."""
    listed = {point["name"]: tuple(point["thresholds"]) for point in manifest.get("operating_points", ())}
    return {**listed, DEFAULT: tuple(stage["threshold"] for stage in manifest["stages"][:-1])}


@dataclass(frozen=True)
class Decisions:
    """What a cascade decided: for n samples, the classifier that each left at, its class and confidence.

    ``reached[k]`` holds the confidences at classifier k of all samples that reached it, in their order.
    """

    exits: NDArray[np.intp]
    predicted: NDArray[np.intp]
    confidence: NDArray[np.float32]
    reached: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, outcomes: Outcomes, thresholds: Sequence[float | None]) -> Decisions:
        """Of outcomes of m exits and the final classifier."""
        at = decide(outcomes, thresholds)
        own = at, np.arange(outcomes.samples)
        reached = tuple(row[at >= k] for k, row in enumerate(outcomes.confidence))
        return cls(at, outcomes.predicted[own].astype(np.intp), outcomes.confidence[own], reached)

    @classmethod
    def joined(cls, parts: Sequence[Decisions]) -> Decisions:
        """Of batches, one after the other."""
        return cls(
            np.concatenate([part.exits for part in parts]),
            np.concatenate([part.predicted for part in parts]),
            np.concatenate([part.confidence for part in parts]),
            tuple(np.concatenate(rows) for rows in zip(*(part.reached for part in parts), strict=True)),
        )


@dataclass(frozen=True)
class Cascade:
    """ONNX stages in ONNX Runtime, at one of the bundle's operating points.

    ``stages`` are the entries of the manifest, ``sessions`` one per stage; ``points`` holds the thresholds (m) of
    every operating point by name, ``point`` is the one that decides.
    """

    decision: Decision

    stages: tuple[Mapping[str, Any], ...]
    sessions: tuple[Any, ...]
    points: Mapping[str, Thresholds]
    point: str = DEFAULT

    @classmethod
    def load(cls, directory: Path, manifest: Mapping[str, Any], threads: int, point: str = DEFAULT) -> Cascade:
        """Open the stages of a bundle (or of one that is being written).

        Raises
        ------
        InputError : there is no such operating point
        """
        points = thresholds_by_point(manifest)
        _check_point(point, points)
        stages = tuple(manifest["stages"])
        paths = [directory / stage["files"]["onnx"] for stage in stages]
        decision = Decision(**manifest["decision"])
        return cls(decision, stages, tuple(conversion.session(path, threads) for path in paths), points, point)

    def at(self, point: str) -> Cascade:
        """The same sessions with the thresholds of another operating point: nothing is loaded again.

        Raises
        ------
        InputError : there is no such operating point
        """
        _check_point(point, self.points)
        return replace(self, point=point)

    @property
    def thresholds(self) -> Thresholds:
        """(m,), None is never."""
        return self.points[self.point]

    def run(self, x: NDArray[np.float32]) -> Decisions:
        """Run prepared samples (n, *input shape); what has left costs nothing more."""
        n = len(x)
        exits, predicted = np.zeros(n, np.intp), np.zeros(n, np.intp)
        confidence = np.zeros(n, np.float32)
        reached = [np.zeros(0, np.float32) for _ in self.stages]
        rest, tensor = np.arange(n), x
        said: list[NDArray[np.float32]] = []
        for k in range(len(self.stages)):
            probabilities, onward = self._stage(k, tensor)
            said.append(probabilities)
            sure, chosen = self.decision.answers(_hearing(self.decision, self.stages[k], said))
            leaves = self._leaves(k, sure)
            gone = rest[leaves]
            exits[gone], predicted[gone], confidence[gone] = k, chosen[leaves], sure[leaves]
            reached[k] = sure
            rest = rest[~leaves]
            if not len(rest):
                break
            assert onward is not None
            tensor, said = onward[~leaves], [p[~leaves] for p in said]
        return Decisions(exits, predicted, confidence, tuple(reached))

    def outcomes(self, batches: Iterable[NDArray[np.float32]], labels: NDArray[np.integer]) -> Outcomes:
        """Every classifier's answer to every sample, as if none ever left."""
        pairs: list[list[tuple[NDArray[np.float32], NDArray[np.int64]]]] = []
        given: list[NDArray[np.int64]] = []
        for x in batches:
            tensor: Any = x
            said: list[NDArray[np.float32]] = []
            for k in range(len(self.stages)):
                probabilities, tensor = self._stage(k, tensor)
                said.append(probabilities)
            pairs.append([self.decision.answers(p) for p in heard(self.decision, self.stages, said)])
            given.append(self.decision.answers(said[-1])[1])
        confidence, predicted = (
            np.array([np.concatenate([batch[k][i] for batch in pairs]) for k in range(len(self.stages))])
            for i in range(2)
        )
        hears = any(stage.get("reuse") for stage in self.stages)
        return Outcomes(confidence, predicted, labels, given=np.concatenate(given) if hears else None)

    def _stage(self, k: int, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        stage = self.stages[k]
        outputs = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        made = self.sessions[k].run(outputs, {stage["inputs"][0]: tensor})
        return made[0], made[1] if len(made) > 1 else None

    def _leaves(self, k: int, confidence: NDArray[np.float32]) -> NDArray[np.bool_]:
        if k == len(self.stages) - 1:
            return np.ones(len(confidence), bool)
        threshold = self.thresholds[k]
        return np.zeros(len(confidence), bool) if threshold is None else confidence >= np.float32(threshold)


def heard(
    decision: Decision, stages: Sequence[Mapping[str, Any]], said: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """What every stage of the manifest decides by, of what each says by itself: (n, outputs) each."""
    return [_hearing(decision, stage, said[: k + 1]) for k, stage in enumerate(stages)]


def _hearing(
    decision: Decision, stage: Mapping[str, Any], said: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    weights = stage.get("reuse")
    return combined(said, weights, decision) if weights else said[-1]


def _check_point(point: str, points: Mapping[str, Thresholds]) -> None:
    if point not in points:
        raise InputError(f"the bundle has no operating point '{point}'; it has {', '.join(points)}")
