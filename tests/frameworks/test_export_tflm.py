"""C++ for microcontrollers: its decisions are those of the int8 stages, its arenas are enough, and no larger."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AS_BUNDLE, Run
from tools import ARM_CPP, HOST_CPP, needs_arm_cpp, needs_host_cpp

from eeaug import hardware
from eeaug.bundle.entries import Manifest
from eeaug.cascade import combining
from eeaug.cascade.output import KINDS, MEASURES, STEP, Decision, Quantised
from eeaug.cascade.passage import Passage
from eeaug.errors import ConversionError, InputError
from eeaug.export import tflm
from eeaug.export.formats import check_possible
from eeaug.export.int8 import int8_cascade
from eeaug.export.tflm import interpreter, source
from eeaug.export.tflm.interpreter import MARGIN_BYTES, Interpreter, arena
from eeaug.frameworks import tflite_file
from eeaug.runtime import heard
from eeaug.support.native_process import Ended

pytest.importorskip("tflite_micro")
STUB = Path(__file__).parents[1] / "data" / "tflm"  # headers in TFLM's place that play back what TFLM gave


@pytest.fixture(scope="module")
def made(run: Run, work: Path) -> Path:
    """A bundle whose first stage is on one processor and whose second is on the other."""
    done = run(*AS_BUNDLE, "--exit-at", "stem_relu:cm0p", "--format", "tflm", "-o", "micro", cwd=work)
    assert done.code == 0, done.stderr
    return work / "micro"


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
#include "cascade.h"
#include "stage_0_model.h"
#include "stage_1_model.h"
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
  if (!eeaug::cm0p::Setup() || !eeaug::cm4f::Setup()) return 3;
  for (const auto& input : tflite::recorded[eeaug::stage_0_model].inputs) {
    for (int point = 0; point < POINTS; ++point) {
      static eeaug::Handover1 handed;
      eeaug::Answer answer;
      auto status = eeaug::cm0p::Run(input.data(), &handed, &answer, static_cast<eeaug::Point>(point));
      if (status == eeaug::Status::kGoesOn) {
        status = eeaug::cm4f::Run(handed, &answer);
      }
      if (status != eeaug::Status::kLeft) return 4;
      printf("%d %d %d\\n", answer.stage, static_cast<int>(answer.label), answer.confidence);
    }
  }
}
"""


@needs_host_cpp
def test_the_driver_decides_as_the_stages_do(made: Path, tmp_path: Path) -> None:
    """On what TFLM gives for recorded samples, at every operating point; stub headers stand in for TFLM's."""
    manifest = manifest_of(made)
    x = np.load(made / "search" / "samples.npz")["x"]
    stages = int8_cascade.cascade(made, Manifest.from_dict(manifest), 1)
    said, tensor, loaded = [], x, []
    for k, (entry, session) in enumerate(zip(stages.stages, stages.sessions, strict=True)):
        assert entry.tflm is not None
        content = (made / entry.files["tflite-int8"]).read_bytes()
        order = tflite_file.outputs(content)
        q = session.taken(entry.input_name, tensor)
        outputs = dict(zip(order, Interpreter(content, entry.tflm.arena_bytes).run(q, len(order)), strict=True))
        rows = [q, *outputs.values()]
        (tmp_path / f"{k}.bin").write_bytes(b"".join(row[i].tobytes() for i in range(len(x)) for row in rows))
        sizes = ", ".join(str(row[0].size) for row in rows)
        arena = entry.tflm.arena_bytes
        loaded.append(f'Load("{k}.bin", eeaug::stage_{k}_model, {arena}, {len(x)}, {{{sizes}}});')
        said.append((outputs["probabilities"].astype(np.float32) + 128) * np.float32(STEP))
        tensor = tensor if entry.handover is None else outputs[entry.handover.name]
    names = [point["name"] for point in manifest["operating_points"] if "int8" in point]
    assert len(names) > 1 and "default" in names
    text = MAIN.replace("LOADED", "\n  ".join(loaded)).replace("POINTS", str(len(names)))
    (tmp_path / "main.cc").write_text(text)
    program = compiled(tmp_path, [tmp_path / "main.cc", *(made / "tflm").glob("*.cc")], STUB, made / "tflm")
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.returncode
    found = np.array([line.split() for line in done.stdout.splitlines()], int).reshape(len(x), len(names), 3)

    pairs = [stages.decision.answers(p) for p in heard(stages.decision, stages.stages, said)]
    confidence, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    n = np.arange(len(x))
    for column, name in enumerate(names):
        at = Passage(int8_cascade.Outcomes(confidence, predicted, predicted[0]), stages.points[name]).at
        np.testing.assert_array_equal(found[:, column, 0], at)
        np.testing.assert_array_equal(found[:, column, 1], predicted[at, n])
        np.testing.assert_array_equal(found[:, column, 2], confidence[at, n] * 256 - 128)
    assert len({tuple(column) for column in found[:, :, 0].T}) > 1  # points differ


