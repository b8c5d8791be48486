"""The real command where it cannot finish: replaced bundles, interrupts, full and read-only disks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import AS_BUNDLE, Bundle, Run, command, environment, hashes, left_over

pytestmark = pytest.mark.e2e


def test_force_replaces_the_whole_bundle(copied: Path, run: Run, work: Path, bundle: Bundle) -> None:
    (copied / "stages" / "stray.txt").write_text("mine")
    before = hashes(copied)
    done = run(*AS_BUNDLE, "-o", copied, "--force", "-q", cwd=work)
    assert done.code == 2 and "not written there: stages/stray.txt; move it" in done.last_line
    assert hashes(copied) == before
    (copied / "stages" / "stray.txt").unlink()
    (copied / "report.json").write_text("changed")
    done = run(*AS_BUNDLE, "-o", copied, "--force", "-q", cwd=work)
    assert done.code == 0, done.stderr
    assert hashes(copied) == hashes(bundle.path)
    assert [p.name for p in copied.parent.iterdir()] == [copied.name]


def loading_tensorflow(pid: int) -> None:
    """Wait until the process of the run, a child of the command, has begun to map TensorFlow's libraries.

    How long that takes depends on the load.
    """
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        time.sleep(1.0)
        return
    for _ in range(3000):
        for child in children.read_text().split():
            with suppress(OSError):  # it has ended
                if "tensorflow" in Path(f"/proc/{child}/maps").read_text():
                    return
        time.sleep(0.01)
    raise AssertionError("TensorFlow was never imported")


@pytest.mark.parametrize(
    ("when", "times"),
    [
        (None, 1),  # while TensorFlow is imported
        ("start TensorFlow", 1),
        ("read: model", 1),  # before and in the pass
        ("the given model is right", 2),
        ("train: 12 dense heads", 1),
        ("write the stages", 2),  # the partial directory is there
    ],
)
def test_an_interrupt_leaves_nothing_behind(
    work: Path, tmp_path: Path, run: Run, bundle: Bundle, when: str | None, times: int
) -> None:
    process = subprocess.Popen(
        command(*AS_BUNDLE, "--cache-dir", tmp_path / "cache", "-o", tmp_path / "out"),
        cwd=work, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
    )  # fmt: skip
    assert process.stderr is not None
    if when is None:
        loading_tensorflow(process.pid)
    else:
        assert any(when in line for line in iter(process.stderr.readline, "")), f"{when} was never said"
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert err.splitlines()[-1] == (
        "interrupted: nothing was written; the cache keeps what is finished, the same command goes on from there"
    )
    assert "Traceback" not in err and "Exception" not in err
    assert not (tmp_path / "out").exists() and not left_over(tmp_path)
    if when is not None and when.startswith("train"):  # it goes on as it said
        done = run(*AS_BUNDLE, "--cache-dir", tmp_path / "cache", "-o", tmp_path / "out", cwd=work)
        assert done.code == 0 and "kept from an earlier run" in done.stderr and when not in done.stderr
        assert hashes(tmp_path / "out") == hashes(bundle.path)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system with the given options, where that is allowed."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        tool = shutil.which("mount")
        arguments = [str(tool), "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if tool is None or os.name != "posix" or subprocess.run(arguments, capture_output=True).returncode:
            pytest.skip("mounting a small file system is not allowed here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(
    bundle: Bundle, run: Run, work: Path, tiny_disk: Callable[[str], Path]
) -> None:
    disk = tiny_disk("size=200k")
    done = run(*AS_BUNDLE, "-o", disk / "out", cwd=work)
    assert (done.code, done.stdout) == (1, "")
    assert "space" in done.last_line.lower() and done.last_line.startswith("error: ")
    assert not any(disk.iterdir())


def test_places_that_cannot_be_written(
    bundle: Bundle, run: Run, work: Path, tiny_disk: Callable[[str], Path]
) -> None:
    disk = tiny_disk("ro,size=200k")
    done = run(*AS_BUNDLE, "-o", disk / "out", cwd=work)
    assert (done.code, done.stderr.count("\n")) == (2, 1)
    assert "cannot write to" in done.last_line
    done = run(*AS_BUNDLE, "--cache-dir", disk / "cache", "-o", "refused", cwd=work)
    assert done.code == 2 and "Read-only file system" in done.last_line
    done = run(*AS_BUNDLE, "-o", disk, cwd=work)
    assert done.code == 2 and "name a directory inside it" in done.last_line


def test_a_full_cache_disk_is_one_line(
    bundle: Bundle, run: Run, work: Path, tiny_disk: Callable[[str], Path]
) -> None:
    disk = tiny_disk("size=1200k")  # the data fit, the features do not
    done = run(*AS_BUNDLE, "--cache-dir", disk, "-o", "refused", cwd=work)
    assert done.code == 2 and "name another place with --cache-dir" in done.last_line
    assert not left_over(disk) and not (work / "refused").exists()


def test_the_cache_is_below_home_by_default(bundle: Bundle, run: Run, work: Path, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "XDG_CACHE_HOME": None}
    done = run("evaluate", "made", "--data", "model.npz", "--json", cwd=work, env=env)
    assert done.code == 0, done.stderr
    assert (tmp_path / ".cache" / "eeaug" / "data").is_dir()
