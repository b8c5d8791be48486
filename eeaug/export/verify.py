"""Every exported file, read back and run as a cascade in its own runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import runners
from eeaug.cascade import Outcomes, decide
from eeaug.decision import Decision
from eeaug.errors import ConversionError
from eeaug.partition import FINAL, exit_output
from eeaug.runtime import Cascade, heard

__all__ = ["TOLERANCE", "compare", "verify"]

# A decision may differ where |confidence − threshold| is below this. It serves every measure: logits that are off
# by up to d move max-softmax by d / 2 at most, the margin by d, the entropy by 0.65 · d for any number of classes
# (a small p has a steep logarithm, but what p is off by shrinks with it).
TOLERANCE = 1e-4


def verify(
    directory: Path, manifest: Mapping[str, Any], x: NDArray[np.float32], monolith: Any, threads: int
) -> dict[str, Any]:
    """Run the Keras and ONNX stages on prepared samples ``x``; compare with the network in one piece.

    Returns samples and, per format, how many decisions differed, all of them near a tie.

    Raises
    ------
    ConversionError : a file gives another decision or class away from every threshold
    """
    stages = manifest["stages"]
    thresholds = [stage["threshold"] for stage in stages[:-1]]
    # the augmented model is read back too: what is compared is what is shipped
    decision = Decision(**manifest["decision"])
    probabilities = _in_one_piece(monolith, stages, x)
    probabilities = heard(decision, stages, probabilities)
    reference = _outcomes(decision, probabilities)
    margins = np.array([decision.margins(p) for p in probabilities])
    formats = {
        "keras": _outcomes(decision, heard(decision, stages, _keras(directory, stages, x))),
        "onnx": Cascade.load(directory, manifest, threads).outcomes([x], np.zeros(len(x), np.int64)),
    }
    found = {}
    for name, outcomes in formats.items():
        different, near = compare(reference, outcomes, thresholds, margins)
        if different > near:
            raise ConversionError(
                f"the {name} stages disagree with the model on {different - near} of {len(x)} samples that are "
                f"further than {TOLERANCE:g} from a threshold; nothing was written"
            )
        found[name] = {"disagreements": different, "near_threshold": near}
    return {"samples": len(x), "tolerance": TOLERANCE, "formats": found}


def compare(
    reference: Outcomes, other: Outcomes, thresholds: Sequence[float | None], margins: NDArray[np.float32]
) -> tuple[int, int]:
    """How many decisions (exit and class) differ, and how many of these are within TOLERANCE of a tie.

    A tie is a confidence at a threshold, or two classes that are equally probable at the same exit;
    margins (m + 1, n) are the reference's differences between the two most probable classes.
    """
    n = np.arange(reference.samples)
    a, b = decide(reference, thresholds), decide(other, thresholds)
    different = (a != b) | (reference.predicted[a, n] != other.predicted[b, n])
    near = (a == b) & (margins[a, n] < TOLERANCE)
    for k, threshold in enumerate(thresholds):
        if threshold is not None:
            near |= np.abs(reference.confidence[k] - np.float32(threshold)) < TOLERANCE
    return int(different.sum()), int((different & near).sum())


def _outcomes(decision: Decision, probabilities: Sequence[NDArray[np.float32]]) -> Outcomes:
    pairs = [decision.answers(p) for p in probabilities]
    labels = np.zeros(len(probabilities[0]), np.int64)
    return Outcomes(np.array([c for c, _ in pairs]), np.array([p for _, p in pairs]), labels)


def _in_one_piece(
    model: Any, stages: Sequence[Mapping[str, Any]], x: NDArray[np.float32], size: int = 64
) -> list[NDArray[np.float32]]:
    """The augmented model's outputs in the order of the stages, each (n, outputs)."""
    names = [exit_output(stage["outputs"]["handover"][0]["name"]) for stage in stages[:-1]] + [FINAL]
    parts = [model(x[i : i + size], training=False) for i in range(0, len(x), size)]
    return [np.concatenate([np.asarray(part[name]) for part in parts]) for name in names]


def _keras(
    directory: Path, stages: Sequence[Mapping[str, Any]], x: NDArray[np.float32], size: int = 64
) -> list[NDArray[np.float32]]:
    # our own files: code in Lambda layers was allowed when the given model was loaded
    opened = runners.opener("keras", None, allow_unsafe=True)
    probabilities = []
    tensor = x
    for stage in stages:
        names = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        run = opened(directory / stage["files"]["keras"]).run
        parts = [run(names, {stage["inputs"][0]: tensor[i : i + size]}) for i in range(0, len(tensor), size)]
        made = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        probabilities.append(made[0])
        tensor = made[-1]
    return probabilities
