"""A Python file that times the models of a bundle on a machine with Python and one runtime."""

from __future__ import annotations

import json

from eeaug.bundle.manifest import Bundle
from eeaug.errors import InputError
from eeaug.export.measure.firmware import COLUMNS, filled, identity

__all__ = ["FORMATS", "project", "stages"]

ONNX_IMPORTS = "import json\nimport math\nimport tempfile\n\nimport onnxruntime"
LITERT_IMPORTS = """
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter
"""
ONNX = ("onnxruntime", "onnx.txt", ONNX_IMPORTS)
LITERT = ("LiteRT (ai-edge-litert or tflite-runtime)", "litert.txt", LITERT_IMPORTS)
FORMATS = {"onnx": ONNX, "tflite": LITERT, "tflite-int8": LITERT}


def stages(bundle: Bundle, format: str) -> dict[str, list[int]]:
    """Processor → the numbers of its stages. InputError: the bundle has no such models."""
    listed: dict[str, list[int]] = {}
    for k, stage in enumerate(bundle.entries.stages):
        if format not in stage.files:
            raise InputError(
                f"{bundle.directory} has no {format} files; `eeaug retarget --format {format}` writes them"
            )
        listed.setdefault(stage.processor, []).append(k)
    return listed


def project(bundle: Bundle, format: str) -> dict[str, bytes]:
    """``measure.py`` and the models, by their paths."""
    stages(bundle, format)
    needs, runtime, imports = FORMATS[format]
    entries = bundle.entries.stages
    listed = [
        {"stage": k, "processor": stage.processor, "file": stage.files[format]} for k, stage in enumerate(entries)
    ]
    text = filled(
        "measure_py.txt",
        needs=needs,
        imports=imports,
        runtime=filled(runtime).rstrip("\n"),
        bundle=identity(bundle, format),
        stages=json.dumps(listed, indent=4),
        columns=COLUMNS,
    )
    models = {stage.files[format]: bundle.file(stage.files[format]).read_bytes() for stage in entries}
    return {"measure.py": text.encode(), **models}
