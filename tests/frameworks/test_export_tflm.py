"""C++ for microcontrollers: its decisions are those of the int8 stages, its arenas are enough, and no larger."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflm_parts import compiled
from tools import needs_host_cpp

from eeaug import hardware
from eeaug.bundle.entries import Int8Stage, StageEntry
from eeaug.cascade import combining
from eeaug.cascade.output import KINDS, MEASURES, STEP, Decision, Quantised
from eeaug.errors import ConversionError, InputError
from eeaug.export import tflm
from eeaug.export.formats import check_possible
from eeaug.export.tflm import interpreter, numbers, source
from eeaug.export.tflm.interpreter import arena
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.support.native_process import Ended

pytest.importorskip("tflite_micro")


@needs_host_cpp
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "blank"])  # which no C file has
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


def test_a_hand_over_that_is_requantised() -> None:
    int8 = Int8Stage({"h": Quantisation(0.25, -1)}, {}, Quantisation(0.5, 3))
    entry = StageEntry("1-cpu", "cpu", "h", (12,), "p", None, None, None, "max-softmax", 1, {}, int8)
    (line,) = numbers.taken(entry, "received.tensor", 12, 0)
    assert "Quantised((received.tensor[i] - 3) * 0.5f, 0.25f, -1)" in line and "i < 12" in line


def test_a_target_without_a_microcontroller_is_refused() -> None:
    """And one with a cloud beside it is not: only its microcontroller's stages are written."""
    only = hardware.read("psoc6")
    check_possible(["tflm"], only)
    assert tflm.microcontrollers(only) == {"cm0p", "cm4f"}
    with pytest.raises(InputError, match="--format tflm: rk3588-cloud has no microcontroller"):
        check_possible(["tflm"], hardware.read("rk3588-cloud"))


def test_a_processor_s_name_stands_for_nothing_else() -> None:
    """So that the files of a processor called "watch" are not those of the counters."""
    assert [source.identifier(name) for name in ("watch", "Watch", "cm4-f", "2nd")] == [
        "watch_", "Watch_", "cm4_f", "_2nd",
    ]  # fmt: skip
