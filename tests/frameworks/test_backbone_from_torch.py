"""Files of PyTorch: what is said of them without PyTorch, and, where it is installed, what becomes of them.

``bash .ci/torch`` installs the extra and runs this file; elsewhere what needs PyTorch is skipped.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.backbone import from_torch, model, stored_model
from eeaug.errors import ConversionError, InputError
from eeaug.frameworks import onnx_agreement
from eeaug.network import graph

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnxscript") is None,
    reason="PyTorch is not installed (the extra torch)",
)


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"0")
    return path


@pytest.mark.parametrize("name", ["w.pth", "m.pt", "model.bin"])
def test_pickled_files_say_how_to_export(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConversionError, match=r"a file of PyTorch, .* write it as ONNX .* torch\.onnx\.export"):
        stored_model.read(zipped(tmp_path / name, "m/data.pkl", "m/data/0", "m/version"))


@pytest.mark.parametrize("name", ["old.pth", "w.safetensors"])
def test_older_and_other_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    with pytest.raises(ConversionError, match="a file of PyTorch"):
        stored_model.read(tmp_path / name)


@pytest.mark.parametrize("name", ["m/archive_format", "serialized_exported_program.json"])
def test_a_program_runs_code_and_is_loaded_only_if_trusted(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "m.pt2", name)
    with pytest.raises(ConversionError, match="unpickles it and so can run code from the file: --allow-unsafe"):
        stored_model.read(path)
    assert stored_model.read(path, allow_unsafe=True).kind == "torch"


def test_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"torch and onnxscript must be installed \(pip install 'eeaug\[torch\]'\)"
    ):
        from_torch.exported(tmp_path / "m.pt2", tmp_path / "m.onnx")


# -- with PyTorch -------------------------------------------------------------------------------------


def networks() -> dict[str, Any]:
    """By name, a network and the shape of its samples: layers of many kinds, written as people do."""
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
            self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.SiLU())
            self.wide = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, groups=8), nn.GroupNorm(4, 16), nn.Hardswish())
            self.head = nn.Linear(16, 4)

        def forward(self, x: Any) -> Any:
            x = self.stem(x)
            x = self.wide(x + self.body(x))
            return self.head(x.mean((2, 3)))

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 16, 4, 4)
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu", norm_first=True)
            self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(16, 4)

        def forward(self, x: Any) -> Any:
            return self.head(self.body(self.patches(x).flatten(2).transpose(1, 2)).mean(1))

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(6, 8, num_layers=2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(16, 4)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0][:, -1])

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front = nn.Sequential(nn.Conv1d(4, 8, 5, 2, 2), nn.GELU())
            self.rnn = nn.GRU(8, 8, batch_first=True)
            self.head = nn.Linear(8, 4)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(self.front(x).permute(0, 2, 1))[1][-1])

    dense = nn.Sequential(
        nn.Flatten(), nn.Linear(20, 32), nn.LayerNorm(32), nn.Mish(), nn.Linear(32, 4), nn.Softmax(1)
    )
    return {
        "residual": (Residual(), (3, 16, 16)), "attention": (Attention(), (3, 16, 16)),
        "recurrent": (Recurrent(), (12, 6)), "gated": (Gated(), (4, 32)), "dense": (dense, (20,)),
    }  # fmt: skip


@needs_torch
def test_the_page_works_as_typed(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "from-pytorch.md").read_text(encoding="utf-8")
    train, run, *_ = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (line,) = re.findall(r"^eeaug (.*)$", text, flags=re.MULTILINE)
    environment = {**os.environ, "EEAUG_CACHE_DIR": str(tmp_path / "cache")}

    def typed(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    typed("-c", train)
    assert "tensors agree with ONNX Runtime" in typed("-m", "eeaug", *shlex.split(line))
    assert float(typed("-c", run).split("right:")[1].split()[0]) > 0.8


@needs_torch
@pytest.mark.parametrize("exporter", ["program", "onnx", "onnx_by_scripts"])
@pytest.mark.parametrize("name", ["residual", "attention", "recurrent", "gated", "dense"])
@pytest.mark.filterwarnings("ignore")
def test_what_pytorch_exports(keras: Any, tmp_path: Path, name: str, exporter: str) -> None:
    import torch

    torch.manual_seed(0)
    net, shape = networks()[name]
    net.eval()
    x = torch.randn(2, *shape)
    path = tmp_path / ("m.pt2" if exporter == "program" else "m.onnx")
    if exporter == "program":
        torch.export.save(torch.export.export(net, (x[:1],)), path)
    elif exporter == "onnx":
        torch.onnx.export(net, (x[:1],), str(path), dynamo=True, verbose=False)
    else:
        torch.onnx.export(
            net, (x,), str(path), dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "n"}}
        )
    given = model.load(path, allow_unsafe=exporter == "program")
    with torch.no_grad():
        expected = net(x).numpy()
    np.testing.assert_allclose(given.raw(x.numpy()), expected, atol=1e-4 * np.ptp(expected))
    ends = [block.name for block in graph.blocks(given)]
    assert "agree" in onnx_agreement.checked(given, ends, x.numpy(), 1)
