"""Trained heads that earlier runs have left, with what they say of the samples that judge them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.heads.layers import Head
from eeaug.heads.training import Plan, Trained
from eeaug.support import cache, checksums

__all__ = ["Judged", "file", "load", "save"]

FORMAT = 4  # of the files and of how heads are trained; part of their key


@dataclass(frozen=True)
class Judged:
    """A trained head and its probabilities (n, outputs), float32, on screen and on choose.

    They come when they are asked for: those of all heads on 50,000 images of 1,000 classes would fill 10 GB.
    """

    trained: Trained
    screen: Callable[[], NDArray[np.float32]]
    choose: Callable[[], NDArray[np.float32]]


def file(
    folder: Path, heads: Sequence[Head], plan: Plan, features: Sequence[Path], facts: Mapping[str, Any]
) -> Path:
    """Where heads that train together are kept: ``features`` are the files that they read."""
    named = {
        "format": FORMAT,
        "heads": [[h.key, repr(h.steps), repr(h.earlier)] for h in heads],
        "plan": dataclasses.asdict(plan),
        "features": [path.name for path in features],
        "versions": _versions(),
        **facts,
    }
    return folder / "heads" / f"{cache.key(named)}.npz"


@lru_cache(maxsize=1)
def _versions() -> list[str]:
    return [version(name) for name in ("numpy", "tensorflow", "keras")]


def save(path: Path, heads: Sequence[Head], judged: Sequence[Judged]) -> None:
    """Write what came out of training ``heads``: all of them, or those that were kept."""
    arrays: dict[str, NDArray[Any]] = {}
    for one in judged:
        i = [h.key for h in heads].index(one.trained.head.key)
        arrays |= {f"{i}.screen": one.screen(), f"{i}.choose": one.choose()}
        arrays |= {f"{i}.{k}": weight for k, weight in enumerate(one.trained.weights)}
    with cache.publishing(path) as partial:
        with partial.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        checksums.append(partial, path)


def load(path: Path, heads: Sequence[Head]) -> list[Judged]:
    """What :func:`save` has written, in the order of ``heads``; the file stays open for what is not read yet."""
    cache.touch(path)
    judged = []
    stored = np.load(path, allow_pickle=False)
    for i, head in enumerate(heads):
        if f"{i}.screen" in stored:
            count = sum(name.startswith(f"{i}.") for name in stored) - 2
            weights = tuple(stored[f"{i}.{k}"] for k in range(count))
            screen, choose = (partial(stored.__getitem__, f"{i}.{part}") for part in ("screen", "choose"))
            judged.append(Judged(Trained(head, weights), screen, choose))
    return judged
