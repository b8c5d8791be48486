"""An int8 stage's operators as calls of kernels.

Every operator of LiteRT is one call or a few. Those that act on each element alike (sigmoid, ELU, requantising, a
product with one number) become a table of 256 results, asked of LiteRT itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from eeaug.errors import ConversionError
from eeaug.export.c_int8 import copies, elementwise, weighted, windows
from eeaug.export.c_int8.stage_builder import (
    Lowered,
    StageBuilder,
    copied,
)
from eeaug.frameworks import tflite_graph
from eeaug.frameworks.tflite_graph import Graph, Operator

__all__ = ["check_operators", "lowered"]


def check_operators(names: Iterable[str]) -> None:
    """Raises ConversionError where an operator is none that C is written for."""
    lacking = sorted(set(names) - {*LOWERINGS, *elementwise.TABLES, *copies.SAME_BYTES})
    if lacking:
        raise ConversionError(f"there is no int8 C for {', '.join(lacking)}")


def lowered(
    content: bytes, names: Mapping[str, str], taken: NDArray[np.int8] | None = None, *, vectors: bool = True,
    handed: str | None = None,
) -> Lowered:  # fmt: skip
    """The int8 file as calls.

    Parameters
    ----------
    names : of its inputs and outputs in C, by those of the signature
    vectors : whether the core may have vector extensions (MVE), for which more scratch memory is needed
    taken : (256,) what each int8 number of its input becomes first; None: itself. Of several inputs that is the one
        called ``handed``

    Raises
    ------
    ConversionError : there is no C for an operator, or not for its tensors
    """
    graph = tflite_graph.read(content)
    check_operators(operator.kind for operator in graph.operators)
    stage = StageBuilder(graph, content, {}, vectors)
    ends = {index: names[name] for name, index in graph.inputs.items()}
    first = next(iter(graph.inputs.values())) if handed is None else graph.inputs[handed]
    if taken is not None:
        ends[first] = "taken"
        table = elementwise.table_name(stage, taken)
        elementwise.look_up(stage, table, "input", "taken", graph.tensors[first].size)
    outputs = _outputs(graph, names)
    for name, index in outputs.items():
        if index not in ends:
            ends[index] = name
    stage.names.update(ends)
    for place, operator in enumerate(graph.operators):
        _check_types(graph, operator)
        if operator.kind in copies.SAME_BYTES:
            copies.same_bytes(stage, operator)
        elif operator.kind in elementwise.TABLES or elementwise.is_table(stage, operator):
            elementwise.table(stage, place, operator)
        else:
            LOWERINGS[operator.kind](stage, operator)
    for name, index in outputs.items():  # one that is the input, or another output
        if stage.names[index] != name:
            copied(stage, stage.names[index], name, graph.tensors[index].size)
    sizes = {name: graph.tensors[index].size for index, name in stage.names.items()}
    sizes |= {name: graph.tensors[index].size for name, index in outputs.items()}
    sizes |= {} if taken is None else {"input": graph.tensors[first].size}
    used = {name for call in stage.calls for name in (*call.reads, *call.writes)}
    return Lowered(tuple(stage.calls), tuple(stage.constants), {n: size for n, size in sizes.items() if n in used})


def _outputs(graph: Graph, names: Mapping[str, str]) -> dict[str, int]:
    return {names[name]: index for name, index in graph.outputs.items()}


def _check_types(graph: Graph, operator: Operator) -> None:
    computed = [t for t in (*operator.inputs, *operator.outputs) if t >= 0 and graph.tensors[t].values is None]
    kinds = {graph.tensors[t].type for t in computed} - {"INT8"}
    if kinds:
        raise ConversionError(f"there is no int8 C for {operator.kind} on {' and '.join(sorted(kinds))}")
    if operator.kind in WINDOWED and graph.tensors[computed[0]].shape[0] != 1:
        raise ConversionError(f"there is no int8 C for {operator.kind} on several samples at once")


WINDOWED = {"CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"}
LOWERINGS: Mapping[str, Callable[[StageBuilder, Operator], None]] = {
    "CONV_2D": weighted.convolution,
    "DEPTHWISE_CONV_2D": weighted.depthwise,
    "FULLY_CONNECTED": weighted.fully_connected,
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
    "AVERAGE_POOL_2D": windows.pool,
    "MAX_POOL_2D": windows.pool,
    "MEAN": windows.reduction,
    "REDUCE_MAX": windows.reduction,
    "SOFTMAX": windows.softmax,
    "PAD": copies.padded,
    "PADV2": copies.padded,
    "CONCATENATION": copies.concatenation,
    "PACK": copies.concatenation,
    "TRANSPOSE": copies.transposed,
    "UNPACK": copies.unpacked,
    "SLICE": copies.sliced,
    "STRIDED_SLICE": copies.sliced,
}
