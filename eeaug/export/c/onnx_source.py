"""One stage's ONNX graph as C functions, whose tensors have no place yet.

emx-onnx-cgen writes a function per node and one that calls them, with an array on the stack for every tensor. The
functions are kept, the caller is not: it is read as a list of calls, so that tensors can be given places in an
arena.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from eeaug.errors import ConversionError
from eeaug.frameworks import keras_to_onnx
from eeaug.support import leftovers

__all__ = ["FunctionCall", "Parameter", "StageCode", "generated", "simplified"]

SIZES = {"float": 4, "double": 8, "int64_t": 8, "uint64_t": 8, "int32_t": 4, "uint32_t": 4, "idx_t": 4,
         "int16_t": 2, "uint16_t": 2, "int8_t": 1, "uint8_t": 1, "bool": 1, "_Bool": 1}  # fmt: skip
ELEMENTWISE = {"Abs", "Add", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu",
               "Max", "Min", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus",
               "Softsign", "Sqrt", "Sub", "Tanh"}  # fmt: skip
COPIES = {"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}  # same bytes in the same order
SMALL = 64  # bytes of an array that a node function may keep on the stack
WIDTH = 112  # of lines of weights

_DIMS = r"(?:\[\d+\])+"
_WEIGHT = re.compile(rf"^const EMX_UNUSED (\w+) (\w+)({_DIMS}) = (\{{.*?\}});\n", re.M | re.S)
_COMMENT = r"^/\*\n(?: \*[^\n]*\n)*? \*/\n"
_NODE = re.compile(
    r"^/\*\n \* Node \d+:\n \* OpType: (\w+)\n(?: \*[^\n]*\n)*? \*/\n"
    r"(EMX_NODE_FN void (\w+)\((.*?)\) \{\n.*?^\}\n)",
    re.M | re.S,
)
_PARAMETER = re.compile(rf"^(const )?(\w+) (\w+)({_DIMS})$")
_LOCAL = re.compile(rf"^( +)(\w+) (\w+)({_DIMS})(?: EMX_UNUSED)?;$", re.M)


@dataclass(frozen=True)
class Parameter:
    """One of a node function, as it is declared."""

    name: str
    type: str
    shape: tuple[int, ...]
    const: bool

    @property
    def bytes(self) -> int:
        return SIZES[self.type] * prod(self.shape)


@dataclass(frozen=True)
class FunctionCall:
    """A node function with the tensors that it reads and writes, by parameter.

    ``over``: its output may lie where this tensor lies, if nothing reads that afterwards. ``copy``: it only copies
    that one. ``scratch`` bytes are needed while it runs. ``code``: of a kernel of ours, with {name} for a tensor.
    """

    function: str
    operator: str
    arguments: tuple[tuple[Parameter, str], ...]
    over: tuple[str, ...]
    copy: bool
    scratch: int
    code: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(name for parameter, name in self.arguments if parameter.const)

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(name for parameter, name in self.arguments if not parameter.const)


@dataclass(frozen=True)
class StageCode:
    """One stage: what comes before its functions, weights and functions by name, and the calls in order.

    ``tensors`` are the temporaries: name → bytes. ``outside``: names in C of the input and the outputs, in order;
    ``besides`` of further inputs.
    """

    preamble: str
    weights: Mapping[str, str]
    weight_bytes: Mapping[str, int]
    functions: Mapping[str, str]
    calls: tuple[FunctionCall, ...]
    tensors: Mapping[str, int]
    outside: tuple[str, ...]
    besides: tuple[str, ...] = ()


def simplified(path: Path) -> Any:
    """The stage's graph for one sample, constants folded and batch norms in the convolutions, by ONNX Runtime.

    Only its basic optimisations, which leave standard operators; names and order depend on the graph alone.
    """
    import onnx
    import onnxruntime

    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_value = 1
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with leftovers.scratch() as folder:
        options.optimized_model_filepath = str(folder / "model.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used | {""}]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    # ONNX Runtime's order of weights differs between processes
    keras_to_onnx.canonical(model, {value.name: value.name for value in (*model.graph.input, *model.graph.output)})
    return model


def generated(model: Any, name: str) -> StageCode:
    """The C functions of a graph with static shapes.

    Raises
    ------
    ConversionError : emx-onnx-cgen has no code for an operator, or writes what is not understood here
    """
    from emx_onnx_cgen import Compiler
    from emx_onnx_cgen.compiler import CompilerOptions

    # thresholds of 0: no file of weights beside the program, no malloc
    options = CompilerOptions(
        model_name=name, restrict_arrays=False, large_temp_threshold_bytes=0, large_weight_threshold=0
    )
    try:
        text = Compiler(options).compile(model)
    except Exception as error:  # its own errors, and whatever its lowerings raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConversionError(f"emx-onnx-cgen cannot write {name} as C: {reason}") from error
    return parsed(text, name, [v.name for v in (*model.graph.input, *model.graph.output)])


def parsed(text: str, name: str, outside: Sequence[str]) -> StageCode:
    """Read what emx-onnx-cgen writes: see :func:`generated`."""
    entry = re.search(rf"^void {name}\((.*?)\) \{{\n(.*?)^\}}\n?", text, re.M | re.S)
    first = re.search(_COMMENT + r"const EMX_UNUSED |^static inline |^/\*\n \* Node 0:", text, re.M)
    if entry is None or first is None:
        raise ConversionError(f"{name}: emx-onnx-cgen wrote no function that is understood")
    preamble = re.sub(r"^extern const .*;\n", "", text[: first.start()], flags=re.M)
    preamble = preamble[preamble.index("#include") :]
    middle = text[first.start() : entry.start()]
    weights = {match[2]: match for match in _WEIGHT.finditer(middle)}
    nodes = {match[3]: match for match in _NODE.finditer(middle)}
    helpers = _WEIGHT.sub("", _NODE.sub("", middle))
    helpers = re.sub(rf"^_Bool {name}_load\(.*?^\}}\n", "", helpers, flags=re.M | re.S)
    helpers = re.sub(r"^/\*\n \* Weight \d+:\n(?: \*[^\n]*\n)*? \*/\n", "", helpers, flags=re.M)
    tensors, called = _body(entry[2], name)
    names = [parameter.name for parameter in _parameters(entry[1], name)]
    if len(names) != len(outside):
        raise ConversionError(f"{name}: emx-onnx-cgen gives it {len(names)} parameters, not {len(outside)}")
    calls, functions = [], {}
    for function, arguments in called:
        if function not in nodes:
            raise ConversionError(f"{name}: emx-onnx-cgen calls {function} and does not write it")
        code, scratch = _without_arrays(nodes[function][2])
        parameters = _parameters(nodes[function][4], function)
        if len(parameters) != len(arguments):
            raise ConversionError(f"{name}: {function} is called with {len(arguments)} arguments")
        operator = nodes[function][1]
        code, pairs = _without_idle(code, tuple(zip(parameters, arguments, strict=True)))
        functions[function] = code
        calls.append(
            FunctionCall(function, operator, pairs, _over(operator, pairs, code), operator in COPIES, scratch)
        )
    used = {argument for _, arguments in called for argument in arguments}
    unknown = used - set(weights) - set(tensors) - set(names)
    if unknown:
        raise ConversionError(f"{name}: emx-onnx-cgen uses {', '.join(sorted(unknown))} and does not declare it")
    mine = {weight: match for weight, match in weights.items() if weight in used}
    return StageCode(
        preamble=preamble.rstrip() + "\n\n" + re.sub(r"\n{3,}", "\n\n", helpers).strip() + "\n",
        weights={weight: _packed(match) for weight, match in mine.items()},
        weight_bytes={weight: SIZES[match[1]] * prod(_shape(match[3])) for weight, match in mine.items()},
        functions=functions,
        calls=tuple(calls),
        tensors=tensors,
        outside=tuple(names),
    )


def _body(body: str, name: str) -> tuple[dict[str, int], list[tuple[str, tuple[str, ...]]]]:
    """Of the function that calls the others: bytes of its arrays, and (function, arguments) of its calls."""
    tensors: dict[str, int] = {}
    calls: list[tuple[str, tuple[str, ...]]] = []
    for line in body.splitlines():
        declared = re.fullmatch(rf" +(\w+) (\w+)({_DIMS});", line)
        called = re.fullmatch(r" +(\w+)\(([\w, ]*)\);", line)
        if declared is not None and declared[1] in SIZES:
            tensors[declared[2]] = SIZES[declared[1]] * prod(_shape(declared[3]))
        elif called is not None:
            calls.append((called[1], tuple(called[2].split(", "))))
        else:
            raise ConversionError(f"{name}: emx-onnx-cgen wrote what is not understood: {line.strip()[:100]}")
    return tensors, calls


def _parameters(text: str, name: str) -> tuple[Parameter, ...]:
    parameters = []
    for part in text.split(", "):
        match = _PARAMETER.match(part)
        if match is None or match[2] not in SIZES:
            raise ConversionError(f"{name}: emx-onnx-cgen wrote what is not understood: {part[:100]}")
        parameters.append(Parameter(match[3], match[2], _shape(match[4]), bool(match[1])))
    return tuple(parameters)


def _shape(dims: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", dims))


def _without_arrays(code: str) -> tuple[str, int]:
    """A node function whose larger arrays lie in scratch memory, which it then takes; and the bytes of that."""
    taken = 0

    def moved(match: re.Match[str]) -> str:
        nonlocal taken
        indent, kind, name, dims = match.groups()
        size = SIZES.get(kind, 8) * prod(_shape(dims))
        if size <= SMALL:
            return match[0]
        at, taken = taken, taken + -(-size // 8) * 8
        rest = "".join(f"[{n}]" for n in _shape(dims)[1:])
        pointer = f"(*const {name}){rest}" if rest else f"*const {name}"
        cast = f"{kind} (*){rest}" if rest else f"{kind} *"
        return f"{indent}{kind} {pointer} = ({cast})(void *)(scratch + {at});"

    changed = _LOCAL.sub(moved, code)
    if taken:
        changed = changed.replace(") {\n", ", unsigned char *scratch) {\n", 1)
    return changed, taken


def _without_idle(
    code: str, pairs: tuple[tuple[Parameter, str], ...]
) -> tuple[str, tuple[tuple[Parameter, str], ...]]:
    """A node function without the parameters that it does not use (numbers of Tile, known by now), of which
    compilers warn."""
    head, body = code.split("{\n", 1)
    kept = tuple((parameter, name) for parameter, name in pairs if _places(parameter.name, body))
    for parameter, _ in set(pairs) - set(kept):
        head = re.sub(rf"const \w+ {parameter.name}(?:{_DIMS}), |, const \w+ {parameter.name}{_DIMS}", "", head)
    return f"{head}{{\n{body}", kept


def _over(operator: str, pairs: Sequence[tuple[Parameter, str]], code: str) -> tuple[str, ...]:
    """Tensors that the output may replace: read at the very place that is written, and nowhere else."""
    outputs = [parameter for parameter, _ in pairs if not parameter.const]
    if operator not in ELEMENTWISE | COPIES or len(outputs) != 1:
        return ()
    output = outputs[0]
    inputs = [(p, name) for p, name in pairs if p.const and p.type == output.type and p.bytes == output.bytes]
    if operator in COPIES:
        return tuple(name for _, name in inputs[:1])
    body = code[code.index("{\n") :]
    place = _places(output.name, body)
    if len(place) != 1:
        return ()
    return tuple(name for p, name in inputs if p.shape == output.shape and set(_places(p.name, body)) == set(place))


def _places(name: str, body: str) -> list[str]:
    """The index expressions with which a parameter is used; '' where it is used without."""
    return [match[1] for match in re.finditer(rf"\b{name}\b((?:\[[^\]]*\])*)", body)]


def _packed(weight: re.Match[str]) -> str:
    """The definition of a weight in full lines; private to its file."""
    lines: list[str] = []
    line = f"static const {weight[1]} {weight[2]}{weight[3]} ="
    values = " ".join(weight[4].split()).replace("{ ", "{").replace(" }", "}") + ";"
    for part in values.split(" "):
        if len(line) + len(part) >= WIDTH:
            lines.append(line)
            line = part
        else:
            line += " " + part
    return "\n".join([*lines, line]) + "\n"
