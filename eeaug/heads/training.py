"""What training a head takes and gives, whatever the head is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eeaug.features import Wanted
from eeaug.heads.layers import Head

__all__ = ["Keep", "Plan", "Targets", "Trained", "folded", "sources", "wanted"]

Targets = Callable[[NDArray[np.integer]], NDArray[np.float32]]  # rows of fit → what to answer, (rows, outputs)
# Head.key → its probabilities (n, outputs) on screen; gives the keys of those that go on
Keep = Callable[[Mapping[str, NDArray[np.float32]]], set[str]]


@dataclass(frozen=True)
class Plan:
    """How long and how hard heads are trained: passes over fit, but at least ``steps`` batches.

    ``patience``: after how many steps that bring nothing on screen heads stop that learn from all samples at once.
    """

    epochs: int
    steps: int
    batch: int
    rate: float
    seed: int
    patience: int = 0

    def for_samples(self, n: int) -> Plan:
        """The same effort for n samples: smaller batches and more epochs where there are few."""
        batch = min(max(32, min(self.batch, n // 32)), n)
        return replace(self, batch=batch, epochs=max(self.epochs, -(-self.steps * batch // max(n, 1))))


@dataclass(frozen=True)
class Trained:
    """A head with its weights as deployed: kernel and bias of every convolution and dense layer, in order."""

    head: Head
    weights: tuple[NDArray[np.float32], ...]


def wanted(head: Head) -> Wanted:
    """The tensor that a head reads, or averages first: one for all grids of a location where they allow it."""
    return Wanted(head.location, head.finer if head.finer is not None else head.pooling)


def sources(head: Head) -> tuple[Wanted, ...]:
    """All tensors that a head reads, in order, its own last."""
    return (*(Wanted(e.location, e.finer) for e in head.earlier), wanted(head))


def folded(trained: Trained, temperature: float) -> Trained:
    """The head with the temperature in its last dense layer: its probabilities are tempered at no cost."""
    *before, kernel, bias = trained.weights
    scale = np.float32(temperature)
    return replace(trained, weights=(*before, kernel / scale, bias / scale))
