"""Stages as a chain of sessions say what they say by themselves, and where that cannot be, they run as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import NETS, classifier, dense_head, map_head, places, trained
from three_stages import INPUTS, SIZE, bundle

from eeaug.bundle.entries import Manifest
from eeaug.data.preprocessing import Preprocessing
from eeaug.export import keras_onnx
from eeaug.frameworks import onnx_chain
from eeaug.runtime import Cascade
from eeaug.stages import partition

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


def same(cascade: Cascade, x: Any) -> list[Any]:
    """Compare samples one at a time with batches; the links of the chain."""
    together = [cascade.at("never").predict(x, batch=7, prepared=True), cascade.predict(x, batch=7, prepared=True)]
    alone = [cascade.at("never").predict(x, batch=1, prepared=True), cascade.predict(x, batch=1, prepared=True)]
    for one, other in zip(alone, together, strict=True):
        assert (one.exits == other.exits).all() and (one.classes == other.classes).all()
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert cascade._lanes.links is not None
    return cascade._lanes.links


def test_inputs_that_go_past_stages(tmp_path: Path) -> None:
    manifest = bundle(tmp_path, "softmax", "max-softmax")
    facts = manifest.as_dict()
    facts["operating_points"] = [{"name": "never", "thresholds": [None, None]}]
    x = dict(zip(INPUTS, np.random.default_rng(0).normal(size=(2, 40, SIZE)).astype(np.float32), strict=True))
    cascade = Cascade.load(tmp_path, facts, 1)
    links = same(cascade, x)
    assert len(links) == 3 and set(links[0].inputs) == {"input"} and "more" in links[1].inputs
    other = Cascade.load(tmp_path, facts, 1)
    (tmp_path / "1.onnx").write_bytes(b"junk")  # read again for the chain: stages that are open run as they are
    assert same(other, x) == []


@pytest.mark.parametrize("kind", NETS)
def test_networks_of_every_kind(kind: str, tmp_path: Path) -> None:
    _, given = classifier(kind, tmp_path)
    at = list(places(given).values())[1:3]
    exits = [trained(dense_head(p) if len(p.shape) < 2 else map_head(p), seed) for seed, p in enumerate(at)]
    cut = partition.stages(
        given, exits, [0.5] * len(exits), [("cm4f", 4)] * (len(exits) + 1), [1] * (len(exits) + 1)
    )
    keras_onnx.write(given, cut, tmp_path)
    entries = tuple(keras_onnx.entry(stage, given.decision.metric) for stage in cut)
    manifest = Manifest(tuple("abcdefghij"[: given.decision.classes]), given.decision, Preprocessing(), entries)
    facts = {**manifest.as_dict(), "operating_points": [{"name": "never", "thresholds": [None] * len(exits)}]}
    x = np.random.default_rng(3).normal(size=(12, *given.input_shape)).astype(np.float32)
    assert kind == "mixed" or len(same(Cascade.load(tmp_path, facts, 1), x)) == len(cut)  # half floats round


def test_large_files_are_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(tmp_path, "softmax", "max-softmax")
    parts = [onnx_chain.StageFile(tmp_path / f"{k}.onnx", ("x",), "p", None) for k in range(3)]
    assert onnx_chain.possible(parts)
    monkeypatch.setattr(onnx_chain, "MOST_BYTES", 100)
    assert not onnx_chain.possible(parts)
