"""An ONNX file, read and checked; nothing in it is run, and no framework is imported but onnx itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from eeaug.errors import ConversionError, InputError
from eeaug.support import regular
from eeaug.support.printable import quoted
from eeaug.support.regular import Unreadable

__all__ = ["SUFFIX", "is_onnx", "read", "sha256"]

SUFFIX = ".onnx"
LARGEST = 2 << 30  # bytes that protobuf can hold, and that a session of ONNX Runtime is given in one piece
MOST_NODES = 20_000
OLDEST_OPSET, NEWEST_OPSET = 7, 26
FIELDS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)  # of a ModelProto, behind ir_version
DOMAINS = {"": OLDEST_OPSET, "ai.onnx": OLDEST_OPSET, "ai.onnx.ml": 1, "com.microsoft": 1}
QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger",
             "QLinearMatMul", "MatMulInteger")  # fmt: skip
EXTERNAL = 1  # TensorProto.EXTERNAL


def is_onnx(path: Path, start: bytes) -> bool:
    """Whether a file is one of ONNX, by its name or its first bytes: the field ir_version, a small number."""
    return path.suffix.lower() == SUFFIX or (
        len(start) > 2 and start[0] == 8 and 3 <= start[1] <= 20 and start[2] in FIELDS
    )


def read(path: Path) -> Any:
    """The ``onnx.ModelProto`` of a file, its weights read in, its functions written out.

    Raises
    ------
    InputError : missing, damaged, too large, or weights of it are missing or elsewhere than in its folder
    ConversionError : operators of other domains, quantised, or older or newer than what is known
    """
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(_content(path))
    except DecodeError:
        raise InputError(f"{path}: a damaged ONNX file, or none") from None
    if not model.HasField("graph") or not model.graph.node:
        raise InputError(f"{path}: an ONNX file without a graph")
    _load_external(path, model)
    _check_domains(path, model)
    try:
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        _check(onnx, model)
    except Exception as error:  # the checker's own errors come from C++
        lines = " ".join(str(error).split())
        raise InputError(f"{path}: a damaged ONNX file: {lines[:200]}") from None
    nodes = list(_nodes(model.graph))
    if len(nodes) > MOST_NODES:
        raise ConversionError(f"{path}: {len(nodes):,} nodes, more than {MOST_NODES:,}")
    for node in nodes:
        if node.op_type in QUANTISED:
            raise ConversionError(
                f"{path}: node {quoted(node.name or node.op_type)} ({node.op_type}): the model is quantised; give "
                "the float model"
            )
    return model


def _check(onnx: Any, model: Any) -> None:
    """The checker of ``onnx``; outputs whose shape is left out, which it refuses, are read by every runtime."""
    open_shapes = [
        value.type.tensor_type
        for value in model.graph.output
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape")
    ]
    for kind in open_shapes:
        kind.shape.SetInParent()
    onnx.checker.check_model(model)
    for kind in open_shapes:
        kind.ClearField("shape")


def sha256(path: Path) -> str:
    """Hash of the file's bytes and of those of the files that hold its weights, if there are any."""
    import onnx

    content = path.read_bytes()
    model = onnx.ModelProto()
    model.ParseFromString(content)
    outside = sorted({_location(path, tensor) for tensor in _tensors(model) if tensor.data_location == EXTERNAL})
    if not outside:
        return hashlib.sha256(content).hexdigest()
    lines = [f"{hashlib.sha256(content).hexdigest()}\n"]
    for place in outside:
        with place.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {place.name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _content(path: Path) -> bytes:
    try:
        with regular.opened(path, None, links=True) as file:
            if path.stat().st_size >= LARGEST:
                raise InputError(f"{path}: more than 2 GiB, which ONNX Runtime does not take in one piece")
            return bytes(file.read())
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _graphs(model: Any) -> Iterator[Any]:
    pending = [model.graph]
    while pending:
        graph = pending.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                pending += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _nodes(body)


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
    for function in model.functions:
        for node in function.node:
            for attribute in node.attribute:
                yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)


def _load_external(path: Path, model: Any) -> None:
    """Read weights that lie in other files: only in files of the model's own folder."""
    total = 0
    for tensor in _tensors(model):
        if tensor.data_location != EXTERNAL:
            continue
        place = _location(path, tensor)
        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            offset, there = int(entries.get("offset", 0)), place.stat().st_size
            length = int(entries.get("length", there - offset))
        except ValueError:
            raise InputError(f"{path}: where {quoted(tensor.name)} lies in {place.name} is no number") from None
        except OSError:
            raise InputError(
                f"{path}: its weights are in {quoted(place.name)}, which is not beside it: copy both files"
            ) from None
        if offset < 0 or length < 0 or offset + length > there:
            raise InputError(f"{path}: the weight {quoted(tensor.name)} lies behind the end of {place.name}")
        total += length
        if total >= LARGEST:
            raise InputError(f"{path}: its weights take more than 2 GiB, which ONNX Runtime does not take")
        with regular.opened(place, None, links=False) as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        del tensor.external_data[:]
        tensor.data_location = 0


def _location(path: Path, tensor: Any) -> Path:
    name = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    given = PurePosixPath(name.replace("\\", "/"))
    place = path.parent / given
    inside = place.resolve().is_relative_to(path.parent.resolve())
    if not name or given.is_absolute() or ".." in given.parts or ":" in name or not inside:
        raise InputError(f"{path}: its weights lie in {quoted(name)}, outside of its folder")
    return place


def _check_domains(path: Path, model: Any) -> None:
    functions = {(function.domain, function.name) for function in model.functions}
    nodes = [*_nodes(model.graph), *(node for function in model.functions for node in function.node)]
    for node in nodes:
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in functions:
            raise ConversionError(
                f"{path}: node {quoted(node.name or node.op_type)} is an operator of the domain "
                f"{quoted(node.domain)}, whose code the file does not hold; export with operators of ONNX alone"
            )
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and not OLDEST_OPSET <= opset.version <= NEWEST_OPSET:
            raise ConversionError(
                f"{path}: opset {opset.version}; eeaug reads {OLDEST_OPSET} to {NEWEST_OPSET}: export so"
            )
