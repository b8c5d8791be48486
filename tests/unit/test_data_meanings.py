"""Arrays of unknown names, with what they most likely are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.data import locate
from eeaug.data.meanings import likeliest
from eeaug.errors import InputError

X, Y = np.zeros((6, 2), np.float32), np.zeros(6, np.int64)


def said(tmp_path: Path, **arrays: Any) -> str:
    path = tmp_path / "d.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError) as caught:
        locate(str(path), tmp_path / "m.h5")
    message = str(caught.value)
    assert "\n" not in message and len(message) - len(str(path)) <= 300
    return message.removeprefix(f"{path}: unknown array ")


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("rec_train", "groups_train"),
        ("subject_ids_test", "groups_test"),
        ("speakerVal", "groups_val"),
        ("train_images", "x_train"),
        ("test_labels", "y_test"),
        ("X_valid", "x_val"),
        ("labels", "y_train"),
        ("classes_dev", "y_val"),
        ("label_names", "class_names"),
        ("categories", "class_names"),
    ],
)
def test_a_name_tells(name: str, meaning: str) -> None:
    assert str(likeliest(name, {})).startswith(f"{meaning} (")


def test_shapes_tell_where_names_do_not(tmp_path: Path) -> None:
    assert said(tmp_path, x_train=X, y_train=Y, who_train=Y) == (
        "'who_train' (int64, 6): most likely groups_train (which samples belong together, as those of a person or "
        "a recording); give it that name, or leave it out"
    )
    assert "most likely y_train" in said(tmp_path, x_train=X, it=Y)
    assert "most likely class_names" in said(tmp_path, x_train=X, y_train=Y, which=np.array(["a", "b"]))
    assert "most likely x_train" in said(tmp_path, it=X, y_train=Y)
    assert "most likely groups_train" in said(tmp_path, x_train=X, y_train=Y, labels=Y), "y_train is there already"
    assert "known arrays: x_train" in said(tmp_path, x_train=X, y_train=Y, weights=np.zeros((6, 1)))


def test_a_slip_of_the_pen_is_one(tmp_path: Path) -> None:
    assert said(tmp_path, X_trian=X) == "'X_trian'; did you mean 'x_train'?"


def test_nothing_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EEAUG_CACHE_DIR", str(tmp_path / "cache"))
    said(tmp_path, x_train=X, rec_train=Y)
    assert not (tmp_path / "cache").exists()
