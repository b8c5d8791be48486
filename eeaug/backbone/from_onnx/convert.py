"""An ONNX graph as a functional Keras model, node by node, and which layer stands for which of its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.backbone import from_torch, model_files
from eeaug.backbone.from_onnx import (
    arithmetic,
    atoms,
    classical,
    constants,
    file,
    fused,
    joining,
    normalising,
    products,
    recurrent,
    shaping,
    windows,
)  # fmt: skip
from eeaug.backbone.from_onnx.atoms import Value
from eeaug.backbone.from_onnx.builder import Builder, Operand, Unsupported
from eeaug.backbone.safe_names import safe
from eeaug.errors import ConversionError
from eeaug.support import leftovers
from eeaug.support.printable import quoted

__all__ = ["VERSION", "Converted", "Origin", "converted", "of_kind", "of_program"]

VERSION = 1  # of the conversion: rises where the same file gives other numbers
HANDLERS: dict[str, Callable[[Builder, Sequence[Operand | None], Mapping[str, Any]], Any]] = {
    name: handler
    for room in (arithmetic, products, windows, shaping, joining, normalising, recurrent, classical)
    for name, handler in room.HANDLERS.items()
}
# What a sample goes through before something shows which of its axes are channels
_ON_THE_WAY = ("Identity", "Cast", "Add", "Sub", "Mul", "Div", "Pad", "Dropout", "Relu", "Clip", "Scaler")
_CHANNELS_FIRST = ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "BatchNormalization", "ConvTranspose",
                   "InstanceNormalization")  # fmt: skip
_WHOLE_NUMBERS = (2, 3, 4, 5, 6, 7, 12, 13)  # element types of TensorProto


_Open = tuple[int | None, ...]
Shape = _Open | Callable[[_Open], _Open] | None


@dataclass(frozen=True)
class Origin:
    """The ONNX value that a layer stands for, and how its axes lie in the layer's tensor (batch, *memory).

    ``value`` is of one sample: its shape for a batch of one is ``shape``; cut into ``parts`` and transposed by
    ``order`` it is in the order of memory.
    """

    node: str
    value: str
    shape: tuple[int, ...]
    parts: tuple[int, ...]
    order: tuple[int, ...]

    def in_memory(self, array: Any) -> Any:
        """An array of this value for one sample, flat in the order of memory."""
        return np.asarray(array).reshape(self.parts).transpose(self.order).ravel()


@dataclass(frozen=True)
class Converted:
    """A Keras model, what each of its layers stands for, by the layer's name, and the ``onnx.ModelProto`` itself.

    ``inputs``: names of its inputs there, by those of the Keras model; ``sha256``: of the file, with its weights.
    """

    model: Any
    origins: Mapping[str, Origin] = field(repr=False)
    proto: Any = field(repr=False)
    inputs: Mapping[str, str]
    sha256: str


def of_kind(
    kind: str, path: Path, keras: Any, input_shape: Shape = None, reserved: Sequence[str] = ()
) -> Converted:
    """The classifier in a file of this kind (of stored_model.Stored): "onnx", or "torch"; see :func:`converted`."""
    return (converted if kind == "onnx" else of_program)(path, keras, input_shape, reserved)


def of_program(path: Path, keras: Any, input_shape: Shape = None, reserved: Sequence[str] = ()) -> Converted:
    """The same for a program of torch.export, by way of ONNX."""
    with leftovers.scratch() as scratch:
        through = converted(from_torch.exported(path, scratch / "program.onnx"), keras, input_shape, reserved)
    return replace(through, sha256=model_files.sha256(path))


def converted(path: Path, keras: Any, input_shape: Shape = None, reserved: Sequence[str] = ()) -> Converted:
    """The classifier in an ONNX file as a Keras model with the file's input shape, its outputs by their names.

    Outputs that are labels (of ArgMax, ZipMap) are left out. ``input_shape``: of a sample, where the
    file leaves it open, or what gives it for the file's own. ``reserved`` are names that no layer gets.

    Raises
    ------
    InputError, ConversionError : as file.read, or a node has no equal in Keras; names the node
    """
    proto = file.read(path)
    if proto.graph.sparse_initializer:
        raise ConversionError(f"{path}: it has sparse weights, which Keras has not")
    opsets = {opset.domain or "": opset.version for opset in proto.opset_import}
    known = {tensor.name: constants.plain(_array(tensor)) for tensor in proto.graph.initializer}
    graph = _without_weights(proto)
    _written_out(graph, known)
    outputs = _scores(path, graph)
    fused.fuse(graph, known)
    needed = _needed(graph, outputs)
    operands: dict[str, Operand] = dict(known)
    inputs = _inputs(path, graph, keras, known, needed, input_shape, reserved)
    taken = {*(tensor.name for tensor in inputs.values()), *reserved}
    builder = Builder(keras, opsets.get("", opsets.get("ai.onnx", 1)), None, taken, {})
    for name, tensor in inputs.items():
        groups = tuple(atoms.atom(n) for n in tensor.shape[1:])
        value = Value(tensor, groups, ((), *groups))
        operands[name] = _at_the_door(builder, graph, name, value)
    origins: dict[str, Origin] = {}
    read = {name for node in needed for name in node.input} | set(outputs.values())
    for node in needed:
        for k, name in enumerate(node.output):
            if name not in read:
                node.output[k] = ""
        results = _node(path, builder, node, operands, opsets)
        for name, result in zip(node.output, results, strict=False):
            if not name or result is None:
                continue
            operands[name] = result
            if isinstance(result, Value):
                layer = result.tensor._keras_history.operation.name
                origins.setdefault(layer, _origin(node, name, result))
    ends = {name: _end(path, builder, name, operands[value]) for name, value in outputs.items()}
    tensors = list(inputs.values()) if len(inputs) > 1 else next(iter(inputs.values()))
    whole = keras.Model(tensors, ends if len(ends) > 1 else next(iter(ends.values())), name="onnx")
    names = {tensor.name: name for name, tensor in inputs.items()}
    return Converted(whole, origins, proto, names, file.sha256(path))


def _without_weights(proto: Any) -> Any:
    """A copy of the graph whose nodes may be changed."""
    graph = type(proto.graph)()
    graph.node.extend(proto.graph.node)
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    return graph


def _array(tensor: Any) -> Any:
    import onnx

    return onnx.numpy_helper.to_array(tensor)


def _written_out(graph: Any, known: dict[str, Any]) -> None:
    """Constants that are nodes, and copies of constants, among the known ones; their nodes away."""
    kept = []
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain:
            known[node.output[0]] = constants.folded(node, [], {})[0]
        elif node.op_type == "Identity" and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
        else:
            kept.append(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _scores(path: Path, graph: Any) -> dict[str, str]:
    """The outputs that hold numbers, and the values that they are; of a ZipMap what it names."""
    maker = {name: node for node in graph.node for name in node.output}
    scores: dict[str, str] = {}
    for value in graph.output:
        node = maker.get(value.name)
        kind = value.type.tensor_type.elem_type
        if node is not None and node.op_type == "ZipMap":
            scores[value.name] = node.input[0]
        elif kind in (8, *_WHOLE_NUMBERS) or (node is not None and node.op_type in classical.LABELS):
            continue  # texts or numbers of classes
        else:
            scores[value.name] = value.name
    if not scores:
        raise ConversionError(f"{path}: all that it gives out are labels; eeaug needs probabilities or logits")
    return scores


def _needed(graph: Any, outputs: Mapping[str, str]) -> list[Any]:
    """The nodes that outputs depend on, in the file's order, which is topological."""
    wanted, nodes = set(outputs.values()), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            nodes.append(node)
            wanted |= {name for name in node.input if name}
    return nodes[::-1]


