"""Where a bundle may stand, how it takes its place, and how damage is noticed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_places import deep, snapshot, whole, written

from eeaug.bundle import directory as bundle
from eeaug.errors import InputError

# -- the place ----------------------------------------------------------------------------------------


def test_free_places(tmp_path: Path) -> None:
    bundle.check_place(tmp_path / "new", force=False)
    (tmp_path / "empty").mkdir()
    bundle.check_place(tmp_path / "empty", force=False)
    bundle.check_place(whole(tmp_path / "old"), force=True)


@pytest.mark.parametrize("force", [False, True])
def test_places_that_are_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "file")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    monkeypatch.chdir(whole(tmp_path / "inside" / "here"))
    for place, words in (
        ("file", "not a directory"),
        ("loop", "not a directory"),
        ("thesis", "not a bundle"),
        ("no/where", "does not exist"),
        ("file/below", "does not exist"),
        ("inside/here", "name a directory inside it"),
        ("inside", "name a directory inside it"),
        ("/", "name a directory inside it"),
    ):
        with pytest.raises(InputError, match=words):
            bundle.check_place(tmp_path / place, force=force)
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_bundle_is_replaced_only_with_force(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--force replaces it"):
        bundle.check_place(whole(tmp_path / "old"), force=False)


# -- what never goes with it --------------------------------------------------------------------------


STRANGE: dict[str, Callable[[Path], object]] = {
    "notes.txt": lambda p: p.write_text("mine"),
    "stages/0-a/notes.txt": lambda p: p.write_text("mine"),
    "empty": lambda p: p.mkdir(),
    "data/train.npz": lambda p: (p.parent.mkdir(), p.write_text("recorded for a year")),
    ".git/HEAD": lambda p: (p.parent.mkdir(), p.write_text("ref: refs/heads/main")),
    ".hidden": lambda p: p.write_text(""),
    "link": lambda p: p.symlink_to("report.json"),
    "nowhere": lambda p: p.symlink_to("nothing"),
    "pipe": os.mkfifo,
    "report.json": lambda p: (p.unlink(), p.symlink_to("/etc/hostname")),  # a listed name, not a listed file
    "timing.json": lambda p: (p.unlink(), p.mkdir()),
    "stages": lambda p: (shutil.rmtree(p), p.symlink_to("/usr")),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_eeaug_has_not_written_is_named_and_stays(tmp_path: Path, name: str) -> None:
    place = deep(tmp_path / "out")
    STRANGE[name](place / name)
    before, first = snapshot(tmp_path), name.split("/")[0] if "0-a" not in name else name
    with pytest.raises(
        InputError, match=rf"^-o .*/out holds what eeaug has not written there: {first}.*"
    ) as caught:
        bundle.check_place(place, force=True)
    assert "\n" not in str(caught.value) and snapshot(tmp_path) == before
    with pytest.raises(InputError), bundle.being_written(place, force=True) as directory:  # it came meanwhile
        (directory / "report.json").write_text("new")
    assert snapshot(tmp_path) == before


def test_what_make_has_built_is_replaced_with_the_c_files(tmp_path: Path) -> None:
    place = tmp_path / "out"
    files = {"c-int8/Makefile", "c-int8/net.c", "report.json"}
    for name in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("")
    for folder in ("c-int8/build/deeper", "c/build", "build"):
        (place / folder).mkdir(parents=True)
        (place / folder / "net.o").write_text("")
    assert bundle._strange(place, files) == ["build", "c"]  # no C files of eeaug's stand there
    (place / "c-int8" / "mine.c").write_text("")
    assert "c-int8/mine.c" in bundle._strange(place, files)


def test_many_strange_files_are_counted(tmp_path: Path) -> None:
    place = deep(tmp_path / "out")
    for i in range(9):
        (place / f"{i}.txt").write_text("")
    with pytest.raises(
        InputError, match=r"there: 0\.txt, 1\.txt, 2\.txt and 6 more; move it, or name another place"
    ):
        bundle.check_place(place, force=True)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ('{"manifest_version": 3, "name": "ad blocker", "files": ["a.js"]}', "is not a bundle of eeaug"),
        ('{"schema_version": 1, "files": {}}', "is not a bundle of eeaug"),
        ('{"schema_version": 1, "files": {"a": "b"}, "tool": {"other": "1"}}', "is not a bundle of eeaug"),
        ('{"schema_version": 1, "files": {"a": "b"}, "tool": {"eeaug": "1"}}', "is not a bundle of eeaug"),
        (
            '{"schema_version": 2, "files": {"a": "b"}, "tool": {"eeaug": "1"}}',
            "another version of eeaug has written",
        ),
        ("[]", "is not a bundle"),
        ("[" * 100_000, "is not a bundle"),
        ("", "is not a bundle"),
    ],
)
def test_a_manifest_of_others_makes_no_bundle(tmp_path: Path, manifest: str, words: str) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "manifest.json").write_text(manifest)
    (place / "a").write_text("mine")
    with pytest.raises(InputError, match=words) as caught:
        bundle.check_place(place, force=True)
    assert "\n" not in str(caught.value) and (place / "a").exists()


def test_what_a_damaged_bundle_held_is_not_known(tmp_path: Path) -> None:
    place = deep(tmp_path / "out")
    (place / "manifest.json").write_bytes((place / "manifest.json").read_bytes()[:-20])
    with pytest.raises(InputError, match=r"its manifest\.json is damaged, .*; delete it yourself, or name another"):
        bundle.check_place(place, force=True)


def test_listed_files_may_go_whatever_has_become_of_them(tmp_path: Path) -> None:
    place = deep(tmp_path / "out")
    (place / "report.json").write_text("damaged")
    (place / "stages" / "0-a" / "model.onnx").unlink()
    written(place)
    assert (place / "report.json").read_text() == "new"


@pytest.mark.parametrize("name", ["stages/0-a/model.onnx", "../alias", "stages"])
def test_what_this_run_reads_never_goes(tmp_path: Path, name: str) -> None:
    place = deep(tmp_path / "out")
    (tmp_path / "alias").symlink_to("out/report.json")
    read = {"the data": "keras:mnist", "the target": None, "the model": place / name}
    with pytest.raises(InputError, match="holds the model of this run, "):
        bundle.check_place(place, force=True, inputs=read)
    bundle.check_place(place, force=True, inputs={**read, "the model": tmp_path / "other.h5"})


def test_no_bundle_in_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lies in the bundle"):
        bundle.check_place(deep(tmp_path / "out") / "stages" / "new", force=False)


@pytest.mark.parametrize("name", ["dangling", "loop", "x" * 300])
def test_places_that_cannot_be_are_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"does not exist|name too long") as caught:
        bundle.check_place(tmp_path / name, force=True)
    assert "\n" not in str(caught.value)


def test_a_long_name_has_a_place_beside_it(tmp_path: Path) -> None:
    place = whole(tmp_path / ("ü" * 127))
    written(place)
    assert [p.name for p in tmp_path.iterdir()] == [place.name]


# -- the exchange -------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", ["nothing", "an empty directory", "a bundle"])
def test_what_is_written_takes_the_place_as_a_whole(tmp_path: Path, there: str) -> None:
    place = tmp_path / "out"
    if there == "an empty directory":
        place.mkdir()
    elif there == "a bundle":
        whole(place)
    written(place)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert [(p.name, p.read_text()) for p in place.iterdir()] == [("report.json", "new")]


def test_a_link_keeps_pointing_to_what_is_replaced(tmp_path: Path) -> None:
    whole(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    written(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "report.json").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_a_full_disk_is_told_with_the_place(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}/out'"),
        bundle.being_written(tmp_path / "out", force=False),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_all_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    place = whole(tmp_path / "out", "old")
    with pytest.raises(error), bundle.being_written(place, force=True) as directory:
        (directory / "report.json").write_text("half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (place / "report.json").read_text() == "old"


def test_the_old_one_comes_back_if_the_exchange_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = whole(tmp_path / "out", "old")
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if ".partial-" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="No space"):
        written(place)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (place / "report.json").read_text() == "old"


# -- reading ------------------------------------------------------------------------------------------


def test_hashes_leave_out_the_manifest_and_the_times(tmp_path: Path) -> None:
    place = whole(tmp_path / "out")
    (place / "timing.json").write_text("{}")
    (place / "stages" / "0-a").mkdir(parents=True)
    (place / "stages" / "0-a" / "model.onnx").write_bytes(b"abc")
    found = bundle.hashes(place)
    assert list(found) == ["report.json", "stages/0-a/model.onnx"]
    assert found["stages/0-a/model.onnx"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_holds_no_nan() -> None:
    assert bundle.dump_json({"a": None, "b": "µs"}) == '{\n "a": null,\n "b": "µs"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        bundle.dump_json({"a": float("nan")})


def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """ONNX Runtime opens none; found out before the work, not after it."""
    with pytest.raises(InputError, match="not UTF-8"):
        bundle.check_place(tmp_path / os.fsdecode(b"\xff\xfe"), force=False)
