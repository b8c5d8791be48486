"""Labels as text, as rows of 0 and 1, or none at all; priors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.data import Data, labels, load, parse_priors, split, weights
from eeaug.errors import EeaugError, InputError
from eeaug.settings import Contradiction
from eeaug.settings.contradictions import python

NAMES = ("silence", "unknown", "yes", "no")


def read(folder: Path, *, labelled: bool = True, **arrays: Any) -> Data:
    given = {"x_train": np.zeros((40, 2), np.float32)} | arrays
    np.savez(folder / "d.npz", **given)
    return load(str(folder / "d.npz"), folder / "m.h5", cache=folder / "cache", labelled=labelled)


def y_of(data: Data) -> list[int]:
    assert data.train is not None and data.train.y is not None
    return data.train.y.tolist()


# -- text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "bytes", "column"])
def test_text_with_class_names_gives_positions(tmp_path: Path, form: str) -> None:
    y = np.array(["dog", "ant", "cat", "dog"] * 10)
    stored = {"text": y, "bytes": y.astype("S"), "column": y[:, None]}[form]
    data = read(tmp_path, y_train=stored, class_names=np.array(["dog", "cat", "ant"]))
    assert y_of(data) == [0, 2, 1, 0] * 10
    assert data.class_names == ("dog", "cat", "ant") and data.notes == ()


def test_text_alone_is_sorted_over_all_parts(tmp_path: Path) -> None:
    data = read(
        tmp_path, y_train=np.array(["cat", "ant"] * 20), x_val=np.zeros((2, 2)), y_val=np.array(["bee", "cat"])
    )
    assert data.class_names == ("ant", "bee", "cat") and y_of(data) == [2, 0] * 20
    assert data.val is not None and data.val.y is not None and data.val.y.tolist() == [1, 2]
    assert data.notes == ("no class_names: the labels in alphabetical order are the classes 0 to 2",)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["dog", "ant"], "y_train has the label 'cat', which is not in class_names"),
        (["dog", "ant", "cats"], "which is not in class_names; did you mean 'cats'?"),
        (["dog", "cat", "cat", "ant"], "y_train has the label 'cat', which stands twice in class_names"),
    ],
)
def test_text_that_names_no_class(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, y_train=np.array(["dog", "cat", "ant", "dog"] * 10), class_names=np.array(names))
    assert message in str(caught.value)


# -- rows of 0 and 1 ----------------------------------------------------------------------------------


def rows() -> np.ndarray:
    made = np.eye(3)[np.arange(40) % 3]
    made[7] = [1, 0, 1]
    made[8] = 0
    return made


def test_several_labels_become_bit_masks(tmp_path: Path) -> None:
    data = read(tmp_path, y_train=rows()).labelled("multilabel", 3)
    assert data.train is not None and data.train.y is not None and data.train.y.dtype == np.int64
    assert y_of(data)[:9] == [1, 2, 4, 1, 2, 4, 1, 0b101, 0]
    data.check((2,), 3)
    splits = split(data, seed=0)
    assert len(splits.fit) + len(splits.screen) + len(splits.choose) == 40


def test_one_hot_rows_serve_both_kinds_of_models(tmp_path: Path) -> None:
    data = read(tmp_path, y_train=np.eye(3)[np.arange(40) % 3])
    assert y_of(data.labelled("softmax", 3))[:3] == [0, 1, 2]
    assert y_of(data.labelled("multilabel", 3))[:3] == [1, 2, 4]


def test_the_largest_bit_mask_is_split_in_no_time(tmp_path: Path) -> None:
    masks = read(tmp_path, y_train=np.eye(62)[np.arange(40) % 4 * 20]).labelled("multilabel", 62)
    assert y_of(masks)[:4] == [1, 1 << 20, 1 << 40, 1 << 60]
    splits = split(masks, seed=0)
    assert sorted(splits.choose.y.tolist()) == sorted([1, 1 << 20, 1 << 40, 1 << 60] * 2)


@pytest.mark.parametrize("decision", ["softmax", "binary"])
def test_several_labels_where_the_model_picks_one(tmp_path: Path, decision: str) -> None:
    data = read(tmp_path, y_train=rows())
    with pytest.raises(
        InputError, match=r"d\.npz: y_train has 3 columns, but sample 7 is not one-hot \(2 labels\)"
    ):
        data.labelled(decision, 3)
    with pytest.raises(InputError, match="sample 7 is not one-hot"):
        data.check((2,), 3)


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (rows(), 4, "y_train has 3 columns, the model has 4 labels"),
        (np.arange(40) % 5, 4, "y_train holds the label 4, the model has 4 classes"),
        (np.arange(40) % 5, 63, "the model has 63 labels; eeaug takes multi-label models of up to 62"),
    ],
)
def test_labels_that_a_multi_label_model_has_not(tmp_path: Path, y: np.ndarray, classes: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, y_train=y).labelled("multilabel", classes)


# -- none ---------------------------------------------------------------------------------------------


def test_without_labels(tmp_path: Path) -> None:
    data = read(tmp_path, labelled=False, groups_train=np.arange(40) // 4)
    data.labelled("softmax", 3).check((2,), 3)
    assert data.train is not None and data.train.y is None
    splits = split(data, seed=0)
    assert (len(splits.choose), len(splits.screen), len(splits.fit)) == (8, 4, 28)
    assert not set(splits.choose.indices // 4) & set(splits.fit.indices // 4)
    with pytest.raises(EeaugError, match="x_train was read without labels"):
        splits.fit.y  # noqa: B018
    with pytest.raises(InputError, match="x_train is given without y_train"):
        read(tmp_path)


def test_labels_that_are_there_are_not_read(tmp_path: Path) -> None:
    y = np.array([None] * 40, dtype=str)
    data = read(tmp_path, labelled=False, y_train=y)
    assert data.train is not None and data.train.y is None and data.notes == ()


# -- priors -------------------------------------------------------------------------------------------


def test_priors_by_name_and_number() -> None:
    assert parse_priors("silence=0.9, 3=0.05", NAMES) == {0: 0.9, 3: 0.05}
    assert parse_priors("1=0.5", ("1", "0")) == {0: 0.5}, "a name wins over a number"
    assert parse_priors("a=b=1", ("a=b", "c")) == {0: 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("silense=0.5", "no class 'silense'; did you mean 'silence'?"),
        ("4=0.5", "no class '4'; classes are silence, unknown, yes, no"),
        ("silence=0.7,yes=0.4", "the probabilities sum to 1.1, at most 1 is right"),
        ("yes=-0.1", "the probability of yes must be from 0 to 1, given -0.1"),
        ("yes=nan", "'nan' is no probability of yes"),
        ("yes=much", "'much' is no probability of yes"),
        ("yes", "'yes' must be CLASS=PROBABILITY"),
        ("yes=0.1,2=0.1", "the class 2 stands twice"),
        ("", "'' must be CLASS=PROBABILITY"),
    ],
)
def test_mistakes_in_priors(text: str, message: str) -> None:
    with pytest.raises(Contradiction) as caught:
        parse_priors(text, NAMES)
    assert str(caught.value).startswith(f"--priors {text}: ") and message in str(caught.value)
    assert caught.value.worded(python).startswith(f"priors={text!r}: ") and message in caught.value.worded(python)
    with pytest.raises(InputError, match="2 classes are named crane; give the number"):
        parse_priors("crane=0.1", ("crane", "crane"))


def test_weights_give_priors_and_keep_the_other_shares() -> None:
    y = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])
    made = weights(y, {0: 0.95, 1: 0.0}, 4)
    assert made.dtype == np.float64 and made.mean() == pytest.approx(1)
    shares = np.bincount(y, weights=made) / made.sum()
    assert shares == pytest.approx([0.95, 0, 0.05 * 3 / 7, 0.05 * 4 / 7])
    assert weights(y, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}, 4) == pytest.approx(np.ones(100))


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ({2: 0.5}, "priors name the class 2, which has no sample"),
        ({0: 0.5, 1: 0.4}, "leave 0.1 to the other classes"),
    ],
)
def test_priors_that_no_weights_can_give(priors: dict[int, float], message: str) -> None:
    with pytest.raises(Contradiction, match=message) as caught:
        weights(np.array([0, 1, 1]), priors, 4)
    assert caught.value.options == ("priors",)


# -- by name ------------------------------------------------------------------------------------------


def test_labels_are_taken_by_name_where_the_order_is_another(tmp_path: Path) -> None:
    y = np.array([0, 1, 2, 1] * 10)
    data = read(tmp_path, y_train=y, class_names=np.array(["no", "yes", "silence"]))
    moved = data.in_order(NAMES)
    assert y_of(moved) == [3, 2, 0, 2] * 10 and moved.class_names == NAMES and len(moved.notes) == 1
    assert data.in_order(("no", "yes", "silence")) is data
    assert data.in_order(("0", "1", "2")) is data, "a model without names says nothing of an order"
    rows = read(tmp_path, y_train=np.array([[1, 1, 0], [0, 0, 1]] * 20), class_names=np.array(["b", "a", "c"]))
    assert rows.train is not None and rows.in_order(("a", "b", "c")).train.y[:2].tolist() == [[1, 1, 0], [0, 0, 1]]  # type: ignore[union-attr]
    other = rows.in_order(("c", "a", "b")).train
    assert other is not None and other.y is not None and other.y[:2].tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(("names", "words"), [(["yes", "noo"], "'noo' is no class"), (["yes", "yes"], "twice")])
def test_names_that_are_not_the_bundle_s(tmp_path: Path, names: list[str], words: str) -> None:
    data = read(tmp_path, y_train=np.array([0, 1] * 20), class_names=np.array(names))
    with pytest.raises(InputError, match=words):
        data.in_order(NAMES)


def test_something_is_all_that_is_not_nothing() -> None:
    assert labels.something("y", np.array([0, 2, 1, 0]), None).tolist() == [0, 1, 1, 0]
    assert labels.something("y", np.array([0, 2, 1, 0]), ("car", "Empty", "dog")).tolist() == [1, 1, 0, 1]
    rows = np.array([[0, 0], [1, 0], [1, 1]], np.uint8)
    assert labels.something("y", rows, None).tolist() == [0, 1, 1]
    for names, why in (
        (("car", "dog"), "none of the classes car, dog"),
        (("none", "blank"), "more than one of the"),
    ):
        with pytest.raises(InputError, match=f"y: {why}.* means empty: call one nothing"):
            labels.something("y", np.array([0, 1]), names)
