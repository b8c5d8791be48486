"""Files of PyTorch: programs of torch.export become ONNX files; of all others it is said how to export them.

PyTorch is loaded in a process of its own alone, and only for a program that the user trusts: torch.export.load
unpickles, which can run code.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

from eeaug.errors import ConversionError, InputError
from eeaug.support.zip_file import DAMAGE

__all__ = ["HOW", "PROGRAM", "SUFFIXES", "exported", "kind_of"]

PROGRAM, PICKLED = "program", "pickled"
SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors")
HOW = 'torch.onnx.export(model.eval(), (torch.zeros(1, 3, 32, 32),), "model.onnx") (docs/from-pytorch.md)'
LIMIT_S = 1800
# Run by the Python that eeaug runs with
_EXPORT = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
program = torch.export.load(sys.argv[1])
torch.onnx.export(program, dynamo=True, verbose=False).save(sys.argv[2])
"""


def kind_of(path: Path) -> str | None:
    """What a zip file of PyTorch is: PROGRAM of torch.export, else PICKLED; None: it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, *DAMAGE):
        return None
    inside = {name.split("/", 1)[-1] for name in names}
    if "archive_format" in inside or "serialized_exported_program.json" in inside | set(names):
        return PROGRAM
    return PICKLED if inside & {"data.pkl", "constants.pkl"} else None


def exported(path: Path, target: Path) -> Path:
    """A program of torch.export as an ONNX file, ``target``; runs what the file tells PyTorch to.

    Raises
    ------
    InputError : PyTorch is not installed
    ConversionError : it cannot be loaded or exported
    """
    missing = [name for name in ("torch", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{path}: a program of torch.export; to read it {' and '.join(missing)} must be installed "
            "(pip install 'eeaug[torch]'), or export it as ONNX where PyTorch is"
        )
    command = [sys.executable, "-c", _EXPORT, str(path), str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{path}: PyTorch took more than {LIMIT_S // 60} minutes to export it") from None
    if done.returncode or not target.exists():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ConversionError(f"{path}: PyTorch cannot export it as ONNX: {(lines or ['no reason'])[-1][:200]}")
    return target
