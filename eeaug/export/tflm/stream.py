"""Decisions that remember the samples before, in C++: the rules of the C files, on int8 probabilities."""

from __future__ import annotations

import re
from collections.abc import Sequence

from eeaug.cascade.output import STEP, Quantised
from eeaug.export.c import stream_source
from eeaug.export.c.stream_source import Surroundings
from eeaug.export.tflm.numbers import float_text
from eeaug.streams.rules import Rule, bytes_of

__all__ = ["AROUND", "declared", "file", "program", "source"]


def _threshold(value: float | None) -> str:
    constant = Quantised.constant(value)
    return "eeaug::kNever" if constant is None else str(constant)


def _in_steps(distance: float) -> str:
    return str(int(distance / STEP))  # differences are whole numbers of them


AROUND = Surroundings(
    state="Stream", result="Answer", label="label", empties="Reset", stages="kStages", outputs="kOutputs",
    probability="int8_t", given="int8_t", gap="int32_t", kept="state->reference[i]", keeps="p[i]",
    distance=_in_steps, threshold=_threshold, threshold_type="int16_t",
)  # fmt: skip


def file(prefix: str) -> str:
    return f"{prefix}_stream.cc"


def declared(rule: Rule, exits: int, outputs: int) -> str:
    """For the header: the struct, what resets it, and the decision of a stage."""
    members = stream_source.members(rule, exits, outputs, AROUND.probability, "  ")
    size = max(1, bytes_of(rule, exits, outputs, int8=True))
    return f"""
// Streams: samples that follow each other. A processor's Push() does what its Run() does, and decides with what the
// samples before have left in the state: one for each stream, where all processors reach it. It says kRemembered
// instead of kLeft of a sample that leaves because of those before. Reset() the state before the first sample, and
// after a gap. Points do not matter: a stream has thresholds of its own.
struct Stream {{
{members}
}};
constexpr int kStreamBytes = {size};
static_assert(sizeof(Stream) == kStreamBytes, "the same bytes on every core");
void Reset(Stream* stream);

// What Push() does with what a stage says, for a stage that something else runs: kGoesOn, or the answer is there.
// said: its probabilities, of the first stage alone; answer: the stage, and what it decides by itself.
Status Decided(Stream* stream, const int8_t* said, Answer* answer);
"""


def source(rule: Rule, exits: int, outputs: int, prefix: str) -> str:
    """``<prefix>_stream.cc``."""
    return f"""\
// When the samples of a stream leave. Written by eeaug.
#include <string.h>

#include "{prefix}.h"

namespace {prefix} {{

{_styled(stream_source.rules(rule, exits, outputs, AROUND))}
Status Decided(Stream* stream, const int8_t* said, Answer* answer) {{
  const int how = stream_leaves(stream, said, answer->stage, answer);
  if (how == STAYS) return Status::kGoesOn;
  stream_settled(stream, how, answer);
  return how == REMEMBERED ? Status::kRemembered : Status::kLeft;
}}

}}  // namespace {prefix}
"""


def _styled(text: str) -> str:
    """C as the other C++ files look."""
    text = re.sub(r"^ +", lambda match: match[0][len(match[0]) // 2 :], text, flags=re.M)
    return re.sub(r"/\* (.*) \*/", r"// \1", text.replace(")\n{", ") {")).replace(" *", "* ")


def program(prefix: str, weights: Sequence[Sequence[float] | None]) -> str:
    """A main function that decides a stream of samples, of which it reads what all stages say, int8, from stdin.

    It prints a line for each: where it left, its class, whether from memory. ``weights``: of every stage, what it
    and earlier ones count; None: it decides by itself.
    """
    rows = [
        f"static const float weights_{k}[] = {{{', '.join(map(float_text, w))}}};\n"
        for k, w in enumerate(weights)
        if w
    ]
    counted = ", ".join(f"weights_{k}" if w else "nullptr" for k, w in enumerate(weights))
    return f"""\
#include <stdio.h>

#include "{prefix}.h"

using namespace {prefix};

{"".join(rows)}static const float* const weights[kStages] = {{{counted}}};
static int8_t said[kStages][kOutputs];

int main() {{
  Stream stream;
  Reset(&stream);
  while (fread(said, sizeof(said), 1, stdin) == 1) {{
    Answer answer = {{}};
    Status status = Status::kGoesOn;
    for (int k = 0; status == Status::kGoesOn; ++k) {{
      const int first = weights[k] == nullptr ? k : 0;
      const eeaug::Decision made =
          eeaug::Decide<kOutputs>(said + first, k + 1 - first, weights[k], kKind, kMeasure);
      answer = {{k, made.label, made.confidence}};
      status = Decided(&stream, said[k], &answer);
    }}
    printf("%d %d %d\\n", answer.stage, static_cast<int>(answer.label), status == Status::kRemembered);
  }}
  return 0;
}}
"""
