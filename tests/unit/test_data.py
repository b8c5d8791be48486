"""Arrays as samples: how they are read, checked and prepared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrays import SHAPE, arrays, read, read_from

from eeaug.data import load, npz, split
from eeaug.data.preprocessing import Preprocessing, at_once, read_sidecar
from eeaug.errors import InputError


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, **changes)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'd.npz'}: ")


# -- reading ------------------------------------------------------------------------------------------


def test_arrays_come_back_as_stored_and_stay_on_disk(tmp_path: Path) -> None:
    data = read(tmp_path, class_names=np.array(["a", "b", "c"]))
    want = arrays()
    assert data.train is not None and data.test is not None
    assert isinstance(data.train.x, np.memmap) and data.train.x.dtype == np.uint8
    np.testing.assert_array_equal(data.test.x, want["x_test"])
    np.testing.assert_array_equal(data.train.y, want["y_train"])
    assert (data.source, data.class_names, data.train.name) == ("d.npz", ("a", "b", "c"), "x_train")


@pytest.mark.parametrize(
    ("shape", "number"), [((), 64), ((49, 10), 64), ((96, 96, 3), 64), ((224, 224, 3), 13), ((2000, 2000), 1)]
)
def test_fewer_large_samples_are_taken_at_once(shape: tuple[int, ...], number: int) -> None:
    assert at_once(shape) == number


def test_arrays_are_unpacked_once_for_each_content(tmp_path: Path) -> None:
    first = read(tmp_path)
    copy = tmp_path / "cache" / first.sha256 / "x_train.npy"
    before = copy.stat().st_mtime_ns
    assert read(tmp_path).sha256 == first.sha256 and copy.stat().st_mtime_ns == before
    assert read(tmp_path, n=66).sha256 != first.sha256


def test_parts_are_known_by_what_they_hold(tmp_path: Path) -> None:
    """Whatever else is in the file, however it is compressed, and also from an earlier version's folder."""
    first = read(tmp_path)
    other = read(tmp_path, x_val=arrays()["x_val"][::-1], y_test=arrays()["y_test"][::-1])
    assert first.train and first.val and first.test and other.train and other.val and other.test
    assert first.train.digest == other.train.digest and first.test.digest == other.test.digest
    assert first.val.digest != other.val.digest
    np.savez(tmp_path / "d.npz", **arrays())
    again = read_from(tmp_path / "cache", tmp_path)
    assert [part.digest for part in again.parts()] == [part.digest for part in first.parts()]
    facts = tmp_path / "cache" / first.sha256 / npz.CONTENTS
    facts.unlink()
    (tmp_path / "cache" / again.sha256 / npz.CONTENTS).unlink()
    once_more = read(tmp_path)
    assert [part.digest for part in once_more.parts()] == [part.digest for part in first.parts()] and facts.exists()


def test_what_another_archive_has_is_not_unpacked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[str] = []
    copy = npz._unpack
    monkeypatch.setattr(npz, "_unpack", lambda *given: unpacked.append(given[2]) or copy(*given))
    first = read(tmp_path)
    assert sorted(unpacked) == sorted(arrays())
    unpacked.clear()
    other = read(tmp_path, x_val=arrays()["x_val"][::-1])
    assert unpacked == ["x_val"]
    one, two = (tmp_path / "cache" / data.sha256 / "x_train.npy" for data in (first, other))
    assert one.samefile(two)
    # what is damaged there is no use here, and heals on its own
    one.write_bytes(one.read_bytes()[:-1] + b"?")
    unpacked.clear()
    third = read(tmp_path, x_val=arrays()["x_val"][::-2], y_val=arrays()["y_val"][:30])
    assert third.train is not None and first.train is not None
    np.testing.assert_array_equal(third.train.x, arrays()["x_train"])
    assert sorted(unpacked) == ["x_train", "x_val", "y_val"]
    assert third.train.digest == first.train.digest


