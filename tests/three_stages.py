"""Three small ONNX stages of a model with two inputs, and their manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eeaug.bundle.entries import Manifest
from eeaug.cascade.output import Decision

INPUTS = ("input", "more")  # the second goes past the first stage
SIZE = 6
EXITS = 2


def stages(place: Path, kind: str, outputs: int, reuse: bool) -> list[dict[str, Any]]:
    """Three stages: each says something of its tensor, and hands over another; the second reads ``more``, too."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng, listed = np.random.default_rng(3), []
    for k, given in enumerate(("input", "h0", "h1")):
        handed = None if k == EXITS else f"h{k}"
        takes = [given, *(["more"] if k == 1 else [])]
        weights = [
            numpy_helper.from_array(rng.normal(size=(SIZE, size)).astype(np.float32), name)
            for name, size in (("w", outputs), *([("v", SIZE)] if handed else []))
        ]
        nodes = (
            [helper.make_node("Add", takes, ["x"])] if k == 1 else [helper.make_node("Identity", [given], ["x"])]
        )
        nodes += [
            helper.make_node("MatMul", ["x", "w"], ["z"]),
            helper.make_node("Softmax" if kind == "softmax" else "Sigmoid", ["z"], ["probabilities"]),
        ]
        nodes += [helper.make_node("MatMul", ["x", "v"], [handed])] if handed else []
        sizes = {**dict.fromkeys(takes, SIZE), "probabilities": outputs, **({handed: SIZE} if handed else {})}
        types = {
            n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n, size in sizes.items()
        }
        ends = [types[n] for n in sizes if n not in takes]
        graph = helper.make_graph(nodes, "stage", [types[n] for n in takes], ends, weights)
        name = f"{k}.onnx"
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, str(place / name))
        passed = [{"name": "more", "shape": [SIZE], "bytes": 24}] if k == 0 else []
        handover = [{"name": handed, "shape": [SIZE], "bytes": 24}, *passed] if handed else []
        listed.append(
            {
                "name": str(k), "inputs": takes, "files": {"onnx": name},
                "input_shape": [SIZE if k == EXITS else 2 * SIZE],
                "outputs": {"probabilities": "probabilities", "handover": handover},
                "threshold": [0.6, None, None][k], "reuse": [0.3, 0.5, 1.0][: k + 1] if k and reuse else None,
                "processor": "cpu", "metric": "any", "macs": 1,
            }
        )  # fmt: skip
    return listed


def bundle(place: Path, kind: str, measure: str, reuse: bool = True) -> Manifest:
    outputs = 1 if kind == "binary" else 4
    classes = 2 if kind == "binary" else outputs
    return Manifest.from_dict(
        {
            "stages": stages(place, kind, outputs, reuse),
            "decision": Decision(kind, classes, measure).as_dict(),
            "classes": [f"c{i}" for i in range(classes)],
            "preprocessing": {"scale": 1.0, "offset": 0.0, "mean": None, "std": None},
            "model_inputs": [{"name": name, "shape": [SIZE], "dtype": "float32"} for name in INPUTS],
        }
    )
