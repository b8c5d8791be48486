"""The tensors of a sample as a row, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eeaug.errors import InputError
from eeaug.support.sample_layout import SampleLayout

LAYOUT = SampleLayout(("image", "age", "place"), ((2, 3, 1), (1,), (4,)))


def tensors(n: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (n, 2, 3, 1)).astype(np.uint8),
        "age": rng.normal(size=(n, 1)),
        "place": rng.integers(0, 9, (n, 4)),
    }


def test_a_row_is_its_tensors_one_after_the_other() -> None:
    given = tensors()
    rows = LAYOUT.joined(given)
    assert rows.shape == (5, *LAYOUT.shape) == (5, 11) and rows.dtype == np.float32
    np.testing.assert_array_equal(rows[:, :6], given["image"].reshape(5, 6))
    assert LAYOUT.offsets == {"image": 0, "age": 6, "place": 7}
    for name, tensor in LAYOUT.split(rows).items():
        np.testing.assert_allclose(tensor, given[name], rtol=1e-6)
    few = LAYOUT.only(("place", "image"))
    assert few == SampleLayout(("image", "place"), ((2, 3, 1), (4,)))


def test_a_single_tensor_keeps_its_shape() -> None:
    one = SampleLayout(("input",), ((4, 4, 1),))
    x = np.zeros((2, 4, 4, 1), np.float32)
    assert not one.several and one.shape == (4, 4, 1)
    assert one.split(x)["input"] is x and one.joined({"input": x}).shape == x.shape and one.given(x) is x


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imag": 0}, "samples: the model has no input 'imag'; did you mean 'image'?"),
        ({"age": None}, "samples: age is missing: the model has the inputs image, age, place"),
        ({"age": np.zeros((4, 1))}, "samples: age must have the shape (5, 1), given (4, 1)"),
        ({"image": np.zeros((5, 3, 2, 1))}, "samples: image must have the shape (5, 2, 3, 1), given (5, 3, 2, 1)"),
        ({"place": np.full((5, 4), "x")}, "samples: place must be real numbers, given <U1"),
    ],
)
def test_what_is_no_sample_is_refused(change: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in {**tensors(), **change}.items() if value is not None}
    with pytest.raises(InputError) as caught:
        LAYOUT.given(given)
    assert str(caught.value) == message


def test_one_array_is_none_of_several_inputs() -> None:
    with pytest.raises(InputError, match="the model has the inputs image, age, place: give an array for each"):
        LAYOUT.given(np.zeros((5, 11)))
    with pytest.raises(InputError, match="the model has one input: give an array"):
        SampleLayout(("x",), ((3,),)).given({"x": np.zeros((5, 3))})
