"""Samples and what is handed over as int8 numbers, as files for devices take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.entries import StageEntry
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.support.sample_layout import SampleLayout

__all__ = ["handed", "joined", "of_sample", "scales"]


def scales(stages: Sequence[StageEntry]) -> dict[str, Quantisation]:
    """How each input of the model is quantised, by name: alike in all stages that take it."""
    known: dict[str, Quantisation] = {}
    for entry in stages:
        assert entry.int8 is not None
        for name in stages[0].row.names:
            if name in entry.int8.inputs:
                known.setdefault(name, entry.int8.inputs[name])
    return known


def of_sample(stages: Sequence[StageEntry], x: NDArray[np.float32]) -> dict[str, NDArray[np.int8]]:
    """Prepared samples (n, *input shape) as int8 numbers, by input of the model."""
    known = scales(stages)
    return {name: known[name].quantised(tensor) for name, tensor in stages[0].row.split(x).items()}


def handed(stages: Sequence[StageEntry], k: int, tensors: Sequence[NDArray[Any]]) -> dict[str, NDArray[np.int8]]:
    """The hand-over of stage k as int8 numbers by name, of tensors of which inputs of the model are float32."""
    known, names = scales(stages), [tensor.name for tensor in stages[k].onward]
    return {
        name: tensor if tensor.dtype == np.int8 else known[name].quantised(tensor)
        for name, tensor in zip(names, tensors, strict=True)
    }


def joined(layout: SampleLayout, tensors: Mapping[str, NDArray[np.int8]]) -> NDArray[np.int8]:
    """Tensors (n, *shape) one after the other, (n, all their numbers)."""
    return np.concatenate([tensors[name].reshape(len(tensors[name]), -1) for name in layout.names], axis=1)
