"""A server's model takes a hand-over as it is sent, and its name says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from eeaug.bundle.entries import Handover, Manifest, StageEntry
from eeaug.cascade.encoding import Encoding
from eeaug.cascade.output import Decision
from eeaug.data.preprocessing import Preprocessing
from eeaug.export import triton
from eeaug.hardware import Hardware, profiles
from eeaug.hardware.fields import ENCODINGS

X = np.random.default_rng(0).normal(0, 3, (5, 4)).astype(np.float32)


def model() -> Any:
    given, gives = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 4]) for n in ("h", "p"))
    graph = helper.make_graph([helper.make_node("Identity", ["h"], ["p"])], "stage", [given], [gives])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@dataclass(frozen=True)
class Repository:
    """What write needs of a Work."""

    directory: Path
    manifest: Manifest
    hardware: Hardware


def written(place: Path, encoding: Encoding | None) -> StageEntry:
    """The second of two stages, which is on a server."""
    (place / "far.onnx").write_bytes(model().SerializeToString())
    sent = Handover("h", (4,), 16, encoding)
    near = StageEntry("0-near", "cpu", "x", (4,), "p", sent, None, None, "max-softmax", 1, {})
    far = StageEntry(
        "1-far", "workstation", "h", (4,), "p", None, None, None, "max-softmax", 1, {"onnx": "far.onnx"}
    )
    inputs = ({"name": "net.h5"},)
    manifest = Manifest(("a",), Decision("softmax", 4), Preprocessing(), (near, far), inputs=inputs)
    target = profiles.read("rk3588-cloud")
    added = triton.write(Repository(place, manifest, target))  # type: ignore[arg-type]
    return manifest.adding("triton", added).stages[1]


@pytest.mark.parametrize("kind", ENCODINGS)
def test_a_server_is_given_what_was_sent(tmp_path: Path, kind: str) -> None:
    encoding = Encoding.of(kind, float(X.min()), float(X.max()))
    stage = written(tmp_path, encoding)
    assert stage.triton is not None
    session = onnxruntime.InferenceSession(tmp_path / stage.files["triton"])
    p, number = session.run(["p", triton.IDENTITY], {"h": encoding.encoded(X)})
    np.testing.assert_array_equal(p, encoding.received(X))
    np.testing.assert_array_equal(number, np.full((5, 1), stage.triton.identity))
    onnx.checker.check_model(onnx.load(tmp_path / stage.files["triton"]), full_check=True)


def test_what_takes_other_tensors_has_another_name(tmp_path: Path) -> None:
    """Or folders of two bundles could not lie side by side, and one would be asked for the other."""
    names = set()
    encodings = [None, Encoding("float16"), Encoding("int8", 0.1), Encoding("int8", 0.2)]
    for i, encoding in enumerate(encodings):
        (tmp_path / str(i)).mkdir()
        stage = written(tmp_path / str(i), encoding)
        assert stage.triton is not None
        names.add((stage.triton.model, stage.triton.identity))
    assert len(names) == len(encodings)
