"""A place, a decision and the last layers, of which heads are made; what they read and learn."""

from __future__ import annotations

import numpy as np
from keras_nets import CLASSES

from eeaug.cascade.output import Decision
from eeaug.features import Features
from eeaug.heads import training
from eeaug.heads.layers import Dense, Head
from eeaug.network.locations import Location

DECISION = Decision("softmax", CLASSES)
TAIL = (Dense(10, "relu"), Dense(CLASSES, "softmax"))


def at(shape: tuple[int, ...]) -> Location:
    return Location("here/it is", 1, shape, 10**7)


def of_tensor(head: Head, values: np.ndarray) -> Features:
    return Features(
        {training.wanted(head).key: values}, np.zeros((len(values), CLASSES), np.float32), np.zeros(0, int)
    )


def targets(fit: Features) -> training.Targets:
    return lambda rows: DECISION.targets(fit.labels[rows])
