"""C++ for TensorFlow Lite for Microcontrollers: models as arrays, and a driver for every processor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import eeaug
from eeaug.bundle.entries import Handover, StageEntry
from eeaug.cascade.output import Decision
from eeaug.export import feeds
from eeaug.export.names import quoted
from eeaug.export.tflm import stream
from eeaug.export.tflm.interpreter import Arena
from eeaug.export.tflm.numbers import float_text, int8_of, sample, taken
from eeaug.export.tflm.operators import METHODS
from eeaug.streams.rules import Rule

__all__ = [
    "DriverCascade", "DriverStage", "array", "constant", "driver", "header", "identifier", "model",
    "signature",
]  # fmt: skip

MEASURES = {"max-softmax": "kMaxSoftmax", "margin": "kMargin", "entropy": "kEntropy"}
KINDS = {"softmax": "kSoftmax", "binary": "kBinary", "multilabel": "kMultilabel"}
PER_LINE = 16
TAKEN = (  # beside processors' names
    "Advised", "Answer", "Decided", "Point", "QuantisedInput", "Reset", "Status", "Stream", "Watch", "stream",
    "watch",
)  # fmt: skip


@dataclass(frozen=True)
class DriverStage:
    """A stage in the driver: its number, its entry in the manifest, and in which order its file has its ends."""

    number: int
    entry: StageEntry
    arena: Arena
    operators: Sequence[str]
    outputs: Sequence[str]
    inputs: Sequence[str] = ("",)

    @property
    def handover(self) -> Handover | None:
        return self.entry.handover

    def output(self, name: str) -> str:
        return f"stage.output({self.outputs.index(name)})->data.int8"


@dataclass(frozen=True)
class DriverCascade:
    """All stages of the network, those on microcontrollers with their parts.

    ``prefix``: their namespace, what files and macros begin with. ``build``: a number of 32 bits that stands
    for all that both ends of a hand-over must have in common. ``streams``: what decides them; None: there are none.
    """

    prefix: str
    classes: Sequence[str]
    decision: Decision
    stages: Sequence[StageEntry]
    points: Sequence[tuple[str, Sequence[int | None]]]
    parts: Mapping[str, Sequence[DriverStage]]  # by processor
    build: int
    streams: Rule | None = None

    @property
    def reuse(self) -> bool:
        return any(stage.reuse for stage in self.stages)


def identifier(text: str) -> str:
    """A name that C++ takes, and that stands for nothing else."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return f"_{name}" if name[0].isdigit() else f"{name}_" if name in TAKEN else name


def constant(text: str) -> str:
    return "k" + "".join(word.capitalize() for word in re.split(r"\W", text))


def array(prefix: str, number: int, content: bytes) -> dict[str, str]:
    """The files that hold a stage's model, by name."""
    name, file, guard = f"stage_{number}_model", model(prefix, number), f"{prefix.upper()}_STAGE_{number}_MODEL_H_"
    lines = (content[i : i + PER_LINE] for i in range(0, len(content), PER_LINE))
    rows = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)
    return {
        f"{file}.h": f"""#ifndef {guard}
#define {guard}

namespace {prefix} {{

extern const unsigned char {name}[];
extern const unsigned int {name}_size;

}}  // namespace {prefix}

#endif  // {guard}
""",
        f"{file}.cc": f"""#include "{file}.h"

#ifndef {prefix.upper()}_WEIGHTS_SECTION
#define {prefix.upper()}_WEIGHTS_SECTION
#endif

namespace {prefix} {{

alignas(16) const unsigned char {name}[] {prefix.upper()}_WEIGHTS_SECTION = {{
{rows}
}};
const unsigned int {name}_size = {len(content)};

}}  // namespace {prefix}
""",
    }


def model(prefix: str, number: int) -> str:
    """The name of the files with a stage's model, without what they end in."""
    return f"{prefix}_stage_{number}_model"


