#!/usr/bin/env python3
"""What memory costs on microcontrollers: instructions of decisions, and of a bundle by second of signal, in QEMU.

    python benchmarks/stream_instructions.py [--cores CPU ...]           decisions alone
    python benchmarks/stream_instructions.py --data-dir DIR [--only CASE]  whole bundles, without and with memory

Decisions: those of the C files, in floats and in int8, and of TFLM's drivers, each on SAMPLES samples whose
classes last for a while. What memory costs a sample is what the decisions of all exits take that it reaches, less
what the same exits take that decide it by itself (the first row): the mean, and the most. Every sample is
repeated, as a tick of SysTick is some instructions.

Bundles are those of streams.py (DIR: see public_models.py), and one of the example's images as scenes, on a
Cortex-M4; whole recordings of test samples are pushed through their files as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stream_data import made

from eeaug.bundle.directory import read_manifest
from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import STEP, Decision
from eeaug.data.preprocessing import Preprocessing
from eeaug.export import names
from eeaug.export.c import emulated, stream_source, toolchain
from eeaug.export.c.arithmetic import FLOAT
from eeaug.export.c.text import filled
from eeaug.export.c_int8 import decisions as int8_decisions
from eeaug.export.tflm import stream as tflm_stream
from eeaug.streams.confidence import Confidence
from eeaug.streams.debounce import Debounce
from eeaug.streams.difference import DifferenceDetection
from eeaug.streams.kinds import in_steps
from eeaug.streams.patience import Patience
from eeaug.streams.rules import bytes_of

CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")
SAMPLES, REPEATS, EXITS, LASTS = 200, 40, 2, 8
ARM_CPP = toolchain.ARM.replace("gcc", "g++")
SURE, LOWER = (0.9, 0.8), (0.4, 0.4)
ITSELF = "each sample by itself, 12 classes"
DECISIONS: dict[str, tuple[Any, int]] = {  # with how many classes
    ITSELF: (Confidence(SURE), 12),
    "confidence alone": (Confidence(SURE), 12),
    "difference detection, 2 classes": (DifferenceDetection(SURE, 0.2, 16), 2),
    "difference detection, 12 classes": (DifferenceDetection(SURE, 0.2, 16), 12),
    "temporal patience": (Patience(SURE, LOWER, 2, 16), 12),
    "confidence, debounced 2/3": (Debounce(Confidence(SURE), 2, 3), 12),
    "confidence, debounced 4/8": (Debounce(Confidence(SURE), 4, 8), 12),
}
FORMATS = ("c", "c-int8", "tflm")
REPEATED = """
static @{state} state;
static @{number} said[@{samples}][@{exits} + 1][@{outputs}] = {@{values}};
static volatile int32_t seen;
__attribute__((noipa)) static int remembering(int i)
{
    @{result} result;
    int k = 0;
    for (; ; ++k) {
        @{remembering}
    }
    seen = (int32_t)result.@{label};
    return k;
}
__attribute__((noipa)) static void alone(int i, int last)
{
    @{result} result;
    int stays = 0;
    for (int k = 0; k <= last; ++k) {
        @{alone}
    }
    seen = (int32_t)result.@{label} + stays;
}
int main(void)
{
    begin();
    @{empties}(&state);
    for (int i = 0; i < @{samples}; ++i) {
        const @{state} before = state;
        const int last = remembering(i);
        const @{state} after = state;
        uint32_t from = now();
        for (int r = 0; r < @{repeats}; ++r) {
            state = before;
            remembering(i);
        }
        const uint32_t with = now() - from;
        uint32_t without;
        from = now();
        for (int r = 0; r < @{repeats}; ++r) {
            state = before;
            alone(i, last);
        }
        without = now() - from;
        printf("%ld %ld\\n", (long)without, (long)(int32_t)(with - without));
        state = after;
    }
    return 0;
}
"""
APART = "__attribute__((noinline)) static int"  # as where several stages call it
IN_C = """
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
@{ticks}
#define OUTPUTS @{outputs}
#define NET_STAGES (@{exits} + 1)
typedef struct { int32_t predicted; int32_t exit; @{number} confidence; } net_result;
@{declared}
@{code}
static const @{threshold_type} thresholds[1][@{exits}] = {{@{thresholds}}};
__attribute__((noinline)) static int decided(const @{share} *p, int32_t exit, int point, net_result *result)
{
    result->predicted = predicted(p);
    result->exit = exit;
    result->confidence = confidence(p);
    return exit == NET_STAGES - 1 || result->confidence >= thresholds[point][exit];
}
"""
IN_CPP = """
#include "net.h"
@{ticks}
using namespace net;
static const int16_t kThresholds[1][@{exits}] = {{@{thresholds}}};
"""
HEADER = """
#include "decide.h"
namespace net {
constexpr int kStages = @{exits} + 1;
constexpr int kOutputs = @{outputs};
enum class Status { kLeft, kGoesOn, kFailed, kOtherBuild, kRemembered };
struct Answer { int stage; uint64_t label; int8_t confidence; };
@{declared}
}
"""
DECIDE = """
const eeaug::Decision made = eeaug::Decide<kOutputs>(
    said[i] + k, 1, nullptr, eeaug::Kind::kSoftmax, eeaug::Measure::kMaxSoftmax);
