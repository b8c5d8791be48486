"""What a design is chosen from and a bundle is written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.outcomes import Outcomes
from eeaug.data.preprocessing import Preprocessing
from eeaug.design.network import Network
from eeaug.heads.candidates import Candidates, Search
from eeaug.runtime import Cascade
from eeaug.streams.sequences import Sequences

__all__ = ["TRAIN", "Earlier", "Material", "Measure"]

TRAIN = "x_train"


@dataclass(frozen=True)
class Earlier:
    """The bundle that another one is made from: base name, SHA-256 of its manifest, all that its search/ holds."""

    name: str
    sha256: str
    search: Search


@dataclass(frozen=True)
class Material:
    """What a design is chosen from and a bundle is written with.

    Parameters
    ----------
    inputs, data : as in manifest and report: files with their hashes, samples by part
    x : float32 (n, *input shape), prepared samples that every written file is run on
    test : outcomes of a cascade's stages on the test part; None: there is none
    earlier : the bundle that all of this was read from, instead of from data
    finetune : what fine-tuning came to, if it was asked for
    parts : the same as ``test`` for screen and choose; empty where there is no data
    sequences : of streams, which samples of a part follow which; empty: samples are no streams
    calibration : float32 (n, *input shape), prepared screen samples that int8 ranges are taken from
    """

    network: Network
    candidates: Candidates
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    inputs: Sequence[Mapping[str, str]]
    data: dict[str, Any]
    x: NDArray[np.float32]
    test: Measure | None
    earlier: Earlier | None = None
    finetune: dict[str, Any] | None = None
    parts: Mapping[str, Measure] = field(default_factory=dict)
    calibration: NDArray[np.float32] | None = None
    sequences: Mapping[str, Sequences] = field(default_factory=dict)

    @property
    def unseen(self) -> bool:
        """Whether the given model was trained on none of the choose samples, as far as anybody says."""
        return bool(self.data["parts"]["choose"]["of"] != TRAIN)


Measure = Callable[[Cascade], Outcomes]  # a cascade's outcomes on one part of the data
