"""Directories, saved data sets, keras:, tfds: and functions as sources."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sources import pictures, read, refusal

from eeaug.backbone.keras_files import import_keras
from eeaug.data import Data, load, store
from eeaug.errors import InputError
from eeaug.support.sample_layout import SampleLayout


@pytest.fixture(autouse=True)
def back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # undone at the end, wherever read() has gone


# -- saved data sets ----------------------------------------------------------------------------------


def save(path: Path, x: Any, y: Any = None, batch: int = 0, compression: str | None = None) -> None:
    import_keras()
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(x if y is None else (x, y))
    (dataset.batch(batch) if batch else dataset).save(str(path), compression=compression)


@pytest.mark.parametrize(("batch", "compression"), [(0, None), (7, None), (0, "GZIP")])
def test_saved_data_sets(tmp_path: Path, batch: int, compression: str | None) -> None:
    x = np.arange(300 * 4, dtype=np.float32).reshape(300, 4)
    save(tmp_path / "set", x, np.eye(3, dtype=np.int32)[np.arange(300) % 3], batch, compression)
    data = read(tmp_path, shape=(4,))
    assert data.train is not None and data.train.y is not None and isinstance(data.train.x, np.memmap)
    np.testing.assert_array_equal(data.train.x, x)
    assert data.train.y.tolist() == [0, 1, 2] * 100


def test_saved_parts_with_text_as_labels(tmp_path: Path) -> None:
    for part in ("train", "test"):
        save(tmp_path / f"set/{part}", np.zeros((4, 2)), np.array(["no", "yes"] * 2))
    data = read(tmp_path, shape=(2,))
    assert data.class_names == ("no", "yes") and [part.name for part in data.parts()] == ["x_train", "x_test"]
    assert data.train is not None and data.train.y is not None and data.train.y.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("batch", [0, 7])
def test_saved_tensors_by_input(tmp_path: Path, batch: int) -> None:
    x = {"image": np.arange(40, dtype=np.uint8).reshape(10, 4), "age": np.arange(10.0)[:, None]}
    save(tmp_path / "set", x, np.arange(10) % 2, batch)
    layout = SampleLayout(("age", "image"), ((1,), (4,)))

    def loaded(layout: SampleLayout) -> Data:
        cache = tmp_path / "cache" / "data"
        return load("set", tmp_path / "m.h5", cache=cache, input_shape=layout.shape, layout=layout)

    train = loaded(layout).train
    assert train is not None and train.y is not None and train.y.tolist() == [0, 1] * 5
    np.testing.assert_array_equal(train.x[:], np.concatenate([x["age"], x["image"]], axis=1))
    with pytest.raises(InputError, match=r"its elements have the inputs .*; the model has a, b"):
        loaded(SampleLayout(("a", "b"), ((1,), (4,))))


def test_saved_without_labels(tmp_path: Path) -> None:
    save(tmp_path / "set", np.zeros((4, 2)))
    assert "set: train: its elements must be (x, y) of dense tensors, are TensorSpec" in refusal(
        tmp_path, shape=(2,)
    )
    assert [len(part) for part in read(tmp_path, shape=(2,), labelled=False).parts()] == [4]


def test_saved_samples_of_several_shapes(tmp_path: Path) -> None:
    import_keras()
    import tensorflow as tf

    signature = (tf.TensorSpec((None,), tf.float32), tf.TensorSpec((), tf.int32))
    made = tf.data.Dataset.from_generator(lambda: ((np.zeros(i), i) for i in (1, 2)), output_signature=signature)
    made.save("set")
    assert refusal(tmp_path, shape=(4,)) == (
        "set: its samples cannot be read and stacked: Cannot batch tensors with different shapes in component 0. "
        "First element had shape [1] and element 1 had shape [2]."
    )


def test_saved_damaged(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/dataset_spec.pb").write_bytes(b"\x0a\xff")
    assert "set: not a readable saved data set: " in refusal(tmp_path)


# -- keras and tfds -----------------------------------------------------------------------------------


def test_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.arange(6 * 28 * 28, dtype=np.uint8).reshape(6, 28, 28)

    def load_data() -> Any:
        print("Downloading data")
        return (x, np.arange(6)), (x[:2], np.arange(2)[:, None])

    monkeypatch.setattr(import_keras().datasets.mnist, "load_data", load_data)
    data = read(tmp_path, "keras:mnist", (28, 28, 1))
    assert capsys.readouterr().out == ""
    data.check((28, 28, 1), 10)
    assert [len(part) for part in data.parts()] == [6, 2] and data.source == "keras:mnist"
    monkeypatch.setattr(import_keras().datasets.mnist, "load_data", None)
    assert read(tmp_path, "keras:mnist", (28, 28, 1)).sha256 == data.sha256


def test_keras_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_data() -> None:
        raise Exception("URL fetch failure on https://...\nlong story")

    monkeypatch.setattr(import_keras().datasets.cifar10, "load_data", load_data)
    assert refusal(tmp_path, "keras:cifar10") == (
        "keras:cifar10: Keras cannot fetch it: URL fetch failure on https://..."
    )


def test_tfds_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert "tfds:mnist: needs TensorFlow Datasets: pip install 'eeaug[tfds]'" in refusal(tmp_path, "tfds:mnist")


def fake_tfds(monkeypatch: pytest.MonkeyPatch, supervised: bool = True) -> None:
    """The part of TensorFlow Datasets that is used; the package itself is large."""
    import_keras()
    import tensorflow as tf

    def dataset(*, split: str, as_supervised: bool, shuffle_files: bool) -> Any:
        assert as_supervised and not shuffle_files
        count = {"train": 6, "test": 4}[split]
        return tf.data.Dataset.from_tensor_slices((np.ones((count, 4, 4, 3), np.uint8), np.arange(count) % 2))

    def builder(name: str) -> Any:
        if name != "pets":
            raise ValueError(f"Dataset {name} not found.\nList of datasets:")
        info = types.SimpleNamespace(
            full_name="pets/1.0.0",
            supervised_keys=("image", "label") if supervised else None,
            splits=["train", "test", "extra"],
            features={"label": types.SimpleNamespace(names=["cat", "dog"])},
        )
        return types.SimpleNamespace(info=info, download_and_prepare=lambda: None, as_dataset=dataset)

    package = types.SimpleNamespace(builder=builder, disable_progress_bar=lambda: None)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", package)


def test_tfds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tfds(monkeypatch)
    data = read(tmp_path, "tfds:pets")
    assert data.class_names == ("cat", "dog") and data.notes == ("tfds:pets: the splits extra are left out",)
    assert [(part.name, part.x.shape) for part in data.parts()] == [
        ("x_train", (6, 4, 4, 3)),
        ("x_test", (4, 4, 4, 3)),
    ]


def test_tfds_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tfds(monkeypatch, supervised=False)
    assert refusal(tmp_path, "tfds:cats") == "tfds:cats: no such data set: Dataset cats not found."
    assert "does not say which of its features are (x, y)" in refusal(tmp_path, "tfds:pets")


# -- functions ----------------------------------------------------------------------------------------

CODE = """
import numpy as np
from pathlib import Path