"""
PUSHED = """
#include <string.h>
#include "@{prefix}.h"
@{ticks}
static @{prefix}_result result;
static @{prefix}_stream state;
extern const @{number} samples[][@{PREFIX}_INPUT];
__asm__(".section .samples, \\"a\\"\\n.balign 4\\n.global samples\\nsamples: .incbin \\"@{file}\\"\\n.text");
static const unsigned char fresh[] = {@{fresh}};
int main(void)
{
    unsigned remembered = 0;
    begin();
    for (unsigned i = 0; i < sizeof fresh; ++i) {
        if (fresh[i]) {
            @{prefix}_stream_reset(&state);
        }
        remembered += @{function}_push(&state, samples[i], &result) == @{PREFIX}_REMEMBERED;
    }
    eeaug_tick(0);
    print();
    printf("remembered %u\\n", remembered);
    return 0;
}
"""
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# model, scale of samples, seconds from one to the next, files, samples at most, options
CASES: dict[str, tuple[str, float, float, str, int, tuple[str, ...]]] = {
    "example": ("fashion_resnet.h5", 1.0, 1.0, "c-int8", 640, ()),
    "scenes": ("mobilenetv1_vww.h5", 1 / 255, 0.5, "c-int8", 320, ()),
    "keywords": (
        "dscnn_kws.h5", 1.0, 0.2, "c", 600,
        ("--background", "_silence_,_unknown_", "--max-missed", "1%"),
    ),
}  # fmt: skip
RUNS = {"without memory": ("--refresh", "1"), "with memory": ()}


def written(text: str, **words: object) -> str:
    for name, value in words.items():
        text = text.replace(f"@{{{name}}}", str(value))
    return text


def lasting(outputs: int) -> np.ndarray:
    """Probabilities (SAMPLES, EXITS + 1, outputs), int8, of samples that stay about the same for a while."""
    rng = np.random.default_rng(0)
    z = np.repeat(rng.normal(0, 2, (SAMPLES // LASTS, EXITS + 1, outputs)), LASTS, axis=0)
    p = np.exp(z + rng.normal(0, 0.3, z.shape))
    return np.asarray(np.clip(np.round(p / p.sum(-1, keepdims=True) / STEP) - 128, -128, 127), np.int8)


def objects(kind: str, rule: Any, outputs: int, cpu: str, place: Path) -> list[Path]:
    """A program that prints what memory costs every sample, in ticks of all its repetitions."""
    q, decision, sizes = lasting(outputs), Decision("softmax", outputs), (EXITS, outputs)
    numbers = q.ravel() if kind != "c" else (q.ravel() + 128.0) * STEP
    words: dict[str, object] = {
        "outputs": outputs, "exits": EXITS, "samples": SAMPLES, "repeats": REPEATS,
        "ticks": filled("ticks.h", slots=1), "values": ", ".join(map(str, numbers.tolist())),
    }  # fmt: skip
    rule = rule if kind == "c" else in_steps(rule, STEP)
    if kind == "tflm":
        around = tflm_stream.AROUND
        words |= {
            "state": around.state, "result": around.result, "label": around.label, "empties": around.empties,
            "number": "int8_t", "thresholds": ", ".join(map(around.threshold, SURE)),
            "declared": tflm_stream.declared(rule, *sizes),
            "remembering": DECIDE + "result = {k, made.label, made.confidence};\n"
            "if (Decided(&state, said[i][k], &result) != Status::kGoesOn) break;",
            "alone": DECIDE + "result = {k, made.label, made.confidence};\n"
            "stays += k < kStages - 1 && made.confidence < kThresholds[0][k];",
        }  # fmt: skip
        texts = {
            "net.h": written(HEADER, **words), "net_stream.cc": tflm_stream.source(rule, *sizes, "net"),
            "main.cc": written(IN_CPP + REPEATED, **words),
        }  # fmt: skip
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
        includes = [f"-I{place}", f"-I{Path(tflm_stream.__file__).parent / 'templates'}"]
        flags = ["-O2", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-ffunction-sections", "-w"]
        built = []
        for name in ("main", "net_stream"):
            line = [ARM_CPP, *flags, *toolchain.target(cpu), *includes, "-c", str(place / f"{name}.cc")]
            subprocess.run([*line, "-o", str(place / f"{name}.o")], check=True)
            built.append(place / f"{name}.o")
        return built
    arithmetic = FLOAT if kind == "c" else int8_decisions._INT8
    remembers = stream_source.defined(rule, *sizes, "net", arithmetic)
    remembers = remembers.replace("static int stream_d", f"{APART} stream_d")
    heard = f"const {arithmetic.share} *p = said[i][k];"
    if arithmetic.every:
        heard = f"{arithmetic.share} p[OUTPUTS]; shares(said[i][k], p);"
    words |= {
        "state": "net_stream", "result": "net_result", "label": "predicted", "empties": "net_stream_reset",
        "number": arithmetic.type, "share": arithmetic.share, "threshold_type": arithmetic.threshold_type,
        "thresholds": ", ".join(map(arithmetic.threshold, SURE)),
        "declared": stream_source.declared(rule, *sizes, "net", arithmetic),
        "code": arithmetic.decisions(decision, False) + remembers,
        "remembering": f"{heard} if (stream_decided(&state, p, k, &result) != STAYS) break;",
        "alone": f"{heard} stays += !decided(p, k, 0, &result);",
    }  # fmt: skip
    (place / "main.c").write_text(written(IN_C + REPEATED, **words), encoding="utf-8")
    return toolchain.compiled(toolchain.ARM, [place / "main.c"], place, cpu, place, ["-w"])


def counted(kind: str, rule: Any, outputs: int, cpu: str, column: int = 1) -> str:
    """Instructions of memory that a sample takes on average, and at most; column 0: of decisions without it."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        printed = emulated.run(toolchain.ARM, cpu, objects(kind, rule, outputs, cpu, place), place)
    ticks = np.array(printed.split(), float).reshape(-1, 2)[:, column]
    each = ticks * 1000 / emulated.board(cpu).mhz / REPEATS
    return f"{each.mean():.0f} / {each.max():.0f}"


