#!/usr/bin/env python3
"""Estimated working memory against the arena of TensorFlow Lite Micro, on real models in int8.

    python benchmarks/memory_model.py --data-dir DIR [BUNDLE ...]

DIR holds `models/`; BUNDLEs are directories that `eeaug augment` wrote, of which every stage is one more row. Every
model is quantised throughout by TensorFlow's converter (ranges from noise: memory does not depend on them) and read
by the package `tflite-micro` (pip install 'eeaug[mcu]'), whose allocator tells what it takes: *tensors*, the part
that lives while a layer runs, scratch buffers included; and *arena*, all of it, with what the runtime keeps of
every tensor and operator. *Estimate* is what eeaug limits and reports as peak activations, with one byte per
element. Figures are printed as a Markdown table, in bytes; errors are (estimate − TFLM) / TFLM.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.backbone import keras_files, model
from eeaug.errors import EeaugError
from eeaug.frameworks import keras_to_tflite
from eeaug.network import graph

# name → the output that is the classifier, where there are several
MODELS: dict[str, str | None] = {
    "resnet8_cifar10.h5": None,
    "resnet32_cifar10.h5": None,
    "resnet110_cifar10.h5": None,
    "dscnn_kws.h5": None,
    "dscnn_kws_savedmodel": None,
    "mobilenetv1_vww.h5": None,
    "odd/keyword_spotting_mobilenetv2.h5": None,
    "odd/lenet_keras2_only.h5": None,
    "odd/mini_xception_fer.hdf5": None,
}
SAMPLES = 8  # of noise, for the ranges


@dataclass(frozen=True)
class Row:
    """A model's working memory in bytes."""

    name: str
    estimate: int
    tensors: int
    arena: int


def allocated(content: bytes) -> tuple[int, int]:
    """What TFLM takes for a file: bytes of tensors, and of the whole arena.

    The package prints it from C to stderr.
    """
    from tflite_micro.python.tflite_micro import runtime

    with tempfile.TemporaryFile() as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            runtime.Interpreter.from_bytes(content).print_allocations()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        log.seek(0)
        said = log.read().decode("utf-8", "replace")
    found = dict(re.findall(r"Arena allocation (total|head) (\d+) bytes", said))
    return int(found["head"]), int(found["total"])


def quantised(inputs: Any, outputs: dict[str, Any]) -> bytes:
    noise = np.random.default_rng(0).random((SAMPLES, *inputs.shape[1:]), dtype=np.float32)
    return keras_to_tflite.to_tflite(inputs, outputs, input_name="input", samples=noise)


def of_model(path: Path, name: str, output: str | None) -> Row:
    import keras

    classifier = model.load(path, output=output)
    blocks = graph.blocks(classifier)
    inputs = keras.Input(classifier.input_shape, name="input")
    made = classifier.replay({"input": inputs}, [classifier.output])[classifier.output]
    content = quantised(inputs, {"probabilities": classifier.probabilities(made)})
    return Row(name, max(block.peak_elements for block in blocks), *allocated(content))


def of_bundle(directory: Path) -> Iterator[Row]:
    import keras

    manifest = json.loads((directory / "manifest.json").read_bytes())
    report = json.loads((directory / "report.json").read_bytes())
    for stage, segment in zip(manifest["stages"], report["design"]["segments"], strict=True):
        made = keras.models.load_model(directory / stage["files"]["keras"], compile=False, safe_mode=False)
        outputs = dict(zip(("probabilities", "handover"), made.outputs, strict=False))
        yield Row(
            f"{directory.name}, {stage['name']}",
            segment["peak_activation_bytes"] // segment.get("bytes_per_element", 1),
            *allocated(quantised(made.inputs[0], outputs)),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("bundles", type=Path, nargs="*", metavar="BUNDLE")
    given = parser.parse_args()
    keras_files.import_keras()
    rows = []
    for name, output in MODELS.items():
        try:
            rows.append(of_model(given.data_dir / "models" / name, name, output))
        except EeaugError as error:
            print(f"{name}: {error}", file=sys.stderr)
    for directory in given.bundles:
        rows += of_bundle(directory)
    print("| model | estimate | TFLM: tensors | error | TFLM: arena | error |")
    print("|---|---|---|---|---|---|")
    errors = []
    for row in rows:
        errors.append((row.estimate / row.tensors - 1, row.estimate / row.arena - 1))
        tensors, arena = (f"{error:+.1%}" for error in errors[-1])
        print(f"| {row.name} | {row.estimate:,} | {row.tensors:,} | {tensors} | {row.arena:,} | {arena} |")
    for what, values in zip(("tensors", "arena"), zip(*errors, strict=True), strict=True):
        sizes = [abs(value) for value in values]
        print(f"{what}: median error {statistics.median(sizes):.1%}, largest {max(sizes):.1%}")


if __name__ == "__main__":
    main()
