"""Small data of arrays, written and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eeaug.data import Data, load

SHAPE = (4, 4, 1)


def arrays(n: int = 60, classes: int = 3, **changes: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for part in ("train", "val", "test"):
        made[f"x_{part}"] = rng.integers(0, 256, (n, *SHAPE)).astype(np.uint8)
        made[f"y_{part}"] = np.arange(n) % classes
    made |= changes
    return {key: value for key, value in made.items() if value is not None}


def read(folder: Path, **changes: Any) -> Data:
    np.savez_compressed(folder / "d.npz", **arrays(**changes))
    return read_from(folder / "cache", folder)


def read_from(cache: Path, folder: Path) -> Data:
    return load(str(folder / "d.npz"), folder / "model.h5", cache=cache)
