"""``cascade.h`` and ``.c``: a function for each processor, the hand-over structs, the operating points."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from math import prod

import numpy as np

from eeaug.bundle.entries import StageEntry
from eeaug.cascade.output import Decision
from eeaug.export.c import decisions
from eeaug.export.c.plan import MemoryPlan

__all__ = [
    "Facts",
    "PlannedProcessor",
    "alone",
    "c_name",
    "filled",
    "implementation",
    "interface",
    "literal",
    "point",
    "run",
    "values",
]


@dataclass(frozen=True)
class PlannedProcessor:
    """A processor and the numbers of the stages that it runs, with their plan. ``stem``: its name in C."""

    name: str
    stem: str
    stages: range
    plan: MemoryPlan


@dataclass(frozen=True)
class Facts:
    """Everything else that the cascade's source says; ``stages`` are the manifest's entries.

    ``reuse``: probabilities of earlier exits are handed over, because later decisions use them.
    """

    title: str
    preparation: str
    decision: Decision
    classes: tuple[str, ...]
    stages: Sequence[StageEntry]
    points: Mapping[str, tuple[float | None, ...]]
    reuse: bool

    @property
    def predicted_type(self) -> str:
        return "uint64_t" if self.decision.kind == "multilabel" else "int32_t"

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.stages[0].input_shape


def interface(facts: Facts, processors: Sequence[PlannedProcessor]) -> str:
    """``cascade.h``."""
    decision = facts.decision
    listed = [
        f" *     {p.name}: {_stages(p.stages)}, an arena of {p.plan.bytes:,} bytes" for p in processors
    ]  # fmt: skip
    points = [f"    {point(name)} = {i}" for i, name in enumerate(facts.points)]
    declared = []
    for i, processor in enumerate(processors):
        if i + 1 < len(processors):
            declared.append(_struct(facts, processor, processors[i + 1]))
    declared += [f"{_signature(processors, i)};\n" for i in range(len(processors))]
    return filled(
        "cascade.h",
        title=facts.title,
        preparation=facts.preparation,
        processors="\n".join(listed),
        stages=len(facts.stages),
        classes=len(facts.classes),
        outputs=decision.outputs,
        inputs=prod(facts.input_shape),
        input_shape=" x ".join(map(str, facts.input_shape)),
        point_count=len(facts.points),
        points=",\n".join(points),
        predicted_type=facts.predicted_type,
        predicted_meaning="bit k is set where label k applies" if decision.kind == "multilabel" else "class number",
        metric=decision.metric,
        declarations="\n".join(declared),
    )


def implementation(facts: Facts, processors: Sequence[PlannedProcessor]) -> str:
    """``cascade.c``."""
    exits = len(facts.stages) - 1
    weights = [
        f"static const float weights_{k}[{k + 1}] = {{{', '.join(literal(w) for w in stage.reuse)}}};"
        for k, stage in enumerate(facts.stages) if stage.reuse
    ]  # fmt: skip
    rows = [
        f"    {{{', '.join('INFINITY' if t is None else literal(t) for t in row)}}}, /* {name} */"
        for name, row in facts.points.items()
    ]
    table = "\n".join([
        "/* A sample leaves where its confidence is at least this: by operating point and exit. */",
        f"static const float thresholds[CASCADE_POINTS][{exits}] = {{", *rows, "};\n",
    ])  # fmt: skip
    union = "static union {{ double aligned; int64_t whole; unsigned char bytes[{}]; }} arena_{};"
    arenas = [union.format(max(p.plan.bytes, 1), p.stem) for p in processors]
    return filled(
        "cascade.c",
        title=facts.title,
        includes="\n".join(f'#include "stage_{k}.h"' for k in range(len(facts.stages))),
        class_names=",\n".join(f"    {_quoted(name)}" for name in facts.classes),
        thresholds=table if exits else "",
        arenas="\n".join([*arenas, *weights]),
        sure=decisions.sure(facts.decision),
        confidence=decisions.confidence(facts.decision),
        predicted=decisions.predicted(facts.decision),
        decided=_decided(exits),
        hear=f"\n{decisions.hear(facts.decision)}\n" if weights else "",
        functions="\n".join(_function(facts, processors, i) for i in range(len(processors))),
    )


def run(stems: Sequence[str], sample: str) -> str:
    """Statements that take ``sample`` through the processors of these names in C, in one program."""
    lines = [f"    static cascade_to_{after} to_{after};" for after in stems[1:]]
    for i, stem in enumerate(stems):
        source = f"&to_{stem}" if i else sample
        if i + 1 < len(stems):
            lines.append(f"    if (cascade_{stem}({source}, point, result, &to_{stems[i + 1]})) {{")
            lines += ["        return;", "    }"]
        else:
            lines.append(f"    (void)cascade_{stem}({source}, point, result);")
    return "\n".join(lines)


def alone(stems: Sequence[str], i: int) -> str:
    """The least program with what the i-th of these processors runs."""
    out = i + 1 < len(stems)
    return filled(
        "main.c",
        source_type=f"cascade_to_{stems[i]}" if i else "float",
        source_size="" if i else "[CASCADE_INPUT]",
        source="&source" if i else "source",
        target=f"static cascade_to_{stems[i + 1]} target;" if out else "",
        function=f"cascade_{stems[i]}",
        out=", &target" if out else "",
    )


def filled(template: str, **known: object) -> str:
    """A file of ``templates/`` with every ``@{name}`` replaced."""
    text = resources.files("eeaug.export.c").joinpath("templates", *template.split("/")).read_text(encoding="utf-8")
    return re.sub(r"@\{(\w+)\}", lambda match: str(known[match[1]]), text)


def c_name(text: str, taken: Sequence[str] = ()) -> str:
    """An identifier made of a processor's or a point's name, that is not ``taken``."""
    stem = re.sub(r"\W", "_", text.lower(), flags=re.ASCII)
    name, again = stem, 2
    while name in taken:
        name, again = f"{stem}_{again}", again + 1
    return name


def literal(value: float) -> str:
    """A float in C, exact: the shortest decimal that is read back as the same float32."""
    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def values(array: np.ndarray, width: int = 110) -> str:
    """All elements in lines, separated by commas."""
    lines, line = [], "   "
    for value in array.ravel():
        text = literal(value)
        if len(line) + len(text) + 2 > width:
            lines.append(line)
            line = "   "
        line += f" {text},"
    return "\n".join([*lines, line])


def _struct(facts: Facts, sender: PlannedProcessor, receiver: PlannedProcessor) -> str:
    last = sender.stages[-1]
    handover = facts.stages[last].handover
    assert handover is not None
    shape = handover.shape
    size = prod(shape)
    earlier = ""
    if facts.reuse:
        earlier = f"\n    float said[{last + 1}][CASCADE_OUTPUTS]; /* probabilities of the classifiers so far */"
        size += (last + 1) * facts.decision.outputs
    return f"""\