def test_contents_of_the_cache_are_not_believed_blindly(tmp_path: Path) -> None:
    """A hash that somebody has changed, or that stands in the place of another one."""
    first = read(tmp_path)
    facts = tmp_path / "cache" / first.sha256 / npz.CONTENTS
    facts.write_text(facts.read_text().replace(first.parts()[0].digest, "0" * 64))
    assert [part.digest for part in read(tmp_path).parts()] == [part.digest for part in first.parts()]


def test_room_is_made_before_unpacking_and_use_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, int, str]] = []
    np.savez_compressed(tmp_path / "d.npz", **arrays())
    monkeypatch.setattr(
        npz.Cache, "make_room", lambda cache, need, what: asked.append((cache.directory, need, what))
    )
    folder = tmp_path / "data" / read_from(tmp_path / "data", tmp_path).sha256
    size = sum(file.stat().st_size for file in folder.glob("*.npy"))
    assert asked == [(tmp_path, size, f"{tmp_path / 'd.npz'}: unpacked arrays")]
    os.utime(folder, (0, 0))
    read_from(tmp_path / "data", tmp_path)
    assert len(asked) == 1 and folder.stat().st_mtime > 0
    (folder / "x_train.npy").unlink()
    read_from(tmp_path / "data", tmp_path)
    assert 0 < asked[1][1] < size, "only what is not there"


def test_a_broken_unpacking_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npz.shutil, "copyfileobj", full_disk)
    assert "No space left" in refusal(tmp_path)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_zip(tmp_path: Path, keep: float) -> None:
    np.savez(tmp_path / "d.npz", **arrays())
    whole = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(InputError, match=r"not a \.npz file, or truncated"):
        load(str(tmp_path / "d.npz"), tmp_path / "m.h5", cache=tmp_path)


def test_flipped_byte_inside(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **arrays())
    whole = bytearray((tmp_path / "d.npz").read_bytes())
    whole[400] ^= 255  # in the samples of x_train
    (tmp_path / "d.npz").write_bytes(whole)
    with pytest.raises(InputError, match="the array x_train is damaged"):
        load(str(tmp_path / "d.npz"), tmp_path / "m.h5", cache=tmp_path / "cache")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    names = np.array(["a", "b", "c"], dtype=object)
    assert "class_names holds Python objects" in refusal(tmp_path, class_names=names)
    assert "y_val holds Python objects" in refusal(tmp_path, y_val=np.array([1, None] * 30))


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    np.savez(tmp_path / "cifar10.npz", **arrays())
    with pytest.raises(InputError, match=r"no such data file; did you mean 'cifar10\.npz'"):
        load(str(tmp_path / "cifar.npz"), tmp_path / "m.h5", cache=tmp_path)


def test_unknown_array_names_the_nearest(tmp_path: Path) -> None:
    assert refusal(tmp_path, X_trian=np.zeros(3)) == "unknown array 'X_trian'; did you mean 'x_train'?"
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x_train", b"no array")
    with pytest.raises(InputError, match=r"'x_train' is no array: a \.npz holds \.npy files"):
        load(str(tmp_path / "d.npz"), tmp_path / "m.h5", cache=tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("folder", "--data folder: does not exist; must be a .npz, a directory"),
        ("README.md", "--data README.md: is none of these; must be a .npz, a directory"),
        ("a:b:c", "does not exist; must be"),
        ("keras:cifar", "keras:cifar: no image data set of keras.datasets; did you mean 'cifar10'?"),
    ],
)
def test_other_sources_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("no data")
    with pytest.raises(InputError) as caught:
        load(spec, tmp_path / "m.h5", cache=tmp_path)
    assert message in str(caught.value)


def test_without_data_both_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(None, tmp_path / "net.v2.h5", cache=tmp_path)
    assert "net.v2.data.yaml" in str(caught.value) and "net.v2.npz" in str(caught.value)


