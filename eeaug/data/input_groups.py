"""Samples of a model with several inputs: an array for each, handed out as rows.

``x_train.image`` and ``x_train.meta`` of a ``.npz`` are the group ``x_train``; in Python it is a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from eeaug.data import store
from eeaug.errors import InputError
from eeaug.support.sample_layout import SampleLayout
from eeaug.support.spelling import nearest

__all__ = ["InputRows", "flattened", "gathered", "group_of", "is_member"]

MEMBER = re.compile(r"x_(train|val|test)\.[A-Za-z0-9_.-]{1,100}")  # a name of a file, too


def is_member(key: str) -> bool:
    """Whether it names an array of a group: ``x_<part>.<input>``."""
    return MEMBER.fullmatch(key) is not None


def flattened(arrays: Mapping[Any, Any]) -> dict[Any, Any]:
    """Mappings in a mapping as a group each: {"x_train": {"image": a}} is {"x_train.image": a}."""
    flat: dict[Any, Any] = {}
    for key, value in arrays.items():
        flat |= (
            {f"{key}.{name}": inner for name, inner in value.items()}
            if isinstance(value, Mapping)
            else {key: value}
        )
    return flat


def group_of(part: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a part by input."""
    begin = f"x_{part}."
    return {key.removeprefix(begin): array for key, array in arrays.items() if key.startswith(begin)}


class InputRows:
    """Arrays (n, *shape) of several inputs as one array (n, all their values), float32; read where it is
    indexed."""

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, arrays: Sequence[np.ndarray], layout: SampleLayout) -> None:
        self.arrays, self.layout = dict(zip(layout.names, arrays, strict=True)), layout
        self.shape = (len(arrays[0]), *layout.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        return self.layout.joined({name: array[key] for name, array in self.arrays.items()})


def gathered(
    where: str, part: str, arrays: Mapping[str, np.ndarray], contents: Mapping[str, str], layout: SampleLayout |
    None, unused: Sequence[str] = (),
) -> tuple[np.ndarray | None, str]:  # fmt: skip
    """The samples of a part, and a hash of what they hold; None: there are none.

    ``layout``: the inputs of the model, None where it is not known; arrays of ``unused`` ones are left out.

    Raises
    ------
    InputError : an array that is no input of the model, is missing, or has another shape than the model takes
    """
    key, group = f"x_{part}", group_of(part, arrays)
    whole = arrays.get(key)
    if whole is not None and group:
        raise InputError(f"{where}: {key} is given whole and as {key}.{next(iter(group))}; one of them is enough")
    if not group:
        if whole is not None and layout is not None and layout.several:
            listed = ", ".join(f"{key}.{name}" for name in layout.names)
            raise InputError(f"{where}: {key} is one array, the model has several inputs: give {listed}")
        return whole, contents.get(key, "")
    names = layout.names if layout is not None else ()
    if not names or (len(names) == 1 and len(group) == 1):  # a bundle does not know what its one input was called
        names = names if {*names} & {*group} else tuple(group)
    for name in group:
        if name not in names and name not in unused:
            hint = nearest(name, names) or f"; its inputs are {', '.join(names)}"
            raise InputError(f"{where}: {key}.{name}: the model has no input {name!r}{hint}")
    missing = [name for name in names if name not in group]
    if missing:
        raise InputError(
            f"{where}: {key}.{missing[0]} is missing: the model has the inputs {', '.join(names)}, "
            f"{key} has {', '.join(group)}"
        )
    if len(names) > 1 and layout is None:
        raise InputError(f"{where}: {key} has several arrays ({', '.join(group)}), the model has one input")
    shapes = (None,) if layout is None else layout.shapes
    checked = [_shaped(f"{where}: {key}.{name}", group[name], s) for name, s in zip(names, shapes, strict=True)]
    counts = [len(array) for array in checked]
    if len({*counts}) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        raise InputError(f"{where}: the arrays of {key} must have as many samples each, have {listed}")
    if len(names) == 1 or layout is None:
        return checked[0], contents.get(f"{key}.{names[0]}", "")
    known = {name: contents.get(f"{key}.{name}", "") for name in names}
    content = store.content(known) if all(known.values()) else ""
    # wherever samples are read, they are indexed: nothing else of an array is used
    return cast(np.ndarray, InputRows(checked, layout)), content


def _shaped(where: str, array: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """The array (n, *shape); a missing last axis of 1 is added."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where} must be numbers, is {array.dtype}")
    if shape and shape[-1] == 1 and array.ndim == len(shape):
        array = array[..., np.newaxis]
    if shape is not None and array.shape[1:] != tuple(shape):
        raise InputError(f"{where} has samples of shape {array.shape[1:]}, the model takes {tuple(shape)}")
    return array
