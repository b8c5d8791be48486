"""``package.module:function``: the user's own code gives the arrays."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.data.input_groups import flattened
from eeaug.data.npz import check_key
from eeaug.data.store import Raw, SampleNeeds, content, digest, kept, pieces, write_rows
from eeaug.errors import InputError
from eeaug.support.spelling import nearest

__all__ = ["arrays_of", "read"]


def read(given: str, cache: Path, wanted: SampleNeeds) -> Raw:
    """What the function returns, copied to ``cache`` under the hash of its contents.

    It is called without arguments, with the current directory on the module path, and returns a mapping with
    the keys of a ``.npz``, or ``(x_train, y_train), (x_test, y_test)``. Memory-mapped arrays are copied in
    pieces.
    """
    arrays = arrays_of(given, _result(given))

    def write(target: Path) -> Iterator[str]:
        for key, array in arrays.items():
            write_rows(given, target / f"{key}.npy", pieces(array) if len(array) else [array])
        yield from ()

    return kept(given, cache, content({key: digest(array) for key, array in arrays.items()}), write)


def _result(given: str) -> Any:
    module_name, _, name = given.partition(":")
    with _on_path(str(Path.cwd())):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise InputError(
                f"{given}: no module {error.name} (looked for from {Path.cwd()} and in the installed packages)"
            ) from error
        except Exception as error:  # whatever the user's code raises is the user's to see, in one line
            raise InputError(f"{given}: importing {module_name} raises {_line(error)}") from error
        function = getattr(module, name, None)
        if not callable(function):
            functions = [key for key, value in vars(module).items() if callable(value)]
            raise InputError(f"{given}: {module_name} has no function {name}{nearest(name, functions)}")
        try:
            return function()
        except Exception as error:
            raise InputError(f"{given}: raises {_line(error)}") from error


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def arrays_of(given: str, result: Any) -> dict[str, np.ndarray]:
    """A mapping with the keys of a ``.npz``, or ``(x_train, y_train), (x_test, y_test)``, as arrays.

    Samples may be a mapping of arrays, one for each input of the model. What is None is left out.

    Raises
    ------
    InputError : an unknown key, no array, or one of Python objects; ``given`` is where it is from
    """
    wanted = "must return a mapping with the keys of a .npz, or (x_train, y_train), (x_test, y_test)"
    if not isinstance(result, Mapping):
        try:
            (x_train, y_train), (x_test, y_test) = result
        except (TypeError, ValueError) as error:
            raise InputError(f"{given}: {wanted}, returned {type(result).__name__}") from error
        result = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    arrays: dict[str, np.ndarray] = {}
    result = flattened(result)
    headers = {str(key): (np.shape(value), value.dtype) for key, value in result.items() if hasattr(value, "dtype")}
    for key, value in result.items():
        check_key(given, str(key), headers)
        if value is None:
            continue
        try:
            arrays[key] = np.asanyarray(value)
        except ValueError as error:
            raise InputError(f"{given}: {key} is no array: {_line(error)}") from error
        if arrays[key].dtype == object or arrays[key].ndim == 0:
            raise InputError(f"{given}: {key} must be an array of numbers or text, is {arrays[key].dtype}")
    return arrays


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
