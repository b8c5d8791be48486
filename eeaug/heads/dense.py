"""Dense heads on pooled values: trained and run by numpy.

Heads know nothing of each other: locations can train side by side in threads, and what comes out does not depend on
their number (BLAS must run on one thread meanwhile).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from eeaug.features import Features
from eeaug.heads import hidden, logistic
from eeaug.heads.activations import ACTIVATIONS
from eeaug.heads.layers import Head
from eeaug.heads.pooled import Values, joined, pooled, read, source
from eeaug.heads.training import Keep, Plan, Targets, Trained

__all__ = ["one_thread", "predict", "threads", "train"]

PREDICTED_ROWS = 8192  # rows read at once for predictions
_COUNTING = Lock()
_INSIDE: list[None] = []  # a mark for each thread
_LIMITS: list[Any] = []


def train(
    heads: Sequence[Head],
    fit: Features,
    targets: Targets,
    screen: Features,
    plan: Plan,
    keep: Keep,
    loss: Callable[[Values], float],
) -> list[Trained]:
    """Train heads of one location on standardised pooled values.

    ``targets`` gives the probabilities that rows of ``fit`` should get, ``keep`` says early which heads go on by
    their probabilities on ``screen``; what makes ``loss`` there least is kept of heads with a single layer.
    """
    fit, screen = joined(fit, heads), joined(screen, heads)
    single = [head for head in heads if len(head.dense) == 1 or head.knows]
    deep = [head for head in heads if head not in single]
    trained = logistic.train(single, fit, targets, screen, plan, keep, loss) if single else []
    if deep:
        known = {one.head.key: predict(one, screen) for one in trained}
        trained += hidden.train(deep, fit, targets, screen, plan, lambda looked: keep({**known, **looked}))
    of = {one.head.key: one for one in trained}
    return [of[head.key] for head in heads if head.key in of]


def predict(trained: Trained, features: Features) -> Values:
    """Probabilities (n, outputs) of a head on cached features, computed as its deployed form does."""
    head, features = trained.head, joined(features, [trained.head])
    parts = []
    for start in range(0, len(features.tensors[source(head)]), PREDICTED_ROWS):
        z = pooled(head, read(features, source(head), slice(start, start + PREDICTED_ROWS)))
        rest = iter(trained.weights)
        for layer in head.dense:
            z = ACTIVATIONS[layer.activation][0](z @ next(rest) + next(rest))
        parts.append(z)
    return np.concatenate(parts)


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS does not use threads of its own as long as any thread is in here: what each computes depends on nothing
    else."""
    import scipy.linalg  # noqa: F401 (it brings a BLAS of its own, and only what is loaded is limited)
    from threadpoolctl import threadpool_limits

    with _COUNTING:
        if not _INSIDE:
            _LIMITS.append(threadpool_limits(1, user_api="blas"))
        _INSIDE.append(None)
    try:
        yield
    finally:
        with _COUNTING:
            _INSIDE.pop()
            if not _INSIDE:
                _LIMITS.pop().restore_original_limits()


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in which BLAS has one each."""
    with one_thread(), ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
