"""``stage_<n>.c`` and ``.h``: a stage's constants, and its calls with places in the arena."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from eeaug.export.c import sections
from eeaug.export.c.onnx_source import FunctionCall, Parameter, StageCode
from eeaug.export.c_int8.stage_builder import KernelCall, Lowered

__all__ = ["OUTSIDE", "header", "implementation", "planned"]

OUTSIDE = ("input", "probabilities", "handover")


def planned(stage: Lowered, *, last: bool, besides: Sequence[str] = ()) -> StageCode:
    """The stage as the planner of arenas takes it: calls by number, tensors in bytes; ``besides``: names of further
    inputs."""

    def call(i: int, kernel: KernelCall) -> FunctionCall:
        arguments = [(Parameter(name, "int8_t", (stage.tensors[name],), True), name) for name in kernel.reads]
        arguments += [(Parameter(name, "int8_t", (stage.tensors[name],), False), name) for name in kernel.writes]
        return FunctionCall(str(i), kernel.kernels[0] if kernel.kernels else "copy", tuple(arguments), kernel.over,
                            False, kernel.scratch)  # fmt: skip

    calls = tuple(call(i, kernel) for i, kernel in enumerate(stage.calls))
    outside = OUTSIDE[: 2 if last else 3]
    inner = {name: size for name, size in stage.tensors.items() if name not in (*outside, *besides)}
    weights = {constant.name: constant.bytes for constant in stage.constants}
    return StageCode("", {}, weights, {}, calls, inner, outside, tuple(besides))


def header(
    k: int, what: str, prefix: str, arena_bytes: int, inputs: int, outputs: int, handover: int | None,
    carried: int = 0,
) -> str:  # fmt: skip
    """The declaration of the stage's function; inputs, outputs, hand-over and inputs of the model that came past
    the stage before (``carried``; 0: it takes none) are numbers of int8."""
    taken = ", const int8_t *sample" if carried else ""
    besides = f"\n   sample: {carried} of them, inputs of the model;" if carried else ""
    handed = "" if handover is None else ", int8_t *handover"
    more = besides if handover is None else f"{besides}\n   handover: {handover} of them;"
    guard = f"{prefix.upper()}_STAGE_{k}_H"
    return f"""\
/* {what} */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* arena: {arena_bytes} bytes, aligned to 8; input: {inputs} int8 numbers; probabilities: {outputs} of them;{more}
   {prefix}.c keeps some of them in the arena, too, where this stage leaves them alone. */
void {prefix}_stage_{k}(void *arena, const int8_t *input{taken}, int8_t *probabilities{handed});

#ifdef __cplusplus
}}
#endif

#endif
"""


def implementation(
    k: int, what: str, prefix: str, stage: Lowered, calls: Sequence[FunctionCall], last: bool,
    offsets: Mapping[str, int], scratch: Mapping[str, int], views: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """The stage with ``calls`` on tensors at ``offsets`` in bytes of the arena.

    ``views``: where its inputs lie, as C has it (Feed), by their names here; None: one, ``input``.
    """
    outside, views = OUTSIDE[: 2 if last else 3], views or {}
    lines = []
    for call in calls:
        kernel = stage.calls[int(call.function)]
        places = {
            name: views.get(name) or (name if name in outside else f"AT({offsets[name]})")
            for name in (*kernel.reads, *kernel.writes)
        }
        places["scratch"] = f"AT({scratch[call.function]})" if kernel.scratch else "0"
        lines.append("    " + _filled(kernel.code, prefix, places))
    alone = sections.heads(stage.calls, None if last else OUTSIDE[2])
    lines = sections.marked(lines, [alone[int(call.function)] for call in calls])
    code = "\n".join(lines)
    given = ["input", *(["sample"] if any("sample" in view for view in views.values()) else [])]
    unused = [name for name in (*given, *outside[1:]) if not re.search(rf"\b{name}\b", code)]
    lines[:0] = [f"    (void){name};" for name in [*([] if "AT(" in code else ["arena"]), *unused]]
    arrays = [*(f"const int8_t *{p}" for p in given), *(f"int8_t *{p}" for p in outside[1:])]
    parameters = ", ".join(["void *arena", *arrays])
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
