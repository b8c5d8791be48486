"""Read any Keras model file as a Keras 3 model, or say in one line why not.

- What Keras 3 wrote, Keras 3 reads as it is.
- An ``.h5`` that Keras 2 wrote is read from a temporary copy whose stored configuration is rewritten.
- Everything else that Keras 2 wrote is built by tf_keras from its configuration, which writes an ``.h5`` that
  goes the way above. Of a SavedModel only the configuration and the variables are read, never a graph.

Whichever the way, only a Keras 3 model is handed on, and without ``allow_unsafe`` no loader sees what was not
looked at before: names of classes and functions, HDF5 links, sizes. Importing this module imports no framework.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eeaug.backbone import (
    custom_objects,
    keras2_code,
    keras_allowed,
    model_files,
    saved_model_variables,
    stored_model,
    subclassed,
    weights_files,
)
from eeaug.backbone.keras2_config import MODELS, Item, input_shapes, layers_of, rewritten, without_slashes
from eeaug.backbone.keras_allowed import LARGEST_SAMPLE
from eeaug.backbone.stored_model import Stored, one_line, read_h5
from eeaug.errors import ConversionError, InputError
from eeaug.support import leftovers
from eeaug.support.printable import quoted

if TYPE_CHECKING:
    import keras

__all__ = ["built", "import_keras", "load"]

SPARE = 1 << 20  # numbers that layers may keep beside what a file holds: counters, states of random layers
# Operations of Keras 3 that call other functions
CALLING = ("Map", "Scan", "AssociativeScan", "Switch", "WhileLoop", "ForiLoop", "Cond", "VectorizedMap", "JVP")


def import_keras() -> ModuleType:
    """Import Keras on the TensorFlow backend, quietly, and return it.

    Raises
    ------
    InputError
        If Keras was imported before with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # TensorFlow 2.21 logs some lines before it heeds that variable
        with _stderr_silenced():
            import tensorflow

        import absl.logging

        tensorflow.get_logger().setLevel("ERROR")
        absl.logging.set_verbosity(absl.logging.ERROR)
    import keras

    # in calls of a model that is taken apart masks are arguments, so that none gets lost
    warnings.filterwarnings("ignore", r"Layer .* was passed an input with a mask attached", UserWarning)
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"Keras runs on the backend {backend!r} in this process, eeaug needs 'tensorflow': "
            "set KERAS_BACKEND=tensorflow before keras is imported"
        )
    module: ModuleType = keras
    return module


def load(path: Path, *, architecture: Path | None = None, allow_unsafe: bool = False) -> keras.Model:
    """Load a ``.keras``, ``.h5`` or ``.hdf5`` file or a SavedModel directory of Keras 3 or 2, uncompiled.

    Parameters
    ----------
    path
        The model file or directory, or a zip file of it; its content decides what it is, not its suffix.
    architecture
        What describes the layers of weights; None: what stands beside them.
    allow_unsafe
        Accept Lambda layers, that is, run code from the file.

    Returns
    -------
    keras.Model
        A built Keras 3 model whose input shapes are those stored in the file.

    Raises
    ------
    InputError
        The file is missing, damaged, or no model file at all.
    ConversionError
        A model that cannot be loaded: another format, weights only, subclassed, Lambda layers, custom classes.
    """
    with model_files.opened(Path(path), architecture) as files:
        stored = stored_model.read_files(files, allow_unsafe=allow_unsafe, custom=custom_objects.has_any())
        return built(files.path, stored, allow_unsafe)


def built(path: Path, stored: Stored, allow_unsafe: bool) -> keras.Model:
    """The model of a file that was looked at; raises as :func:`load`."""
    keras = import_keras()
    if stored.kind in ("onnx", "torch"):
        from eeaug.backbone.from_onnx import convert  # here: who reads samples imports this module for Keras alone

        return convert.of_kind(stored.kind, path, keras).model
    custom_objects.bind(stored.config)
    reason = None if allow_unsafe else _refusal(stored, keras)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for route in _routes(stored, allow_unsafe) if reason is None else []:
            try:
                with leftovers.scratch() as scratch:
                    model = subclassed.traced(route(path, stored, scratch, not allow_unsafe), stored.config)
                reason = _input_difference(stored, model) or _too_large(model)
                if reason is None:
                    return model
            except InputError:  # its message is complete
                raise
            except Exception as error:  # Keras raises anything; its gist goes into the line below
                of_user = None if isinstance(error, ConversionError) else custom_objects.failure(error)
                if of_user is not None:
                    raise InputError(f"{path}: {of_user}") from error
                damaged = isinstance(error, (AttributeError, LookupError)) or str(error).startswith("'")
                if "setting an array element with a sequence" in str(error):  # h5py has no such type
                    reason = "its weights are stored as bfloat16: save it as .keras by Keras 3, or in float32"
                    continue
                reason = ("its configuration is damaged: " if damaged else "") + one_line(error)
                if stored.kind == "saved_model" and not allow_unsafe:
                    reason += "; --allow-unsafe lets TensorFlow load it, which runs code from the file"
        if reason is not None and allow_unsafe:
            reason = _refusal(stored, keras) or reason
        elif reason is not None and stored.by_keras_1:
            reason += " (written by Keras 1: load and save it with Keras 2 first)"
    raise ConversionError(f"{path}: cannot be loaded: {reason}")


