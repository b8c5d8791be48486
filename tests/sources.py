"""Sources of data beside arrays, read as the command reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.backbone.keras_files import import_keras
from eeaug.data import Data, load
from eeaug.errors import InputError

Shape = tuple[int | None, ...]


def read(folder: Path, spec: object = "set", shape: Shape | None = (4, 4, 3), *, labelled: bool = True) -> Data:
    """As the command reads it from ``folder``, the current directory."""
    os.chdir(folder)
    return load(str(spec), Path("m.h5"), cache=folder / "cache", input_shape=shape, labelled=labelled)


def refusal(folder: Path, spec: object = "set", shape: Shape | None = (4, 4, 3)) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, spec, shape)
    assert "\n" not in str(caught.value)
    left = [path for path in (folder / "cache").rglob("*") if path.is_file()]
    assert not left, "a refused source leaves nothing in the cache"
    return str(caught.value)


def png(path: Path, value: int = 0, size: tuple[int, int] = (4, 4), channels: int = 3) -> None:
    """A picture whose pixels count up from ``value``."""
    import_keras()
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (np.arange(np.prod(size) * channels) + value).reshape(*size, channels) % 256
    path.write_bytes(tf.io.encode_png(pixels.astype(np.uint8)).numpy())


def pictures(root: Path, **options: Any) -> None:
    for i, name in enumerate(("b/2.png", "a/1.png", "a/0.png", "b/deep/9.PNG")):
        png(root / name, i * 10, **options)
