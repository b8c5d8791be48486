"""What killed runs leave: what comes back, what goes, what stays."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from bundle_places import deep, snapshot, written

from eeaug.bundle import directory as bundle
from eeaug.errors import InputError
from eeaug.support import leftovers


def test_a_bundle_that_was_moved_aside_comes_back(tmp_path: Path, gone: int) -> None:
    """Killed between the two renames of the exchange."""
    place = tmp_path / "out"
    deep(tmp_path / f".out.old-{gone}")
    (tmp_path / f".out.partial-{gone}").mkdir()
    with pytest.raises(InputError, match="--force replaces it"):
        bundle.check_place(place, force=False)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (place / "report.json").read_text() == "x"


def test_what_was_replaced_goes(tmp_path: Path, gone: int) -> None:
    """Killed behind the exchange: while the old one was deleted, or before."""
    old, replaced = deep(tmp_path / f".out.old-{gone}"), tmp_path / f".out.replaced-{gone}"
    (replaced / "stages").mkdir(parents=True)
    place = deep(tmp_path / "out")
    bundle.check_place(place, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and not old.exists()


@pytest.mark.parametrize("why", ["older", "strange", "no bundle here", "no bundle there"])
def test_an_old_bundle_that_may_be_wanted_stays(tmp_path: Path, gone: int, why: str) -> None:
    old, place = deep(tmp_path / f".out.old-{gone}"), deep(tmp_path / "out")
    if why == "older":
        os.utime(place / "manifest.json", (0, 0))
    elif why == "strange":
        (old / "notes.txt").write_text("mine")
    else:
        ((place if "here" in why else old) / "manifest.json").write_text("{")
    before = snapshot(old)
    with contextlib.suppress(InputError):
        bundle.check_place(place, force=True)
    assert snapshot(old) == before


def test_what_others_are_at_work_on_stays(tmp_path: Path, gone: int) -> None:
    live, locked = tmp_path / f".out.partial-{os.getppid()}", tmp_path / f".out.partial-{gone}"
    names = [
        f".out.partial-{gone}x",
        f"out.partial-{gone}",
        f".out2.partial-{gone}",
        ".out.partial-",
        "eeaug-1-abc",
    ]
    others = [live, locked, *(tmp_path / name for name in names)]
    for folder in others:
        folder.mkdir()
    (tmp_path / f".out.old-{gone}").symlink_to(live)
    with leftovers.hold(locked):
        bundle.check_place(tmp_path / "out", force=False)
        assert all(folder.exists() for folder in others) and (tmp_path / f".out.old-{gone}").is_symlink()
    bundle.check_place(tmp_path / "out", force=False)
    assert not locked.exists() and live.exists()


def test_a_number_that_is_used_again_hides_nothing_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f".out.partial-{os.getppid()}"
    left.mkdir()
    monkeypatch.setattr(leftovers, "YOUNG_S", -1)
    with leftovers.hold(left):
        bundle.check_place(tmp_path / "out", force=False)
        assert left.exists()
    bundle.check_place(tmp_path / "out", force=False)
    assert not left.exists()


def test_of_two_runs_with_one_number_the_second_is_refused(tmp_path: Path) -> None:
    """As in two containers that share a directory."""
    place = tmp_path / "out"
    with bundle.being_written(place, force=False) as directory:
        (directory / "report.json").write_text("first")
        with (
            pytest.raises(InputError, match="another run is writing there"),
            bundle.being_written(place, force=False),
        ):
            pytest.fail("it is taken")
    assert (place / "report.json").read_text() == "first"
    (tmp_path / f".new.partial-{os.getpid()}").mkdir()  # of a process that was killed, in a container before this
    written(tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "out"]


def test_temporary_folders_go_with_their_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / f"eeaug-{gone}-abcdefgh"
    others = [
        tmp_path / name for name in (f"eeaug-{gone}", f"eeaug-{os.getppid()}-abcdefgh", f"x-eeaug-{gone}-abcdefgh")
    ]
    for folder in (left, *others):
        (folder / "below").mkdir(parents=True)
    with leftovers.scratch() as mine:
        assert mine.parent == tmp_path and mine.name.startswith(f"eeaug-{os.getpid()}-")
        with leftovers.scratch() as second:
            assert second != mine and mine.exists()
    assert not left.exists() and sorted(tmp_path.iterdir()) == sorted(others)


def test_temporary_files_of_libraries_are_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "before")
    with leftovers.own_temporary():
        (mine,) = tmp_path.iterdir()
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(mine)
        tempfile.mkstemp()
    assert not any(tmp_path.iterdir()) and (tempfile.tempdir, os.environ["TMPDIR"]) == (str(tmp_path), "before")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with leftovers.own_temporary():
        assert os.environ["TMPDIR"] == "before"
