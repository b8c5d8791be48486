"""Trained heads that earlier runs have left, with what they say of the samples that judge them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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

__all__ = ["Judged", "answers_file", "file", "hashed", "load", "save", "save_answers", "trained"]

FORMAT = 9  # of the files and of how heads are trained; part of their key


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
    """Where heads that train together are kept: ``features`` are the files that they read on fit and screen."""
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


def answers_file(file: Path, features: Sequence[Path]) -> Path:
    """Where answers of the heads in ``file`` to other samples are kept; ``features``: of these samples."""
    return file.with_name(f"{file.stem}-{cache.key([path.name for path in features])}.npz")


def hashed(labels: NDArray[np.int64]) -> str:
    """What stands for labels (n,) among the facts."""
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()


def save(
    path: Path, heads: Sequence[Head], trained: Sequence[Trained], screen: Sequence[NDArray[np.float32]]
) -> None:
    """Write what came out of training ``heads``, all or those that were kept, and their answers on screen."""
    arrays: dict[str, NDArray[Any]] = {}
    for one, answers in zip(trained, screen, strict=True):
        i = [h.key for h in heads].index(one.head.key)
        arrays[f"{i}.screen"] = answers
        arrays |= {f"{i}.{k}": weight for k, weight in enumerate(one.weights)}
    _save(path, arrays)


def save_answers(path: Path, trained: Sequence[Trained], answers: Sequence[NDArray[np.float32]]) -> None:
    """Write what the heads of a file say of other samples."""
    _save(path, {one.head.key: probabilities for one, probabilities in zip(trained, answers, strict=True)})


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with cache.publishing(path) as partial:
        with partial.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        checksums.append(partial, path)


def trained(path: Path, heads: Sequence[Head]) -> list[Trained]:
    """Those of ``heads`` that :func:`save` has written, in their order."""
    return [one for one, _ in _trained(path, heads)]


def load(path: Path, answers: Path, heads: Sequence[Head]) -> list[Judged]:
    """What :func:`save` and :func:`save_answers` have written; files stay open for what is not read yet."""
    cache.touch(answers)
    choose = np.load(answers, allow_pickle=False)
    return [Judged(one, screen, partial(choose.__getitem__, one.head.key)) for one, screen in _trained(path, heads)]


def _trained(
    path: Path, heads: Sequence[Head]
) -> Iterator[tuple[Trained, Callable[[], NDArray[np.float32]]]]:  # fmt: skip
    cache.touch(path)
    stored = np.load(path, allow_pickle=False)
    for i, head in enumerate(heads):
        if f"{i}.screen" in stored:
            count = sum(name.startswith(f"{i}.") for name in stored) - 1
            weights = tuple(stored[f"{i}.{k}"] for k in range(count))
            yield Trained(head, weights), partial(stored.__getitem__, f"{i}.screen")