def streams_of(case: str, data_dir: Path, out: Path) -> dict[str, np.ndarray]:
    """The arrays of a case, written to ``out``, too."""
    if case == "example":
        line = [sys.executable, str(EXAMPLES / "scenes.py"), str(EXAMPLES / "fashion_resnet.npz"), str(out)]
        subprocess.run(line, check=True)
    else:
        np.savez(out, **made(case, data_dir, 0))
    with np.load(out) as arrays:
        return dict(arrays)


def bundle(folder: Path, case: str, run: str, asked: argparse.Namespace) -> Path:
    """A bundle of one run."""
    model, scale, period, files, _, options = CASES[case]
    place = EXAMPLES if case == "example" else asked.data_dir / "models"
    out, sheet = folder / run.replace(" ", "-"), folder / "data.yaml"
    sheet.write_text(f"source: {folder / 'streams.npz'}\npreprocessing: {{scale: {scale!r}}}\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "eeaug", "augment", str(place / model), "--hw", "stm32l4r5", "--data", str(sheet),
        "--stream", "--period", f"{period}s", "--max-accuracy-drop", "0.01", "--promise", "expected", *options,
        "--effort", "quick", "--format", files, "--threads", "1", "-q", "--force",
        "--cache-dir", str(folder / "cache"), "-o", str(out), *RUNS[run],
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}, {run}: {done.stderr.strip().splitlines()[-1]}")
    return out