def test_data_beside_the_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", **arrays())
    assert load(None, tmp_path / "net.h5", cache=tmp_path).source == "net.npz"
    np.savez(tmp_path / "other.npz", **arrays(n=33))
    (tmp_path / "net.data.yaml").write_text("source: other.npz\npreprocessing: {scale: 0.5}\n")
    data = load(None, tmp_path / "net.h5", cache=tmp_path)
    assert (data.source, data.preprocessing.scale, data.notes) == ("other.npz", 0.5, ())


def test_given_arrays_take_the_preprocessing_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "model.data.yaml").write_text("preprocessing: {offset: -128}\n")
    data = read(tmp_path)
    assert data.preprocessing.offset == -128.0
    assert data.notes == ("preprocessing is taken from model.data.yaml: it belongs to the model",)
    assert split(data, seed=0).notes[0] == data.notes[0]
    with pytest.raises(InputError, match=r"model\.data\.yaml: source: missing"):
        load(None, tmp_path / "model.h5", cache=tmp_path)


def test_reading_data_needs_no_framework() -> None:
    heavy = "{'keras', 'tensorflow', 'onnx', 'networkx'}"
    code = f"import sys, eeaug.data; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- checking -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stored",
    [
        np.arange(60).astype(np.float32) % 3,
        (np.arange(60) % 3)[:, None],
        np.eye(3)[np.arange(60) % 3],
        np.eye(3, dtype=bool)[np.arange(60) % 3],
        (np.arange(60) % 3).astype(np.uint8),
    ],
    ids=["floats", "column", "one-hot", "one-hot booleans", "bytes"],
)
def test_forms_of_labels(tmp_path: Path, stored: np.ndarray) -> None:
    data = read(tmp_path, y_train=stored)
    assert data.train is not None and data.train.y.dtype == np.int64
    np.testing.assert_array_equal(data.train.y, np.arange(60) % 3)


def test_boolean_labels(tmp_path: Path) -> None:
    data = read(tmp_path, y_val=np.arange(60) % 2 == 1)
    assert data.val is not None and data.val.y.tolist() == [0, 1] * 30


def at(values: np.ndarray, index: int, value: float) -> np.ndarray:
    values[index] = value
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_val": np.zeros(60, int)}, "y_val holds one class only (0); at least two are needed"),
        ({"y_val": np.arange(59) % 3}, "x_val has 60 samples, y_val has the shape (59,)"),
        ({"y_test": np.int64(3)}, "x_test has 60 samples, y_test has the shape ()"),
        ({"groups_val": np.arange(3)}, "x_val has 60 samples, groups_val has the shape (3,)"),
        ({"y_train": at(np.arange(60) % 3, 7, -1)}, "must hold class numbers 0, 1, ...; sample 7 has -1"),
        ({"y_train": at(np.arange(60) % 3.0, 8, 0.5)}, "must hold class numbers 0, 1, ...; sample 8 has 0.5"),
        ({"y_train": at(np.arange(60) % 3.0, 9, np.nan)}, "y_train holds NaN or infinity, first at sample 9"),
        (
            {"y_train": at(np.eye(3)[np.arange(60) % 3], 5, 2)},
            "has 3 columns, but sample 5 is not a row of 0 and 1",
        ),
        ({"y_train": np.array(["a", "b"] * 30)}, "y_train holds text and y_val numbers"),
        ({"y_train": None}, "x_train is given without y_train"),
        ({"x_val": None}, "y_val is given without x_val"),
        ({"x_val": None, "y_val": None, "groups_val": np.arange(9)}, "groups_val is given without x_val"),
        ({"x_val": np.zeros((0, 4)), "y_val": np.zeros(0)}, "x_val is empty"),
        ({"x_val": np.zeros(60)}, "x_val must be numbers of shape (samples, ...)"),
        ({"x_val": np.zeros((60, 2), "S3")}, "x_val must be numbers of shape (samples, ...)"),
        ({"groups_train": np.zeros(60)}, "groups_train must be whole numbers or text"),
        ({"class_names": np.arange(3)}, "class_names must be a list of text"),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    assert message in refusal(tmp_path, **changes)


