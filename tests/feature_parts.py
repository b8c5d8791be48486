"""One pass over random samples of a small classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eeaug.backbone.model import Classifier
from eeaug.data import Part, View
from eeaug.data.preprocessing import Preprocessing
from eeaug.features import Extraction
from eeaug.support.cache import Cache

N = 150  # more than two batches


def view(given: Classifier, seed: int = 0) -> View:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * N, *given.input_shape)).astype(np.float32)
    part = Part("x_train", x, np.arange(2 * N) % 4, None)
    return View(part, np.sort(rng.permutation(2 * N)[:N]))


def extraction(given: Classifier, place: Path, preprocessing: Preprocessing | None = None) -> Extraction:
    cache = Cache(place)
    folder = cache.network("m.h5", given.sha256, "d.npz")
    return Extraction(given, preprocessing or Preprocessing(), cache, folder, threads=1)


def kept(place: Path) -> list[str]:
    return sorted(p.name for p in place.glob("networks/*/features/*"))
