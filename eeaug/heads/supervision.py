"""The data of a search: what of it is right, what the given model says of it, what heads learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeaug import data
from eeaug.backbone.model import Classifier
from eeaug.cascade import temperature
from eeaug.cascade.output import Decision
from eeaug.data import Splits
from eeaug.features import Extraction, Features
from eeaug.heads.specific import Specific

__all__ = ["Lesson", "Source"]

SOFTENED = 2.0  # temperature of the given model's answers that heads are trained on


@dataclass(frozen=True)
class Lesson:
    """What heads learn to answer: numbers and names only, which may go to another process.

    ``given``: of the model; ``specific``: heads know its classes only; None: all.
    """

    given: Decision
    labelled: bool
    specific: Specific | None

    @property
    def blank(self) -> bool:
        return self.given.kind == "blank"

    @property
    def decision(self) -> Decision:
        """What heads in training answer."""
        if self.blank:
            return Decision("binary", 2)
        return self.given if self.specific is None else self.specific.decision

    def given_answers(
        self, features: Features, rows: NDArray[np.integer] | slice = slice(None)
    ) -> NDArray[np.float32]:
        """What the given model says, as heads answer it, (rows, outputs)."""
        p = np.asarray(features.probabilities[rows])
        return p if self.specific is None else self.specific.narrowed(p)

    def targets(self, features: Features, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """What heads learn on these rows, (rows, outputs): the labels, or the given model's probabilities."""
        if self.labelled:
            labels = features.labels[rows]
            return self.decision.targets(labels if self.specific is None else self.specific.codes(labels))
        return self.given_answers(features, rows)

    def distilled(self, features: Features, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Half of it what the given model says, softened (Hinton et al. 2015, section 2)."""
        if self.blank:
            return self.targets(features, rows)
        softened = temperature.tempered(self.given_answers(features, rows), self.decision, SOFTENED)
        return (self.targets(features, rows) + softened) / np.float32(2)


@dataclass(frozen=True)
class Source:
    """The data of a search and how it is read.

    Where exits only say that there is nothing (:attr:`blank`), heads learn to tell nothing from something, and what
    the given model says of it is the label. ``specific``: heads know its classes only; None: all.
    """

    classifier: Classifier
    splits: Splits
    extraction: Extraction
    labelled: bool = True
    priors: Mapping[int, float] | None = None
    specific: Specific | None = None

    @property
    def lesson(self) -> Lesson:
        return Lesson(self.classifier.decision, self.labelled, self.specific)

    @property
    def blank(self) -> bool:
        return self.lesson.blank

    @property
    def decision(self) -> Decision:
        """What heads in training answer."""
        return self.lesson.decision

    def codes(self, features: Features) -> NDArray[np.int64]:
        """What is right, as heads answer it."""
        labels = self.labels(features)
        return labels if self.specific is None else self.specific.codes(labels)

    def given_answers(self, features: Features) -> NDArray[np.float32]:
        """What the given model says, as heads answer it, (n, outputs)."""
        return self.lesson.given_answers(features)

    def labels(self, features: Features) -> NDArray[np.int64]:
        """What is right: the labels, or without any what the given model says."""
        if self.labelled:
            return features.labels
        return self.classifier.decision.answers(np.asarray(features.probabilities))[1]

    @property
    def images(self) -> bool:
        """Whether samples are images: two axes of space, and colours."""
        return len(self.classifier.input_shape) == 3 and self.classifier.input_shape[-1] == 3

    def weights(self, labels: NDArray[np.integer]) -> NDArray[np.float64] | None:
        """What each sample counts under ``--priors``; None if all count alike."""
        if self.priors is None:
            return None
        return data.weights(labels, self.priors, self.classifier.classes)
