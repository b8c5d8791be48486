"""What a sample of every kind may do and stay what it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug.heads.supervision import Source


@pytest.mark.parametrize(
    "shape, stored, moving",
    [
        ((32, 32, 3), np.uint8, (True, True)),
        ((48, 96, 3), np.float32, (True, True)),
        ((28, 20, 1), np.uint8, (True, True)),
        ((49, 10, 1), np.float32, (True, False)),
        ((6, 128, 1), np.float32, (False, True)),
        ((64, 64, 1), np.float32, (True, True)),
        ((187, 1), np.float32, (True,)),
        ((12,), np.float32, ()),
    ],
)
def test_samples_move_where_they_stay_what_they_are(
    shape: tuple[int, ...], stored: Any, moving: tuple[bool, ...]
) -> None:
    part = SimpleNamespace(x=np.zeros((2, *shape), stored))
    splits: Any = SimpleNamespace(fit=SimpleNamespace(part=part))
    classifier: Any = SimpleNamespace(input_shape=shape)
    extraction: Any = None
    assert Source(classifier, splits, extraction).moving == moving
