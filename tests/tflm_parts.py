"""C++ of --format tflm, compiled for this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools import HOST_CPP

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


MAIN = """
#include <cstdio>
#include "model.h"
#include "model_stage_0_model.h"
#include "model_stage_1_model.h"
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