# -- what the file is ---------------------------------------------------------------------------------


def _refusal(stored: Stored, keras: ModuleType) -> str | None:
    """Why what the file names is not built, as a phrase; None when all of it only computes."""

    name = str(stored.config["class_name"])
    if stored.kind == "h5" and name not in MODELS:
        return f"a model of class {quoted(name)} in an .h5 file, which does not say its input: save it as .keras"

    def registered(name: str) -> bool:
        return keras.saving.get_registered_object(name) is not None

    def operation(layer: Item) -> bool:
        return _operation_module(layer) is not None

    return keras_allowed.refusal(
        stored.config, registered, operation, custom_objects.missing, by_keras_2=stored.by_keras_2
    )


def _too_large(model: keras.Model) -> str | None:
    """A layer whose output no memory holds, whatever the size of the file; or None."""
    import keras

    for layer in model.layers:
        for tensor in keras.tree.flatten(getattr(layer, "output", None)):
            size = math.prod(n for n in tensor.shape[1:] if n is not None) if tensor is not None else 0
            if size > LARGEST_SAMPLE:
                return (
                    f"layer {quoted(layer.name)} gives {size:,} numbers for a sample, more than {LARGEST_SAMPLE:,}"
                )
    return None


def _input_difference(stored: Stored, model: keras.Model) -> str | None:
    """Why the inputs of the loaded model are not the stored ones, or None."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return "its input shape is unknown: saved before it was built, or a subclassed model"
    loaded, expected = [tuple(tensor.shape[1:]) for tensor in inputs], input_shapes(stored.config)
    if expected is None or expected == loaded:
        return None
    return f"the file stores the input shapes {expected}, Keras 3 makes {loaded} of them"


# -- the ways to load ---------------------------------------------------------------------------------

_Route = Callable[[Path, Stored, Path, bool], "keras.Model"]  # path, stored, scratch folder, safe mode


def _routes(stored: Stored, allow_unsafe: bool) -> list[_Route]:
    if stored.kind == "saved_model":
        return [_load_graphs if allow_unsafe else _load_saved_model]
    if stored.by_keras_1 or stored.backend == "theano":
        return [_load_old_h5]  # tf_keras knows how weights lay then
    if not stored.by_keras_2:
        if stored.kind in ("keras", "weights"):
            return [_load_archive]
        operations = any(map(_operation_module, layers_of(stored.config)))
        return [_load_rewritten if operations else _load_h5]
    if stored.kind == "h5":
        return [_load_rewritten, _load_old_h5]
    return [_load_old_archive]


def _load_h5(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    """An ``.h5`` of Keras 3, from the configuration that was looked at."""
    import keras

    source = weights_files.with_config(path, stored, stored.config, scratch / "model.h5")
    with _budget(stored.weights if safe_mode else None, keras.Layer):
        return keras.models.load_model(source, compile=False, safe_mode=safe_mode)


def _load_archive(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    """A ``.keras`` of Keras 3, from the configuration and the weights that were looked at."""
    import keras

    weights, held = weights_files.unpacked(path, stored, scratch)
    with _budget(held, keras.Layer):
        model = keras.saving.deserialize_keras_object(stored.config, safe_mode=safe_mode)
        if not model.built:
            return model  # it has no inputs: refused later, with that reason
        model.load_weights(weights)
    meant = sum(math.prod(variable.shape) for variable in model.variables)
    if held > meant:
        raise ConversionError(f"its configuration means {meant:,} weights, the file holds {held:,}")
    return model


def _load_old_archive(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    """The same of Keras 2."""
    import tf_keras

    weights, held = weights_files.unpacked(path, stored, scratch)
    with _budget(held, tf_keras.layers.Layer), keras2_code.known():
        if "module" in stored.config:
            old = tf_keras.saving.deserialize_keras_object(stored.config, safe_mode=safe_mode)
        else:  # as to_json writes it
            old = tf_keras.models.model_from_config(stored.config)
        old.load_weights(weights)
    return _by_way_of_h5(old, scratch, safe_mode)


def _load_saved_model(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    """A SavedModel, from its configuration and its variables; its graphs are not read."""
    import tf_keras

    held = saved_model_variables.elements(path)
    with _budget(held, tf_keras.layers.Layer), keras2_code.known():
        old = tf_keras.models.model_from_config(stored.config)
        if not old.built:
            old.build([None, *(input_shapes(stored.config) or [()])[0]])
        saved_model_variables.assign(old, path)
    return _by_way_of_h5(old, scratch, safe_mode)


def _load_old_h5(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    """An ``.h5`` of Keras 2 by way of tf_keras."""
    import tf_keras

    source = weights_files.with_config(path, stored, stored.config, scratch / "old.h5")
    with _budget(stored.weights if safe_mode else None, tf_keras.layers.Layer), keras2_code.known():
        old = tf_keras.models.load_model(source, compile=False, safe_mode=safe_mode)
    if stored.backend == "theano":
        weights_files.turn_kernels(old)
    return _by_way_of_h5(old, scratch, safe_mode)


def _load_graphs(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    """A SavedModel by TensorFlow's loader, which runs what the file tells it to: only where the user trusts it."""
    import tf_keras

    old = tf_keras.models.load_model(path, compile=False, safe_mode=safe_mode)
    return _by_way_of_h5(old, scratch, safe_mode)


