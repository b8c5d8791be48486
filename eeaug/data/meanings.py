"""What an array of an unknown name most likely is, by its name and its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

__all__ = ["Header", "likeliest"]

Header = tuple[tuple[int, ...], "np.dtype[np.generic]"]  # shape and type of an array

_PARTS = {
    "train": ("train", "training", "tr", "trn"),
    "val": ("val", "valid", "validation", "dev", "eval"),
    "test": ("test", "testing", "te", "tst"),
}
_KINDS = {
    "x": "x data image images imgs img input inputs feature features sample samples audio signal signals windows",
    "y": "y label labels target targets class lbl labs truth gt",
    "groups": "group groups subject subjects subj subs speaker speakers spk patient patients person persons people "
    "user users rec recs record records recording recordings session sessions device site house place id ids pid "
    "pids participant participants animal file files clip video scene",
    "class_names": "classes names categories",
}
_SAYS = {
    "x": "the samples",
    "y": "the label of each sample",
    "groups": "which samples belong together, as those of a person or a recording",
    "class_names": "the names of the classes",
}


def likeliest(name: str, arrays: Mapping[str, Header]) -> str | None:
    """What ``name`` most likely is, as the end of a message; None: nobody knows.

    ``arrays``: what is known of all arrays beside each other, ``name`` among them if it is.
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    part = next((part for part, those in _PARTS.items() if set(words) & set(those)), None)
    kind = next(
        (kind for kind in ("class_names", "groups", "y", "x") if set(words) & set(_KINDS[kind].split())), None
    )
    if "names" not in words and kind == "class_names" and part is not None:
        kind = "y"  # classes_train
    kind = kind or _by_shape(name, part or "train", arrays)
    if kind is None:
        return None
    key = kind if kind == "class_names" else f"{kind}_{part or 'train'}"
    if key in arrays and kind == "y":  # another number for each sample
        key, kind = key.replace("y_", "groups_"), "groups"
    return None if key in arrays else f"{key} ({_SAYS[kind]})"


def _by_shape(name: str, part: str, arrays: Mapping[str, Header]) -> str | None:
    header = arrays.get(name)
    if header is None:
        return None
    shape, dtype = header
    samples = arrays[f"x_{part}"][0][:1] if f"x_{part}" in arrays else None
    if samples is not None and shape[:1] == samples and dtype.kind in "iuSUb" and len(shape) == 1:
        return "groups" if f"y_{part}" in arrays else "y"
    if len(shape) == 1 and dtype.kind in "SU":
        return "class_names"
    return "x" if len(shape) >= 2 and samples is None and dtype.kind in "iufb" else None
