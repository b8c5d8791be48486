"""Another bundle from an earlier one, without data and without training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import AUGMENT, Bundle, Done, Run, hashes, left_over
from keras_nets import NETS, classifier, dense_head, map_head, places, trained

from eeaug.backbone import keras_files
from eeaug.frameworks import keras_archive
from eeaug.network import graph
from eeaug.stages import partition

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2
e2e = pytest.mark.e2e
EXIT = "stem_relu"  # where a bundle of a loose budget has its exit
OTHER = "stack2_out"  # where it has trained heads, too


def read(place: Path, name: str = "report.json") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((place / name).read_bytes())
    return loaded


@pytest.fixture(scope="module")
def desk(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the bundle in it and nothing else: no model, no data."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(bundle.path, folder / "made")
    return folder


@pytest.fixture(scope="module")
def frugal(desk: Path, run: Run) -> Path:
    done = run("retarget", "made", "--max-accuracy-drop", "0.05", "-o", "frugal", "-q", cwd=desk)
    assert (done.code, done.stdout) == (0, "bundle: frugal\n"), done.stderr
    return desk / "frugal"


@pytest.fixture(scope="module")
def proven(work: Path, run: Run) -> Path:
    """A bundle with a proof."""
    done = run(
        *AUGMENT,
        "--promise",
        "proven",
        "--risk",
        "0.2",
        "--max-accuracy-drop",
        "0.05",
        "-o",
        "proven",
        "-q",
        cwd=work,
    )
    assert done.code == 0, done.stderr
    return work / "proven"


# -- the backbone -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NETS)
def test_the_backbone_is_the_model_that_was_given(kind: str, tmp_path: Path) -> None:
    """Also without the softmax of a logits model and the cast of mixed precision, which were added."""
    _, given = classifier(kind, tmp_path)
    at = list(places(given).values())
    heads = [trained(map_head(p) if len(p.shape) > 1 else dense_head(p)) for p in at]
    keras_archive.save(partition.monolith(given, heads), tmp_path / "augmented.keras")
    found = partition.backbone(keras_files.load(tmp_path / "augmented.keras"), tmp_path / "augmented.keras")
    assert found.calls == given.calls
    assert (found.logits, found.output, found.decision) == (given.logits, given.output, given.decision)
    assert graph.blocks(found) == graph.blocks(given)
    keras_archive.save(partition.monolith(found, heads), tmp_path / "again.keras")
    assert (tmp_path / "again.keras").read_bytes() == (tmp_path / "augmented.keras").read_bytes()


# -- what is written ----------------------------------------------------------------------------------


@e2e
def test_the_same_settings_give_the_same_bytes(bundle: Bundle, desk: Path, run: Run) -> None:
    done = run("retarget", "made", "-o", "same", "--json", cwd=desk, env={"HOME": None})
    assert done.code == 0, done.stderr
    assert done.stdout.encode() == (desk / "same" / "report.json").read_bytes()
    before, after = hashes(bundle.path), hashes(desk / "same")
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        "report.json", "manifest.json",
    }  # fmt: skip
    old, new = bundle.report, read(desk / "same")
    assert old["design"]["measured"] and new["design"]["measured"] is None
    for key in ("exits", "segments", "predicted"):
        assert new["design"][key] == old["design"][key]
    for key in ("settings", "model", "hardware", "data", "search", "benefit_curve"):
        assert new[key] == old[key]
    manifest = read(desk / "same", "manifest.json")
    origin = manifest.pop("retargeted_from")
    assert origin == {"name": "made", "sha256": before["manifest.json"]}
    same = ("inputs", "stages", "classes", "decision", "preprocessing", "operating_points", "settings", "versions")
    assert [key for key in same if manifest[key] != bundle.manifest[key]] == []
    del after["manifest.json"]
    assert manifest["files"] == after
    assert not left_over(desk)


@e2e
def test_a_bundle_retargeted_to_itself_stays_as_it_is(desk: Path, run: Run) -> None:
    """All of it but the name and hash of where it came from, however often."""
    for one, other in (("made", "once"), ("once", "twice")):
        done = run("retarget", one, "-o", other, "-q", cwd=desk)
        assert done.code == 0, done.stderr
    once, twice = (read(desk / name, "manifest.json") for name in ("once", "twice"))
    origin = {"name": "once", "sha256": hashes(desk / "once")["manifest.json"]}
    report = read(desk / "once")
    assert report["manifest"].pop("retargeted_from") == once.pop("retargeted_from")
    again = read(desk / "twice")
    assert again["manifest"].pop("retargeted_from") == twice.pop("retargeted_from") == origin
    assert again == report
    assert once["files"].pop("report.json") != twice["files"].pop("report.json")  # which has the origin in it
    assert twice == once


@e2e
def test_it_says_that_nothing_was_measured(frugal: Path) -> None:
    report = read(frugal)
    assert report["baseline"]["measured"] is None and report["design"]["measured"] is None
    assert all(point["measured"] is None for point in report["operating_points"])
    assert report["accuracy_drop_bound_95"] is None
    assert "earlier bundle" in report["accuracy_drop_bound_95_missing"]
    assert any("eeaug evaluate DIR --data" in text for text in report["warnings"])


@e2e
def test_another_budget_gives_another_design_whose_stages_do_what_it_says(bundle: Bundle, frugal: Path) -> None:
    import onnxruntime

    old, new = bundle.report["design"]["predicted"]["exact"], read(frugal)["design"]["predicted"]["exact"]
    base = read(frugal)["baseline"]["choose"]
    assert new["mean_macs"] < old["mean_macs"]
    assert base["accuracy"] - old["accuracy"] <= 0.01 + 1e-9 < base["accuracy"] - new["accuracy"] <= 0.05 + 1e-9
    stage = read(frugal, "manifest.json")["stages"][0]
    session = onnxruntime.InferenceSession(frugal / stage["files"]["onnx"])
    with np.load(bundle.data) as data:
        x = data["x_val"].astype(np.float32)
    (p,) = session.run([stage["outputs"]["probabilities"]], {stage["inputs"][0]: x})
    leave = float((p.max(axis=1) >= np.float32(stage["threshold"])).mean())
    assert leave == pytest.approx(new["leave_rates"][0], abs=1.5 / len(x))  # one sample may be at the threshold
    assert stage != bundle.manifest["stages"][0]


@e2e
def test_a_retargeted_bundle_can_be_retargeted(bundle: Bundle, desk: Path, frugal: Path, run: Run) -> None:
    """And back: nothing is lost on the way."""
    done = run("retarget", "frugal", "--max-accuracy-drop", "0.01", "-o", "back", "-q", cwd=desk)
    assert done.code == 0, done.stderr
    before, after = hashes(bundle.path), hashes(desk / "back")
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        "report.json", "manifest.json",
    }  # fmt: skip
    origin = read(desk / "back", "manifest.json")["retargeted_from"]
    assert origin == {"name": "frugal", "sha256": hashes(frugal)["manifest.json"]}


@e2e
def test_another_target_and_slim(desk: Path, run: Run) -> None:
    done = run("retarget", "made", "--hw", "stm32l4r5", "--slim", "-o", "l4r5", "-q", cwd=desk)
    assert done.code == 0, done.stderr
    report, manifest = read(desk / "l4r5"), read(desk / "l4r5", "manifest.json")
    assert report["hardware"]["name"] == "stm32l4r5" and report["hardware"]["processors"] == ["m4"]
    assert {stage["processor"] for stage in manifest["stages"]} == {"m4"}
    assert (desk / "l4r5/hardware.yaml").read_bytes() != (desk / "made/hardware.yaml").read_bytes()
    assert not (desk / "l4r5/search").exists()
    again = run("retarget", "l4r5", "-o", "x", cwd=desk)
    assert again.code == 2 and "l4r5 has no search/ (made with --slim)" in again.last_line
    assert run("report", "l4r5", cwd=desk).code == 0
    assert not (desk / "x").exists() and not left_over(desk)


@e2e
def test_a_default_is_that_of_the_new_target(desk: Path, run: Run) -> None:
    """One exit is the default of two processors with a classifier each; a wish stays."""
    assert run("retarget", "made", "--mapping", "one-each", "-o", "one-each", "-q", cwd=desk).code == 0
    options = ("--hw", "rk3588-cloud", "--max-latency", "none", "--dry-run", "--json")  # three, their rates unknown
    for more, expected in (((), 2), (("--max-exits", "1"), 1)):
        done = run("retarget", "one-each", *options, *more, cwd=desk)
        assert done.code == 0, done.stderr
        settings = json.loads(done.stdout)["settings"]
        assert (settings["max_exits"], settings["max_latency_s"]) == (expected, None)
    done = run("retarget", "made", "--hw", "rk3588-cloud", "-o", "x", cwd=desk)
    assert done.code == 2 and "--max-latency is the bundle's; --max-latency none takes it away" in done.last_line


@e2e
def test_pins_and_their_end(desk: Path, run: Run) -> None:
    done = run("retarget", "made", "--forbid", EXIT, "--max-accuracy-drop", "20%", "-o", "pinned", "-q", cwd=desk)
    assert done.code == 0, done.stderr
    (exit_,) = read(desk / "pinned")["design"]["exits"]
    assert exit_["location"] != EXIT
    # the heads at the forbidden place went along
    options = ("--forbid", "none", "--exit-at", f"{EXIT}:cm0p", "--threshold", f"{EXIT}=0.75")
    done = run("retarget", "pinned", *options, "--dry-run", "--json", cwd=desk)
    assert done.code == 0, done.stderr
    shown = json.loads(done.stdout)
    (exit_,) = shown["design"]["exits"]
    assert (exit_["location"], exit_["processor"], exit_["threshold"]) == (EXIT, "cm0p", 0.75)
    assert shown["settings"]["forbid"] == [] and shown["settings"]["max_accuracy_drop"] == 0.2
    done = run("retarget", "pinned", "--exit-at", EXIT, "--dry-run", cwd=desk)
    assert done.code == 2
    assert "--forbid is the bundle's; --forbid none takes it away" in done.last_line


@e2e
def test_a_dry_run_says_what_would_be_written_and_writes_nothing(desk: Path, frugal: Path, run: Run) -> None:
    before = sorted(desk.iterdir())
    options = ("--max-accuracy-drop", "0.05", "--dry-run", "-q")
    done = run("retarget", "made", *options, "--json", "-o", "dry", cwd=desk)
    assert (done.code, done.stderr) == (0, "")
    shown, report = json.loads(done.stdout), read(frugal)
    assert {key: report[key] for key in shown if key != "warnings"} == {
        key: shown[key] for key in shown if key != "warnings"
    }
    assert {"design", "baseline", "promise", "operating_points", "settings"} <= set(shown)
    text = run("retarget", "made", *options, cwd=desk).stdout
    (exit_,) = report["design"]["exits"]
    assert f"input → {EXIT}; exit {exit_['head']}, confidence ≥ {exit_['threshold']:.4g}" in text
    assert report["design"]["summary"] in text and "frugal: thresholds" in text
    assert sorted(desk.iterdir()) == before


@e2e
def test_the_weighted_objective_replaces_the_budget(desk: Path, run: Run) -> None:
    done = run("retarget", "made", "--efficiency-weight", "0.9", "--points", "1", "--dry-run", "--json", cwd=desk)
    assert done.code == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["settings"]["max_accuracy_drop"] is None and shown["settings"]["efficiency_weight"] == 0.9
    assert [point["name"] for point in shown["operating_points"]] == ["default"]


# -- promises -----------------------------------------------------------------------------------------


@e2e
def test_a_proof_for_another_budget(proven: Path, run: Run) -> None:
    done = run("retarget", "proven", "--max-accuracy-drop", "0.1", "-o", "looser", "-q", cwd=proven.parent)
    assert done.code == 0, done.stderr
    old, new = read(proven), read(proven.with_name("looser"))
    assert old["promise"]["kept"] and new["promise"]["kept"]
    assert (new["promise"]["max_accuracy_drop"], new["promise"]["risk"]) == (0.1, 0.2)
    assert new["promise"]["samples"] == old["promise"]["samples"] == 300
    cost = [report["design"]["predicted"]["exact"]["mean_macs"] for report in (old, new)]
    assert cost[1] < cost[0]
    assert any("calibration samples were used for an earlier bundle" in text for text in new["warnings"])
    for name in ("search/screen.npz", "search/choose.npz"):
        assert hashes(proven)[name] == hashes(proven.with_name("looser"))[name]


@e2e
def test_a_promise_can_be_taken_away_but_not_contradicted(proven: Path, run: Run) -> None:
    away = ("--risk", "none", "--promise", "none")
    done = run("retarget", "proven", *away, "--dry-run", "--json", cwd=proven.parent)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["promise"]["promise"] == "none"
    done = run("retarget", "proven", "--correction", "0.5", "-o", "x", cwd=proven.parent)
    assert done.code == 2 and "--promise proven: nothing can be promised here: --correction" in done.last_line
    done = run("retarget", "proven", "--promise", "none", "-o", "x", cwd=proven.parent)
    assert done.code == 2 and "(--risk is the bundle's; --risk none takes it away)" in done.last_line


# -- what is refused ----------------------------------------------------------------------------------


def refused(done: Done, code: int, text: str, desk: Path) -> None:
    assert done.code == code, done.stderr
    assert done.last_line.startswith("error: ") and text in done.last_line
    assert not (desk / "x").exists() and not left_over(desk)


@e2e
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("nothing", "-o", "x"), "no directory nothing"),
        (("made",), "-o is missing"),
        (("made", "-o", "made"), "-o made exists; --force replaces it"),
        (("made", "-o", "x", "--confidence", "margin"), "no such option --confidence"),
        (("made", "-o", "x", "--hw", "psoc7"), "did you mean 'psoc6'?"),
        (("made", "-o", "x", "--efficiency-weight", "0.5", "--max-accuracy-drop", "0.1"), "different objectives"),
        (("made", "-o", "x", "--max-latency", "nan"), "not a finite number"),
        (("made", "-o", "x", "--exit-at", "nowhere"), "--exit-at nowhere: no location of that name"),
    ],
)
def test_mistakes(options: tuple[str, ...], text: str, desk: Path, run: Run) -> None:
    refused(run("retarget", *options, cwd=desk), 2, text, desk)


@e2e
def test_no_head_was_trained_there(desk: Path, run: Run, bundle: Bundle, work: Path) -> None:
    """A location that the first run left out, and a bundle that never had heads."""
    done = run(*AUGMENT, "--forbid", EXIT, "-o", "fewer", "-q", cwd=work)
    assert done.code == 0, done.stderr
    done = run("retarget", "fewer", "--forbid", "none", "--exit-at", EXIT, "-o", "x", cwd=work)
    refused(done, 2, f"--exit-at {EXIT}: fewer has no trained head there; it has heads at ", work)
    assert run(*AUGMENT, "--max-exits", "0", "-o", "plain", "-q", cwd=work).code == 0
    done = run("retarget", "plain", "--max-exits", "1", "-o", "x", cwd=work)
    refused(done, 2, "--max-exits 1: plain has no trained heads", work)


@e2e
def test_no_design_meets_the_limit(desk: Path, run: Run) -> None:
    done = run("retarget", "made", "-o", "x", "--max-latency", "0.0001", "--json", cwd=desk)
    refused(done, 3, "--max-latency", desk)
    facts = json.loads(done.stdout)
    assert facts["given"] == 0.0001 and facts["best"] > 0.01


@e2e
@pytest.mark.parametrize("name", ["search/choose.npz", "augmented.keras", "hardware.yaml"])
def test_a_changed_file_is_named(name: str, copied: Path, run: Run) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    refused(run("retarget", "copied", "-o", "x", cwd=copied.parent), 4, f"{name} has changed", copied.parent)


@e2e
def test_a_bundle_of_another_version(copied: Path, run: Run) -> None:
    manifest = read(copied, "manifest.json")
    del manifest["settings"]["scoring"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    done = run("retarget", "copied", "-o", "x", cwd=copied.parent)
    refused(done, 4, "manifest.json: settings: scoring missing", copied.parent)


@e2e
def test_a_bundle_can_replace_itself(copied: Path, run: Run) -> None:
    before = hashes(copied)
    done = run("retarget", ".", "-o", ".", "--force", "--max-accuracy-drop", "0.05", cwd=copied)
    assert done.code == 2  # the current directory cannot be exchanged
    assert hashes(copied) == before
    options = ("copied", "-o", "copied", "--force", "--max-accuracy-drop", "0.05", "-q")
    done = run("retarget", *options, cwd=copied.parent)
    assert done.code == 0, done.stderr
    assert read(copied)["settings"]["max_accuracy_drop"] == 0.05
    assert read(copied, "manifest.json")["retargeted_from"]["sha256"] == before["manifest.json"]
    assert not left_over(copied.parent)
