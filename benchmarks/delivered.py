#!/usr/bin/env python3
"""Whether headline, table and `eeaug check` say what the C files of a bundle take, as QEMU runs them unchanged.

    python benchmarks/delivered.py --data-dir DIR [--only resnet8 dscnn] [--formats c-int8 c]
                                    [--mappings free one-each] [--samples 24] [--effort quick] [--hw psoc6]

DIR: see public_models.py. Every bundle is made by the command; then a program of its own sends test samples, one
after the other, through the files of the bundle as they are, on each core, and counts instructions of every sample
(benchmarks/c_code.py says how). *Sample*: the largest difference of a sample between this and what the report says
of the way that it takes; *mean*: of the table's mean latency, against counted samples of each way, times how often
it is taken, with cycles per instruction, clock and hand-overs of the report; *check*: whether --max-mean-latency
passes at 1.001 times that figure of the table, and fails at 0.98 times what QEMU counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from public_models import MODELS, prepare

from eeaug.bundle.directory import read_manifest
from eeaug.bundle.entries import CProcessor, Manifest
from eeaug.data.preprocessing import Preprocessing
from eeaug.export import names
from eeaug.export.c import emulated, toolchain
from eeaug.export.c.text import filled

HEADER = ("model", "format", "mapping", "exits taken", "sample", "mean", "table", "check")
PROGRAM = """
#include <string.h>
#include "@{prefix}.h"
@{ticks}
static @{prefix}_result result;
@{handed}
static const @{number} samples[][@{PREFIX}_INPUT] = {
@{samples}};
static void one(const @{number} *sample)
{
    begin();
@{calls}
}
int main(void)
{
    for (unsigned i = 0; i < sizeof samples / sizeof samples[0]; ++i) {
        memset(sums, 0, sizeof sums);
        one(samples[i]);
        printf("sample %u exit %d\\n", i, (int)result.exit);
        print();
    }
    return 0;
}
"""


def program(manifest: Manifest, processors: Sequence[CProcessor], number: str, x: np.ndarray) -> str:
    """In C: every sample through all processors' functions, with a slot of ticks for each."""
    prefix = names.prefix(manifest)
    known, calls, handed = f"{prefix.upper()}_DEFAULT", [], []
    for i, processor in enumerate(processors):
        if i + 1 < len(processors):
            handed.append(f"static {prefix}_to_{processors[i + 1].name} handed_{i};")
        gives = f", &handed_{i}" if i + 1 < len(processors) else ""
        takes = "sample" if i == 0 else f"&handed_{i - 1}"
        call = f"{processor.function}({takes}, {known}, &result{gives})"
        calls += [f"    const int on_{i} = (int){call};", f"    eeaug_tick({i});", f"    if (on_{i}) {{ return; }}"]
    rows = ",\n".join("{" + ",".join(map(str, row.ravel().tolist())) + "}" for row in x)
    filling = {
        "prefix": prefix, "PREFIX": prefix.upper(), "number": number, "handed": "\n".join(handed),
        "calls": "\n".join(calls), "samples": rows, "ticks": filled("ticks.h", slots=len(processors)),
    }  # fmt: skip
    text = PROGRAM
    for word, value in filling.items():
        text = text.replace(f"@{{{word}}}", value)
    return text


def counted(
    bundle: Path, kind: str, entries: Sequence[Mapping[str, Any]], x: np.ndarray
) -> dict[int, list[list[int]]]:
    """Classifier → instructions of every sample that it decides, by processor; ``x``: prepared samples."""
    manifest = Manifest.from_dict(read_manifest(bundle))
    folder, processors = bundle / kind, (manifest.c if kind == "c" else manifest.c_int8) or ()
    if kind == "c-int8":
        takes = manifest.stages[0].int8
        assert takes is not None
        (quantisation,) = takes.inputs.values()
        x = quantisation.quantised(x)
    text = program(manifest, processors, "float" if kind == "c" else "int8_t", x)
    exits: list[int] = []
    by_processor = []
    for i, entry in enumerate(entries):
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch)
            (place / "plain.c").write_text(text, encoding="utf-8")
            every = [place / "plain.c", *toolchain.sources(folder)]
            objects = toolchain.compiled(toolchain.ARM, every, folder, entry["cpu"], place)
            printed = emulated.run(toolchain.ARM, entry["cpu"], objects, place).split("sample ")[1:]
        exits = [int(part.split("exit ")[1].split()[0]) for part in printed]
        by_processor.append([emulated.instructions(part, entry["cpu"], len(processors))[i] for part in printed])
    result = defaultdict(list)
    for end, taken in zip(exits, zip(*by_processor, strict=True), strict=True):
        result[end].append(list(taken))
    return dict(result)