/* From {sender.name} to {receiver.name}: {4 * size:,} bytes. */
typedef struct {{
    float tensor[{prod(shape)}]; /* {" x ".join(map(str, shape))} */{earlier}
}} cascade_to_{receiver.stem};
"""


def _signature(processors: Sequence[PlannedProcessor], i: int) -> str:
    source = f"const cascade_to_{processors[i].stem} *in" if i else "const float *input"
    onward = f", cascade_to_{processors[i + 1].stem} *out" if i + 1 < len(processors) else ""
    return f"int cascade_{processors[i].stem}({source}, cascade_point point, cascade_result *result{onward})"


def _decided(exits: int) -> str:
    rule = (
        "return exit == CASCADE_STAGES - 1 || result->confidence >= thresholds[point][exit];"
        if exits
        else "(void)point;\n    return 1;"
    )
    return f"""\
/* Whether the sample leaves here, with the result if it does. */
static int decided(const float *p, int32_t exit, cascade_point point, cascade_result *result)
{{
    result->predicted = predicted(p);
    result->exit = exit;
    result->confidence = confidence(p);
    {rule}
}}"""


def _function(facts: Facts, processors: Sequence[PlannedProcessor], i: int) -> str:
    """A processor's stages, each with its decision."""
    processor, first, last = processors[i], i == 0, i + 1 == len(processors)
    stages, plan = processor.stages, processor.plan
    lines = [f"    unsigned char *const arena = arena_{processor.stem}.bytes;"]
    if facts.reuse:
        lines.append(f"    const float *said[{stages[-1] + 1}];")
        lines += [f"    said[{j}] = in->said[{j}];" for j in range(stages[0])]
    source = "input" if first else "in->tensor"
    for place, k in enumerate(stages):
        stage, answer = facts.stages[k], f"AT({plan.probabilities[place]})"
        onward = "out->tensor" if k == stages[-1] else f"AT({plan.handovers[place]})"
        arguments = ["arena", source, answer, *([onward] if k + 1 < len(facts.stages) else [])]
        lines.append(f"    stage_{k}({', '.join(arguments)});")
        source = onward
        if facts.reuse:
            lines.append(f"    said[{k}] = {answer};")
        if stage.reuse:
            answer = f"AT({plan.heard[place]})"
            lines.append(f"    hear(said, weights_{k}, {k + 1}, {answer});")
        if last and k == stages[-1]:
            lines.append(f"    return decided({answer}, {k}, point, result);")
        else:
            lines += [f"    if (decided({answer}, {k}, point, result)) {{", "        return 1;", "    }"]
    if not last:
        if facts.reuse:
            lines += [f"    for (int j = 0; j < {stages[-1] + 1}; ++j) {{",
                      "        memcpy(out->said[j], said[j], sizeof out->said[j]);", "    }"]  # fmt: skip
        lines.append("    return 0;")
    return "\n".join([_signature(processors, i), "{", *lines, "}", ""])


def _stages(numbers: range) -> str:
    return f"stage {numbers[0]}" if len(numbers) == 1 else f"stages {numbers[0]} to {numbers[-1]}"


def point(name: str) -> str:
    return f"CASCADE_{c_name(name).upper()}"


def _quoted(text: str) -> str:
    """A string in C: what is not plain ASCII as octal bytes of UTF-8, question marks escaped (trigraphs)."""
    plain = "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode("utf-8")
    )
    return f'"{plain}"'