def header(cascade: DriverCascade) -> str:
    """``<prefix>.h``: thresholds, what is handed over, and the functions of every processor."""
    stages, decision = cascade.stages, cascade.decision
    exits = len(stages) - 1
    streams = "" if cascade.streams is None else stream.declared(cascade.streams, exits, decision.outputs)
    remembered = "" if cascade.streams is None else ", kRemembered"
    models = f"{cascade.prefix}_stage_<n>_model.cc that it includes"
    models += "" if cascade.streams is None else f", {stream.file(cascade.prefix)}"
    rows = "\n".join(
        f"    {{{', '.join('eeaug::kNever' if c is None else str(c) for c in constants or [None])}}},  // {name}"
        for name, constants in cascade.points
    )
    prefix, macro = cascade.prefix, cascade.prefix.upper()
    names = ", ".join(quoted(name) for name in cascade.classes)
    return f"""// An early-exit network in int8 on TensorFlow Lite for Microcontrollers. Written by eeaug.
//
// Build for every processor: {prefix}_<processor>.cc, {models}, and TFLM.
// Call Setup() once, then Run() for every sample on the first processor; on kGoesOn send what it hands over to the
// next one, and call Run() there. README.md has a whole program.
//
// What may be defined for the compiler:
//     {macro}_<PROCESSOR>_SECTION  attributes of its arenas, as __attribute__((section(".dtcm")))
//     {macro}_WEIGHTS_SECTION  the same of every model
//     {macro}_NO_CLASS_NAMES  leaves out the names of classes
#ifndef {macro}_H_
#define {macro}_H_

#include <stdint.h>

#include "decide.h"

#define {macro}_INTERFACE 2  // of this header; another number where programs have to change
#define {macro}_EEAUG "{eeaug.__version__}"  // the version that wrote it
#define {macro}_BUILD 0x{cascade.build:08x}u  // of models, thresholds and hand-overs: other ones, another number

namespace {prefix} {{

constexpr int kStages = {len(stages)};
constexpr int kOutputs = {decision.outputs};
constexpr eeaug::Kind kKind = eeaug::Kind::{KINDS[decision.kind]};
constexpr eeaug::Measure kMeasure = eeaug::Measure::{MEASURES[decision.measure]};
#ifndef {macro}_NO_CLASS_NAMES
constexpr const char* kClasses[] = {{{names}}};
static_assert(sizeof(kClasses) / sizeof(kClasses[0]) == {len(cascade.classes)}, "a name for every class");
#endif

// Thresholds to switch between while the network runs.
enum Point {{ {", ".join(constant(name) for name, _ in cascade.points)} }};
constexpr int kPoints = {len(cascade.points)};
constexpr int16_t kThresholds[][{max(exits, 1)}] = {{
{rows}
}};

{sample(stages)}{"".join(_handover(cascade, k) for k in range(exits))}
// kLeft: there is an answer. kGoesOn: the next processor has to go on with what was handed over. kFailed: there is
// no such point, Setup() was not called or failed, or TFLM says so. kOtherBuild: what was handed over is of another
// network, or was never filled.
enum class Status {{ kLeft, kGoesOn, kFailed, kOtherBuild{remembered} }};

struct Answer {{
  int stage;  // where the sample left
  uint64_t label;
  int8_t confidence;
}};
{streams}{"".join(_declared(cascade, name, parts) for name, parts in cascade.parts.items())}
}}  // namespace {prefix}

#endif  // {macro}_H_
"""


