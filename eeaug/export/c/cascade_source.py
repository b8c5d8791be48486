"""``<prefix>.h`` and ``.c``: a function for each processor, the hand-over structs, the operating points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from eeaug.export import feeds
from eeaug.export.c import stream_source
from eeaug.export.c.cascade_facts import CMSIS_NN, Facts, PlannedProcessor
from eeaug.export.c.text import c_name, filled, literal, point, stems, values
from eeaug.export.names import quoted

__all__ = [
    "CMSIS_NN",
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
    "stems",
    "values",
]


def interface(facts: Facts, processors: Sequence[PlannedProcessor]) -> str:
    """``<prefix>.h``."""
    decision, prefix, macro = facts.decision, facts.prefix, facts.macro
    listed = [
        f" *     {p.name}: {_stages(p.stages)}, an arena of {p.plan.bytes:,} bytes" for p in processors
    ]  # fmt: skip
    sizes = [f"#define {macro}_{p.stem.upper()}_ARENA_BYTES {p.plan.bytes}" for p in processors]
    declared = []
    for sender, receiver in pairwise(processors):
        sizes.append(f"#define {macro}_TO_{receiver.stem.upper()}_BYTES {_handed(facts, sender)}")
        declared.append(_struct(facts, sender, receiver))
    declared += [_context(facts, p) for p in processors]
    declared += [f"{_signature(facts, processors, i, placed=True)};\n" for i in range(len(processors))]
    own = [f"{_signature(facts, processors, i)};\n" for i in range(len(processors))]
    if facts.stream is not None:
        exits = len(facts.stages) - 1
        declared.append(stream_source.declared(facts.stream, exits, decision.outputs, prefix, facts.arithmetic))
        declared += [
            f"{_signature(facts, processors, i, placed=True, push=True)};\n" for i in range(len(processors))
        ]
        own += [f"{_signature(facts, processors, i, push=True)};\n" for i in range(len(processors))]
    return facts.filled(
        "cascade.h",
        title=facts.title,
        preparation=facts.preparation,
        processors="\n".join(listed),
        version=facts.version,
        build=f"0x{facts.build:08x}u",
        sizes="\n".join(sizes),
        stages=len(facts.stages),
        classes=len(facts.classes),
        outputs=decision.outputs,
        inputs=prod(facts.input_shape),
        input_shape=facts.input_words,
        point_count=len(facts.points),
        points=",\n".join(f"    {point(name, prefix)} = {i}" for i, name in enumerate(facts.points)),
        predicted_type=facts.predicted_type,
        predicted_meaning="bit k is set where label k applies" if decision.kind == "multilabel" else "class number",
        metric=decision.metric,
        declarations="\n".join(declared),
        own="\n".join(own),
    )


def implementation(facts: Facts, processors: Sequence[PlannedProcessor]) -> str:
    """``<prefix>.c``."""
    exits, macro, numbers = len(facts.stages) - 1, facts.macro, facts.arithmetic
    weights = [
        f"static const {numbers.weight_type} weights_{k}[{k + 1}] = "
        f"{{{', '.join(numbers.weight(w) for w in stage.reuse)}}};"
        for k, stage in enumerate(facts.stages) if stage.reuse
    ]  # fmt: skip
    rows = [f"    {{{', '.join(map(numbers.threshold, row))}}}, /* {name} */" for name, row in facts.points.items()]
    functions = [
        (i, push) for push in (False, True)[: 1 + (facts.stream is not None)] for i in range(len(processors))
    ]
    contexts = [_own_context(facts, processor) for processor in processors]
    table = "\n".join([
        "/* A sample leaves where its confidence is at least this: by operating point and exit. */",
        f"static const {numbers.threshold_type} thresholds[{macro}_POINTS][{exits}] = {{", *rows, "};\n",
    ])  # fmt: skip
    return facts.filled(
        "cascade.c",
        title=facts.title,
        includes="\n".join(f'#include "{facts.prefix}_stage_{k}.h"' for k in range(len(facts.stages))),
        class_names=",\n".join(f"    {quoted(name)}" for name in facts.classes),
        thresholds=table if exits else "",
        places="\n".join(_places(facts, processors)),
        weights="".join(f"{line}\n" for line in weights),
        asserted="\n".join(_asserted(facts, processors)),
        decisions=numbers.decisions(facts.decision, bool(weights)),
        decided=_decided(facts),
        functions="\n".join(_function(facts, processors, i, push=push) for i, push in functions),
        own="\n".join([*contexts, *(_own(facts, processors, i, push=push) for i, push in functions)]),
    )


def run(names: Sequence[str], sample: str, prefix: str = "cascade", *, push: bool = False) -> str:
    """Statements that take ``sample`` through the processors of these names in C, in one program.

    ``push``: samples are those of one stream.
    """
    lines = [f"    static {prefix}_to_{after} to_{after};" for after in names[1:]]
    if push:
        lines += [f"    static {prefix}_stream state;", "    static int begun;", "    (void)point;"]
        lines += ["    if (!begun) {", f"        {prefix}_stream_reset(&state);", "        begun = 1;", "    }"]
    for i, stem in enumerate(names):
        source = f"&to_{stem}" if i else sample
        given = f"_push(&state, {source}" if push else f"({source}, point"
        if i + 1 < len(names):
            call = f"{prefix}_{stem}{given}, result, &to_{names[i + 1]})"
            lines += [f"    if ({call} != {prefix.upper()}_GOES_ON) {{", "        return;", "    }"]
        else:
            lines.append(f"    (void){prefix}_{stem}{given}, result);")
    return "\n".join(lines)


def alone(names: Sequence[str], i: int, prefix: str = "cascade", number: str = "float") -> str:
    """The least program with what the i-th of these processors runs."""
    out = i + 1 < len(names)
    return filled(
        "main.c",
        prefix,
        source_type=f"{prefix}_to_{names[i]}" if i else number,
        source_size="" if i else f"[{prefix.upper()}_INPUT]",
        source="&source" if i else "source",
        target=f"static {prefix}_to_{names[i + 1]} target;" if out else "",
        function=f"{prefix}_{names[i]}",
        out=", &target" if out else "",
    )


def _handed(facts: Facts, sender: PlannedProcessor) -> int:
    """Bytes that a processor sends to the next one."""
    last = sender.stages[-1]
    handover = facts.stages[last].handover
    assert handover is not None
    said = (last + 1) * facts.decision.outputs if facts.reuse else 0
    return facts.arithmetic.sent(prod(handover.shape) + feeds.sizes(facts.stages[last]) + said)


def _struct(facts: Facts, sender: PlannedProcessor, receiver: PlannedProcessor) -> str:
    last = sender.stages[-1]
    handover = facts.stages[last].handover
    assert handover is not None
    shape = handover.shape
    carried, earlier = "", ""
    inputs = feeds.carried(facts.stages[last])
    if inputs is not None:
        carried = f"\n    {facts.arithmetic.type} carried[{sum(inputs.sizes)}]; /* {feeds.listed(inputs)} */"
    if facts.reuse:
        said = f"{facts.arithmetic.type} said[{last + 1}][{facts.macro}_OUTPUTS]"
        earlier = f"\n    {said}; /* probabilities of the classifiers so far */"
    return f"""\
