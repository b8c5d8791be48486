"""What a SavedModel directory says of the Keras model in it, read without TensorFlow and without running it.

Keras 2 wrote the configuration of every layer as JSON into ``keras_metadata.pb``, before TensorFlow 2.5 into
``saved_model.pb``. Both are protocol buffers. A parser takes the last of a field that stands twice, another reader
might take the first: here every field is read as a list, and a list of two is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from eeaug.backbone import packed
from eeaug.backbone.keras2_config import Item
from eeaug.backbone.model_files import GRAPH_FILE
from eeaug.errors import ConversionError, InputError
from eeaug.support import regular
from eeaug.support.printable import one_line, quoted
from eeaug.support.regular import Unreadable

__all__ = ["GRAPH_FILE", "Node", "object_graph", "read"]

METADATA_FILE = "keras_metadata.pb"
LARGEST = 512 << 20  # bytes of either file
MOST_OBJECTS = 100_000

# The few fields on the way to the descriptions, by number; where TensorFlow has submessages, their bytes
_FIELDS = {
    "SavedModel": {"meta_graphs": 2},
    "MetaGraph": {"object_graph": 7},
    "ObjectGraph": {"nodes": 1},
    "Object": {"children": 1, "user_object": 4},
    "Child": {"node_id": 1, "local_name": 2},
    "UserObject": {"identifier": 1, "metadata": 3},
    "Metadata": {"nodes": 1},
    "MetadataNode": {"node_id": 2, "node_path": 3, "identifier": 4, "metadata": 5},
}
_NUMBERS = ("node_id",)


@dataclass(frozen=True)
class Node:
    """An object in a SavedModel: the numbers of its parts by their names in it, and what it says of itself."""

    children: Mapping[str, int]
    name: str | None  # that of a Keras layer


def read(path: Path) -> tuple[Item, list[Item], str]:
    """What the model in a SavedModel directory is built from, and the Keras version that wrote it.

    Returns the model, all Keras objects of which each has its own description (the model among them), and
    the version.

    Raises
    ------
    InputError : a file of it cannot be read or is damaged
    ConversionError : no Keras model, only graphs
    """
    try:
        texts = _descriptions(path)
        by_number = {number: _description(text) for number, text in texts.items() if text}
    except (DecodeError, OSError, ValueError) as error:
        raise InputError(f"{path}: a damaged SavedModel directory: {one_line(str(error), 200)}") from error
    objects = [by_number[number] for number in sorted(by_number) if "class_name" in by_number[number]]
    root = by_number.get(0, {})
    if not isinstance(root.get("config"), dict) or "layers" not in root["config"]:
        kind = root.get("class_name")
        why = f"only says that its class is {quoted(kind)}" if kind else "has no description of Keras layers"
        raise ConversionError(
            f"{path}: this SavedModel {why} (subclassed, or written by model.export or tf.saved_model.save); "
            "build it as a functional or Sequential model and save that as .keras or .h5"
        )
    items = [{"class_name": item["class_name"], "config": item.get("config")} for item in objects]
    if isinstance(root.get("training_config"), dict):
        items[0]["compile_config"] = root["training_config"]
    if isinstance(root.get("build_input_shape"), list):  # of a Sequential without an input layer
        items[0]["config"].setdefault("build_input_shape", root["build_input_shape"])
    return items[0], items, str(root.get("keras_version", ""))


def object_graph(path: Path) -> list[Node]:
    """The objects in a SavedModel, the model first.

    Raises
    ------
    InputError : a file of it cannot be read or is damaged
    """
    try:
        return _objects(path)
    except (DecodeError, OSError, ValueError) as error:
        raise InputError(f"{path}: a damaged SavedModel directory: {one_line(str(error), 200)}") from error


def _objects(path: Path) -> list[Node]:
    graph = _object_graph(path)
    names = {number: _description(text).get("config") for number, text in _descriptions(path).items() if text}
    nodes = []
    for number, data in enumerate(graph):
        children = [_parsed("Child", child) for child in _parsed("Object", data).children]
        config = names.get(number)
        name = config.get("name") if isinstance(config, dict) else None
        parts = {
            _one(child.local_name, "local_name").decode(): _one(child.node_id, "node_id", 0) for child in children
        }
        nodes.append(Node(parts, None if name is None else str(name)))
    return nodes


def _descriptions(path: Path) -> dict[int, bytes]:
    """The JSON texts of all objects by number, that of the model is 0; empty where one is no Keras object."""
    if not (path / METADATA_FILE).exists():
        users = [_one(_parsed("Object", node).user_object, "user_object") for node in _object_graph(path)]
        return {i: _one(_parsed("UserObject", user).metadata, "metadata") for i, user in enumerate(users)}
    texts: dict[int, bytes] = {}
    for data in _several(_parsed("Metadata", _content(path / METADATA_FILE)).nodes):
        node = _parsed("MetadataNode", data)
        number, place = _one(node.node_id, "node_id", 0), _one(node.node_path, "node_path")
        _one(node.identifier, "identifier")
        if number in texts or (place == b"root") != (number == 0):
            raise ValueError(f"{METADATA_FILE} describes object {number} twice, or by another place than its own")
        texts[number] = _one(node.metadata, "metadata")
    return texts


def _object_graph(path: Path) -> list[bytes]:
    graphs = _several(_parsed("SavedModel", _content(path / GRAPH_FILE)).meta_graphs)
    if not graphs:
        raise ValueError(f"{GRAPH_FILE} ends too early")
    objects = _one(_parsed("MetaGraph", _one(graphs, "meta_graphs")).object_graph, "object_graph_def")
    return _several(_parsed("ObjectGraph", objects).nodes)


def _content(path: Path) -> bytes:
    try:
        return regular.content(path, LARGEST, links=True)
    except Unreadable as error:
        raise Unreadable(f"{path.name} {error}") from None


def _description(text: bytes) -> Item:
    item = _plain(packed.stored_json(text))
    return item if isinstance(item, dict) else {}


def _plain(value: Any) -> Any:
    """Tuples and shapes are stored as objects."""
    if isinstance(value, list):
        return [_plain(child) for child in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape"):
        return _plain(value.get("items"))
    return {key: _plain(child) for key, child in value.items()}


# -- protocol buffers ---------------------------------------------------------------------------------


@cache
def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="eeaug_saved_model.proto", package="eeaug", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, fields in _FIELDS.items():
        message_type = file.message_type.add(name=message)
        for name, number in fields.items():
            kind = kinds.TYPE_INT32 if name in _NUMBERS else kinds.TYPE_BYTES
            message_type.field.add(name=name, number=number, type=kind, label=kinds.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"eeaug.{name}")) for name in _FIELDS}


def _parsed(message: str, data: bytes) -> Any:
    return _messages()[message].FromString(data)


def _one(values: Any, field: str, missing: Any = b"") -> Any:
    """The value of a field that stands once at most."""
    if len(values) > 1:
        raise ValueError(f"the field {field} stands {len(values)} times where it may stand once")
    return values[0] if values else missing


def _several(values: Any) -> list[bytes]:
    if len(values) > MOST_OBJECTS:
        raise ValueError(f"more than {MOST_OBJECTS:,} objects")
    return list(values)
