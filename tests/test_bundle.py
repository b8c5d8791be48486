"""Where a bundle may stand, how it takes its place, and how damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eeaug.errors import ConversionError, InputError
from eeaug.export import bundle


def whole(place: Path, content: str = "x") -> Path:
    """A bundle of one file."""
    place.mkdir(parents=True)
    (place / "report.json").write_text(content)
    manifest = {
        "schema_version": bundle.SCHEMA_VERSION, "files": bundle.hashes(place),
        "stages": [{}], "classes": ["a", "b"], "preprocessing": {"scale": 1.0},
        "decision": {"kind": "softmax", "classes": 2},
    }  # fmt: skip
    (place / "manifest.json").write_text(json.dumps(manifest))
    return place


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


# -- the exchange -------------------------------------------------------------------------------------


def written(place: Path, content: str = "new") -> None:
    with bundle.being_written(place, force=True) as directory:
        assert directory.parent == place.resolve().parent
        (directory / "report.json").write_text(content)


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


def test_a_sound_bundle_is_read(tmp_path: Path) -> None:
    assert bundle.read_manifest(whole(tmp_path / "out"))["classes"] == ["a", "b"]


def test_changed_and_missing_files_are_named(tmp_path: Path) -> None:
    place = whole(tmp_path / "out")
    (place / "report.json").write_text("y")
    with pytest.raises(ConversionError, match=r"report\.json has changed"):
        bundle.read_manifest(place)
    (place / "report.json").unlink()
    with pytest.raises(ConversionError, match=r"report\.json is missing"):
        bundle.read_manifest(place)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged: 'schema_version'"),
        ('{"schema_version": 2}', "schema_version 2, this eeaug reads 1"),
        ('{"schema_version": 1, "files": {"a": "b"}}', "it has no stages, classes, decision, preprocessing"),
    ],
)
def test_damaged_manifests(tmp_path: Path, manifest: str, words: str) -> None:
    place = whole(tmp_path / "out")
    (place / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match=words) as caught:
        bundle.read_manifest(place)
    assert "\n" not in str(caught.value)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no manifest"):
        bundle.read_manifest(tmp_path / "nowhere")


def test_json_holds_no_nan() -> None:
    assert bundle.dump_json({"a": None, "b": "µs"}) == '{\n "a": null,\n "b": "µs"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        bundle.dump_json({"a": float("nan")})