/* From {sender.name} to {receiver.name}: {_handed(facts, sender):,} bytes. */
typedef struct {{
    uint32_t build; /* {facts.macro}_BUILD of the sender; the receiver refuses another one */
    {facts.arithmetic.type} tensor[{prod(shape)}]; /* {" x ".join(map(str, shape))} */{carried}{earlier}
}} {facts.prefix}_to_{receiver.stem};
"""


def _context(facts: Facts, processor: PlannedProcessor) -> str:
    name = f"{facts.macro}_{processor.stem.upper()}_ARENA_BYTES"
    return f"""\
/* What {processor.name} needs to run; nothing of it has to be set before. */
typedef struct {{
    union {{
        double aligned;
        int64_t whole;
        unsigned char bytes[{name if processor.plan.bytes else 1}];
    }} arena;
}} {facts.prefix}_{processor.stem}_context;
"""


def _signature(
    facts: Facts, processors: Sequence[PlannedProcessor], i: int, *, placed: bool = False, push: bool = False
) -> str:
    """``placed``: with a context of the caller's; ``push``: with the state of a stream instead of a point."""
    prefix, stem = facts.prefix, processors[i].stem
    context = f"{prefix}_{stem}_context *context, " if placed else ""
    source = f"const {prefix}_to_{stem} *in" if i else f"const {facts.arithmetic.type} *input"
    onward = f", {prefix}_to_{processors[i + 1].stem} *out" if i + 1 < len(processors) else ""
    name = f"{prefix}_{stem}{'_push' if push else ''}{'_in' if placed else ''}"
    context += f"{prefix}_stream *state, " if push else ""
    head = f"{prefix}_outcome {name}({context}"
    rest = f"{source}, {'' if push else f'{prefix}_point point, '}{prefix}_result *result{onward})"
    return head + rest if len(head + rest) <= 110 else f"{head.rstrip()}\n    {rest}"


