"""``<prefix>_stage_<n>.c`` and ``.h``: a stage's functions, its weights, and the calls with places in the arena."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from eeaug.export.c import sections
from eeaug.export.c.onnx_source import FunctionCall, Parameter, StageCode

__all__ = ["header", "implementation"]

# emx-onnx-cgen mixes signed indices with sizes; this project's own code is compiled with these warnings on.
QUIET = """\
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif"""
LOUD = """\
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif"""


def header(
    prefix: str, k: int, what: str, arena_bytes: int, inputs: int, outputs: int, handover: int | None,
    carried: int = 0,
) -> str:  # fmt: skip
    """The declaration of ``<prefix>_stage_<k>``; inputs, outputs, hand-over and inputs of the model that came past
    the stage before (``carried``; 0: it takes none) are numbers of floats."""
    taken = ", const float *sample" if carried else ""
    besides = f"\n   sample: {carried} floats, inputs of the model;" if carried else ""
    handed = "" if handover is None else ", float *handover"
    also = "" if handover is None else f"\n   handover: {handover} floats;"
    return f"""\
/* {what} */
#ifndef {prefix.upper()}_STAGE_{k}_H
#define {prefix.upper()}_STAGE_{k}_H

#ifdef __cplusplus
extern "C" {{
#endif

/* arena: {arena_bytes} bytes, aligned to 8; input: {inputs} floats; probabilities: {outputs} floats;{besides}{also}
   {prefix}.c keeps some of them in the arena, too, where this stage leaves them alone. */
void {prefix}_stage_{k}(void *arena, const float *input{taken}, float *probabilities{handed});

#ifdef __cplusplus
}}
#endif

#endif
"""


def implementation(
    prefix: str, k: int, what: str, source: StageCode, calls: Sequence[FunctionCall],
    offsets: Mapping[str, int], scratch: Mapping[str, int], views: Sequence[str] = ("input",),
) -> str:  # fmt: skip
    """The stage with ``calls`` on tensors at ``offsets`` in bytes of the arena.

    ``views``: where each of its inputs lies, as C has it (Feed).
    """
    first, *outputs = source.outside
    outer = dict(zip((first, *source.besides), views, strict=True))
    outer |= dict(zip(outputs, ("probabilities", "handover"), strict=False))
    functions, lines = [], []
    for i, call in enumerate(calls):
        if call.code:
            places = {tensor: _place(tensor, source, outer) for _, tensor in call.arguments}
            lines.append(f"    {_filled(call.code, prefix, places)}")
            continue
        name = f"node_{i}_{call.operator.lower()}"
        functions.append(re.sub(rf"\b{call.function}\b", name, source.functions[call.function]))
        arguments = [_argument(parameter, tensor, source, outer) for parameter, tensor in call.arguments]
        if call.scratch:
            arguments.append(f"AT({scratch[call.function]})")
        lines.append(f"    {name}({', '.join(arguments)});")
    handover = source.outside[2] if len(source.outside) > 2 else None
    alone = sections.heads(source.calls, handover)
    lines = sections.marked(lines, [alone[source.calls.index(call)] for call in calls])
    code = "\n".join(lines)
    takes_sample = any("sample" in view for view in views)
    named = ["input", *(["sample"] if takes_sample else []), *("probabilities", "handover")[: len(outputs)]]
    idle = [name for name in named if not re.search(rf"\b{name}\b", code)]
    lines[:0] = [f"    (void){name};" for name in [*([] if "AT(" in code else ["arena"]), *idle]]
    given = ["const float *input", *(["const float *sample"] if takes_sample else [])]
    results = [f"float *{p}" for p in ("probabilities", "handover")[: len(outputs)]]
    parameters = ", ".join(["void *arena", *given, *results])
    used = {tensor for call in calls for _, tensor in call.arguments}
    section = f"{prefix.upper()}_WEIGHTS_SECTION"
    weights = "\n".join(_filled(text, prefix, {}) for name, text in source.weights.items() if name in used)
    weights = re.sub(r"^static const ", f"static const {section} ", weights, flags=re.M)
    kernels = f'#include "{prefix}_kernels.h"\n' if any(call.code for call in calls) else ""
    theirs = f"\n{QUIET}\n{source.preamble}\n{chr(10).join(functions)}\n{LOUD}\n" if functions else ""
    return f"""\
/* {what} */
#include "{prefix}_stage_{k}.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

{kernels}
#ifndef {section}
#define {section}
#endif
#define AT(offset) ((void *)((unsigned char *)arena + (offset)))
{_enum([tensor for tensor in offsets if f"AT({_at(tensor)})" in code], offsets)}
{weights}{theirs}
void {prefix}_stage_{k}({parameters})
{{
{chr(10).join(lines)}
}}
"""


def _enum(tensors: Sequence[str], offsets: Mapping[str, int]) -> str:
    if not tensors:
        return ""
    listed = ",\n".join(f"    {_at(tensor)} = {offsets[tensor]}" for tensor in tensors)
    return f"\n/* Where tensors lie in the arena, in bytes, each in its time. */\nenum {{\n{listed}\n}};\n"


def _at(tensor: str) -> str:
    """The name of a tensor's place."""
    return f"{tensor}_at"


def _filled(code: str, prefix: str, places: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: places.get(match[1], match[0]), code.replace("@{prefix}", prefix))


def _place(tensor: str, source: StageCode, outer: Mapping[str, str]) -> str:
    """Of a tensor that a kernel of ours takes."""
    if tensor in source.weights:
        return tensor
    return outer[tensor] if tensor in outer else f"AT({_at(tensor)})"


def _argument(parameter: Parameter, tensor: str, source: StageCode, outer: Mapping[str, str]) -> str:
    if tensor in source.weights:
        return tensor
    if tensor not in outer:
        return f"AT({_at(tensor)})"
    inner = "".join(f"[{n}]" for n in parameter.shape[1:])
    qualified = f"{'const ' if parameter.const else ''}{parameter.type}"
    return f"({qualified} (*){inner}){outer[tensor]}" if inner else f"({qualified} *){outer[tensor]}"