def _inputs(
    path: Path, graph: Any, keras: Any, known: Mapping[str, Any], needed: Sequence[Any],
    shape: Shape, reserved: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """A Keras input for each of the graph's that is read."""
    read = {name for node in needed for name in node.input}
    inputs: dict[str, Any] = {}
    for value in graph.input:
        if value.name in known or value.name not in read:
            continue
        kind = value.type.tensor_type
        dims = [dim.dim_value or None for dim in kind.shape.dim]
        given = dims[1:]
        if None in given and shape is not None:
            given = list(shape(tuple(given)) if callable(shape) else shape)
        if not dims or kind.elem_type == 8:
            raise ConversionError(f"{path}: its input {quoted(value.name)} is no array of numbers for every sample")
        if None in given:
            raise ConversionError(
                f"{path}: its input {quoted(value.name)} has the open shape {tuple(given)}; --input-shape fixes it"
            )
        if len(given) != len(dims) - 1:
            raise ConversionError(
                f"{path}: its input {quoted(value.name)} has {len(dims) - 1} axes after the batch, not {len(given)}"
            )
        dtype = "int32" if _looked_up(needed, value.name) else "float32"
        plain = safe(value.name)
        while plain in reserved[1:] or any(tensor.name == plain for tensor in inputs.values()):
            plain += "_"
        inputs[value.name] = keras.Input(tuple(given), dtype=dtype, name=plain)
    if not inputs:
        raise ConversionError(f"{path}: its outputs depend on no input")
    return inputs


def _looked_up(nodes: Sequence[Any], name: str) -> bool:
    """Whether numbers of this value say which row of a table is meant."""
    return any(node.op_type == "Gather" and len(node.input) > 1 and node.input[1] == name for node in nodes)


def _at_the_door(builder: Builder, graph: Any, name: str, value: Value) -> Value:
    """Samples with channels first are put into the order of Keras once, before anything reads them."""
    current = name
    while len(value.axes) > 2:
        readers = [node for node in graph.node if current in node.input]
        if any(node.op_type in _CHANNELS_FIRST for node in readers):
            space = value.axes[2:]
            layer = builder.keras.layers.Permute((*range(2, len(space) + 2), 1), name=builder.free("channels_last"))
            return Value(layer(value.tensor), (*space, value.axes[1]), value.axes)
        onward = [node for node in readers if node.op_type in _ON_THE_WAY]
        if not onward or len(readers) > 1:
            break
        current = onward[0].output[0]
    return value


def _node(
    path: Path, builder: Builder, node: Any, operands: Mapping[str, Operand], opsets: Mapping[str, int]
) -> tuple[Operand | None, ...]:
    where = f"{path}: node {quoted(node.name or node.output[0])} ({node.op_type})"
    builder.node = node
    inputs = [operands[name] if name else None for name in node.input]
    try:
        if node.op_type in ("Shape", "Size"):
            return (_shape(node, inputs[0]),)
        if not any(isinstance(operand, Value) for operand in inputs):
            return constants.folded(node, inputs, opsets)  # type: ignore[arg-type]
        handler = HANDLERS.get(node.op_type)
        if handler is None:
            raise Unsupported("eeaug knows no layer of Keras for this operator")
        result = handler(builder, inputs, constants.attributes(node))
    except Unsupported as error:
        raise ConversionError(f"{where}: {error}") from None
    except ConversionError:
        raise
    except Exception as error:  # Keras, numpy and the reference implementation raise whatever they do
        text = " ".join(str(error).split())
        raise ConversionError(
            f"{where}: cannot be brought to Keras: {text[:200] or type(error).__name__}"
        ) from error
    return result if isinstance(result, tuple) else (result,)


def _shape(node: Any, operand: Operand | None) -> Any:
    if operand is None:
        raise Unsupported("it reads nothing")
    shape = list(operand.shape)
    if node.op_type == "Size":
        return np.asarray(np.prod(shape), np.int64)
    values = constants.attributes(node)
    return np.asarray(shape[values.get("start", 0) : values.get("end", None)], np.int64)


def _origin(node: Any, name: str, value: Value) -> Origin:
    logical = atoms.flat(value.axes)
    order = tuple(logical.index(one) for one in atoms.flat(value.memory))
    return Origin(node.name or name, name, value.shape, tuple(one.size for one in logical), order)


def _end(path: Path, builder: Builder, name: str, operand: Operand) -> Any:
    """The tensor of an output, its numbers in the order of ONNX."""
    if not isinstance(operand, Value):
        raise ConversionError(f"{path}: its output {quoted(name)} is a constant")
    groups = list(operand.axes)
    while len(groups) > 1 and not groups[0]:
        groups.pop(0)
    return builder.arranged(operand, groups)