def compare(bundle: Path, kind: str, x: np.ndarray) -> tuple[str, ...]:
    """The cells of a row, from the exits that are taken on."""
    report = json.loads((bundle / "report.json").read_bytes())
    block = report["c"] if kind == "c" else report["int8"]["c"]
    entries, ways = block["processors"], block["paths"]
    taken = counted(bundle, kind, entries, x)
    stages = [{row["stage"]: row for row in entry["counted"]} for entry in entries]
    keys = ("instructions", "head_instructions", "decision_instructions")
    each = {row["processor"]: row["per_instruction"] / row["clock_hz"] for row in block["cycles"]}
    worst, mean = 0.0, 0.0
    for end, way in enumerate(ways):
        expected = [sum(row[k] for s, row in known.items() if s <= end for k in keys) for known in stages]
        runs = np.array(taken.get(end, [expected]), float)
        worst = max(worst, float(np.abs(runs.sum(axis=1) / sum(expected) - 1).max()))
        own = sum(n * each[entry["processor"]] for n, entry in zip(runs.mean(axis=0), entries, strict=True))
        reported = sum(n * each[entry["processor"]] for n, entry in zip(expected, entries, strict=True))
        mean += way["leave_rate"] * (way["latency_s"] - reported + own)
    metrics = report["design"]["measured"]
    if kind == "c-int8" and report["c"] is not None:
        metrics = report["int8"]["measured"]
    table = metrics["mean_latency_s"]
    return (
        f"{len(taken)} of {len(ways)}", f"{worst:.2%}", f"{table / mean - 1:+.2%}", f"{1e3 * table:.4g} ms",
        checked(bundle, table, mean),
    )  # fmt: skip


def checked(bundle: Path, table: float, counted_s: float) -> str:
    """Whether `eeaug check` passes just above the table's figure, and fails below what was counted."""
    codes = []
    for limit in (1.001 * table, 0.98 * counted_s):
        command = [sys.executable, "-m", "eeaug", "check", str(bundle), "--max-mean-latency", f"{limit:.9g}s"]
        codes.append(subprocess.run(command, capture_output=True).returncode)
    return "agrees" if codes[0] == 0 and codes[1] != 0 else f"exit codes {codes[0]}, {codes[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=MODELS, default=["resnet8", "dscnn"])
    parser.add_argument("--formats", nargs="*", choices=("c", "c-int8"), default=["c-int8", "c"])
    parser.add_argument("--mappings", nargs="*", choices=("free", "one-each"), default=["free", "one-each"])
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--hw", default="psoc6")
    asked = parser.parse_args()
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    for name in asked.only:
        with tempfile.TemporaryDirectory(prefix="eeaug-benchmark-") as scratch:
            work = Path(scratch)
            model, spec, _ = prepare(name, asked.data_dir.resolve(), work, 0)
            stored = json.loads(spec.read_text())
            parts = np.load(work / stored["source"])
            for mapping in asked.mappings:
                for kind in asked.formats:
                    out = work / f"{mapping}-{kind}"
                    command = [
                        sys.executable, "-m", "eeaug", "augment", str(model), "--hw", asked.hw, "--data", str(spec),
                        "--format", kind, "--mapping", mapping, "--effort", asked.effort, "-q", "--force",
                        "--cache-dir", str(work / "cache"), "-o", str(out),
                    ]  # fmt: skip
                    done = subprocess.run(command, capture_output=True, text=True)
                    if done.returncode:
                        print(
                            f"| {name} | {kind} | {mapping} | {done.stderr.strip().splitlines()[-1]} |", flush=True
                        )
                        continue
                    ready = Preprocessing.from_dict(read_manifest(out)["preprocessing"])
                    cells = compare(out, kind, ready(parts["x_test"][: asked.samples]))
                    print(f"| {' | '.join((name, kind, mapping, *cells))} |", flush=True)


if __name__ == "__main__":
    main()
