"""eeaug from Python: what notebooks call, what they are shown, what is left alone."""

from __future__ import annotations

import doctest
import inspect
import io
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import EXAMPLES, Bundle, environment, hashes, small_data, valid
from reports import write_bundle
from rich.console import Console

import eeaug
from eeaug import api, hardware
from eeaug.flow import subprocess_run
from eeaug.settings import options
from eeaug.settings.options import KINDS
from eeaug.support.progress import Lines

QUICK = {"effort": "quick", "promise": "none", "max_exits": 1, "max_latency_s": 2.5}
HEAVY = "{'numpy', 'tensorflow', 'keras', 'onnx', 'networkx', 'rich', 'yaml', 'jinja2'}"


def python(code: str, cwd: Path) -> str:
    line = [sys.executable, "-c", code]
    return subprocess.run(line, cwd=cwd, env=environment(), capture_output=True, text=True, check=True).stdout


# -- the package --------------------------------------------------------------------------------------


def test_nothing_is_imported_before_it_is_used(tmp_path: Path) -> None:
    code = (
        f"import sys, eeaug; print('augment' in dir(eeaug), {HEAVY} & set(sys.modules)); "
        f"eeaug.InputError; print({HEAVY} & set(sys.modules)); "
        "eeaug.augment; print({'tensorflow', 'keras', 'onnxruntime', 'jinja2'} & set(sys.modules))"
    )
    assert python(code, tmp_path) == "True set()\nset()\nset()\n"


def test_names_of_the_package() -> None:
    assert eeaug.InfeasibleError is eeaug.errors.InfeasibleError and eeaug.augment is api.augment
    assert all(hasattr(eeaug, name) for name in eeaug.__all__)
    with pytest.raises(AttributeError, match="no attribute 'argument'"):
        eeaug.argument  # type: ignore[attr-defined]  # noqa: B018


def test_public_names_are_all_that_dir_shows() -> None:
    assert dir(eeaug) == sorted([*eeaug.__all__, "__version__"])


def test_the_signature_names_every_option() -> None:
    found = inspect.signature(eeaug.augment).parameters
    assert {*found} == {"model", "hardware", "data", "progress", *KINDS}
    assert found["effort"].default == "normal" and found["max_accuracy_drop"].default == 0.01


# -- runs ---------------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_the_docstrings_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EEAUG_CACHE_DIR", str(tmp_path / "cache"))
    find = doctest.DocTestFinder().find
    found = {test.name: test for name in api.__all__ for test in find(getattr(api, name), name) if test.examples}
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    # the first makes the bundle of the others
    for name in ("augment", "open", "Report", "certify", "retarget", "compare", "dry_run"):
        runner.run(found.pop(name), out=said.append)
    assert not found and runner.summarize(verbose=False).failed == 0, "".join(said)


class Watching(Lines):
    """What a run tells on stderr, and the shares that are done of every step."""

    def __init__(self) -> None:
        super().__init__(lambda text: sys.stderr.write(f"{text}\n"))
        self.shares: dict[str, list[float]] = {}

    def step(self, name: str, detail: str) -> None:
        super().step(name, detail)
        self.name = name

    def advance(self, done: int, of: int) -> None:
        super().advance(done, of)
        self.shares.setdefault(self.name, []).append(done / of)