x = np.arange(48, dtype=np.float32).reshape(12, 4)
y = np.arange(12) % 3

def pair(): return (x, y), (x[:6], y[:6])
def mapping(): return {"x_train": x, "y_train": ["a", "b", "c"] * 4, "groups_train": y, "x_val": None}
def mapped():
    np.save("big.npy", x)
    return {"x_train": np.load("big.npy", mmap_mode="r"), "y_train": y}
def unlike(): return {"x_train": [[1], [1, 2]], "y_train": y}
def objects(): return {"x_train": np.array([None, 1]), "y_train": y}
def unknown(): return {"x_trian": x}
def number(): return 3
def fails(): raise KeyError("no such\\ncolumn")
not_callable = 3
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"mine_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "sets.py").write_text(CODE)
    (tmp_path / name / "wrong.py").write_text("import nothing_like_that")
    (tmp_path / name / "raises.py").write_text("1 / 0")
    return name


@pytest.mark.parametrize(("function", "parts"), [("pair", [12, 6]), ("mapping", [12]), ("mapped", [12])])
def test_functions(tmp_path: Path, code: str, function: str, parts: list[int]) -> None:
    before = list(sys.path)
    data = read(tmp_path, f"{code}.sets:{function}", (4,))
    assert sys.path == before
    assert [len(part) for part in data.parts()] == parts and data.source == f"{code}.sets:{function}"
    assert data.train is not None and isinstance(data.train.x, np.memmap) and data.train.y is not None
    assert data.train.x[11].tolist() == [44, 45, 46, 47] and data.train.y.tolist() == [0, 1, 2] * 4
    assert (data.train.groups is not None) == (function == "mapping")
    assert read(tmp_path, f"{code}.sets:{function}", (4,)).sha256 == data.sha256
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("sets:pear", "sets has no function pear; did you mean 'pair'?"),
        ("sets:not_callable", "sets has no function not_callable"),
        ("sets:number", "returned int"),
        ("sets:unlike", "x_train is no array: "),
        ("sets:objects", "x_train must be an array of numbers or text, is object"),
        ("sets:unknown", "unknown array 'x_trian'; did you mean 'x_train'?"),
        ("sets:fails", "raises KeyError: 'no such\\ncolumn'"),
        ("wrong:pair", "no module nothing_like_that (looked for from"),
        ("raises:pair", "raises raises ZeroDivisionError: division by zero"),
        ("lacking:pair", "lacking (looked for from"),
    ],
)
def test_functions_that_are_refused(tmp_path: Path, code: str, function: str, message: str) -> None:
    assert message in refusal(tmp_path, f"{code}.{function}", (4,))


