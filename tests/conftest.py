"""What several test files use: a small model and data, the command as a process, one finished bundle."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from eeaug.schema import manifest, report

UNIT = Path(__file__).resolve().parent / "unit"
FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert", "tflite_micro"}
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUICK = (
    "--hw", "psoc6", "--effort", "quick", "--promise", "none", "--max-exits", "1", "--cache-dir", "cache",
)  # fmt: skip
AUGMENT = ("augment", "model.h5", *QUICK)
AS_BUNDLE = (*AUGMENT, "--max-latency", "2.5")  # what the fixture `bundle` runs
SIZES = {"train": 600, "val": 300, "test": 300}  # of the example's data: enough to be right, quick to pass


@dataclass(frozen=True)
class Done:
    """A finished command: exit code and both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """The line that tells a failure: the last one on stderr; no traceback may be anywhere."""
        assert "Traceback" not in self.stderr + self.stdout
        return self.stderr.splitlines()[-1] if self.stderr.strip() else ""


Run = Callable[..., Done]
VALIDATOR = Draft202012Validator(report.schema())
MANIFEST_VALIDATOR = Draft202012Validator(manifest.schema())


def valid(place: Path) -> dict[str, Any]:
    """report.json of a bundle (or a file), which must be as `eeaug report --schema` says; so must manifest.json."""
    if place.is_dir():
        _valid(place / "manifest.json", MANIFEST_VALIDATOR)
    return _valid(place / "report.json" if place.is_dir() else place, VALIDATOR)


def _valid(path: Path, validator: Draft202012Validator) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    mistakes = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]
    assert not mistakes, (path, mistakes[:5])
    return document


def written(arguments: Sequence[str], cwd: Path) -> Path | None:
    """Where such a command writes a bundle; None: it writes none."""
    if arguments[0] == "certify" and "-o" not in arguments:
        return cwd / f"{arguments[1]}-certified" if "--labels" in arguments else None
    if arguments[0] not in ("augment", "retarget", "certify") or "--dry-run" in arguments or "--help" in arguments:
        return None
    if "-o" in arguments:
        return cwd / arguments[arguments.index("-o") + 1]
    return cwd / f"{Path(arguments[1]).stem}-eeaug"


def hashes(folder: Path) -> dict[str, str]:
    """Of every file but timing.json."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "timing.json"
    }


def left_over(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if ".partial-" in p.name or ".old-" in p.name or ".part" in p.suffix]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "eeaug", *map(str, arguments)]


def environment(**changes: str | None) -> dict[str, str]:
    """That of this process without what would change the output; None takes a variable away."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EEAUG_", "COLUMNS", "FORCE_COLOR"))}
    return {k: v for k, v in {**kept, **changes}.items() if v is not None}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process per core, but no more than 4, for many of them load TensorFlow; none where files are named."""
    if config.args and all(".py" in argument for argument in config.args):
        return 0
    return min(4, len(os.sched_getaffinity(0)))


@pytest.fixture(autouse=True)
def no_framework_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Other tests of this process may have loaded one before."""
    before = FRAMEWORKS & sys.modules.keys()
    yield
    if UNIT in request.path.parents:
        assert FRAMEWORKS & sys.modules.keys() == before, "this test belongs to tests/frameworks"


@pytest.fixture(scope="session")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture(scope="session")
def keras() -> Any:
    from eeaug.backbone import keras_files

    return keras_files.import_keras()


@pytest.fixture(scope="session")
def old(keras: Any) -> Any:
    """Keras 2; after Keras 3, so that TensorFlow is imported quietly."""
    import tf_keras

    return tf_keras


@pytest.fixture(scope="session")
def run() -> Run:
    """Run ``eeaug`` as a process: ``run(*arguments, cwd=..., env={...})``; bundles it writes must be valid."""

    def run(*arguments: object, cwd: Path, env: Mapping[str, str | None] | None = None, **options: Any) -> Done:
        done = subprocess.run(
            command(*arguments),
            cwd=cwd, env=environment(**(env or {})), capture_output=True, text=True, check=False, timeout=120,
            **options,
        )  # fmt: skip
        place = written([*map(str, arguments)], cwd)
        if done.returncode == 0 and place is not None:
            valid(place)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def patched(change: str, *arguments: object, cwd: Path) -> None:
    """Run the command, which must succeed, after the statement ``change`` in its process."""
    code = f"{change}; from eeaug.cli.main import main; main()"
    line = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(line, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``model.h5`` and ``model.npz``, a part of the shipped example; tests add to it."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copy(EXAMPLES / "fashion_resnet.h5", folder / "model.h5")
    np.savez(folder / "model.npz", **small_data())  # type: ignore[arg-type]
    return folder


def small_data() -> dict[str, np.ndarray]:
    with np.load(EXAMPLES / "fashion_resnet.npz") as data:
        return {k: v if k == "class_names" else v[: SIZES[k.partition("_")[2]]] for k, v in data.items()}


@dataclass(frozen=True)
class Bundle:
    """A bundle of the small example with one early exit, and what the run that made it said."""

    path: Path
    done: Done
    data: Path

    @property
    def report(self) -> dict[str, Any]:
        return valid(self.path)

    @property
    def manifest(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.path / "manifest.json").read_bytes())
        return loaded


@pytest.fixture(scope="session")
def bundle(work: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Made once for all processes of a test run, with --json and the cache of `work`; do not change it, copy it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    said = shared / "bundle.json"
    with (shared / "bundle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            done = run(*AS_BUNDLE, "-o", "made", "--json", cwd=work)
            assert done.code == 0, done.stderr
            for name in ("made", "cache"):
                shutil.copytree(work / name, shared / "bundle" / name)
            said.write_text(json.dumps(asdict(done)))
        else:
            for name in ("made", "cache"):
                shutil.copytree(shared / "bundle" / name, work / name, dirs_exist_ok=True)
    return Bundle(work / "made", Done(**json.loads(said.read_text())), work / "model.npz")


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(bundle.path, tmp_path / "copied"))


# kept whatever it brings
FORCED = (
    "from eeaug.design import design; design.Decided.score = property(lambda self: float(self.rows.given is None))"
)
