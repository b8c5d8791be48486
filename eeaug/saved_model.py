"""What a SavedModel directory says of the Keras model in it, read without TensorFlow and without running it.

Keras 2 wrote the configuration of every layer as JSON into ``keras_metadata.pb``, before TensorFlow 2.5 into
``saved_model.pb``. Both are protocol buffers, of which only the few fields on the way there are looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eeaug.errors import ConversionError, InputError
from eeaug.keras2_config import Item

__all__ = ["GRAPH_FILE", "read"]

GRAPH_FILE, METADATA_FILE = "saved_model.pb", "keras_metadata.pb"

# Field numbers: SavedMetadata.nodes; SavedObject.node_path and .metadata
NODES, NODE_PATH, METADATA = 1, 3, 5
# SavedModel.meta_graphs, .object_graph_def, .nodes; SavedObject.user_object, .metadata
META_GRAPHS, OBJECT_GRAPH, OBJECTS, USER_OBJECT, USER_METADATA = 2, 7, 1, 4, 3
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # wire types


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
        found = [json.loads(text, object_hook=_plain) for text in _metadata(path) if text]
    except (IndexError, OSError, ValueError) as error:
        raise InputError(f"{path}: a damaged SavedModel directory: {error}") from error
    objects = [item for item in found if isinstance(item, dict) and "class_name" in item]
    if not objects or "layers" not in (objects[0].get("config") or {}):
        kind = objects[0]["class_name"] if objects else None
        why = f"only says that its class is {kind!r}" if kind else "has no description of Keras layers"
        raise ConversionError(
            f"{path}: this SavedModel {why} (subclassed, or written by model.export or tf.saved_model.save); "
            "build it as a functional or Sequential model and save that as .keras or .h5"
        )
    items = [{"class_name": item["class_name"], "config": item.get("config")} for item in objects]
    return items[0], items, str(objects[0].get("keras_version", ""))


def _metadata(path: Path) -> list[bytes]:
    """The JSON texts of all objects, that of the root first; empty where one is no Keras object."""
    if (path / METADATA_FILE).is_file():
        nodes = list(_values((path / METADATA_FILE).read_bytes(), NODES))
        nodes.sort(key=lambda node: next(_values(node, NODE_PATH), b"") != b"root")
        return [next(_values(node, METADATA), b"") for node in nodes]
    data = (path / GRAPH_FILE).read_bytes()
    for number in (META_GRAPHS, OBJECT_GRAPH):
        data = next(_values(data, number), b"")
    users = [next(_values(node, USER_OBJECT), b"") for node in _values(data, OBJECTS)]
    return [next(_values(user, USER_METADATA), b"") for user in users]


def _plain(item: dict[str, Any]) -> Any:
    """Tuples and shapes are stored as objects."""
    return item["items"] if item.get("class_name") in ("__tuple__", "TensorShape") else item


def _values(message: bytes, number: int) -> Iterator[bytes]:
    """The texts, bytes and messages that a message holds under a field number."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            _, at = _varint(message, at)
            continue
        if kind not in (FIXED_64, BYTES, FIXED_32):
            raise ValueError(f"no protocol buffer at byte {at}")
        size, at = _varint(message, at) if kind == BYTES else ({FIXED_64: 8, FIXED_32: 4}[kind], at)
        if at + size > len(message):
            raise ValueError("it ends too early")
        if kind == BYTES and key >> 3 == number:
            yield message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """An integer of seven bits per byte, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
