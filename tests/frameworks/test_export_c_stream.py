"""Decisions with memory in C and C++: the same as in Python over ten thousand samples, for every kind."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tflm_parts import compiled
from tools import ARM_CPP, CPP, HOST_CPP, compiles, needs_host, needs_host_cpp

from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import STEP as PER_STEP
from eeaug.cascade.output import Decision, Quantised
from eeaug.errors import ConversionError
from eeaug.export import tflm
from eeaug.export.c import decisions, stream_source, toolchain
from eeaug.export.c.arithmetic import FLOAT
from eeaug.export.c_int8 import decisions as int8_decisions
from eeaug.export.tflm import stream as tflm_stream
from eeaug.export.tflm.source import KINDS
from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.kinds import in_steps
from eeaug.streams.patience import Patience
from eeaug.streams.rules import bytes_of
from eeaug.streams.sequences import Sequences
from eeaug.streams.walk import Course, Walked, walk

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
TARGET = ("-mcpu=cortex-m0plus", "-mthumb", "-std=c++17", "-fno-exceptions", "-fno-rtti")
TEMPLATES = Path(tflm_stream.__file__).parent / "templates"
SAMPLES, EXITS = 10_000, 2
compiler = toolchain.host()

MAIN = """
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define OUTPUTS {outputs}
#define NET_STAGES 3
typedef struct {{ int32_t predicted; int32_t exit; {type} confidence; }} net_result;
{declared}
{code}
int main(void)
{{
    static {type} said[NET_STAGES][OUTPUTS];
    static net_stream state;
    int32_t fresh;
    printf("%u\\n", (unsigned)sizeof state);
    while (fread(&fresh, sizeof fresh, 1, stdin) == 1 && fread(said, sizeof said, 1, stdin) == 1) {{
        net_result result;
        int how = STAYS;
        if (fresh) {{
            net_stream_reset(&state);
        }}
        for (int32_t k = 0; how == STAYS; ++k) {{
            {heard}
            how = stream_decided(&state, p, k, &result);
        }}
        printf("%d %d %d\\n", (int)result.exit, (int)result.predicted, how == REMEMBERED);
    }}
    return 0;
}}
"""
HEADER = """
#include "decide.h"
namespace net {{
constexpr int kStages = 3;
constexpr int kOutputs = {outputs};
constexpr eeaug::Kind kKind = eeaug::Kind::{kind};
constexpr eeaug::Measure kMeasure = eeaug::Measure::kMaxSoftmax;
enum class Status {{ kLeft, kGoesOn, kFailed, kOtherBuild, kRemembered }};
struct Answer {{ int stage; uint64_t label; int8_t confidence; }};
{declared}
}}  // namespace net
"""
FLOATS = {"type": "float", "heard": "const float *p = said[k];"}
INTEGERS = {"type": "int8_t", "heard": "int32_t p[OUTPUTS]; shares(said[k], p);"}


def lasting(decision: Decision) -> np.ndarray:
    """Probabilities (EXITS + 1, SAMPLES, outputs) that stay about the same for a while; some are equal."""
    rng = np.random.default_rng(0)
    scene = np.repeat(rng.normal(0, 2, (EXITS + 1, SAMPLES // 8, decision.outputs)), 8, axis=1)
    z = scene + rng.normal(0, 0.3, scene.shape)
    if decision.kind == "softmax":
        p = np.exp(z - z.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
    else:
        p = 1 / (1 + np.exp(-z))
    p[:, 5::11] = p[:, 4:-1:11]
    return np.asarray(p, np.float32)


STEP, LOWER = (0.8, None), (0.45, 0.6)
RULES: list[Any] = [
    Confidence(STEP),
    DifferenceDetection(STEP, 0.05, 12),
    DifferenceDetection((None, 0.7), 0.0, 65_535),
    DifferenceDetection(STEP, 1.0, 1),
    Patience(STEP, LOWER, 2, 9),
    Patience((None, None), (None, 0.5), 255, 400),
    Debounce(Confidence(STEP), 2, 3),
    Debounce(DifferenceDetection(STEP, 0.1, 7), 3, 5),
    Debounce(Patience(STEP, LOWER, 1, 32), 1, 1),
]


SEQUENCES = np.arange(SAMPLES) * 7 // SAMPLES


def course(decision: Decision, p: np.ndarray) -> Course:
    answers = [decision.answers(each) for each in p]
    rows = Outcomes(np.array([c for c, _ in answers]), np.array([a for _, a in answers]), np.zeros(SAMPLES, int))
    return Course(rows, p[0], Sequences(SEQUENCES))


def decided_by(folder: Path, text: str, numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """Where each sample leaves, its answer, whether from memory; and the size of a state."""
    source, program = folder / "main.c", folder / "main"
    source.write_text(text)
    assert compiler is not None
    subprocess.run([compiler, "-O2", *STRICT, str(source), "-lm", "-o", str(program)], check=True)
    fresh = np.concatenate([[True], SEQUENCES[1:] != SEQUENCES[:-1]]).astype("<i4")
    given = b"".join(fresh[i].tobytes() + numbers[:, i].tobytes() for i in range(SAMPLES))
    size, *said = subprocess.run([str(program)], input=given, capture_output=True, check=True).stdout.split(b"\n")
    return np.array([line.split() for line in said if line], int), int(size)


def check(decided: np.ndarray, walked: Walked) -> None:
    for column, one in enumerate((walked.at, walked.answer, walked.remembered)):
        np.testing.assert_array_equal(decided[:, column], one[0])


CASES = [*((rule, "softmax") for rule in RULES), *((RULES[i], "binary") for i in (1, 4, 7))]
NAMES = [f"{rule.kind}-{kind}-{i}" for i, (rule, kind) in enumerate(CASES)]


@needs_host
@pytest.mark.parametrize(("rule", "kind"), CASES, ids=NAMES)
def test_ten_thousand_samples(tmp_path: Path, rule: Any, kind: str) -> None:
    decision = Decision(kind, 4 if kind == "softmax" else 2)
    parts = (decisions.sure(decision), decisions.confidence(decision), decisions.predicted(decision))
    sizes = EXITS, decision.outputs
    code = [*parts, stream_source.defined(rule, *sizes, "net", FLOAT)]
    declared = stream_source.declared(rule, *sizes, "net", FLOAT)
    text = MAIN.format(**FLOATS, outputs=decision.outputs, declared=declared, code="\n\n".join(code))
    p = lasting(decision)
    decided, size = decided_by(tmp_path, text, p.astype("<f4"))
    walked = walk([rule], course(decision, p))
    assert size == (bytes_of(rule, *sizes) or 1)
    check(decided, walked)


@needs_host
@pytest.mark.parametrize(("given", "kind"), CASES, ids=NAMES)
def test_ten_thousand_samples_in_integers(tmp_path: Path, given: Any, kind: str) -> None:
    decision = Quantised(kind, 4 if kind == "softmax" else 2)
    rule, arithmetic, sizes = in_steps(given, PER_STEP), int8_decisions._INT8, (EXITS, decision.outputs)
    code = [arithmetic.decisions(decision, False), stream_source.defined(rule, *sizes, "net", arithmetic)]
    declared = stream_source.declared(rule, *sizes, "net", arithmetic)
    q = np.clip(np.round(lasting(decision) / PER_STEP) - 128, -128, 127).astype(np.int8)
    p = (q.astype(np.float32) + 128) * np.float32(PER_STEP)
    text = MAIN.format(**INTEGERS, outputs=decision.outputs, declared=declared, code="\n\n".join(code))
    decided, size = decided_by(tmp_path, text, q)
    walked = walk([rule], course(decision, p))
    assert size == (bytes_of(rule, *sizes, int8=True) or 1)
    check(decided, walked)


def in_cpp(rule: Any, decision: Decision) -> dict[str, str]:
    """The file that decides, by name, and as much of the header as it needs."""
    sizes = EXITS, decision.outputs
    words = {
        "outputs": decision.outputs,
        "kind": KINDS[decision.kind],
        "declared": tflm_stream.declared(rule, *sizes),
    }
    return {"net.h": HEADER.format(**words), "net_stream.cc": tflm_stream.source(rule, *sizes, "net")}


@needs_host_cpp
@pytest.mark.parametrize(("given", "kind"), CASES, ids=NAMES)
def test_ten_thousand_samples_in_cpp(tmp_path: Path, given: Any, kind: str) -> None:
    """What --format tflm decides by, on what TFLM says as int8: no line of it is TFLM's."""
    decision = Quantised(kind, 4 if kind == "softmax" else 2)
    rule = in_steps(given, PER_STEP)
    q = np.clip(np.round(lasting(decision) / PER_STEP) - 128, -128, 127).astype(np.int8)
    texts = in_cpp(rule, decision) | {"main.cc": tflm_stream.program("net", [None] * (EXITS + 1))}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    sources = [tmp_path / "main.cc", tmp_path / "net_stream.cc"]
    if given in RULES[1::3] and compiles(ARM_CPP, ".cc", CPP, TARGET):
        line = [ARM_CPP, *TARGET, "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", f"-I{TEMPLATES}", "-c"]
        subprocess.run([*line, str(tmp_path / "net_stream.cc"), "-o", str(tmp_path / "arm.o")], check=True)
    binary = compiled(tmp_path, sources, tmp_path, TEMPLATES)
    said: list[bytes] = []
    for first, end in pairwise([*np.flatnonzero(np.diff(SEQUENCES, prepend=-1)), SAMPLES]):  # each is a stream
        sent = q[:, first:end].transpose(1, 0, 2).tobytes()
        said += subprocess.run([binary], input=sent, capture_output=True, check=True).stdout.splitlines()
    p = (q.astype(np.float32) + 128) * np.float32(PER_STEP)
    check(np.array([line.split() for line in said], int), walk([rule], course(decision, p)))


@needs_host_cpp
def test_tflm_files_that_decide_otherwise_are_refused(tmp_path: Path) -> None:
    decision, folder = Quantised("softmax", 4), tmp_path / "tflm"
    folder.mkdir()
    written, other = (in_steps(DifferenceDetection(STEP, 0.1, most), PER_STEP) for most in (5, 4))
    for name, text in (in_cpp(written, decision) | {"decide.h": (TEMPLATES / "decide.h").read_text()}).items():
        (folder / name).write_text(text)
    said = list((np.round(lasting(decision)[:, :500] / PER_STEP).clip(0, 255) * PER_STEP).astype(np.float32))
    stages = [SimpleNamespace(reuse=None)] * (EXITS + 1)
    manifest = SimpleNamespace(settings={"c_prefix": "net"}, stages=stages, decision=Decision("softmax", 4))
    work: Any = SimpleNamespace(manifest=manifest, directory=tmp_path, x=np.zeros(500))
    tflm._check_stream(work, written, said, HOST_CPP)
    with pytest.raises(ConversionError, match=r"the TFLM files decide sample \d+ of a stream otherwise than"):
        tflm._check_stream(work, other, said, HOST_CPP)
