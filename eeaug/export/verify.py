"""Every exported file, read back and run as a cascade in its own runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.answers import differ
from eeaug.bundle.entries import StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import MEASURES, SOMETHING, Decision
from eeaug.cascade.passage import Passage
from eeaug.data.preprocessing import at_once
from eeaug.errors import ConversionError
from eeaug.export.formats import Checked, Format, Work
from eeaug.frameworks.runners import answering
from eeaug.runtime import Cascade, heard
from eeaug.stages.partition import FINAL, exit_output, final_output
from eeaug.support.progress import parts as in_parts

__all__ = ["TOLERANCE", "Reference", "Verified", "compare", "like_given", "same_outputs", "verify"]

# A decision may differ where |confidence − threshold| is below this. It serves every measure: logits that are off
# by up to d move max-softmax by d / 2 at most, the margin by d, the entropy by 0.65 · d for any number of classes
# (a small p has a steep logarithm, but what p is off by shrinks with it).
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Reference:
    """What files are compared with: outcomes of m exits and the final classifier on n samples.

    ``margins`` (m + 1, n): by how much each decision is made (output.Decision.margins).
    """

    decision: Decision
    stages: Sequence[StageEntry]
    outcomes: Outcomes
    thresholds: Sequence[float | None]
    margins: NDArray[np.float32]
    tolerance: float = TOLERANCE

    @classmethod
    def of(
        cls,
        decision: Decision,
        stages: Sequence[StageEntry],
        probabilities: Sequence[NDArray[np.float32]],
        tolerance: float = TOLERANCE,
    ) -> Reference:
        """Of what every classifier says by itself, (n, outputs) each; ``stages`` are the manifest's."""
        combined = heard(decision, stages, probabilities)
        outcomes = _outcomes(decision, combined)
        margins = np.ones(outcomes.confidence.shape, np.float32)  # where a row decides nothing, there is no tie
        for k, p in enumerate(combined):
            margins[k] = decision.margins(p)
        thresholds = [stage.threshold for stage in stages[:-1]]
        return cls(decision, stages, outcomes, thresholds, margins, tolerance)

    def check(self, name: str, probabilities: Sequence[NDArray[np.float32]]) -> Checked:
        """How many decisions of the files of this format differ, where their classifiers say this.

        Raises
        ------
        ConversionError : one differs that is not near a tie
        """
        return self.check_outcomes(name, _outcomes(self.decision, heard(self.decision, self.stages, probabilities)))

    def check_outcomes(self, name: str, outcomes: Outcomes) -> Checked:
        different, near = compare(self.outcomes, outcomes, self.thresholds, self.margins, self.tolerance)
        if different > near:
            raise ConversionError(
                f"the {name} stages disagree with the model on {different - near} of {outcomes.samples} samples "
                f"that are further than {self.tolerance:g} from a threshold; nothing was written"
            )
        return Checked(different, near)


@dataclass(frozen=True)
class Verified:
    """The files that decide as the model does: samples that they were run on, and by format what was found."""

    samples: int
    formats: Mapping[str, Checked]

    def as_dict(self) -> dict[str, Any]:
        formats_checked = {name: checked.as_dict() for name, checked in self.formats.items()}
        return {"samples": self.samples, "tolerance": TOLERANCE, "formats": formats_checked}


def verify(work: Work, monolith: Any, onnx: Cascade, formats: Mapping[str, Format]) -> Verified:
    """Run the Keras stages, those of ``onnx`` and of ``formats``; compare with the network in one piece.

    Raises
    ------
    ConversionError : a file gives another decision or class away from every threshold, or the last classifier
        says other probabilities than the given model itself
    """
    manifest = work.manifest.plain  # what links change is no fault of the files
    stages, decision, x = manifest.stages, manifest.decision, work.x
    if decision.kind == "blank":
        return _verify_blank(work, monolith, onnx, formats)
    size, unknown = at_once(x.shape[1:]), np.zeros(len(x), np.int64)
    pieces = [x[i : i + size] for i in range(0, len(x), size)]
    # the augmented model is read back too: what is compared is what is shipped
    fed = [work.classifier.fed(piece) for piece in pieces]
    probabilities = _in_one_piece(monolith, stages, fed)
    reference = Reference.of(decision, stages, probabilities)
    given = work.classifier.own_probabilities(x)
    allowed = work.classifier.tolerance
    if not np.allclose(probabilities[-1], given, rtol=0, atol=allowed):
        like_given("the final output", *decision.answers(probabilities[-1]), given, decision, allowed)
        off = float(np.abs(probabilities[-1] - given).max())
        raise ConversionError(f"the final output is off by {off:.3g} from the given model's; nothing was written")
    # our own files: code in Lambda layers was allowed when the given model was loaded
    keras = Cascade.load(work.directory, manifest, runtime="keras", allow_unsafe=True)
    by_runtime = {"keras": keras.outcomes(pieces, unknown), "onnx": onnx.outcomes(pieces, unknown)}
    if not stages[-1].reuse:  # with reuse it differs from the given model on purpose
        for name, outcomes in by_runtime.items():
            like_given(
                f"the last {name} stage", outcomes.confidence[-1], outcomes.predicted[-1], given, decision, allowed
            )
    checked = {
        **{name: reference.check_outcomes(name, outcomes) for name, outcomes in by_runtime.items()},
        **{name: kind.check(work, reference) for name, kind in in_parts(list(formats.items()))},
    }
    return Verified(len(x), checked)


