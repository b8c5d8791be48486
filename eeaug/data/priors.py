"""Classes that are more or less frequent where the device works than they are in the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eeaug.settings import Contradiction
from eeaug.support.quantities import SHARE, QuantityError, parse
from eeaug.support.spelling import nearest

__all__ = ["parse_priors", "weights"]

TOLERANCE = 1e-9  # of a sum of probabilities


def parse_priors(text: str, class_names: Sequence[str]) -> dict[int, float]:
    """``silence=0.95,unknown=0.05`` as probabilities by class number; a number may stand for a name.

    Raises
    ------
    Contradiction
        An unknown class, one that is named twice, no probability, or probabilities that sum to more than 1.
    """
    priors: dict[int, float] = {}
    for item in text.split(","):
        name, equals, value = (word.strip() for word in item.rpartition("="))
        if not equals:
            raise _refused(text, f"'{item}' must be CLASS=PROBABILITY")
        number = _number(text, name, class_names)
        if number in priors:
            raise _refused(text, f"the class {name} stands twice")
        try:
            priors[number] = parse(value, SHARE)
        except QuantityError as error:
            raise _refused(text, f"'{value}' is no probability of {name}: {error}") from None
        if not 0 <= priors[number] <= 1:
            raise _refused(text, f"the probability of {name} must be from 0 to 1, given {value}")
    if sum(priors.values()) > 1 + TOLERANCE:
        raise _refused(text, f"the probabilities sum to {sum(priors.values()):g}, at most 1 is right")
    return priors


def _number(text: str, name: str, class_names: Sequence[str]) -> int:
    numbers = [i for i, known in enumerate(class_names) if known == name]
    if len(numbers) > 1:
        raise _refused(text, f"{len(numbers)} classes are named {name}; give the number")
    if numbers:
        return numbers[0]
    if name.isdecimal() and int(name) < len(class_names):
        return int(name)
    some = ", ".join([*class_names[:8], *(["…"] if len(class_names) > 8 else [])])
    hint = nearest(name, class_names) or f"; classes are {some}"
    raise _refused(text, f"no class '{name}'{hint}")


def _refused(text: str, why: str) -> Contradiction:
    return Contradiction("{priors}: {0}", why, priors=text)


def weights(labels: np.ndarray, priors: Mapping[int, float], classes: int) -> np.ndarray:
    """Weights of samples that give every class its prior.

    Parameters
    ----------
    labels : class numbers, int64 (n,)
    priors : probability by class number; what they leave of 1 is spread over the other samples evenly, so
        that the other classes keep their shares among themselves

    Returns
    -------
    float64 (n,), mean 1

    Raises
    ------
    Contradiction
        A class with a prior, or all others while the priors leave something, have no sample.
    """
    counts = np.bincount(labels, minlength=classes)
    others = len(labels) - int(sum(counts[number] for number in priors))
    rest = max(0.0, 1 - sum(priors.values()))
    if rest > TOLERANCE and not others:
        raise Contradiction(f"{{priors}} leave {rest:g} to the other classes, which have no sample here")
    of_class = np.full(classes, rest / others if others else 0.0)
    for number, prior in priors.items():
        if prior and not counts[number]:
            raise Contradiction(f"{{priors}} name the class {number}, which has no sample here")
        of_class[number] = prior / max(1, counts[number])
    unscaled = of_class[labels]
    return np.asarray(unscaled * (len(labels) / unscaled.sum()))