def _by_way_of_h5(old: Any, scratch: Path, safe_mode: bool) -> keras.Model:
    """A model of Keras 2 in memory as one of Keras 3."""
    plain = scratch / "plain.h5"
    old.save(plain, include_optimizer=False)
    return _load_rewritten(plain, read_h5(plain), scratch, safe_mode)


@contextlib.contextmanager
def _budget(held: int | None, layer: Any) -> Iterator[None]:
    """Let layers make no more weights than the file holds: their sizes are known before memory is taken.

    ``layer`` is the base class of Keras 2 or 3. None: no limit.
    """
    left = None if held is None else held + SPARE
    original = layer.add_weight
    signature = inspect.signature(original)

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if args and isinstance(args[0], str):  # the name came first in Keras 2, as code of users has it
            args, kwargs = args[1:], {"name": args[0], **kwargs}
        shape = _shape(signature.bind(self, *args, **kwargs).arguments.get("shape"))
        if left is not None:
            left -= math.prod(n for n in shape if n is not None)
            if left < 0:
                raise ConversionError(
                    f"layer {quoted(self.name)}: a weight of shape {quoted(tuple(shape))}, but the file holds "
                    f"{held:,} numbers in all"
                )
        return original(self, *args, **kwargs)

    layer.add_weight = counted
    try:
        yield
    finally:
        layer.add_weight = original


def _shape(given: Any) -> tuple[int | None, ...]:
    """The shape that a layer asks for: nothing, a number or numbers of some kind."""
    shape = () if given is None else (given,) if isinstance(given, int) else given
    return tuple(None if n is None else int(n) for n in shape)


def _load_rewritten(path: Path, stored: Stored, scratch: Path, safe_mode: bool) -> keras.Model:
    import h5py
    import keras

    config = rewritten(stored.config) if stored.by_keras_2 else _with_modules(stored.config)
    custom_objects.bind(config)
    target = weights_files.with_config(path, stored, config, scratch / "rewritten.h5")
    with h5py.File(target, "r") as file:
        names = weights_files.weighted_layers(file["model_weights"])
    new = without_slashes(stored.config)
    names = [new.get(name, name) for name in names]
    with _budget(stored.weights if safe_mode else None, keras.Layer):
        model = keras.models.load_model(target, compile=False, safe_mode=safe_mode)
    if [layer.name for layer in model.layers if layer.weights] != names:  # Keras assigns them by position
        raise ConversionError("its layers come in another order than their stored weights")
    return model


def _with_modules(model: Item) -> Item:
    """What Keras 3 leaves out of an ``.h5``, so that it fails to load its own: where operations are defined."""
    by_layer = [(layer, _operation_module(layer)) for layer in layers_of(model)]
    layers = [
        {**layer, "module": module, "registered_name": layer["class_name"]} if module else layer
        for layer, module in by_layer
    ]
    return {**model, "config": {**model["config"], "layers": layers}}


def _operation_module(layer: Item) -> str | None:
    """The module of an operation (``x + y``) of Keras 3 among the layers, None for a layer."""
    name, config = layer.get("class_name"), layer.get("config")
    if not isinstance(config, dict) or "trainable" in config or not isinstance(name, str) or name in CALLING:
        return None
    from keras.src.ops.operation import Operation

    for module in ("numpy", "nn", "math", "core", "image", "linalg"):
        operation = vars(importlib.import_module(f"keras.src.ops.{module}")).get(name)
        if isinstance(operation, type) and issubclass(operation, Operation):
            return operation.__module__
    return None


# -- saying it in one line, and silence ---------------------------------------------------------------


@contextlib.contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Send nowhere what C++ code writes to file descriptor 2."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