def _decided(facts: Facts) -> str:
    prefix, macro = facts.prefix, facts.macro
    rule = (
        f"return exit == {macro}_STAGES - 1 || result->confidence >= thresholds[point][exit];"
        if len(facts.stages) > 1
        else "(void)point;\n    return 1;"
    )
    stream = ""
    if facts.stream is not None:
        sizes = len(facts.stages) - 1, facts.decision.outputs
        stream = f"\n\n{stream_source.defined(facts.stream, *sizes, prefix, facts.arithmetic).rstrip()}"
    return f"""\
/* Whether the sample leaves here, with the result if it does. */
static int decided(const {facts.arithmetic.share} *p, int32_t exit, {prefix}_point point, {prefix}_result *result)
{{
    result->predicted = predicted(p);
    result->exit = exit;
    result->confidence = confidence(p);
    {rule}
}}{stream}"""


def _places(facts: Facts, processors: Sequence[PlannedProcessor]) -> list[str]:
    """Offsets in arenas, in bytes, by name."""
    lines = []
    for processor in processors:
        plan = processor.plan
        for place, k in enumerate(processor.stages):
            named = {"PROBABILITIES": plan.probabilities, "HEARD": plan.heard, "HANDOVER": plan.handovers}
            for what, offsets in named.items():
                offset = offsets[place]
                if offset is not None:
                    lines.append(f"    {what}_{k} = {offset}")
    return [",\n".join(lines)]


def _asserted(facts: Facts, processors: Sequence[PlannedProcessor]) -> list[str]:
    """Static assertions: what the files take for granted of compiler and structs."""
    lines = []
    for processor in processors:
        context, arena = (
            f"{facts.prefix}_{processor.stem}_context",
            f"{facts.macro}_{processor.stem.upper()}_ARENA_BYTES",
        )
        lines.append(f"ASSERTED(arena_of_{processor.stem}, sizeof({context}) >= {arena});")
    for receiver in processors[1:]:
        size = f"{facts.macro}_TO_{receiver.stem.upper()}_BYTES"
        lines.append(f"ASSERTED(handover_to_{receiver.stem}, sizeof({facts.prefix}_to_{receiver.stem}) == {size});")
    return lines


def _checked(facts: Facts, *, first: bool, last: bool, push: bool) -> list[str]:
    """What is wrong with arguments, and the error that says so."""
    macro = facts.macro
    pointers = ["context", *(["state"] if push else []), "input" if first else "in", "result"]
    pointers += [] if last else ["out"]
    lines = [f"    if ({' || '.join(f'{name} == NULL' for name in pointers)}) {{",
             f"        return {macro}_NO_POINTER;", "    }"]  # fmt: skip
    if not push:
        lines += [f"    if ((unsigned)point >= (unsigned){macro}_POINTS) {{",
                  f"        return {macro}_NO_SUCH_POINT;", "    }"]  # fmt: skip
    if not first:
        lines += [f"    if (in->build != {macro}_BUILD) {{", f"        return {macro}_OTHER_BUILD;", "    }"]
    return lines


