"""``--recipe trecx``: the early view, the curve over ρ, and a bundle whose final classifier is assisted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, FORCED, Run, patched
from keras_nets import CLASSES, SHAPE, places, trained

from eeaug.backbone import model
from eeaug.cascade.outcomes import Outcomes
from eeaug.errors import InputError
from eeaug.heads.layers import Convolve, Dense, Head, Pool
from eeaug.network.locations import Location
from eeaug.report.content import rho_curve
from eeaug.settings import Settings
from eeaug.stages import early_view, partition

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


def network(keras: Any, tmp_path: Path, last: int, *, logits: bool = False) -> Any:
    layers = keras.layers
    start = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(start)
    x = layers.Conv2D(last, 3, padding="same", activation="relu", name="second")(x)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="pool")(x))
    net = keras.Model(start, layers.Dense(CLASSES, None if logits else "softmax", name="classifier")(x))
    (tmp_path / "net.keras").write_bytes(b"a file to hash")
    return model.from_keras(keras, net, tmp_path / "net.keras")


def head(at: Location, channels: int = 8) -> Head:
    steps = (Convolve(channels), Convolve(None, 2, 3), Pool((2, 2)), Dense(CLASSES, "softmax"))
    return Head(at, "trecx", "any", steps)


@pytest.mark.parametrize("logits", [False, True])
def test_an_assisted_classifier_says_at_first_what_it_said(keras: Any, tmp_path: Path, logits: bool) -> None:
    given = network(keras, tmp_path, 12, logits=logits)
    exit_ = trained(head(places(given)["first"]))
    whole = partition.monolith(given, [exit_])
    view = early_view.assisted(whole, exit_)
    assert view is not None and view.channels == 4  # half of the exit's 8, less than half of the map's 12
    x = np.random.default_rng(0).normal(size=(20, *SHAPE)).astype(np.float32)
    before, after = whole(x, training=False), view.network(x, training=False)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-6)
    own = view.network.get_layer(f"{partition.exit_name(exit_)}_1_depthwise")
    own.kernel.assign(own.kernel + 1)
    view.copy()
    copied = view.network.get_layer("early_view_depthwise").kernel
    np.testing.assert_array_equal(copied, own.kernel[:, :, :4])
    again = partition.backbone(view.network, tmp_path / "net.keras")
    assert again.logits == logits and "early_view_depthwise" in [call.name for call in again.calls]


def test_a_view_that_would_overpower_the_last_map_is_none(keras: Any, tmp_path: Path) -> None:
    """Section 4.3: less than half of its channels."""
    given = network(keras, tmp_path, 8)
    exit_ = trained(head(places(given)["first"]))
    assert early_view.assisted(partition.monolith(given, [exit_]), exit_) is None


def test_an_exit_without_a_depthwise_convolution_has_no_view(keras: Any, tmp_path: Path) -> None:
    given = network(keras, tmp_path, 12)
    steps = (Pool((4, 4)), Dense(CLASSES, "softmax"))
    exit_ = trained(Head(places(given)["first"], "blueprint", "2x2", steps))
    assert early_view.assisted(partition.monolith(given, [exit_]), exit_) is None


def test_the_curve_by_hand() -> None:
    """Four samples: the exit is right on the two that it is sure of, the final classifier on all but one."""
    outcomes = Outcomes(
        confidence=np.array([[0.905, 0.805, 0.605, 0.505], [1, 1, 1, 1]], np.float32),
        predicted=np.array([[0, 0, 1, 1], [0, 1, 0, 0]]),
        labels=np.zeros(4, int),
    )
    facts = rho_curve.curve(outcomes, np.array([10.0, 90.0]))
    by_rho = {round(point["rho"], 2): point for point in facts["curve"]}
    assert len(by_rho) == 101
    assert [by_rho[r]["exit_rate"] for r in (0.0, 0.6, 0.8, 0.9, 1.0)] == [1, 0.75, 0.5, 0.25, 0]
    assert [by_rho[r]["accuracy"] for r in (0.0, 0.6, 0.8, 0.9, 1.0)] == [0.5, 0.75, 1, 0.75, 0.75]
    assert by_rho[0.8]["mean_macs"] == 10 + 0.5 * 90
    assert facts["standalone"] == {"exit": 0.5, "final": 0.75}
    # nearest to 0.74: 0.75, which ρ = 0.51 to 0.6 has for 10 + 90 / 4
    assert facts["trade_offs"][0]["mean_macs"] == 10 + 90 / 4 and facts["trade_offs"][0]["drop"] == 0


@pytest.mark.parametrize("other", [{"heads": ("separable",)}, {"max_exits": 2}, {"target_class": ("1",)}])
def test_what_contradicts_the_recipe_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--recipe trecx is one exit"):
        Settings.of(model=Path("m.h5"), hardware="psoc6", recipe="trecx", **other)


def test_a_weight_without_the_recipe_is_refused() -> None:
    with pytest.raises(InputError, match="--exit-weight"):
        Settings.of(model=Path("m.h5"), hardware="psoc6", exit_weight=0.5)


@pytest.mark.e2e
def test_the_bundle_has_the_assisted_classifier(work: Path, run: Run) -> None:
    import onnxruntime

    options = ("--recipe", "trecx", "--finetune", "1", "--exit-weight", "0.4", "--max-accuracy-drop", "40%")
    options = (*options, "--exit-at", "stack1_out", "-o", "../trecx", "-q")
    elsewhere = work / "elsewhere"  # not where the model is
    elsewhere.mkdir()
    patched(FORCED, "augment", "../model.h5", *AUGMENT[2:], *options, cwd=elsewhere)
    report, manifest = (json.loads((work / "trecx" / f"{n}.json").read_bytes()) for n in ("report", "manifest"))
    facts = report["design"]["finetune"]
    assert (facts["recipe"], facts["kept"], manifest["early_view"]) == ("trecx", True, True)
    assert facts["early_view_channels"] == 16 and [w["weight"] for w in facts["exit_weights"]] == [0.4]
    assert report["baseline"]["choose"]["mean_macs"] == report["model"]["macs"], "the given model, without a view"
    spent = [stage["macs"] for stage in manifest["stages"]]
    assert sum(spent) > report["model"]["macs"] + sum(
        segment["head_macs"] for segment in report["design"]["segments"]
    )
    assert report["verification"]["formats"]["onnx"]["disagreements"] == 0

    with np.load(work / "model.npz") as data:
        x, y = data["x_test"].astype(np.float32), data["y_test"]
    tensor, said = x, []
    for stage in manifest["stages"]:
        session = onnxruntime.InferenceSession(work / "trecx" / stage["files"]["onnx"])
        names = [stage["outputs"]["probabilities"], *(h["name"] for h in stage["outputs"]["handover"])]
        made = session.run(names, {stage["inputs"][0]: tensor})
        said.append(made[0])
        tensor = made[-1]
    measured = report["design"]["rho"]["measured"]
    for point in measured["curve"][::10]:
        leaves = said[0].max(axis=1) >= point["rho"]
        right = np.where(leaves, said[0].argmax(axis=1), said[1].argmax(axis=1)) == y
        assert point["accuracy"] == pytest.approx(right.mean())
        assert point["mean_macs"] == pytest.approx(spent[0] + (~leaves).mean() * spent[1])

    refused = run("retarget", "trecx", "--max-accuracy-drop", "30%", "-o", "trecx-again", cwd=work)
    assert refused.code == 2 and "--recipe trecx" in refused.last_line
    assert "Trade-off points" in run("report", "trecx", cwd=work).stdout
