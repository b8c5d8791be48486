"""One piece of the data through the extractor: what this process does, or a worker of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.model import INPUT
from eeaug.data import prepared
from eeaug.data.preprocessing import Preprocessing, at_once
from eeaug.frameworks import onnx_session
from eeaug.support.sample_layout import SampleLayout

__all__ = ["SHARD", "run", "shard"]

SHARD = 1024  # samples: the work of one task, and the most that a killed run loses


def run(
    model: bytes, threads: int, outputs: Sequence[int], x: NDArray[Any], numbers: NDArray[np.integer],
    part: str, preprocessing: Preprocessing, layout: SampleLayout,
) -> Iterator[tuple[slice, list[NDArray[np.floating]]]]:  # fmt: skip
    """Batches of samples as stored, x (n, ...), through the extractor: (rows, the tensors asked for).

    ``numbers`` are those of the samples in their part, for what is said of bad ones; ``layout``: the model's
    inputs, INPUT where there is one.

    Raises
    ------
    InputError : a sample, or an answer of the model, that is not finite
    """
    session = _session(model, threads)
    names = [f"wanted_{i}" for i in outputs]
    size = at_once(x.shape[1:])
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        samples = prepared(part, numbers[rows], x[rows], preprocessing)
        yield rows, session.run(names, layout.split(samples) if layout.several else {INPUT: samples})


def shard(*given: Any) -> list[NDArray[np.floating]]:
    """All of :func:`run` in one piece, as a worker sends it."""
    batches = [tensors for _, tensors in run(*given)]
    return [np.concatenate(tensors) for tensors in zip(*batches, strict=True)]


@lru_cache(maxsize=1)
def _session(model: bytes, threads: int) -> Any:
    return onnx_session.session(model, threads)