def _function(facts: Facts, processors: Sequence[PlannedProcessor], i: int, *, push: bool = False) -> str:
    """A processor's stages, each with its decision."""
    processor, first, last = processors[i], i == 0, i + 1 == len(processors)
    stages, macro = processor.stages, facts.macro
    lines = ["    unsigned char *arena;", *(["    int how;"] if push else [])]
    if facts.reuse:
        lines.append(f"    const {facts.arithmetic.type} *said[{stages[-1] + 1}];")
    lines += _checked(facts, first=first, last=last, push=push)
    lines.append("    arena = context->arena.bytes;")
    if facts.reuse:
        lines += [f"    said[{j}] = in->said[{j}];" for j in range(stages[0])]
    source, fed = "input" if first else "in->tensor", feeds.feeds(facts.stages)
    sample = "input" if first else "in->carried"
    for k in stages:
        stage, answer = facts.stages[k], f"AT(PROBABILITIES_{k})"
        onward = "out->tensor" if k == stages[-1] else f"AT(HANDOVER_{k})"
        besides = [sample] if fed[k].sample else []
        arguments = ["arena", source, *besides, answer, *([onward] if k + 1 < len(facts.stages) else [])]
        lines.append(f"    {facts.prefix}_stage_{k}({', '.join(arguments)});")
        source = onward
        if facts.reuse:
            lines.append(f"    said[{k}] = {answer};")
        if stage.reuse:
            answer = f"AT(HEARD_{k})"
            lines.append(f"    hear(said, weights_{k}, {k + 1}, {answer});")
        elif facts.arithmetic.every:
            lines.append(f"    shares({answer}, AT(HEARD_{k}));")
            answer = f"AT(HEARD_{k})"
        if push:
            lines += [f"    how = stream_decided(state, {answer}, {k}, result);", "    if (how != STAYS) {",
                      f"        return how == REMEMBERED ? ({facts.prefix}_outcome){macro}_REMEMBERED "
                      f": {macro}_DECIDED;", "    }"]  # fmt: skip
        elif last and k == stages[-1]:
            lines += [f"    (void)decided({answer}, {k}, point, result);", f"    return {macro}_DECIDED;"]
        else:
            lines += [
                f"    if (decided({answer}, {k}, point, result)) {{",
                f"        return {macro}_DECIDED;",
                "    }",
            ]
    if not last:
        lines.append(f"    out->build = {macro}_BUILD;")
        here = fed[stages[-1]].here
        lines += [] if here is None else feeds.moved(sample, here, facts.stages[stages[-1]])
        if facts.reuse:
            lines += [f"    for (int j = 0; j < {stages[-1] + 1}; ++j) {{",
                      "        memcpy(out->said[j], said[j], sizeof out->said[j]);", "    }"]  # fmt: skip
        lines.append(f"    return {macro}_GOES_ON;")
    elif push:
        lines.append(f"    return {macro}_DECIDED; /* not reached: the last classifier always decides */")
    return "\n".join([_signature(facts, processors, i, placed=True, push=push), "{", *lines, "}", ""])


def _own_context(facts: Facts, processor: PlannedProcessor) -> str:
    """A context of the file's own."""
    section = f"{facts.macro}_{processor.stem.upper()}_SECTION"
    return f"""\
#ifndef {section}
#define {section}
#endif
static {facts.prefix}_{processor.stem}_context context_of_{processor.stem} {section};
"""


def _own(facts: Facts, processors: Sequence[PlannedProcessor], i: int, *, push: bool = False) -> str:
    """A processor's function in that context."""
    stem = processors[i].stem
    names = [*(["state"] if push else []), "in" if i else "input", *([] if push else ["point"]), "result"]
    names += ["out"] if i + 1 < len(processors) else []
    return f"""\
{_signature(facts, processors, i, push=push)}
{{
    return {facts.prefix}_{stem}{"_push" if push else ""}_in(&context_of_{stem}, {", ".join(names)});
}}
"""


def _stages(numbers: range) -> str:
    return f"stage {numbers[0]}" if len(numbers) == 1 else f"stages {numbers[0]} to {numbers[-1]}"