def test_a_data_yaml_may_name_any_source(tmp_path: Path, code: str) -> None:
    (tmp_path / "m.data.yaml").write_text(f"source: {code}.sets:pair\npreprocessing: {{scale: 0.5}}\n")
    data = load(None, tmp_path / "m.h5", cache=tmp_path / "cache")
    assert data.preprocessing.scale == 0.5 and [len(part) for part in data.parts()] == [12, 6]
    pictures(tmp_path / "below/set")
    (tmp_path / "below/m.data.yaml").write_text("source: set")
    assert read(tmp_path, "below/m.data.yaml").class_names == ("a", "b"), "relative to the file"


# -- writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "f4", "?", "f8", "U3"])
def test_rows_become_a_plain_npy(tmp_path: Path, dtype: str) -> None:
    rows = [np.arange(i, i + 2 * 3).reshape(2, 3).astype(dtype) for i in range(1500)]
    store.write_rows("d", tmp_path / "x.npy", rows)
    got = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.concatenate(rows))


def test_rows_that_are_not_alike(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"d: x: sample 2 is float64 \(4,\), those before are float64 \(3,\)"):
        store.write_rows("d", tmp_path / "x.npy", [np.zeros((2, 3)), np.zeros((1, 4))])


def test_contents_and_not_places_make_the_hash() -> None:
    x = np.arange(12.0).reshape(4, 3)

    def content(arrays: dict[str, np.ndarray]) -> str:
        return store.content({key: store.digest(array) for key, array in arrays.items()})

    assert content({"x": x}) == content({"x": np.asfortranarray(x)})
    other = [{"y": x}, {"x": x.reshape(3, 4)}, {"x": x.astype("f4")}, {"x": x + 1}, {"x": x, "y": x}]
    assert len({content(arrays) for arrays in [{"x": x}, *other]}) == 6


def test_parts_of_any_source_are_known_by_what_they_hold(tmp_path: Path, code: str) -> None:
    """Functions, and a saved data set of the same samples."""
    one, two = (read(tmp_path, f"{code}.sets:{name}", (4,)) for name in ("pair", "mapping"))
    save(tmp_path / "set", np.arange(48, dtype=np.float32).reshape(12, 4), np.arange(12) % 3)
    three = read(tmp_path, shape=(4,))
    assert one.train and one.test and two.train and three.train
    assert one.train.digest == two.train.digest == three.train.digest != one.test.digest
    assert len({one.sha256, two.sha256, three.sha256}) == 3