def _verify_blank(work: Work, monolith: Any, onnx: Cascade, formats: Mapping[str, Format]) -> Verified:
    """The same where the last stage gives the outputs of a model that may be any, unchanged."""
    stages, x = work.manifest.stages, work.x
    size = at_once(x.shape[1:])
    answers, parts = answering(monolith), [x[i : i + size] for i in range(0, len(x), size)]
    said = [answers(work.classifier.fed(part)) for part in parts]

    def whole(name: str) -> NDArray[Any]:
        return np.concatenate([np.asarray(part[name]) for part in said])

    exits = [whole(exit_output(stage.handover.name)) for stage in stages if stage.handover is not None]
    returned = {given.name: whole(final_output(given.name)) for given in stages[-1].returns}
    same_outputs("augmented model", work, returned)
    reference = Reference.of(work.manifest.decision, stages, exits)
    keras = Cascade.load(work.directory, work.manifest, runtime="keras", allow_unsafe=True)
    checked = {}
    for name, cascade in (("keras", keras), ("onnx", onnx)):
        pieces = [cascade.answers(part) for part in parts]
        checked[name] = reference.check(name, [np.concatenate(of_exit) for of_exit in zip(*pieces, strict=True)])
        same_outputs(f"{name} stages", work, cascade.whole(x))
    checked |= {name: kind.check(work, reference) for name, kind in in_parts(list(formats.items()))}
    return Verified(len(x), checked)


def same_outputs(what: str, work: Work, returned: Mapping[str, NDArray[Any]]) -> None:
    """Compare outputs (n, ...) by name with those of the given model, which may be any, on ``work.x``.

    Raises
    ------
    ConversionError : they differ by more than rounding
    """
    if differs := differ(work.classifier.given_outputs(work.x), returned, work.classifier.tolerance):
        raise ConversionError(f"the {what} do not give the given model's outputs: {differs}; nothing was written")


def like_given(
    what: str, confidence: NDArray[np.float32], predicted: NDArray[np.integer], given: NDArray[np.float32],
    decision: Decision, tolerance: float,
) -> None:  # fmt: skip
    """Compare a classifier's confidences and classes (n,) with the given model's own probabilities (n, outputs).

    Raises
    ------
    ConversionError : a confidence is off by more than probabilities that are off by ``tolerance`` make it, or a
        class is another that was no tie
    """
    sure, classes = decision.answers(given)
    off = np.abs(confidence - sure)
    turned = (predicted != classes) & (decision.margins(given) > 2 * tolerance)
    wrong = ~(off <= MEASURES[decision.measure].steepest * tolerance) | turned  # NaN is wrong, too
    if wrong.any():
        raise ConversionError(
            f"{what} is not what the given model says by itself: on {wrong.sum()} of {len(given)} samples another "
            f"class ({turned.sum()}) or a confidence that is off by up to {off.max():.3g}; nothing was written"
        )


def compare(
    reference: Outcomes,
    other: Outcomes,
    thresholds: Sequence[float | None],
    margins: NDArray[np.float32],
    tolerance: float = TOLERANCE,
) -> tuple[int, int]:
    """How many decisions (exit and class) differ, and how many of these are within ``tolerance`` of a tie.

    A tie is a confidence at a threshold, or two classes that are equally probable at the same exit;
    margins (m + 1, n) are the reference's differences between the two most probable classes.
    """
    a, b = Passage(reference, thresholds), Passage(other, thresholds)
    different = (a.at != b.at) | (a.predicted != b.predicted)
    near = (a.at == b.at) & (margins[a.at, np.arange(reference.samples)] < tolerance)
    for k, threshold in enumerate(thresholds):
        if threshold is not None:
            near |= np.abs(reference.confidence[k] - np.float32(threshold)) < tolerance
    return int(different.sum()), int((different & near).sum())


def _outcomes(decision: Decision, probabilities: Sequence[NDArray[np.float32]]) -> Outcomes:
    pairs = [decision.answers(p) for p in probabilities]
    samples = len(probabilities[0]) if probabilities else 0
    if decision.kind == "blank":  # all that exits let pass reaches the model
        return Outcomes.before_any([c for c, _ in pairs], np.full(samples, SOMETHING, np.int64))
    labels = np.zeros(samples, np.int64)
    return Outcomes(np.array([c for c, _ in pairs]), np.array([p for _, p in pairs]), labels)


def _in_one_piece(model: Any, stages: Sequence[StageEntry], pieces: Sequence[Any]) -> list[NDArray[np.float32]]:
    """The augmented model's outputs in the order of the stages, each (n, outputs)."""
    names = [exit_output(stage.handover.name) for stage in stages if stage.handover is not None] + [FINAL]
    answers = answering(model)
    parts = [answers(x) for x in pieces]
    return [np.concatenate([np.asarray(part[name]) for part in parts]) for name in names]
