"""Bad inputs of every kind: one line, the documented exit code, little memory and time, nothing changed.

An input that could be right may end with 0 as well; none may end in "eeaug failed", a traceback or two lines.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bad_inputs import KINDS, Bad, Place
from conftest import Bundle, command, environment
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from eeaug.cli.main import run as run_in_process
from eeaug.errors import EeaugError

CODES = (2, 3, 4)
LONGEST = 300  # characters
LARGEST = 2 << 30  # bytes
SLOWEST_S = 10.0


def tree(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every entry below a folder but what a cache keeps: kind and mode, size, last change."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if "cache" not in p.relative_to(folder).parts):
        facts = path.lstat()
        size = 0 if path.is_dir() and not path.is_symlink() else facts.st_size
        found[str(path.relative_to(folder))] = (facts.st_mode, size, 0 if path.is_dir() else facts.st_mtime_ns)
    return found


def judged(bad: Bad, code: int, stdout: str, stderr: str) -> list[str]:
    """What is wrong with how it ended."""
    wrong = []
    if code not in ((*CODES,) if bad.certain else (0, *CODES)):
        wrong.append(f"exit code {code}")
    if "Traceback" in stdout + stderr or "eeaug failed" in stderr:
        wrong.append("a mistake of eeaug's own")
    if any((c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" for c in stdout + stderr):
        wrong.append("control characters")
    if code:
        # what was noted on the way stands before it
        lines = stderr.rstrip("\n").split("\n")
        errors = [line for line in lines if line.startswith("error: ")]
        if len(errors) != 1 or (lines[-1] != errors[0] and not bad.lines):
            wrong.append(f"{len(errors)} lines of errors among {len(lines)}")
        if any(len(line) > LONGEST for line in lines) or len(lines) > 40:
            wrong.append(f"a line of {max(map(len, lines))} characters, {len(lines)} lines")
    return wrong


@pytest.fixture(scope="module")
def place(bundle: Bundle, work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("bad")
    yield Place(folder, work / "model.h5", work / "model.npz", bundle.path)


@contextlib.contextmanager
def emptied(place: Place) -> Iterator[Place]:
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir()
    before = Path.cwd()
    os.chdir(place.folder)
    try:
        yield place
    finally:
        os.chdir(before)


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``grown_bytes``: by how much its process has grown at most; ``cpu_s``: what it computed.

    Not the time on a clock, which says as much of the machine's other work.
    """

    code: int
    stdout: str
    stderr: str
    grown_bytes: int
    cpu_s: float


def called(part: Callable[[], object]) -> int:
    try:
        part()
    except EeaugError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def in_process(bad: Bad) -> Ended:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace") for _ in range(2))
    before, start_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = called(bad.call) if bad.call else run_in_process(bad.arguments)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    said = [stream.detach() for stream in (out, err) if stream.flush() is None]
    return Ended(code, *(raw.getvalue().decode() for raw in said), 1024 * grown, time.process_time() - start_s)  # type: ignore[call-arg]


def as_process(bad: Bad) -> Ended:
    line = command(*(argument.replace("\0", "") for argument in bad.arguments))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, errors="replace", timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(done.returncode, done.stdout, done.stderr, 1024 * after.ru_maxrss, cpu_s)


def hold(kind: str, count: int, place: Place, execute: Callable[[Bad], Ended]) -> None:
    """Try so many examples of a kind."""
    make, _ = KINDS[kind]

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        with emptied(place):
            bad = make(data.draw, place)
            before, kept = tree(place.folder), tree(place.bundle)
            ended = execute(bad)
            wrong = judged(bad, ended.code, ended.stdout, ended.stderr)
            if ended.cpu_s > SLOWEST_S:
                wrong.append(f"{ended.cpu_s:.0f} s")
            if ended.grown_bytes > LARGEST:
                wrong.append(f"{ended.grown_bytes / 1e9:.1f} GB")
            if ended.code and tree(place.folder) != before:
                wrong.append(f"changed: {sorted(set(tree(place.folder).items()) ^ set(before.items()))[:3]}")
            if tree(place.bundle) != kept:
                wrong.append("changed the good bundle")
            assert not wrong, f"{bad.what}: {'; '.join(wrong)}; said: {ended.stderr[-400:]!r}"

    holds()


@pytest.mark.parametrize("kind", KINDS)
def test_in_process(kind: str, place: Place) -> None:
    hold(kind, KINDS[kind][1], place, in_process)


@pytest.mark.e2e
@pytest.mark.parametrize("kind", KINDS)
def test_as_a_process(kind: str, place: Place) -> None:
    """Eleven in all: the command around the same parts."""
    hold(kind, 2 if kind in ("options", "places") else 1, place, as_process)
