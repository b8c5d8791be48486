"""C++ of --format tflm, compiled for this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tools import HOST_CPP

from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import STEP
from eeaug.export import names
from eeaug.export.int8 import int8_cascade
from eeaug.export.tflm.interpreter import Interpreter
from eeaug.export.tflm.source import identifier
from eeaug.frameworks import tflite_file
from eeaug.runtime import Cascade

STUB = Path(__file__).parent / "data" / "tflm"  # headers in TFLM's place that play back what TFLM gave


def manifest_of(bundle: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
    return loaded


def compiled(folder: Path, sources: Sequence[Path], *includes: Path) -> Path:
    program = folder / "program"
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"]
    line = [HOST_CPP, *flags, *(f"-I{path}" for path in includes), *map(str, sources), "-o", str(program)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def recorded(bundle: Path, x: np.ndarray, folder: Path) -> tuple[Cascade, list[np.ndarray], str]:
    """The int8 stages, what TFLM says of prepared samples, by stage, and lines that load it into the stub."""
    manifest = Manifest.from_dict(manifest_of(bundle))
    stages, prefix = int8_cascade.cascade(bundle, manifest, 1), names.prefix(manifest)
    said, tensor, loaded = [], x, []
    for k, (entry, session) in enumerate(zip(stages.stages, stages.sessions, strict=True)):
        assert entry.tflm is not None
        content = (bundle / entry.files["tflite-int8"]).read_bytes()
        order = tflite_file.outputs(content)
        q = session.taken(entry.input_name, tensor)
        outputs = dict(zip(order, Interpreter(content, entry.tflm.arena_bytes).run(q, len(order)), strict=True))
        rows = [q, *outputs.values()]
        (folder / f"{k}.bin").write_bytes(b"".join(row[i].tobytes() for i in range(len(x)) for row in rows))
        sizes = ", ".join(str(row[0].size) for row in rows)
        arena = entry.tflm.arena_bytes
        loaded.append(f'Load("{k}.bin", {prefix}::stage_{k}_model, {arena}, {len(x)}, {{{sizes}}});')
        said.append((outputs["probabilities"].astype(np.float32) + 128) * np.float32(STEP))
        tensor = tensor if entry.handover is None else outputs[entry.handover.name]
    return stages, said, "\n  ".join(loaded)


def pushing(bundle: Path, loaded: str) -> str:
    """A program that pushes the recorded samples as those of one stream."""
    manifest = Manifest.from_dict(manifest_of(bundle))
    prefix, stages = names.prefix(manifest), len(manifest.stages)
    runs = [[k for k, _ in mine] for _, mine in groupby(enumerate(manifest.stages), lambda pair: pair[1].processor)]
    calls = []
    for run in runs:
        onward = "" if run[-1] + 1 == stages else f"&handed_{run[-1] + 1}, "
        if onward:
            calls.insert(0, f"static {prefix}::Handover{run[-1] + 1} handed_{run[-1] + 1};")
        given = f"handed_{run[0]}" if run[0] else "input.data()"
        name = f"{prefix}::{identifier(manifest.stages[run[0]].processor)}"
        calls.append(f"if (status == Status::kGoesOn) status = {name}::Push({given}, {onward}&answer, &stream);")
    includes = "\n".join(f'#include "{prefix}_stage_{k}_model.h"' for k in range(stages))
    ready = " && ".join(f"{prefix}::{identifier(manifest.stages[run[0]].processor)}::Setup()" for run in runs)
    return f"""
#include <cstdio>
#include "{prefix}.h"
{includes}
{LOAD}
int main() {{
  using {prefix}::Status;
  {loaded}
  if (!({ready})) return 3;
  {prefix}::Stream stream;
  Reset(&stream);
  for (const auto& input : tflite::recorded[{prefix}::stage_0_model].inputs) {{
    {prefix}::Answer answer;
    Status status = Status::kGoesOn;
    {" ".join(calls)}
    printf("%d %d %d\\n", answer.stage, static_cast<int>(answer.label), status == Status::kRemembered);
  }}
}}
"""


LOAD = """
#include "tensorflow/lite/micro/micro_interpreter.h"

static tflite::Bytes Read(FILE* file, size_t count) {
  tflite::Bytes made(count);
  if (fread(made.data(), 1, count, file) != count) exit(2);
  return made;
}

static void Load(const char* path, const void* model, size_t arena, int samples, std::vector<size_t> sizes) {
  FILE* file = fopen(path, "rb");
  auto& runs = tflite::recorded[model];
  runs.arena = arena;
  for (int i = 0; i < samples; ++i) {
    runs.inputs.push_back(Read(file, sizes[0]));
    std::vector<tflite::Bytes> outputs;
    for (size_t k = 1; k < sizes.size(); ++k) outputs.push_back(Read(file, sizes[k]));
    runs.outputs.push_back(outputs);
  }
}

"""
MAIN = (
    f"""
#include <cstdio>
#include "model.h"
#include "model_stage_0_model.h"
#include "model_stage_1_model.h"
{LOAD}
"""
    + """
int main() {
  LOADED
  if (!model::cm0p::Setup() || !model::cm4f::Setup()) return 3;
  for (const auto& input : tflite::recorded[model::stage_0_model].inputs) {
    for (int point = 0; point < POINTS; ++point) {
      static model::Handover1 handed;
      model::Answer answer;
      auto status = model::cm0p::Run(input.data(), &handed, &answer, static_cast<model::Point>(point));
      if (status == model::Status::kGoesOn) {
        status = model::cm4f::Run(handed, &answer);
      }
      if (status != model::Status::kLeft) return 4;
      printf("%d %d %d\\n", answer.stage, static_cast<int>(answer.label), answer.confidence);
    }
  }
}
"""
)
