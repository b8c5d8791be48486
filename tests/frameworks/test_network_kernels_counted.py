"""Instructions that the search goes by against those that QEMU counts of the written files (docs/c.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eeaug.backbone import model
from eeaug.hardware import kernels
from eeaug.network import graph

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT.parent / "shared" / "data" / "models"
FILES = {
    "ResNet-8": "resnet8_cifar10.h5", "DS-CNN": "dscnn_kws.h5", "MobileNetV1": "mobilenetv1_vww.h5",
    "ECG": "ecg_kachuee_fcn.h5",
}  # fmt: skip
ROW = re.compile(r"^\| (\S+) \| (cortex-\S+) \| (c|c-int8) \| ([\d.]+) M \|", re.M)


@pytest.mark.skipif(not MODELS.is_dir(), reason="the shared real models are not on this machine")
@pytest.mark.parametrize("name", FILES)
def test_whole_networks_take_what_their_files_do(name: str) -> None:
    """Within 5 %, on every core and in both formats that the table of docs/c.md has."""
    blocks = graph.blocks(model.load(MODELS / FILES[name]))
    counted = [row for row in ROW.findall((ROOT / "docs" / "c.md").read_text(encoding="utf-8")) if row[0] == name]
    assert len(counted) >= 8
    for _, cpu, format, millions in counted:
        assert not any(block.kernels[format].unknown for block in blocks)
        calls = [call for block in blocks for call in block.kernels[format].calls]
        estimated = sum(kernels.instructions(format, cpu, call) or 0 for call in calls) / 1e6
        assert estimated == pytest.approx(float(millions), rel=0.05), (cpu, format)
