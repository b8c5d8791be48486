"""Values whose axes lie in another order in memory: compared with what NumPy makes of the same."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.atoms import Atom, Conflict, Value


def stored(array: np.ndarray, order: list[int]) -> Value:
    """A value (without batch) whose axes lie in memory in this order."""
    groups = tuple(atoms.atom(n) for n in array.shape)
    return Value(array.transpose(order), tuple(groups[i] for i in order), groups)


def logical(value: Value) -> np.ndarray:
    """The ONNX value that a tensor in memory stands for."""
    there = atoms.flat(value.memory)
    parts = value.tensor.reshape([one.size for one in there])
    return parts.transpose([there.index(one) for one in atoms.flat(value.axes)]).reshape(value.shape)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4))
    order = draw(st.permutations(range(len(shape))))
    return np.arange(prod(shape)).reshape(shape), list(order)


@given(arrays(), st.data())
def test_reshaping_and_transposing_mean_what_numpy_does(
    case: tuple[np.ndarray, list[int]], data: st.DataObject
) -> None:
    array, order = case
    value = stored(array, order)
    for _ in range(3):
        shape = data.draw(st.permutations([*array.shape, 1]))
        cut = [n for n in shape for n in ((2, n // 2) if n % 2 == 0 and data.draw(st.booleans()) else (n,))]
        try:
            value = atoms.regrouped(value, cut)
        except Conflict:
            return
        array = array.reshape(cut)
        moved = data.draw(st.permutations(range(array.ndim)))
        value, array = value.with_axes([value.axes[i] for i in moved]), array.transpose(moved)
        assert value.shape == array.shape
        np.testing.assert_array_equal(logical(value), array)


@given(arrays(), st.data())
def test_constants_lie_as_the_value_does(case: tuple[np.ndarray, list[int]], data: st.DataObject) -> None:
    array, order = case
    shape = [n if data.draw(st.booleans()) else 1 for n in array.shape]
    constant = np.arange(prod(shape)).reshape(shape) + 1
    value = stored(array, order)
    product = replace(value, tensor=value.tensor * atoms.in_memory(value, constant))
    np.testing.assert_array_equal(logical(product), array * constant)


@given(arrays(), st.data())
def test_aligned_values_have_the_same_atoms(case: tuple[np.ndarray, list[int]], data: st.DataObject) -> None:
    array, order = case
    first = stored(array, order)
    second = stored(array * 7, data.draw(st.permutations(range(array.ndim))))
    halves = {one: (Atom(2), *atoms.atom(one.size // 2)) for one in atoms.flat(first.axes) if one.size % 2 == 0}
    for value in (first, first.split(halves)):
        a, b = atoms.aligned(value, second)
        assert set(atoms.flat(a.axes)) == set(atoms.flat(b.axes))
        assert a.axes == b.axes
        np.testing.assert_array_equal(logical(a), array)
        np.testing.assert_array_equal(logical(b), array * 7)


def test_a_value_meets_itself_turned() -> None:
    value = stored(np.arange(9).reshape(3, 3), [0, 1])
    a, b = atoms.aligned(value, value.with_axes(value.axes[::-1]))
    assert a.axes == b.axes
    np.testing.assert_array_equal(logical(b), np.arange(9).reshape(3, 3).T)


def test_what_cannot_be_cut_so() -> None:
    value = stored(np.arange(6).reshape(2, 3), [1, 0])
    with pytest.raises(Conflict):
        atoms.regrouped(value, [3, 2])
    two_by_three, three_by_two = (
        Value(np.arange(6), (parts,), (parts,)) for parts in ((Atom(2), Atom(3)), (Atom(3), Atom(2)))
    )
    with pytest.raises(Conflict):
        atoms.aligned(two_by_three, three_by_two)
    with pytest.raises(ValueError, match="do not fit"):
        atoms.aligned(value, stored(np.arange(8).reshape(2, 4), [0, 1]))
    with pytest.raises(ValueError, match="do not fit"):
        atoms.in_memory(value, np.ones((2, 2)))