def pushed(folder: Path, case: str, x: np.ndarray, groups: np.ndarray) -> tuple[str, ...]:
    """Cells of a row: what whole recordings take in the files of a bundle."""
    manifest, report = Manifest.from_dict(read_manifest(folder)), json.loads((folder / "report.json").read_bytes())
    period, files = CASES[case][2:4]
    prefix, decides, block = names.prefix(manifest), manifest.stream, report["c"]
    x = Preprocessing.from_dict(read_manifest(folder)["preprocessing"])(x)
    if files == "c-int8":
        takes = manifest.stages[0].int8
        assert takes is not None and decides is not None
        (quantisation,) = takes.inputs.values()
        x, decides, block = quantisation.quantised(x), decides.int8, report["int8"]["c"]
    assert decides is not None
    (processor,) = (manifest.c if files == "c" else manifest.c_int8) or ()
    cpu = block["processors"][0]["cpu"]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "samples.bin").write_bytes(x.tobytes())
        text = written(
            PUSHED, prefix=prefix, PREFIX=prefix.upper(), ticks=filled("ticks.h", slots=1),
            function=processor.function, number="float" if files == "c" else "int8_t", file=place / "samples.bin",
            fresh=", ".join(map(str, np.diff(groups, prepend=-1).astype(bool).astype(int))),
        )  # fmt: skip
        (place / "pushed.c").write_text(text, encoding="utf-8")
        every = [place / "pushed.c", *toolchain.sources(folder / files)]
        printed = emulated.run(
            toolchain.ARM, cpu, toolchain.compiled(toolchain.ARM, every, folder / files, cpu, place), place
        )
    (total,) = emulated.instructions(printed, cpu, 1)
    (remembered,) = re.findall(r"remembered (\d+)", printed)
    given, rule = block["baseline"]["instructions"], decides.rule
    return (
        files, getattr(rule, "of", rule).kind, str(decides.state_bytes), f"{int(remembered) / len(x):.1%}",
        f"{given / period / 1e6:.1f} M", f"{total / len(x) / period / 1e6:.2f} M", f"{total / len(x) / given:.1%}",
    )  # fmt: skip


def table(header: Sequence[str]) -> None:
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="with it bundles, else decisions")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--cores", nargs="+", choices=CORES, default=CORES)
    asked = parser.parse_args()
    if asked.data_dir is None:
        table(("decision", "files", "state", *asked.cores))
        for name, (rule, outputs) in DECISIONS.items():
            for kind in FORMATS:
                state = bytes_of(rule, EXITS, outputs, int8=kind != "c")
                cells = [counted(kind, rule, outputs, cpu, int(name != ITSELF)) for cpu in asked.cores]
                print(f"| {' | '.join((name, kind, str(state), *cells))} |", flush=True)
        return
    table((
        "streams", "decided", "files", "by", "state", "remembered", "given model", "instructions a second", "of it",
    ))  # fmt: skip
    for case in asked.only:
        with tempfile.TemporaryDirectory(prefix="eeaug-benchmark-") as scratch:
            folder, arrays = Path(scratch), streams_of(case, asked.data_dir, Path(scratch) / "streams.npz")
            groups = np.unique(arrays["groups_test"], return_inverse=True)[1]
            order, ends = np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))
            most = CASES[case][4]  # whole recordings of so many samples, or the beginning of the first one
            rows = order[: max((end for end in ends if end <= most), default=most)]
            for run in RUNS:
                cells = pushed(bundle(folder, case, run, asked), case, arrays["x_test"][rows], groups[rows])
                print(f"| {' | '.join((case, run, *cells))} |", flush=True)


if __name__ == "__main__":
    main()