def _handover(cascade: DriverCascade, k: int) -> str:
    tensor = cascade.stages[k].handover
    assert tensor is not None
    given = int8_of(cascade.stages[k]).outputs[tensor.name]
    earlier = f"\n  int8_t said[{k + 1}][kOutputs];  // what the exits so far said" if cascade.reuse else ""
    inputs, carried = feeds.carried(cascade.stages[k]), ""
    if inputs is not None:
        carried = f"\n  int8_t carried[{sum(inputs.sizes)}];  // {feeds.listed(inputs)}"
    said = (k + 1) * cascade.decision.outputs if cascade.reuse else 0
    size = 4 + -(-(prod(tensor.shape) + feeds.sizes(cascade.stages[k]) + said) // 4) * 4
    return f"""
// From stage {k} to stage {k + 1}: {" x ".join(map(str, tensor.shape))}, scale {given.scale:.9g}, \
zero point {given.zero_point}.
struct Handover{k + 1} {{
  uint32_t build;  // {cascade.prefix.upper()}_BUILD of the sender; the receiver refuses another one
  int8_t tensor[{prod(tensor.shape)}];{carried}{earlier}
}};
constexpr int kHandover{k + 1}Bytes = {size};
static_assert(sizeof(Handover{k + 1}) == kHandover{k + 1}Bytes, "the same bytes on every core");
"""


def signature(parts: Sequence[DriverStage], stages: int, *, push: bool = False) -> str:
    """The beginning of a processor's function, without what a declaration adds; ``push``: for streams."""
    first, last = parts[0].number, parts[-1].number
    given = f"const Handover{first}& received" if first else "const int8_t* input"
    onward = "" if last + 1 == stages else f"Handover{last + 1}* onward, "
    point = ", Point point" if first + 1 < stages else ""  # the last stage has no threshold
    if push:
        return f"Status Push({given}, {onward}Answer* answer, Stream* stream"
    return f"Status Run({given}, {onward}Answer* answer{point}"


def _declared(cascade: DriverCascade, name: str, parts: Sequence[DriverStage]) -> str:
    numbers = ", ".join(str(part.number) for part in parts)
    head = signature(parts, len(cascade.stages))
    declared = f"{head} = kDefault);" if head.endswith("point") else f"{head});"
    if cascade.streams is not None:
        declared += f"\n{signature(parts, len(cascade.stages), push=True)});"
    return f"""
// Stage {numbers} on {name}.
namespace {identifier(name)} {{
constexpr int kArenaBytes = {" + ".join(str(part.arena.bytes) for part in parts)};
bool Setup();  // false: an arena is too small, or TFLM lacks an operator
{declared}
}}  // namespace {identifier(name)}
"""


def driver(cascade: DriverCascade, name: str) -> str:
    """The C++ file of one processor."""
    parts = cascade.parts[name]
    includes = "\n".join(f'#include "{model(cascade.prefix, part.number)}.h"' for part in parts)
    functions = [
        _function(cascade, parts, push=push) for push in (False, True)[: 1 + (cascade.streams is not None)]
    ]
    section = f"{cascade.prefix.upper()}_{identifier(name).upper()}_SECTION"
    return f"""// What {name} runs. Written by eeaug.
#include <string.h>

#include "{cascade.prefix}.h"
{includes}
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifndef {section}
#define {section}
#endif

namespace {cascade.prefix} {{
namespace {identifier(name)} {{
namespace {{

{"".join(_arena(part, section) for part in parts)}
}}  // namespace

bool Setup() {{
{"".join(_setup(part) for part in parts)}  return true;
}}

{"".join(functions)}}}  // namespace {identifier(name)}
}}  // namespace {cascade.prefix}
"""


def _function(cascade: DriverCascade, parts: Sequence[DriverStage], *, push: bool) -> str:
    """Run(), or Push()."""
    head, last_number = signature(parts, len(cascade.stages), push=push), len(cascade.stages) - 1
    body = "".join(_stage(cascade, part, parts, last_number, push=push) for part in parts)
    ends = "" if parts[-1].number == last_number else "  return Status::kGoesOn;\n"
    said_rows = parts[-1].number + 1 if cascade.reuse else 1
    wrong = [f"interpreter_{part.number} == nullptr" for part in parts]
    if "Point point" in head:
        wrong.append("static_cast<unsigned>(point) >= static_cast<unsigned>(kPoints)")
    refused = ""
    if parts[0].number:
        refused = f"  if (received.build != {cascade.prefix.upper()}_BUILD) return Status::kOtherBuild;\n"
    heard = ""
    if cascade.reuse and parts[0].number:
        heard = "  memcpy(said, received.said, sizeof(received.said));\n"
    return f"""\
{head}) {{
  if ({" || ".join(wrong)}) return Status::kFailed;
{refused}  int8_t said[{said_rows}][kOutputs];
{heard}{body}{ends}}}

"""


def _arena(part: DriverStage, section: str) -> str:
    k = part.number
    return f"""// {part.arena.least} bytes were just enough on a machine of 64 bits, the rest is a margin.
// This processor may do with less. arena_used_bytes() leaves out what TFLM needs for a while.
alignas(16) uint8_t arena_{k}[{part.arena.bytes}] {section};
tflite::MicroInterpreter* interpreter_{k} = nullptr;
"""


def _setup(part: DriverStage) -> str:
    k = part.number
    added = "".join(f"  resolver_{k}.{METHODS[name]}();\n" for name in part.operators)
    return f"""  static tflite::MicroMutableOpResolver<{len(part.operators)}> resolver_{k};
{added}  static tflite::MicroInterpreter stage_{k}(tflite::GetModel(stage_{k}_model), resolver_{k}, arena_{k}, \
sizeof(arena_{k}));
  if (stage_{k}.AllocateTensors() != kTfLiteOk) return false;
  interpreter_{k} = &stage_{k};
"""


def _stage(
    cascade: DriverCascade, part: DriverStage, parts: Sequence[DriverStage], last_number: int, *, push: bool
) -> str:
    k, entry, first = part.number, part.entry, part is parts[0]
    before = None if first else parts[parts.index(part) - 1]
    source = "input" if k == 0 else "received.tensor"
    if before is not None and before.handover is not None:
        source = before.output(before.handover.name).replace("stage.", f"interpreter_{before.number}->")
    row = k if cascade.reuse else 0
    assert entry.probabilities is not None, "--blank is refused"
    probabilities = part.output(entry.probabilities)
    weights = "nullptr"
    lines = []
    if entry.reuse:
        weights = f"weights_{k}"
        lines.append(f"static const float {weights}[] = {{{', '.join(float_text(w) for w in entry.reuse)}}};")
    lines += [
        *_fed(cascade, part, source, parts[0].number == 0),
        "if (stage.Invoke() != kTfLiteOk) return Status::kFailed;",
        f"memcpy(said[{row}], {probabilities}, kOutputs);",
        f"const eeaug::Decision made = eeaug::Decide<kOutputs>(said, {row + 1}, {weights}, kKind, kMeasure);",
    ]
    answer = f"*answer = {{{k}, made.label, made.confidence}};"
    if push and k == last_number:
        lines += [answer, f"return Decided(stream, said[{row}], answer);"]
    elif push:
        lines += [
            answer, f"const Status status = Decided(stream, said[{row}], answer);",
            "if (status != Status::kGoesOn) return status;",
        ]  # fmt: skip
    elif k == last_number:
        lines += [answer, "return Status::kLeft;"]
    else:
        lines += [
            f"if (made.confidence >= kThresholds[point][{k}]) {{", f"  {answer}", "  return Status::kLeft;", "}",
        ]  # fmt: skip
    if part is parts[-1] and part.handover is not None:
        lines.append(f"onward->build = {cascade.prefix.upper()}_BUILD;")
        lines.append(f"memcpy(onward->tensor, {part.output(part.handover.name)}, sizeof(onward->tensor));")
        here = feeds.feeds(cascade.stages)[k].here
        if here is not None:
            moved = feeds.moved("input" if parts[0].number == 0 else "received.carried", here, entry)
            lines += [line.strip().replace("out->", "onward->") for line in moved]
        if cascade.reuse:
            lines.append("memcpy(onward->said, said, sizeof(onward->said));")
    inner = "".join(f"    {line}\n" for line in lines)
    return f"  {{\n    tflite::MicroInterpreter& stage = *interpreter_{k};\n{inner}  }}\n"


def _fed(cascade: DriverCascade, part: DriverStage, source: str, first: bool) -> list[str]:
    """How the inputs come to where the stage reads them; ``first``: this processor has the sample."""
    entry = part.entry
    if len(entry.inputs) == 1 and not entry.row.several:
        return taken(entry, source, prod(entry.input_shape), 0)
    fed, lines = feeds.feeds(cascade.stages)[part.number], []
    for name, view in zip(entry.inputs, fed.views, strict=True):
        place, size = part.inputs.index(name), prod(entry.row.shape_of(name))
        if part.number and name == entry.input_name:
            lines += taken(entry, source, size, place)
        else:
            at = view.replace("sample", "input" if first else "received.carried")
            lines.append(f"memcpy(stage.input({place})->data.int8, {at}, {size});")
    return lines
