"""``stage_<n>.c`` and ``.h``: a stage's constants, and its calls with places in the arena."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from eeaug.export.c import sections
from eeaug.export.c.onnx_source import FunctionCall, Parameter, StageCode
from eeaug.export.c_int8.stage_builder import KernelCall, Lowered

__all__ = ["OUTSIDE", "header", "implementation", "planned"]

OUTSIDE = ("input", "probabilities", "handover")


def planned(stage: Lowered, *, last: bool) -> StageCode:
    """The stage as the planner of arenas takes it: calls by number, tensors in bytes."""

    def call(i: int, kernel: KernelCall) -> FunctionCall:
        arguments = [(Parameter(name, "int8_t", (stage.tensors[name],), True), name) for name in kernel.reads]
        arguments += [(Parameter(name, "int8_t", (stage.tensors[name],), False), name) for name in kernel.writes]
        return FunctionCall(str(i), kernel.kernels[0] if kernel.kernels else "copy", tuple(arguments), kernel.over,
                            False, kernel.scratch)  # fmt: skip

    calls = tuple(call(i, kernel) for i, kernel in enumerate(stage.calls))
    outside = OUTSIDE[: 2 if last else 3]
    inner = {name: size for name, size in stage.tensors.items() if name not in outside}
    weights = {constant.name: constant.bytes for constant in stage.constants}
    return StageCode("", {}, weights, {}, calls, inner, outside)


def header(
    k: int, what: str, prefix: str, arena_bytes: int, inputs: int, outputs: int, handover: int | None
) -> str:
    """The declaration of the stage's function; inputs, outputs and hand-over are numbers of int8."""
    handed = "" if handover is None else ", int8_t *handover"
    also = "" if handover is None else f"\n   handover: {handover} of them;"
    guard = f"{prefix.upper()}_STAGE_{k}_H"
    return f"""\
/* {what} */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* arena: {arena_bytes} bytes, aligned to 8; input: {inputs} int8 numbers; probabilities: {outputs} of them;{also}
   {prefix}.c keeps some of them in the arena, too, where this stage leaves them alone. */
void {prefix}_stage_{k}(void *arena, const int8_t *input, int8_t *probabilities{handed});

#ifdef __cplusplus
}}
#endif

#endif
"""


def implementation(
    k: int, what: str, prefix: str, stage: Lowered, calls: Sequence[FunctionCall], last: bool,
    offsets: Mapping[str, int], scratch: Mapping[str, int],
) -> str:  # fmt: skip
    """The stage with ``calls`` on tensors at ``offsets`` in bytes of the arena."""
    outside = OUTSIDE[: 2 if last else 3]
    lines = []
    for call in calls:
        kernel = stage.calls[int(call.function)]
        places = {
            name: name if name in outside else f"AT({offsets[name]})" for name in (*kernel.reads, *kernel.writes)
        }
        places["scratch"] = f"AT({scratch[call.function]})" if kernel.scratch else "0"
        lines.append("    " + _filled(kernel.code, prefix, places))
    alone = sections.heads(stage.calls, None if last else OUTSIDE[2])
    lines = sections.marked(lines, [alone[int(call.function)] for call in calls])
    code = "\n".join(lines)
    unused = [name for name in outside if not re.search(rf"\b{name}\b", code)]
    lines[:0] = [f"    (void){name};" for name in [*([] if "AT(" in code else ["arena"]), *unused]]
    parameters = ", ".join(["void *arena", "const int8_t *input", *(f"int8_t *{p}" for p in outside[1:])])
    section = f"{prefix.upper()}_WEIGHTS_SECTION"
    constants = "\n".join(_filled(constant.code(section), prefix, {}) for constant in stage.constants)
    return f"""\
/* {what} */
#include "{prefix}_stage_{k}.h"

#include <string.h>

#include "{prefix}_kernels.h"

#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(4)))
#else
#define ALIGNED
#endif
#ifndef {section}
#define {section}
#endif
#define AT(offset) ((void *)((unsigned char *)arena + (offset)))

{constants}

void {prefix}_stage_{k}({parameters})
{{
{chr(10).join(lines)}
}}
"""


def _filled(code: str, prefix: str, places: Mapping[str, str]) -> str:
    text = code.replace("@{prefix}", f"{prefix}_op")
    return re.sub(r"\{(\w+)\}", lambda match: places.get(match[1], match[0]), text)
