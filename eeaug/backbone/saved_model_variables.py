"""The variables of a SavedModel directory given to a model of Keras 2, through TensorFlow's checkpoint reader.

The reader reads tensors by name and knows no graph: nothing in the directory is run. Which variable belongs to
which layer stands in the checkpoint's own tree of objects, whose names are those of the parts of the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eeaug.backbone import saved_model
from eeaug.backbone.saved_model import Node
from eeaug.errors import InputError
from eeaug.support import regular
from eeaug.support.printable import one_line
from eeaug.support.regular import Unreadable

__all__ = ["assign", "elements"]

FOLDER, PREFIX = "variables", "variables"
GRAPH_KEY, VALUE = "_CHECKPOINTABLE_OBJECT_GRAPH", "VARIABLE_VALUE"
LARGEST_INDEX = 64 << 20  # bytes


def elements(path: Path) -> int:
    """How many numbers its variables hold, by what the checkpoint says, which its files can hold.

    Raises
    ------
    InputError : files are missing, damaged, or say that they hold more than their size
    """
    files = sorted((path / FOLDER).glob(f"{PREFIX}.*")) if (path / FOLDER).is_dir() else []
    if not any(file.name == f"{PREFIX}.index" for file in files):
        raise InputError(f"{path}: cannot be loaded: no {FOLDER}/{PREFIX}.index in it: its variables are missing")
    for file in files:
        try:
            regular.facts(file, LARGEST_INDEX if file.suffix == ".index" else None)
        except Unreadable as error:
            raise InputError(f"{path}: {FOLDER}/{file.name} {error}") from None
    reader = _reader(path)
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    stored = sum(file.stat().st_size for file in files)
    counts = {name: math.prod(shape) for name, shape in shapes.items() if types[name].name != "string"}
    declared_bytes = sum(count * types[name].size for name, count in counts.items())
    if declared_bytes > stored or any(count < 0 for count in counts.values()):
        raise InputError(
            f"{path}: its variables are said to have {declared_bytes:,} bytes, its files have {stored:,}"
        )
    return sum(counts.values())


def assign(model: Any, path: Path) -> None:
    """Give all variables of a tf_keras model the values in the directory.

    Raises
    ------
    InputError : the files are damaged
    ValueError : the directory lacks a variable of the model, or has it in another shape
    """
    import tensorflow as tf

    reader = _reader(path)
    keys = _Tree(reader, saved_model.object_graph(path))
    shapes = reader.get_variable_to_shape_map()
    given: set[int] = set()
    for variable, key in keys.of(model, tf.Variable):
        if tuple(shapes.get(key, ())) != tuple(variable.shape) or key not in shapes:
            raise ValueError(
                f"the variable {variable.name!r} of shape {tuple(variable.shape)} is stored in another"
            )
        try:
            variable.assign(reader.get_tensor(key))
        except (tf.errors.OpError, RuntimeError) as error:
            raise InputError(f"{path}: damaged variables: {one_line(str(error), 200)}") from error
        given.add(id(variable))
    missing = [variable.name for variable in model.weights if id(variable) not in given]
    if missing:
        raise ValueError(f"no value for the variable {missing[0]!r} in its checkpoint")


def _reader(path: Path) -> Any:
    import tensorflow as tf

    try:
        return tf.train.load_checkpoint(str(path / FOLDER / PREFIX))
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: damaged variables: {one_line(str(error), 200)}") from error


class _Tree:
    """The two trees of objects that a SavedModel has: of the checkpoint, and with the names of layers."""

    def __init__(self, reader: Any, objects: list[Node]) -> None:
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        graph = TrackableObjectGraph.FromString(reader.get_tensor(GRAPH_KEY))
        self.objects = objects
        self.parts = [{child.local_name: child.node_id for child in node.children} for node in graph.nodes]
        self.keys = [{a.name: a.checkpoint_key for a in node.attributes} for node in graph.nodes]

    def of(self, model: Any, kind: type) -> Iterator[tuple[Any, str]]:
        """Every variable in a model that the checkpoint has, with its name there."""
        pending: list[tuple[Any, int, int | None]] = [(model, 0, 0)]
        seen: set[int] = set()
        while pending:
            thing, number, place = pending.pop()
            if id(thing) in seen or not 0 <= number < len(self.parts):
                continue
            seen.add(id(thing))
            if isinstance(thing, kind) and VALUE in self.keys[number]:
                yield thing, self.keys[number][VALUE]
                continue
            node = self.objects[place] if place is not None and 0 <= place < len(self.objects) else None
            named = self._named(node)
            for name, part in thing._trackable_children().items():
                # the file may number layers in another order: their own names are tried first
                stored = named.get(getattr(part, "name", None), name) if name.startswith("layer") else name
                if stored in self.parts[number]:
                    described = None if node is None else node.children.get(stored)
                    pending.append((part, self.parts[number][stored], described))

    def _named(self, node: Node | None) -> Mapping[Any, str]:
        """How the checkpoint calls each layer of a model, by the name of the layer."""
        if node is None:
            return {}
        layers = {place: number for place, number in node.children.items() if place.startswith("layer-")}
        return {
            self.objects[number].name: place for place, number in layers.items() if 0 < number < len(self.objects)
        }