@needs_arm_cpp
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4"])
def test_everything_compiles_for_the_target(made: Path, tmp_path: Path, cpu: str) -> None:
    flags = [f"-mcpu={cpu}", "-mthumb", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror"]
    for path in (made / "tflm").glob("*.cc"):
        line = [ARM_CPP, *flags, f"-I{STUB}", "-c", str(path), "-o", str(tmp_path / "out.o")]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@needs_host_cpp
@pytest.mark.parametrize("kind", KINDS)
def test_decisions_in_cpp_are_those_of_python(kind: str, tmp_path: Path) -> None:
    """For every measure, with and without earlier exits, on random int8 probabilities, the ends among them."""
    outputs, samples = {"softmax": 4, "binary": 1, "multilabel": 3}[kind], 400
    rng = np.random.default_rng(5)
    q = rng.integers(-128, 128, (2, samples, outputs)).astype(np.int8)
    q[:, ::7] = rng.choice([-128, 127], q[:, ::7].shape)
    weights = (np.float32(0.3), np.float32(1.0))
    expected, calls = [], []
    for measure in MEASURES:
        decision = Quantised(kind, 2 if kind == "binary" else outputs, measure)
        p = [(row.astype(np.float32) + 128) * np.float32(STEP) for row in q]
        for alone in (True, False):
            confidence, predicted = decision.answers(p[1] if alone else combining.combined(p, weights, decision))
            expected.append(np.stack([confidence * 256 - 128, predicted], axis=1))
            names = source.KINDS[kind], source.MEASURES[measure]
            how = "said + 1, 1, nullptr" if alone else "said, 2, weights"
            calls.append(f"Show(Decide<{outputs}>({how}, Kind::{names[0]}, Measure::{names[1]}));")
    (tmp_path / "q.bin").write_bytes(q.transpose(1, 0, 2).tobytes())
    (tmp_path / "main.cc").write_text(f"""
#include <stdio.h>
#include "decide.h"
using namespace eeaug;
static void Show(Decision made) {{ printf("%d %d ", made.confidence, static_cast<int>(made.label)); }}
int main() {{
  const float weights[] = {{0.3f, 1.0f}};
  int8_t said[2][{outputs}];
  FILE* file = fopen("q.bin", "rb");
  while (fread(said, 1, sizeof(said), file) == sizeof(said)) {{ {" ".join(calls)} printf("\\n"); }}
}}
""")
    program = compiled(tmp_path, [tmp_path / "main.cc"], Path(tflm.__file__).parent / "templates")
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = np.array([line.split() for line in done.stdout.splitlines()], int).reshape(samples, len(calls), 2)
    for column, wanted in enumerate(expected):
        different = (found[:, column] != wanted).any(axis=1)
        # logarithms of two libraries may round a confidence to two neighbours
        assert different.mean() <= 0.01 and np.abs(found[:, column, 0] - wanted[:, 0]).max() <= 1


def test_arenas_are_as_small_as_they_can_be(made: Path) -> None:
    """And have a margin, which the C++ text tells."""
    for entry in manifest_of(made)["stages"]:
        content = (made / entry["files"]["tflite-int8"]).read_bytes()
        least, measured = entry["tflm"]["arena_least_bytes"], entry["tflm"]["arena_bytes"]
        assert least + MARGIN_BYTES <= measured <= 1.02 * least + MARGIN_BYTES and measured % 16 == least % 16 == 0
        text = (made / "tflm" / f"{entry['processor']}.cc").read_text()
        assert f"arena_{entry['name'][0]}[{measured}]" in text and f"// {least} bytes were just enough" in text
        zeros = np.zeros((1, *entry["input_shape"]), np.int8)
        interpreter.answers(content, least, zeros)
        with pytest.raises(RuntimeError):
            interpreter.answers(content, least - 16, zeros)


@pytest.mark.parametrize(("recorded", "least"), [(100, 16 * 93), (16 * 93, 16 * 93), (16 * 500, 16 * 93)])
def test_the_smallest_arena_is_found_from_any_account(
    monkeypatch: pytest.MonkeyPatch, recorded: int, least: int
) -> None:
    """TFLM's account may be too small (tflite-micro issue 2738), right, or too large."""

    def call(function: Any, content: bytes, size: int, x: Any, **_: Any) -> Any:
        if size < least - 15:
            raise Ended("signal 6")
        return {"y": np.full(3, 0 if size < least else 1)}, recorded

    monkeypatch.setattr(interpreter.native_process, "call", call)
    assert arena(b"", np.zeros((1, 2), np.int8)).least == least


def test_a_file_that_never_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(function: Any, content: bytes, size: int, x: Any, **_: Any) -> Any:
        if size < interpreter.ROOMY:
            raise RuntimeError("no room")
        return {"y": np.zeros(3)}, 1000

    monkeypatch.setattr(interpreter.native_process, "call", call)
    with pytest.raises(RuntimeError, match="no arena of up to 256,000,000 bytes"):
        arena(b"", np.zeros((1, 2), np.int8))


def test_more_classes_than_its_softmax_adds_up_are_refused() -> None:
    tflm.refuse_decision(Decision("softmax", 511))
    tflm.refuse_decision(Decision("multilabel", 1000))
    with pytest.raises(ConversionError, match=r"512 or more classes .* the model has 1,000; leave tflm out"):
        tflm.refuse_decision(Decision("softmax", 1000))


def test_arrays_hold_the_files(made: Path) -> None:
    for k, entry in enumerate(manifest_of(made)["stages"]):
        text = (made / entry["files"]["tflm"]).read_text()
        numbers = bytes(int(word, 16) for word in text.split("{\n")[2].split("}")[0].replace(",", " ").split())
        assert numbers == (made / entry["files"]["tflite-int8"]).read_bytes()
        assert f"stage_{k}_model_size = {len(numbers)};" in text and "alignas(16) const" in text


def test_what_the_report_says_of_it(made: Path, run: Run) -> None:
    report = json.loads((made / "report.json").read_bytes())
    assert report["settings"]["formats"] == ["keras", "onnx", "tflite", "tflite-int8", "tflm"]
    assert report["int8"]["kernels"] == "reference"
    assert report["int8"]["checks"]["tflm"]["samples"] == 128
    assert report["int8"]["checks"]["tflm"]["disagreements"] <= 2
    shown = run("report", made, "--format", "markdown", cwd=made.parent).stdout
    for stage, segment in zip(report["int8"]["stages"], report["design"]["segments"], strict=True):
        assert stage["arena_bytes"] > segment["peak_activation_bytes"] / 2
        assert stage["operators"] == sorted(stage["operators"])
    assert "TFLM arena, measured" in shown and "TFLM gives" in shown


def test_a_hand_over_that_is_requantised() -> None:
    entry = {
        "int8": {
            "requantised_from": {"scale": 0.5, "zero_point": 3},
            "inputs": {"h": {"scale": 0.25, "zero_point": -1}},
        }
    }
    (line,) = source._fed(entry, "received.tensor", 12)
    assert "Quantised((received.tensor[i] - 3) * 0.5f, 0.25f, -1)" in line and "i < 12" in line


def test_a_target_without_a_microcontroller_is_refused() -> None:
    """And one with a cloud beside it is not: only its microcontroller's stages are written."""
    only = hardware.read("psoc6")
    check_possible(["tflm"], only)
    assert tflm.microcontrollers(only) == {"cm0p", "cm4f"}
    with pytest.raises(InputError, match="--format tflm: rk3588-cloud has no microcontroller"):
        check_possible(["tflm"], hardware.read("rk3588-cloud"))
