"""``--finetune``: weights go into the network in one piece and come out again; a bundle of a tuned backbone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, Run, patched
from keras_nets import classifier, dense_head, map_head, places, trained

from eeaug.errors import InputError
from eeaug.heads import families, keras_head
from eeaug.heads.layers import Dense, Head
from eeaug.settings import Settings
from eeaug.stages import partition

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


def test_a_head_comes_out_as_it_went_in(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at = list(places(given).values())
    heads = [trained(map_head(p) if len(p.shape) > 1 else dense_head(p)) for p in at]
    whole = partition.monolith(given, heads)
    for one in heads:
        out = keras_head.detached(one.head, whole, partition.exit_name(one))
        assert len(out) == len(one.weights)
        for a, b in zip(out, one.weights, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("family", families.MAP_FAMILIES)
def test_a_head_of_every_family_does(family: str, keras: Any) -> None:
    from eeaug.network.locations import Location

    place = Location("here", 1, (8, 8, 6), 10**9)
    for _, steps in families.MAP_FAMILIES[family](place.shape):
        one = trained(Head(place, family, "any", (*steps, Dense(4, "softmax"))))
        inputs = keras.Input(place.shape)
        net = keras.Model(inputs, keras_head.attach(one.head, one.weights, inputs, "exit_here"))
        for a, b in zip(keras_head.detached(one.head, net, "exit_here"), one.weights, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("other", [{"risk": 0.1}, {"max_class_drop": 0.1}])
def test_what_compares_with_the_given_model_refuses_it(other: dict[str, float]) -> None:
    with pytest.raises(InputError, match="--finetune"):
        Settings.of(model=Path("m.h5"), hardware="psoc6", finetune=1, **other)  # type: ignore[arg-type]


@pytest.mark.e2e
def test_what_it_breaks_is_not_kept(work: Path, run: Run) -> None:
    """One pass over 600 samples makes this model worse than the budget allows."""
    done = run(*AUGMENT, "--finetune", "1", "-o", "kept", cwd=work)
    assert done.code == 0, done.stderr
    assert "fine-tuning is not kept" in done.stderr
    facts = json.loads((work / "kept" / "report.json").read_bytes())["design"]["finetune"]
    assert facts["kept"] is False and "finetuned" not in json.loads((work / "kept" / "manifest.json").read_bytes())


# kept whatever it brings
FORCED = (
    "from eeaug.design import design; design.Decided.score = property(lambda self: float(self.rows.given is None))"
)


@pytest.fixture(scope="module")
def tuned(work: Path) -> Path:
    arguments = [*AUGMENT, "--finetune", "1", "--no-reuse", "--max-accuracy-drop", "20%", "-o", "tuned", "-q"]
    patched(FORCED, *arguments, cwd=work)
    return work / "tuned"


@pytest.mark.e2e
def test_the_report_shows_both_and_the_baseline_is_the_given_model(tuned: Path, bundle: Any) -> None:
    report, manifest = (json.loads((tuned / f"{name}.json").read_bytes()) for name in ("report", "manifest"))
    plain = json.loads((bundle.path / "report.json").read_bytes())
    facts = report["design"]["finetune"]
    assert (facts["epochs"], facts["kept"], manifest["finetuned"]) == (1, True, 1)
    assert facts["after"]["mean_macs"] == pytest.approx(report["design"]["predicted"]["exact"]["mean_macs"])
    for part in ("choose", "measured"):  # the given model, not what it was trained into
        assert report["baseline"][part]["accuracy"] == plain["baseline"][part]["accuracy"]
    assert (tuned / "augmented.keras").read_bytes() != (bundle.path / "augmented.keras").read_bytes()


@pytest.mark.e2e
def test_stages_have_the_trained_weights(tuned: Path, work: Path, run: Run) -> None:
    done = run("evaluate", "tuned", "--data", "model.npz", "--json", cwd=work)
    assert done.code == 0, done.stderr
    measured = json.loads((tuned / "report.json").read_bytes())["design"]["measured"]
    assert json.loads(done.stdout)["accuracy"] == measured["accuracy"]
    refused = run("evaluate", "tuned", "--data", "model.npz", "--baseline", cwd=work)
    assert refused.code == 2 and "fine-tuned" in refused.last_line


@pytest.mark.e2e
def test_another_budget_keeps_the_trained_backbone(tuned: Path, work: Path, run: Run) -> None:
    done = run("retarget", "tuned", "--max-accuracy-drop", "30%", "-o", "tuned-frugal", "-q", cwd=work)
    assert done.code == 0, done.stderr
    old, new = (json.loads((work / name / "report.json").read_bytes()) for name in ("tuned", "tuned-frugal"))
    assert new["baseline"]["choose"]["accuracy"] == old["baseline"]["choose"]["accuracy"]
    assert json.loads((work / "tuned-frugal" / "manifest.json").read_bytes())["finetuned"] == 1
