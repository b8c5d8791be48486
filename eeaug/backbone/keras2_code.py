"""The user's code run once more with Keras 2, for files that only Keras 2 can build.

In these files ``keras`` and ``tensorflow.keras`` mean tf_keras while the code runs, so that it makes the classes of
Keras 2 that it made when the model was trained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from eeaug.backbone import custom_objects
from eeaug.errors import ConversionError

__all__ = ["known"]

_NAMES = ("keras", "tensorflow.keras")  # what code imports Keras by


@contextmanager
def known() -> Iterator[None]:
    """Within, tf_keras knows the classes and functions of the user's code.

    Raises
    ------
    ConversionError : the code does not run with Keras 2
    """
    files = custom_objects.files_run()
    if not files:
        yield
        return
    from unittest import mock

    import tensorflow
    import tf_keras

    modules = {name: module for name, module in sys.modules.items() if not _is_keras(name)}
    parts = {part: value for part, value in vars(tf_keras).items() if isinstance(value, ModuleType)}
    for name in _NAMES:
        modules |= {name: tf_keras, **{f"{name}.{part}": value for part, value in parts.items()}}
    objects: dict[str, Any] = {}
    before = dict(tf_keras.saving.get_custom_objects())
    with mock.patch.dict(sys.modules, modules, clear=True), mock.patch.object(tensorflow, "keras", tf_keras):
        for path in files:
            try:
                objects |= custom_objects.run_again(path)
            except Exception as error:  # whatever the user's code raises is the user's to see, in one line
                why = f"it is of Keras 2, with which {path.name} does not run ({custom_objects.plainly(error)})"
                raise ConversionError(f"{why}: load it as it was made, and save it as .h5") from error
    registered = {n: v for n, v in tf_keras.saving.get_custom_objects().items() if before.get(n) is not v}
    with tf_keras.saving.custom_object_scope({**objects, **registered}):
        yield


def _is_keras(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in _NAMES)
