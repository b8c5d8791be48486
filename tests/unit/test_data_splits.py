"""Which samples serve what, and how they come in batches."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from arrays import SHAPE, read

from eeaug.data import batches, split
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import InputError


def test_batches_cover_the_indices_in_order(tmp_path: Path) -> None:
    data = read(tmp_path)
    assert data.train is not None
    indices = np.arange(0, 60, 2)
    made = list(batches(data.train, indices, Preprocessing(scale=2.0), 7))
    assert [len(batch) for batch in made] == [7, 7, 7, 7, 2]
    np.testing.assert_array_equal(np.concatenate(made), data.train.x[indices] * np.float32(2))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_samples_are_named(tmp_path: Path, value: float) -> None:
    x = np.zeros((60, *SHAPE), np.float32)
    x[41, 1, 2] = value
    data = read(tmp_path, x_val=x)
    assert data.val is not None
    with warnings.catch_warnings(), pytest.raises(InputError, match="x_val: sample 41 holds NaN or infinity"):
        warnings.simplefilter("ignore")
        list(batches(data.val, np.arange(1, 60, 2), Preprocessing(), 8))


def test_all_parts_given(tmp_path: Path) -> None:
    data = read(tmp_path, n=300)
    splits = split(data, seed=0)
    assert splits.notes == () and splits.test is not None
    assert (len(splits.fit), len(splits.screen), len(splits.choose), len(splits.test)) == (270, 30, 300, 300)
    assert np.bincount(splits.screen.y).tolist() == [10, 10, 10]
    assert splits.choose.part is data.val and splits.screen.indices.dtype == np.int64
    both = np.concatenate([splits.fit.indices, splits.screen.indices])
    assert sorted(both.tolist()) == list(range(300))
    assert (np.diff(splits.fit.indices) > 0).all()


def test_sequences_are_never_parted(tmp_path: Path) -> None:
    """Without groups a sequence is one; with groups it is a part of one, and a number is of its group alone."""
    sequence = np.arange(300) // 10
    data = read(tmp_path, n=300, **{f"sequence_{part}": sequence for part in ("train", "val", "test")})
    splits = split(data, seed=0)
    for view in (splits.fit, splits.screen):
        assert (view.sequences.lengths == 10).all()
        assert all(np.diff(view.indices[members]).tolist() == [1] * 9 for members in view.sequences.members)
    groups = np.array(["a", "b", "c"])[np.arange(300) % 3]
    both = read(tmp_path, n=300, groups_val=groups, sequence_val=np.arange(300) // 150)
    assert both.val is not None and both.val.groups is not None
    sequences = split(both, seed=0).choose.sequences
    assert sequences.names == ("a/0", "a/1", "b/0", "b/1", "c/0", "c/1") and (sequences.lengths == 50).all()


@pytest.mark.parametrize("wrong", [np.zeros(299, int), np.zeros((300, 1), int), np.zeros(300)])
def test_sequences_that_are_none(tmp_path: Path, wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="sequence_val"):
        read(tmp_path, n=300, sequence_val=wrong)


def test_without_val_half_of_test_chooses(tmp_path: Path) -> None:
    data = read(tmp_path, x_val=None, y_val=None)
    splits = split(data, seed=0)
    assert splits.test is not None and splits.choose.part is splits.test.part is data.test
    assert np.bincount(splits.choose.y).tolist() == np.bincount(splits.test.y).tolist() == [10, 10, 10]
    assert not set(splits.choose.indices) & set(splits.test.indices)
    assert splits.notes == (
        "no x_val: half of x_test (30 samples) is the calibration set, the other half (30) the test set",
    )


def test_without_val_and_test_a_fifth_of_train_chooses(tmp_path: Path) -> None:
    splits = split(read(tmp_path, n=300, x_val=None, y_val=None, x_test=None, y_test=None), seed=0)
    assert splits.test is None
    assert (len(splits.fit), len(splits.screen), len(splits.choose)) == (216, 24, 60)
    three = (splits.fit, splits.screen, splits.choose)
    assert len(set(np.concatenate([view.indices for view in three]).tolist())) == 300
    assert "a fifth of x_train (60 samples)" in splits.notes[0] and "too optimistic" in splits.notes[0]
    assert splits.notes[1].startswith("no x_test")


def test_without_train(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"d\.npz: x_train is missing; exit heads need training data"):
        split(read(tmp_path, x_train=None, y_train=None), seed=0)


def test_seeds(tmp_path: Path) -> None:
    data = read(tmp_path, n=300, x_val=None, y_val=None)
    first, again, other = (split(data, seed=seed) for seed in (0, 0, 1))
    assert first.screen.indices.tolist() == again.screen.indices.tolist()
    assert first.choose.indices.tolist() == again.choose.indices.tolist()
    assert first.screen.indices.tolist() != other.screen.indices.tolist()


def test_uneven_classes_keep_their_shares(tmp_path: Path) -> None:
    y = np.repeat([0, 1, 2], [205, 64, 31])
    splits = split(read(tmp_path, n=300, y_train=y), seed=3)
    assert np.bincount(splits.screen.y).tolist() == [21, 6, 3]


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    speakers = rng.choice([f"s{i}" for i in range(60)], 600)
    data = read(tmp_path, n=600, x_val=None, y_val=None, groups_train=speakers, groups_test=speakers[::-1])
    splits = split(data, seed=0)
    assert splits.test is not None
    for one, other, share in ((splits.screen, splits.fit, 0.1), (splits.choose, splits.test, 0.5)):
        assert one.part.groups is not None
        assert not set(one.part.groups[one.indices]) & set(one.part.groups[other.indices])
        assert len(np.unique(one.part.groups[one.indices])) == round(share * 60)
        assert (
            one.groups is not None
            and one.groups.dtype == np.int64
            and set(one.groups) == set(range(max(one.groups) + 1))
        )
        names = one.part.groups[one.indices]
        assert ((names[:, None] == names) == (one.groups[:, None] == one.groups)).all()
    assert "half of the groups of x_test" in splits.notes[0]


def test_groups_are_drawn_whatever_their_size(tmp_path: Path) -> None:
    """Every group serves as screen as often as any other, and one of half of all samples, too."""
    sizes = np.array([200, *np.arange(4, 20)])
    speakers, n = np.repeat(np.arange(len(sizes)), sizes), int(sizes.sum())
    data = read(tmp_path, n=n, x_val=None, y_val=None, groups_train=speakers, groups_test=speakers)
    times = np.zeros(len(sizes))
    for seed in range(400):
        splits = split(data, seed=seed)
        times[np.unique(speakers[splits.choose.indices])] += 1
    # binomial: 400 draws of 8 of 17
    assert (abs(times / 400 - 8 / 17) < 4 * np.sqrt(0.25 / 400)).all()


def test_views_without_groups(tmp_path: Path) -> None:
    assert split(read(tmp_path), seed=0).choose.groups is None


def test_few_groups(tmp_path: Path) -> None:
    splits = split(read(tmp_path, groups_train=np.repeat([4, 9], [40, 20])), seed=0)
    assert len(splits.screen) in (20, 40) and len(splits.fit) == 60 - len(splits.screen)
    with pytest.raises(InputError, match=r"x_train: 60 samples in 1 group\(s\) cannot be divided"):
        split(read(tmp_path, groups_train=np.zeros(60, int)), seed=0)


def test_too_few_samples(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="x_train: 4 samples cannot be divided into 10% for the validation"):
        split(read(tmp_path, n=4), seed=0)


def test_without_groups_samples_stay_where_they_are(tmp_path: Path) -> None:
    speakers = np.arange(600) % 60
    splits = split(read(tmp_path, n=600, groups_train=speakers, groups_val=speakers, groups_test=speakers), seed=0)
    alone = splits.without_groups()
    for name in ("fit", "screen", "choose", "test"):
        before, after = getattr(splits, name), getattr(alone, name)
        assert before.groups is not None and after.groups is None
        assert (before.indices == after.indices).all() and before.part.x is after.part.x
