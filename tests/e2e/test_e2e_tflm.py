"""A real bundle for TensorFlow Lite for Microcontrollers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from alarm_parts import check_stream, stream_program
from conftest import AS_BUNDLE, Run
from tflm_parts import MAIN, STUB, compiled, manifest_of, recorded
from tools import ARM_CPP, needs_arm_cpp, needs_host_cpp

from eeaug.cascade.passage import Passage
from eeaug.export.int8 import int8_cascade
from eeaug.export.tflm import interpreter
from eeaug.export.tflm.interpreter import MARGIN_BYTES
from eeaug.runtime import heard


@pytest.fixture(scope="module")
def made(run: Run, work: Path) -> Path:
    """A bundle whose first stage is on one processor and whose second is on the other."""
    done = run(*AS_BUNDLE, "--exit-at", "stem_relu:cm0p", "--format", "tflm", "-o", "micro", cwd=work)
    assert done.code == 0, done.stderr
    return work / "micro"


@needs_host_cpp
def test_the_driver_decides_as_the_stages_do(made: Path, tmp_path: Path) -> None:
    """On what TFLM gives for recorded samples, at every operating point; stub headers stand in for TFLM's."""
    manifest = manifest_of(made)
    x = np.load(made / "search" / "samples.npz")["x"]
    stages, said, loaded = recorded(made, x, tmp_path)
    names = [point["name"] for point in manifest["operating_points"] if "int8" in point]
    assert len(names) > 1 and "default" in names
    text = MAIN.replace("LOADED", loaded).replace("POINTS", str(len(names)))
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


@needs_host_cpp
def test_the_watch_counts_and_bets_as_python_does(made: Path, tmp_path: Path) -> None:
    """Against the leave counts of the int8 cascade."""
    manifest = manifest_of(made)
    points = [point["name"] for point in manifest["operating_points"] if "int8" in point]
    (tmp_path / "main.cc").write_text(stream_program("model", cpp=True))
    sources = [tmp_path / "main.cc", made / "tflm" / "model_watch.cc"]
    program = compiled(tmp_path, sources, made / "tflm")
    check_stream(program, manifest["int8"]["reference"], points)


@needs_host_cpp
def test_the_program_of_the_readme_compiles(made: Path, tmp_path: Path) -> None:
    """And every file, under strict warnings; stub headers stand in for TFLM's, which have recorded nothing here."""
    (code,) = re.findall(r"^```cpp\n(.*?)^```$", (made / "tflm" / "README.md").read_text(), re.M | re.S)
    (tmp_path / "main.cc").write_text(code)
    program = compiled(tmp_path, [tmp_path / "main.cc", *(made / "tflm").glob("*.cc")], STUB, made / "tflm")
    assert subprocess.run([program], capture_output=True, check=False).returncode != 0


@needs_arm_cpp
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4"])
def test_everything_compiles_for_the_target(made: Path, tmp_path: Path, cpu: str) -> None:
    flags = [f"-mcpu={cpu}", "-mthumb", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror"]
    for path in (made / "tflm").glob("*.cc"):
        line = [ARM_CPP, *flags, f"-I{STUB}", "-c", str(path), "-o", str(tmp_path / "out.o")]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_arenas_are_as_small_as_they_can_be(made: Path) -> None:
    """And have a margin, which the C++ text tells."""
    for entry in manifest_of(made)["stages"]:
        content = (made / entry["files"]["tflite-int8"]).read_bytes()
        least, measured = entry["tflm"]["arena_least_bytes"], entry["tflm"]["arena_bytes"]
        assert least + MARGIN_BYTES <= measured <= 1.02 * least + MARGIN_BYTES and measured % 16 == least % 16 == 0
        text = (made / "tflm" / f"model_{entry['processor']}.cc").read_text()
        assert f"arena_{entry['name'][0]}[{measured}]" in text and f"// {least} bytes were just enough" in text
        zeros = np.zeros((1, *entry["input_shape"]), np.int8)
        interpreter.answers(content, least, zeros)
        with pytest.raises(RuntimeError):
            interpreter.answers(content, least - 16, zeros)


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
    assert "TFLM arena, measured" in shown and "TFLM gave" in shown
