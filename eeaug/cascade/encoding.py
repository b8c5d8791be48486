"""Tensors in fewer bits on their way over a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.hardware.fields import BYTES_PER_ELEMENT

__all__ = ["Encoding"]

LEAST, MOST = -128, 127


@dataclass(frozen=True)
class Encoding:
    """How a float32 tensor is sent.

    Parameters
    ----------
    kind : of hardware.fields.ENCODINGS
    scale, zero_point : of int8: (q − zero_point) · scale is the value; as in ONNX's QuantizeLinear
    compressed : whether requests are compressed with gzip
    """

    kind: str
    scale: float = 1.0
    zero_point: int = 0
    compressed: bool = False

    @classmethod
    def of(cls, kind: str, least: float, most: float, compressed: bool = False) -> Encoding:
        """For values from ``least`` to ``most``, 0 among them."""
        if kind != "int8":
            return cls(kind, compressed=compressed)
        least, most = min(least, 0.0), max(most, 0.0)
        scale = float(np.float32((most - least) / (MOST - LEAST))) or 1.0
        return cls(kind, scale, int(np.clip(round(LEAST - least / scale), LEAST, MOST)), compressed)

    @property
    def bytes_per_element(self) -> int:
        return BYTES_PER_ELEMENT[self.kind]

    def encoded(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """As it is sent; what was sent and decoded before gives the same again."""
        if self.kind == "int8":
            steps = np.rint(x / np.float32(self.scale)) + np.float32(self.zero_point)
            return np.asarray(np.clip(steps, LEAST, MOST), np.int8)
        if self.kind == "float16":
            largest = np.finfo(np.float16).max
            return np.asarray(np.clip(x, -largest, largest), np.float16)
        return x

    def decoded(self, sent: NDArray[Any]) -> NDArray[np.float32]:
        if self.kind == "int8":
            whole = sent.astype(np.int32) - self.zero_point
            return np.asarray(whole.astype(np.float32) * np.float32(self.scale))
        return sent.astype(np.float32, copy=False)

    def received(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """What arrives of it."""
        return self.decoded(self.encoded(x))

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Encoding:
        return cls(**entry)

    def as_dict(self) -> dict[str, Any]:
        quantised = {"scale": self.scale, "zero_point": self.zero_point} if self.kind == "int8" else {}
        return {"kind": self.kind, **quantised, "compressed": self.compressed}
