"""ONNX Runtime for NVIDIA Triton, as a backend in Python: the packages from a registry have no compiled one.

Triton loads it for models whose configuration says ``backend: "onnxruntime"``. Tensors go by DLPack: this Triton's
own way is of before NumPy 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    """One model; Triton joins requests before it calls :meth:`execute`."""

    def initialize(self, args: dict[str, str]) -> None:
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]

    def execute(self, requests: list[Any]) -> list[Any]:
        given = [
            [np.from_dlpack(triton.get_input_tensor_by_name(request, name)) for name in self.inputs]
            for request in requests
        ]
        ends = np.cumsum([len(arrays[0]) for arrays in given])[:-1]
        joined = {name: np.concatenate([a[i] for a in given]) for i, name in enumerate(self.inputs)}
        parts = [np.split(output, ends) for output in self.session.run(self.outputs, joined)]
        return [
            triton.InferenceResponse(
                [
                    triton.Tensor.from_dlpack(name, np.ascontiguousarray(part[k]))
                    for name, part in zip(self.outputs, parts, strict=True)
                ]
            )
            for k in range(len(requests))
        ]
