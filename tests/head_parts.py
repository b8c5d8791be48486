"""A place, a decision and the last layers, of which heads are made."""

from __future__ import annotations

from keras_nets import CLASSES

from eeaug.cascade.output import Decision
from eeaug.heads.layers import Dense
from eeaug.network.locations import Location

DECISION = Decision("softmax", CLASSES)
TAIL = (Dense(10, "relu"), Dense(CLASSES, "softmax"))


def at(shape: tuple[int, ...]) -> Location:
    return Location("here/it is", 1, shape, 10**7)
