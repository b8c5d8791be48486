"""ONNX Runtime sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["session"]


def session(model: Path | bytes, threads: int) -> Any:
    """An ONNX Runtime session on the processor, for a file's path or a serialised model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # waiting threads that spin take the cores of whoever else runs here: 1.7 times slower on a busy machine
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