def test_check_against_the_model(tmp_path: Path) -> None:
    data = read(tmp_path, class_names=np.array(["a", "b", "c"]))
    data.check((4, None, 1), 3)
    with pytest.raises(InputError, match=r"samples of shape \(4, 4, 1\), the model takes \(4, 4\)"):
        data.check((4, 4), 3)
    with pytest.raises(InputError, match=r"y_train holds the label 2, the model has 2 classes"):
        data.check(SHAPE, 2)
    with pytest.raises(InputError, match="class_names has 3 names, the model has 4 classes"):
        data.check(SHAPE, 4)


# -- preprocessing ------------------------------------------------------------------------------------


def test_order_of_the_four_steps() -> None:
    x = np.array([[[10, 20]]], dtype=np.uint8)
    got = Preprocessing(scale=0.5, offset=1.0, mean=(2.0, 3.0), std=4.0)(x)
    assert got.dtype == np.float32 and got.tolist() == [[[(5 + 1 - 2) / 4, (10 + 1 - 3) / 4]]]
    assert x.tolist() == [[[10, 20]]]


def test_preprocessing_survives_json() -> None:
    given = Preprocessing(1 / 255, 0.1, np.linspace(0, 1, 16).reshape(SHAPE).astype(np.float32), (0.25,))
    stored = json.loads(json.dumps(given.as_dict()))
    x = np.random.default_rng(1).integers(0, 256, (5, *SHAPE))
    np.testing.assert_array_equal(Preprocessing.from_dict(stored)(x), given(x))
    assert Preprocessing.from_dict(Preprocessing().as_dict()).mean is None


def test_mean_that_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "model.data.yaml").write_text("preprocessing: {mean: [1, 2, 3]}\n")
    with pytest.raises(InputError, match=r"preprocessing\.mean has shape \(3,\), which does not fit"):
        read(tmp_path).check(SHAPE, 3)


def test_sidecar_with_arrays_and_powers_of_ten(tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", np.full(SHAPE, 2.0))
    path = tmp_path / "m.data.yaml"
    path.write_text("source: d.npz\npreprocessing: {scale: 1e-3, mean: mean.npy, std: [0.5]}\n")
    got = read_sidecar(path)
    assert got.source == "d.npz" and got.preprocessing is not None
    assert got.preprocessing(np.full((1, *SHAPE), 3000)).ravel() == pytest.approx([2.0] * 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sorce: d.npz", "sorce: unknown key; did you mean 'source'?"),
        ("preprocessing: {maen: 1}", "preprocessing.maen: unknown key; did you mean 'mean'?"),
        ("preprocessing: {scale: 1/255}", "preprocessing.scale: must be a number, all finite, given '1/255'"),
        ("preprocessing: {scale: true}", "preprocessing.scale: must be a number"),
        ("preprocessing: {offset: [1]}", "preprocessing.offset: must be a number, all finite, given [1]"),
        (
            "preprocessing: {mean: [1, x]}",
            "preprocessing.mean: must be a number, a list of numbers or a .npy",
        ),
        ("preprocessing: {std: [1, 0]}", "preprocessing.std: must not be zero, given [1, 0]"),
        ("preprocessing: {std: none.npy}", "none.npy: cannot be read: No such file"),
        ("preprocessing: 3", "preprocessing: must be a mapping with the keys front_end, scale, offset, mean, std"),
        ("source: 3", "source: must name the samples as --data does, given 3"),
        ("- 1", "the file: must be a mapping"),
        ("a: [", "not valid YAML"),
        ("", "is empty"),
    ],
)
def test_sidecar_mistakes(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.data.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_sidecar(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