@pytest.mark.e2e
def test_the_bundle_has_the_bytes_of_the_command_s(
    bundle: Bundle, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    watching = Watching()
    report = eeaug.augment(
        Path("model.h5"), hardware.read("psoc6"), output="python", cache="cache", progress=watching, **QUICK
    )
    assert hashes(report.path) == hashes(bundle.path)
    assert dict(report) == bundle.report
    told = capfd.readouterr()
    assert told.out == "" and "the given model is right on " in told.err
    assert "choose exits, thresholds and processors: " in told.err and "warning: " in told.err
    assert not [*work.glob("cache/once-*")]
    assert {"features", "search", "export", "verify"} <= watching.shares.keys()
    assert all(shares[-1] == 1 for shares in watching.shares.values()), "steps are told to their end"


@pytest.mark.e2e
def test_a_report_as_a_table(bundle: Bundle) -> None:
    pytest.importorskip("pandas")
    table = eeaug.open(bundle.path).to_dataframe()
    measured = bundle.report["design"]["measured"]
    assert table.loc["mean_macs", "result"] == measured["mean_macs"]
    assert (table["result"] - table["baseline"]).equals(table["change"])


def test_to_dataframe_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    report = eeaug.open(write_bundle(tmp_path / "bundle"))
    with pytest.raises(eeaug.InputError, match="needs pandas: pip install pandas"):
        report.to_dataframe()


@pytest.mark.e2e
def test_retarget_in_python_takes_settings_away_by_none(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = eeaug.retarget(bundle.path, "wider", max_latency_s=None, max_accuracy_drop=0.05)
    assert report["settings"]["max_latency_s"] is None and report["settings"]["max_accuracy_drop"] == 0.05
    with pytest.raises(TypeError, match=r"retarget\(\) has no option 'max_latency'"):
        eeaug.retarget(bundle.path, "again", max_latency=2)
    for name, value in {
        "effort": "quick",
        "seed": 3,
        "priors": "0=0.9",
        "labels": "none",
        "cache": "there",
    }.items():
        with pytest.raises(
            TypeError, match=rf"has no option '{name}'"
        ):  # data and training are those of the bundle
            eeaug.retarget(bundle.path, "again", **{name: value})
    with pytest.raises(eeaug.InputError, match="exists"):
        eeaug.retarget(bundle.path, "wider")


@pytest.mark.e2e
def test_a_model_and_arrays_in_memory(
    keras: Any, work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    model = keras.models.load_model("model.h5", compile=False)
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # TensorFlow is at work here
    arrays = {"groups_train": None, **small_data()}
    first = eeaug.augment(model, "psoc6", arrays, cache="cache", **QUICK)
    assert first.path == work / f"{model.name}-eeaug" and valid(first.path)["model"]["name"] == model.name
    assert (first["model"]["file"], first["data"]["source"]) == (f"{model.name}.keras", "arrays.npz")
    again = eeaug.augment(model, "psoc6", arrays, cache="cache", output="again-arrays", **QUICK)
    assert hashes(again.path) == hashes(first.path)
    found = first.cascade().predict(arrays["x_test"])
    assert (
        np.mean(found.classes == arrays["y_test"])
        == first.accuracy
        == valid(first.path)["design"]["measured"]["accuracy"]
    )
    assert not [*work.glob("cache/once-*")] and capfd.readouterr() == ("", "")


@pytest.mark.e2e
def test_what_the_run_refuses(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    before = {path.name for path in work.iterdir()} | {"cache"}
    with pytest.raises(eeaug.InfeasibleError) as error:
        eeaug.augment("model.h5", "psoc6", output="none", cache="cache", effort="quick", max_latency_s=1e-6)
    assert (error.value.limit, error.value.given) == ("max_latency_s", 1e-6) and error.value.best > 1e-6
    wrong = {**small_data(), "x_test": np.zeros((300, 5), np.float32)}
    with pytest.raises(eeaug.InputError, match=r"^arrays\.npz: x_test has samples of shape"):
        eeaug.augment("model.h5", "psoc6", wrong, output="none", cache="cache")
    assert {path.name for path in work.iterdir()} == before and not [*work.glob("cache/once-*")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": 3}, "model: must be a path or a Keras 3 model; given int"),
        ({"hardware": 3}, "hardware: must be the name of a profile, a path or a Hardware; given int"),
        ({"hardware": "psok6"}, "hardware 'psok6' is neither a file nor a shipped profile; did you mean 'psoc6'?"),
        ({"data": [1]}, "data: must be as --data takes it, or a mapping of arrays; given list"),
        ({"data": {"x_tran": [1]}}, "data: unknown array 'x_tran'; did you mean 'x_train'?"),
        ({"data": {"x_train": [None]}}, "data: x_train must be an array of numbers or text, is object"),
        ({"effort": "quik"}, "did you mean 'quick'?"),
        ({"output": "there"}, "-o there exists and is not a bundle of eeaug"),
    ],
    ids=str,
)  # fmt: skip
def test_mistakes_are_refused_at_once(
    given: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "of somebody").touch()
    monkeypatch.setattr(subprocess_run, "augment", lambda *_: pytest.fail("it was started"))
    with pytest.raises(eeaug.InputError) as error:
        eeaug.augment(**{"model": "model.h5", "hardware": "psoc6", "cache": "cache", **given})
    assert said in str(error.value)
    assert not [*tmp_path.glob("cache/once-*")]


def test_models_in_memory_that_cannot_be_taken(keras: Any, old: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="small")
    with pytest.raises(eeaug.InputError, match="data: missing; nothing lies beside a model in memory"):
        eeaug.augment(model, "psoc6", cache=tmp_path)
    with pytest.raises(eeaug.InputError, match=r"given tf_keras.*: save it, and give the file"):
        eeaug.augment(old.Sequential([old.layers.Dense(2)]), "psoc6", {}, cache=tmp_path)

    class Mine(keras.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(eeaug.ConversionError, match=r"^mine\.keras: the model is of class 'Mine'"):
        eeaug.augment(Mine(name="mine"), "psoc6", {"x_train": [[1]]}, cache=tmp_path, output=tmp_path / "out")
    assert not [*tmp_path.iterdir()]


# -- the other process --------------------------------------------------------------------------------


def worker_that(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess_run.subprocess, "Popen",
        lambda line, **options: real(
            [*line[:-1], f"import eeaug.flow.augment, os, time\n{code}\n{line[-1]}"], **options
        ),
    )  # fmt: skip


def asked(tmp_path: Path) -> Any:
    return options.settings(tmp_path / "model.h5", "psoc6", None, cache=tmp_path)


def test_a_run_that_fails_or_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        worker_that("def augment(*_): print('noise'); 1 / 0\neeaug.flow.augment.augment = augment", patched)
        with pytest.raises(
            eeaug.EeaugError, match=r"^eeaug failed: ZeroDivisionError: division by zero\n"
        ) as error:
            subprocess_run.augment(asked(tmp_path), Lines(print))
        assert "in augment" in error.value.__notes__[0]
    worker_that("eeaug.flow.augment.augment = lambda *_: os._exit(9)", monkeypatch)
    with pytest.raises(eeaug.EeaugError, match=r"the process of the run: ended with 9$"):
        subprocess_run.augment(asked(tmp_path), Lines(print))
    worker_that("eeaug.flow.augment.augment = lambda *_: os.kill(os.getpid(), 9)", monkeypatch)
    with pytest.raises(eeaug.EeaugError, match=r"killed \(SIGKILL\): most likely out of memory"):
        subprocess_run.augment(asked(tmp_path), Lines(print))


def test_what_contradicts_the_model_is_named_as_python_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker_that(
        "def augment(*_):\n"
        "    raise eeaug.settings.Contradiction('{exit_at}: no such{0}; {max_exits}', ' {risk}', "
        "exit_at='a:b', max_exits=1)\n"
        "eeaug.flow.augment.augment = augment",
        monkeypatch,
    )
    with pytest.raises(eeaug.InputError, match=r"^exit_at\['a'\]='b': no such \{risk\}; max_exits=1$") as error:
        eeaug.augment("model.h5", "psoc6", output=tmp_path / "out", cache=tmp_path)
    assert not isinstance(error.value, eeaug.settings.Contradiction)


def test_an_interrupt_ends_the_run_when_it_has_cleaned_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker_that(
        "def augment(settings, progress):\n"
        "    mark = settings.running.cache / 'begun'\n    mark.touch()\n"
        "    try: progress.note('begun'); time.sleep(60)\n"
        "    finally: time.sleep(0.2); mark.rename(settings.running.cache / 'tidy')\n"
        "eeaug.flow.augment.augment = augment",
        monkeypatch,
    )

    def interrupt(text: str) -> None:
        assert text == "begun" and (tmp_path / "begun").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        subprocess_run.augment(asked(tmp_path), Lines(interrupt))
    assert [path.name for path in tmp_path.iterdir()] == ["tidy"]


# -- reports ------------------------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path: Path) -> api.Report:
    return eeaug.open(write_bundle(tmp_path / "out"))


def test_a_report_is_as_it_was_written(report: api.Report, tmp_path: Path) -> None:
    content = valid(report.path)
    assert dict(report) == content and report == eeaug.open(report.path)
    report["design"]["measured"]["accuracy"] = 0.0
    assert report["design"]["measured"]["accuracy"] == content["design"]["measured"]["accuracy"]
    with pytest.raises(AttributeError):
        report.path = tmp_path  # type: ignore[misc]
    with pytest.raises(TypeError):
        report["design"] = {}  # type: ignore[index]
    given, mine = content["baseline"]["measured"], content["design"]["measured"]
    assert (report.split, report.samples) == ("test", mine["samples"])
    assert report.summary == content["design"]["summary"] and report.summary in repr(report)
    assert (report.accuracy, report.mean_macs) == (mine["accuracy"], mine["mean_macs"])
    assert report.accuracy_drop == given["accuracy"] - mine["accuracy"]
    assert report.accuracy_drop_bound == content["accuracy_drop_bound_95"]
    assert report.macs_saved == pytest.approx((given["mean_macs"] - mine["mean_macs"]) / given["mean_macs"])
    assert report.mean_latency_s == mine["mean_latency_s"] != report.worst_latency_s == mine["worst_latency_s"]
    assert report.mean_energy_j == mine["mean_energy_j"] and report.warnings == tuple(content["warnings"])
    assert [exit_[:3] for exit_ in report.exits] == [
        (exit_["location"], exit_["processor"], exit_["threshold"]) for exit_ in content["design"]["exits"]
    ]
    assert [*(exit_.leave_rate for exit_ in report.exits)] == mine["leave_rates"][:-1]


def test_what_a_notebook_shows(report: api.Report) -> None:
    class Frame(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            self.tag, self.attributes = tag, dict(attributes)

    frame = Frame()
    frame.feed(report._repr_html_())
    assert (frame.tag, frame.attributes["sandbox"]) == ("iframe", "")
    assert frame.attributes["srcdoc"] == report.html()
    printed = io.StringIO()
    Console(file=printed, width=100).print(report)
    assert printed.getvalue() == str(report) and report.summary[:40] in str(report)


def test_a_changed_bundle_is_not_opened(tmp_path: Path) -> None:
    place = write_bundle(tmp_path / "out")
    (place / "report.json").write_bytes(b"{}")
    with pytest.raises(eeaug.ConversionError, match=r"report\.json has changed"):
        eeaug.open(place)
    with pytest.raises(eeaug.InputError, match="no directory nowhere"):
        eeaug.open("nowhere")
