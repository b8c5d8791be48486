"""``eeaug augment --config``: what a file may say, what goes before it, and what is refused."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from eeaug.cli.augment import augment
from eeaug.cli.grouped import flag

entry: Any = importlib.import_module("eeaug.cli.main")  # the package has a function of that name
# option → a value in the file, the same on the command line; none is a default
EVERY: dict[str, tuple[Any, list[str]]] = {
    "hw": ("stm32l4r5", ["--hw", "stm32l4r5"]),
    "data": ("keras:cifar10", ["--data", "keras:cifar10"]),
    "o": ("/no/where", ["-o", "/no/where"]),
    "architecture": ("/no/layers.json", ["--architecture", "/no/layers.json"]),
    "input-shape": ([96, 96, 3], ["--input-shape", "96x96x3"]),
    "decision": ("multilabel", ["--decision", "multilabel"]),
    "output": ("second", ["--output", "second"]),
    "labels": ("none", ["--labels", "none"]),
    "priors": ("a=0.5,b=0.1", ["--priors", "a=0.5,b=0.1"]),
    "force": (True, ["--force"]),
    "max-latency": (2.5, ["--max-latency", "2.5"]),
    "period": (60, ["--period", "60"]),
    "max-ram": ("64KiB", ["--max-ram", "65536"]),
    "max-flash": (262144, ["--max-flash", "256KiB"]),
    "max-accuracy-drop": (0, ["--max-accuracy-drop", "0"]),
    "max-class-drop": ("5e-2", ["--max-class-drop", "0.05"]),
    "promise": ("expected", ["--promise", "expected"]),
    "risk": (0.05, ["--risk", "0.05"]),
    "objective": ("energy", ["--objective", "energy"]),
    "efficiency-weight": (1, ["--efficiency-weight", "1"]),
    "scoring": ("independent", ["--scoring", "independent"]),
    "confidence": ("margin", ["--confidence", "margin"]),
    "unit": ("sample", ["--unit", "sample"]),
    "calibrate-on": ("train", ["--calibrate-on", "train"]),
    "correction": (0.5, ["--correction", "0.5"]),
    "points": (5, ["--points", "5"]),
    "mapping": ("one-each", ["--mapping", "one-each"]),
    "max-exits": (2, ["--max-exits", "2"]),
    "reuse": (False, ["--no-reuse"]),
    "thresholds": (21, ["--thresholds", "21"]),
    "exit-at": (["a", "b:cm0p"], ["--exit-at", "a", "--exit-at", "b:cm0p"]),
    "threshold": ("a=0.5", ["--threshold", "a=0.5"]),
    "forbid": (["c d"], ["--forbid", "c d"]),
    "effort": ("quick", ["--effort", "quick"]),
    "heads": ("blueprint, trecx", ["--heads", "blueprint,trecx"]),
    "format": (["tflite", "c"], ["--format", "tflite,c"]),
    "c-prefix": ("kws", ["--c-prefix", "kws"]),
    "blank": (True, ["--blank"]),
    "blank-when": ("max(scores) < 0.3", ["--blank-when", "max(scores) < 0.3"]),
    "max-blank-loss": ("2%", ["--max-blank-loss", "0.02"]),
    "stream": (True, ["--stream"]),
    "refresh": (16, ["--refresh", "16"]),
    "debounce": ("2/3", ["--debounce", "2/3"]),
    "max-missed": ("1%/3", ["--max-missed", "0.01/3"]),
    "background": (["silence", "3"], ["--background", "silence,3"]),
    "target-class": (["yes", "3"], ["--target-class", "yes,3"]),
    "least-alpha": (0.6, ["--least-alpha", "0.6"]),
    "recipe": ("trecx", ["--recipe", "trecx"]),
    "exit-weight": (0.4, ["--exit-weight", "0.4"]),
    "max-locations": (7, ["--max-locations", "7"]),
    "finetune": (3, ["--finetune", "3"]),
    "seed": (7, ["--seed", "7"]),
    "threads": (2, ["--threads", "2"]),
    "dask": ("tcp://host:8786", ["--dask", "tcp://host:8786"]),
    "cache-dir": ("/no/cache", ["--cache-dir", "/no/cache"]),
    "max-cache": (1.5, ["--max-cache", "1.5"]),
    "no-cache": (True, ["--no-cache"]),
    "dry-run": (True, ["--dry-run"]),
    "slim": (True, ["--slim"]),
    "allow-chance": (True, ["--allow-chance"]),
    "allow-unsafe": (True, ["--allow-unsafe"]),
    "custom-objects": (["a.py", "b.c"], ["--custom-objects", "a.py", "--custom-objects", "b.c"]),
    "json": (True, ["--json"]),
    "quiet": (True, ["--quiet"]),
    "verbose": (True, ["--verbose"]),
}  # fmt: skip


def params(*arguments: object) -> dict[str, Any]:
    """What ``eeaug augment`` would be called with."""
    return augment.make_context("augment", ["model.h5", *map(str, arguments)]).params


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EEAUG_CACHE_DIR", raising=False)


def written(text: str, name: str = "run.yaml") -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)
    return name


def test_every_option_may_be_in_the_file() -> None:
    known = {flag(p).lstrip("-") for p in augment.params if isinstance(p, click.Option)}
    assert set(EVERY) == known - {"config"}
    unset = params("--hw", "psoc6")
    for name, (value, arguments) in EVERY.items():
        file = written(yaml.safe_dump({"hw": "psoc6", name: value}))
        given = params("--config", file)
        assert given == params("--hw", "psoc6", *arguments), name
        assert given != unset, name


def test_all_of_them_at_once() -> None:
    file = written(yaml.safe_dump({name: value for name, (value, _) in EVERY.items()}))
    assert params("--config", file) == params(*(word for _, words in EVERY.values() for word in words))


def test_command_line_before_environment_before_file_before_default(monkeypatch: pytest.MonkeyPatch) -> None:
    some = "{hw: gap9, seed: 1, exit-at: [a, b], reuse: false, force: true, max-latency: 1, points: 4"
    file = written(f"{some}, cache-dir: /file}}")
    given = params("--config", file)
    assert (given["seed"], given["exit_at"], given["reuse"], given["points"]) == (1, ("a", "b"), False, "4")
    assert given["scoring"] == "exact"
    monkeypatch.setenv("EEAUG_AUGMENT_SEED", "2")
    monkeypatch.setenv("EEAUG_AUGMENT_MAX_LATENCY", "2")
    monkeypatch.setenv("EEAUG_CACHE_DIR", "/environment")
    given = params("--config", file, "--max-latency", "3", "--exit-at", "c", "--reuse", "--hw", "psoc6")
    assert (given["seed"], given["max_latency_s"], given["exit_at"], given["reuse"]) == (2, 3.0, ("c",), True)
    assert (given["cache_dir"], given["hardware"], given["force"]) == (Path("/environment"), "psoc6", True)
    assert params("--config", file, "--cache-dir", "/line")["cache_dir"] == Path("/line")


def test_the_file_itself_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EEAUG_AUGMENT_CONFIG", written("hw: gap9"))
    assert params()["hardware"] == "gap9"


def test_paths_are_relative_to_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = written("{hw: board.yaml, data: set.npz, o: out, cache-dir: ../cache}", "runs/run.yaml")
    Path("runs/board.yaml").touch()
    given = params("--config", file)
    assert given["hardware"] == "runs/board.yaml" and given["data"] == "runs/set.npz"
    assert (given["output"], given["cache_dir"]) == (Path("runs/out"), Path("runs/../cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    file = written(
        f"{{hw: psoc6.yaml, data: mine.sets:speech, o: {tmp_path}/o, cache-dir: ~/cache}}", "runs/run.yaml"
    )
    given = params("--config", file)
    assert (given["hardware"], given["data"]) == ("psoc6.yaml", "mine.sets:speech")
    assert (given["output"], given["cache_dir"]) == (tmp_path / "o", tmp_path / "cache")
    Path("runs/psoc6.yaml").touch()  # a file of one's own goes before the shipped profile
    assert params("--config", file)["hardware"] == "runs/psoc6.yaml"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = entry.run(["augment", "model.h5", *arguments])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return str(err.rstrip("\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max-latenci: 2.5", "max-latenci: no such option; did you mean 'max-latency'?"),
        ("max_latency: 2.5", "did you mean 'max-latency'?"),
        ("no-reuse: true", "did you mean 'reuse'?"),
        ("config: other.yaml", "config: no such option"),
        ("whatever: 1", "whatever: no such option; see eeaug augment --help"),
        ("7: 1", "7: no such option"),
        ("max-latency: fast", "max-latency: 'fast' is not a time, such as 200ms"),
        ("max-latency: true", "max-latency: must be a number, given true"),
        ("max-latency: null", "max-latency: must be a number, given null"),
        ("max-latency: [1, 2]", "max-latency: must be a number, given a list"),
        ("max-latency: 0", "max-latency: 0.0 is not in the range x>0"),
        ("max-latency: .inf", "max-latency: inf is not a finite number"),
        ("max-latency: .nan", "max-latency: must be a number, given nan"),
        ("seed: 1.5", "seed: '1.5' is not a valid integer"),
        ("effort: slow", "effort: 'slow' is not one of 'quick', 'normal', 'thorough'"),
        ("effort: [quick]", "effort: must be one of quick, normal, thorough, given a list"),
        ("points: 2", "points: '2' is not one of"),
        ("force: 1", "force: must be true or false, given 1"),
        ("reuse: 'no'", "reuse: must be true or false, given 'no'"),
        ("output: ''", "output: must be text, given ''"),
        ("target-class: [yes, no]", "target-class: must be text, given true; put it in quotes"),
        ("exit-at: []", "exit-at: must be text, given an empty list"),
        ("exit-at: {a: cm0p}", "exit-at: must be text, given a mapping"),
        ("data: 3", "data: must be text, given 3; put it in quotes"),
        ("hw: psoc7", "hw: 'psoc7' is neither a file beside it nor a shipped profile; did you mean 'psoc6'?"),
        ("seed: 1\nseed: 2", "seed: stands a second time in line 2"),
        ("", "run.yaml: is empty"),
        ("- seed", "must be a mapping of options, such as max-latency: 2.5, given a list"),
        ("seed: [", "line 1, column 8: not valid YAML"),
        ("o: \x01", "run.yaml: not a YAML text file"),
    ],
)
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    line = refused(capsys, "--config", written(text), "--hw", "psoc6")
    assert line.startswith("error: run.yaml: ") and words in line


def test_all_mistakes_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["augment", "model.h5", "--config", written("{seed: x, force: 1, hw: psoc6}")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: run.yaml: 2 mistakes",
        "  seed: must be a number, given 'x'",
        "  force: must be true or false, given 1",
    ]


def test_files_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    written("hw: psoc6")
    assert "--config runs.yaml: no such file; did you mean 'run.yaml'?" in refused(capsys, "--config", "runs.yaml")
    Path("folder").mkdir()
    assert "folder: is a directory, not a file" in refused(capsys, "--config", "folder")


def test_what_the_file_says_is_judged_like_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("{hw: psoc6, max-accuracy-drop: 0.01, efficiency-weight: 0.5}")
    assert "two different objectives" in refused(capsys, "--config", file)
    assert "Missing option '--hw'" in refused(capsys, "--config", written("seed: 3"))
