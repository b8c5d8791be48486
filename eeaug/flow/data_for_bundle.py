"""Data that a bundle is run on: read, prepared and labelled as its own was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eeaug import data
from eeaug.bundle.entries import Manifest
from eeaug.data import Data, Part
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import InputError

__all__ = ["read"]


def read(
    directory: Path, stored: Manifest, source: str, part: str | None, *, cache: Path, labelled: bool, prepared: bool
) -> tuple[Data, Part]:
    """The data with the bundle's preprocessing and order of classes, and its part of that name.

    Parameters
    ----------
    source, part : as ``--data`` and ``--part`` have them; without a part the first of test, val and train
    cache : of unpacked data
    prepared : samples are as the model wants them, without preprocessing

    Raises
    ------
    InputError : the data cannot be read, is not of the model's shape and classes, or has no such part
    """
    shape = stored.stages[0].input_shape
    layout, steps = stored.layout, Preprocessing() if prepared else stored.preprocessing
    given = data.load(
        source, directory / "model", cache=cache, input_shape=shape, labelled=labelled, layout=layout,
        preprocessing=steps,
    )  # fmt: skip
    # what reading noted is of choices that the bundle has made already
    given = replace(given, preprocessing=steps, notes=())
    given = given.in_order(stored.classes) if labelled else given
    given = given.labelled(stored.decision.kind, stored.decision.classes)
    given.check(shape, len(stored.classes))
    parts: dict[str, Part | None] = {name: getattr(given, name) for name in ("test", "val", "train")}
    chosen = next((p for name, p in parts.items() if p is not None and part in (None, name)), None)
    if chosen is None:
        raise InputError(f"--part {part}: {given.source} has no x_{part}")
    return given, chosen
