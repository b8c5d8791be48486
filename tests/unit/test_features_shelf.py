"""Files of features on a worker: read where they are if they are the same, else from the run's shelf."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path

import numpy as np
import pytest

from eeaug.features import shelf
from eeaug.support import checksums


def kept(path: Path, array: np.ndarray) -> np.memmap:
    np.save(path, array)
    checksums.append(path, path)
    mapped: np.memmap = np.load(path, mmap_mode="r")
    return mapped


def sent(on: shelf.Shelf, column: shelf.Column, content: bytes, piece: int) -> None:
    for at in range(0, len(content), piece):
        on.put(column, None, at, content[at : at + piece])


def test_rows_are_those_of_the_array_however_often_pages_are_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "TOUCHED_BYTES", 1000)
    array = np.random.default_rng(0).normal(size=(100, 3, 5)).astype(np.float16)
    rows = shelf.MappedRows(kept(tmp_path / "x.npy", array))
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (100, (100, 3, 5), 3, array.dtype)
    for some in (slice(3, 90), slice(None, None, 7), np.array([1, 4, 70]), 5, slice(0, 0)):
        np.testing.assert_array_equal(rows[some], array[some])
    np.testing.assert_array_equal(np.asarray(rows), array)


def test_a_file_is_read_where_it_is_and_only_if_it_is_the_same(tmp_path: Path) -> None:
    array = np.arange(60, dtype=np.float32).reshape(20, 3)
    one = shelf.column(kept(tmp_path / "x.npy", array))
    assert isinstance(one, shelf.Column) and one.content == 240
    assert shelf.lacking("run", {"x": one, "labels": array}) == []
    read = shelf.opened("run", {"x": one, "labels": array})
    np.testing.assert_array_equal(read["x"][5:9], array[5:9])
    assert read["labels"] is array
    (tmp_path / "x.npy").unlink()
    assert shelf.lacking("run", {"x": one}) == [one]
    kept(tmp_path / "x.npy", array + 1)  # another one under its name
    assert shelf.lacking("run", {"x": one}) == [one]


def test_a_shelf_has_what_was_sent_whole_and_ends_with_its_run(tmp_path: Path) -> None:
    array = np.arange(60, dtype=np.float32).reshape(20, 3)
    one = shelf.column(kept(tmp_path / "x.npy", array))
    (tmp_path / "x.npy").unlink()
    assert isinstance(one, shelf.Column)
    on = shelf.Shelf("run")
    sent(on, one, array.tobytes()[:200], 64)
    assert shelf.lacking("run", {"x": one}) == [one], "not whole"
    sent(on, one, array.tobytes(), 64)
    assert shelf.lacking("run", {"x": one}) == [] and shelf.lacking("another", {"x": one}) == [one]
    np.testing.assert_array_equal(shelf.opened("run", {"x": one})["x"][np.array([3, 19])], array[[3, 19]])
    del on
    gc.collect()
    assert shelf.lacking("run", {"x": one}) == [one]


def test_a_shelf_that_another_worker_takes_over_is_empty(tmp_path: Path) -> None:
    one = shelf.column(kept(tmp_path / "x.npy", np.zeros((4, 2), np.float32)))
    assert isinstance(one, shelf.Column)
    on = shelf.Shelf("run")
    sent(on, one, bytes(32), 32)
    other = pickle.loads(pickle.dumps(on))
    assert other.run == "run" and not other.files and shelf.SHELVES["run"] is other


def test_an_array_that_is_in_no_file_goes_as_it_is() -> None:
    array = np.zeros(3)
    assert shelf.column(array) is array
