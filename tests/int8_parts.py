"""A stage of int8 C by itself: built here, and for boards that QEMU emulates."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from eeaug.export.c import toolchain
from eeaug.export.c.plan import MemoryPlan, PlannedStage, plan
from eeaug.export.c.text import filled
from eeaug.export.c_int8 import decisions, kernels, operators, stage_source, third_party
from eeaug.export.c_int8.stage_builder import narrowed
from eeaug.frameworks import keras_to_tflite, tflite_graph

PREFIX = "net"
MAIN = """
#include <stdio.h>
#include "net_stage_0.h"
static union {{ int64_t aligned[{arena}]; }} arena;
static int8_t input[{inputs}], probabilities[{outputs}];
int main(void)
{{
    while (fread(input, sizeof input, 1, stdin) == 1) {{
        net_stage_0(&arena, input, probabilities);
        if (fwrite(probabilities, sizeof probabilities, 1, stdout) != 1) {{
            return 1;
        }}
    }}
    return 0;
}}
"""
ON_BOARD = """
#include <stdio.h>
#include "net_stage_0.h"
static union {{ int64_t aligned[{arena}]; }} arena;
static const int8_t inputs[{samples}][{inputs}] = {{{values}}};
static int8_t probabilities[{outputs}];
int main(void)
{{
    uint32_t crc = 0xFFFFFFFFu;
    for (int i = 0; i < {samples}; ++i) {{
        net_stage_0(&arena, inputs[i], probabilities);
        for (int k = 0; k < {outputs}; ++k) {{
            crc ^= (uint8_t)probabilities[k];
            for (int bit = 0; bit < 8; ++bit) {{
                crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
            }}
        }}
    }}
    printf("crc %lu\\n", (unsigned long)~crc);
    return 0;
}}
"""


@dataclass(frozen=True)
class Built:
    """A stage's files in ``folder``, to be compiled."""

    folder: Path
    plan: MemoryPlan
    inputs: int
    outputs: int
    sources: tuple[str, ...] = ("net_stage_0.c", "net_kernels.c", "cmsis_nn.c")

    @property
    def includes(self) -> list[str]:
        return ["-I.", *(f"-I{folder}" for folder in decisions.FOLDERS)]


def converted(model: Any, x: NDArray[np.float32]) -> bytes:
    """A Keras model in int8."""
    outputs = {"probabilities": model.outputs[0]}
    return keras_to_tflite.to_tflite(model.inputs[0], outputs, input_name="input", samples=x)


def built(content: bytes, folder: Path, *, vectors: bool = True) -> Built:
    """``vectors``: for cores that may have these, as where a description does not say which core it is."""
    graph = tflite_graph.read(content)
    inputs, outputs = (graph.tensors[next(iter(ends.values()))].size for ends in (graph.inputs, graph.outputs))
    stage = operators.lowered(content, {"input": "input", "probabilities": "probabilities"}, vectors=vectors)
    stage = stage if vectors else narrowed(stage)
    source = stage_source.planned(stage, last=True)
    made = plan([PlannedStage(source, True, False, inputs, outputs, 0, 0, False)])
    used = {kernel for call in stage.calls for kernel in call.kernels}
    parts = (made.calls[0], True, made.offsets[0], made.scratch[0])
    known = {"arena": made.bytes // 8 + 1, "inputs": inputs, "outputs": outputs}
    texts = {
        **third_party.files(used),
        "cmsis_nn.c": third_party.unit(PREFIX, used),
        "net_kernels.h": kernels.header(PREFIX, used),
        "net_kernels.c": kernels.implementation(PREFIX, used),
        "net_stage_0.h": stage_source.header(0, "a stage", PREFIX, made.bytes, inputs, outputs, None),
        "net_stage_0.c": stage_source.implementation(0, "a stage", PREFIX, stage, *parts),
        "main.c": MAIN.format(**known),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Built(folder, made, inputs, outputs)


@dataclass(frozen=True)
class Board:
    """A core, the board of QEMU that has it, the linker's script for that."""

    cpu: str
    machine: str
    script: str = "mps2.ld"
    floats: bool = True

    def skip_if_missing(self) -> None:
        if self.machine not in _machines():
            pytest.skip(f"not on this machine: qemu-system-arm with the machine {self.machine}")

    def run(self, stage: Built, q: NDArray[np.int8], strict: list[str]) -> int:
        """CRC of all probabilities, of samples q (n, ...)."""
        values = ",".join("{" + ",".join(map(str, sample.ravel().tolist())) + "}" for sample in q)
        known = {"arena": stage.plan.bytes // 8 + 1, "inputs": stage.inputs, "outputs": stage.outputs}
        text = ON_BOARD.format(values=values, samples=len(q), **known)
        (stage.folder / "on_board.c").write_text(text, encoding="utf-8")
        for name in ("startup.c", self.script):
            (stage.folder / name).write_text(filled(f"mps2/{name}"), encoding="utf-8")
        target = [f"-mcpu={self.cpu}", "-mthumb", *(["-mfloat-abi=hard"] if self.floats else [])]
        link = [
            "--specs=rdimon.specs",
            "-nostartfiles",
            "-Wl,--gc-sections",
            "-T",
            self.script,
            "-o",
            "on_board.elf",
        ]
        files = ["on_board.c", "startup.c", *stage.sources]
        line = [toolchain.ARM, *strict, *target, *stage.includes, *link, "-o", "on_board.elf", *files, "-lm"]
        done = subprocess.run(line, cwd=stage.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        line = ["qemu-system-arm", "-M", self.machine, "-nographic", "-semihosting", "-kernel", "on_board.elf"]
        said = subprocess.run(line, cwd=stage.folder, capture_output=True, text=True, check=True, timeout=300)
        return int(said.stdout.split("crc ")[1])


@cache
def _machines() -> str:
    if shutil.which("qemu-system-arm") is None:
        return ""
    done = subprocess.run(["qemu-system-arm", "-M", "help"], capture_output=True, text=True, check=False)
    return done.stdout


BOARDS = (
    Board("cortex-m0plus", "mps2-an385", floats=False),
    Board("cortex-m4", "mps2-an386"),
    Board("cortex-m7", "mps2-an500", "mps2-an500.ld"),
    Board("cortex-m33", "mps2-an505", "mps2-an505.ld"),
    Board("cortex-m55", "mps3-an547", "mps3-an547.ld"),
)
