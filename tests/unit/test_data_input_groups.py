"""Samples of several arrays, one for each input of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.data import Data, batches, functions, input_groups, load
from eeaug.data.preprocessing import Preprocessing, read_sidecar
from eeaug.errors import InputError
from eeaug.support.sample_layout import SampleLayout

LAYOUT = SampleLayout(("image", "age"), ((4, 4, 1), (1,)))


def arrays(n: int = 30, **changes: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for part in ("train", "test"):
        made[f"x_{part}.image"] = rng.integers(0, 256, (n, 4, 4)).astype(np.uint8)  # without its last axis
        made[f"x_{part}.age"] = rng.integers(0, 99, n)
        made[f"y_{part}"] = np.arange(n) % 3
    made |= {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in made.items() if value is not None}


def read(folder: Path, layout: SampleLayout | None = LAYOUT, unused: tuple[str, ...] = (), **changes: Any) -> Data:
    np.savez(folder / "d.npz", **arrays(**changes))  # type: ignore[arg-type]
    shape = None if layout is None else layout.shape
    return load(
        str(folder / "d.npz"), folder / "m.h5", cache=folder / "cache" / "data", input_shape=shape, layout=layout,
        unused=unused,
    )  # fmt: skip


def test_arrays_come_as_rows(tmp_path: Path) -> None:
    data, stored = read(tmp_path), arrays()
    assert data.train is not None and data.train.x.shape == (30, 17) and len(data.train) == 30
    data.check(LAYOUT.shape, 3)
    (rows,) = batches(data.train, np.array([3, 7]), Preprocessing())
    np.testing.assert_array_equal(rows[:, :16], stored["x_train.image"][[3, 7]].reshape(2, 16))
    np.testing.assert_array_equal(rows[:, 16], stored["x_train.age"][[3, 7]])


def test_what_is_kept_depends_on_all_arrays(tmp_path: Path) -> None:
    one, again = read(tmp_path), read(tmp_path)
    other = read(tmp_path, x_train__age=np.zeros(30, int))
    assert one.train and again.train and other.train
    assert one.train.digest == again.train.digest != other.train.digest


def test_preprocessing_by_input(tmp_path: Path) -> None:
    (tmp_path / "m.data.yaml").write_text("preprocessing: {image: {scale: 0.5}, age: {mean: 40, std: 20}}")
    steps = read(tmp_path).preprocessing
    rows = steps(LAYOUT.joined({"image": np.full((1, 4, 4, 1), 8), "age": np.array([[60]])}))
    np.testing.assert_array_equal(rows, [[4.0] * 16 + [1.0]])
    assert Preprocessing.from_dict(steps.as_dict(), LAYOUT)(np.ones((1, 17)))[0, -1] == np.float32(-39 / 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "preprocessing: {imag: {scale: 2}}",
            "preprocessing: the model has no input 'imag'; did you mean 'image'?",
        ),
        ("preprocessing: {scale: 2}", "the model has the inputs image, age: say it for each, as preprocessing: "),
        ("preprocessing: {age: {mean: [1, 2]}}", "preprocessing.age.mean has shape (2,)"),
        ("preprocessing: {age: {skale: 2}}", "preprocessing.age.skale: unknown key; did you mean 'scale'?"),
        ("preprocessing: {age: {std: 0}}", "preprocessing.age.std: must not be zero"),
    ],
)
def test_preprocessing_that_does_not_fit(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.data.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read(tmp_path).check(LAYOUT.shape, 3)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train__imag": np.zeros((30, 4, 4)), "x_train__image": None},
         "x_train.imag: the model has no input 'imag'; did you mean 'image'?"),
        ({"x_test__age": None}, "x_test.age is missing: the model has the inputs image, age, x_test has image"),
        ({"x_train__age": np.zeros(29)},
         "the arrays of x_train must have as many samples each, have image 30, age 29"),
        ({"x_train__age": np.zeros((30, 2))}, "x_train.age has samples of shape (2,), the model takes (1,)"),
        ({"x_train__age": np.full(30, "a")}, "x_train.age must be numbers, is <U1"),
        ({"x_train": np.zeros((30, 4, 4))}, "x_train is given whole and as x_train.image; one of them is enough"),
        ({"x_train": np.zeros((30, 17)), "x_train__age": None, "x_train__image": None},
         "x_train is one array, the model has several inputs: give x_train.image, x_train.age"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, **changes)
    assert str(caught.value) == f"{tmp_path / 'd.npz'}: {message}"


def test_an_input_that_changes_nothing_is_left_out(tmp_path: Path) -> None:
    one = SampleLayout(("image",), ((4, 4, 1),))
    data = read(tmp_path, one, ("age",))
    assert data.train is not None and data.train.x.shape == (30, 4, 4, 1)
    assert data.notes == ("age: left out, as the model's output does not depend on it",)
    several = read(tmp_path, unused=("weight",), x_train__weight=np.ones(30))
    assert several.notes == ("weight: left out, as the model's output does not depend on it",)


def test_a_group_of_one_serves_a_model_of_one_input(tmp_path: Path) -> None:
    """A bundle does not know what its input was called."""
    data = read(tmp_path, SampleLayout(("input",), ((4, 4, 1),)), x_train__age=None, x_test__age=None)
    assert data.train is not None and data.train.x.shape == (30, 4, 4, 1)


@pytest.mark.parametrize(
    "name", ["x_train.", "x_train.a/b", "x_train...", "x_other.a", "y_train.a", f"x_val.{'a' * 101}"]
)
def test_names_that_are_none(name: str) -> None:
    assert input_groups.is_member(name) == (name == "x_train...")  # dots are letters like others


def test_mappings_are_groups() -> None:
    given = {"x_train": {"image": np.zeros((2, 4)), "age": [1, 2]}, "y_train": [0, 1]}
    assert [*functions.arrays_of("data", given)] == ["x_train.image", "x_train.age", "y_train"]
    pair = (given["x_train"], [0, 1]), (given["x_train"], [0, 1])
    assert "x_test.age" in functions.arrays_of("data", pair)


def test_a_sidecar_by_input_stays_apart(tmp_path: Path) -> None:
    (tmp_path / "d.data.yaml").write_text("preprocessing: {scale: {scale: 2}}")  # an input called "scale"
    sidecar = read_sidecar(tmp_path / "d.data.yaml")
    assert sidecar.preprocessing is not None and [*sidecar.preprocessing.inputs] == ["scale"]
