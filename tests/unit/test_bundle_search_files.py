"""search/ gives back what was put into it, in bytes that depend on nothing else."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import hashes
from keras_nets import CLASSES, dense_head, map_head, trained

from eeaug.bundle import search_files
from eeaug.bundle.search_files import SAMPLES
from eeaug.cascade.outcomes import Outcomes
from eeaug.errors import ConversionError, EeaugError
from eeaug.heads.candidates import Search
from eeaug.network.locations import Location
from eeaug.support import npz_file

MAP = Location("first_out", 2, (8, 8, 6), 12_345)
VECTOR = Location("second", 3, (16,), 678, carries=("meta",), reordered=True)


def outcomes(samples: int, *, weighted: bool, grouped: bool = False) -> Outcomes:
    rng = np.random.default_rng(samples)
    return Outcomes(
        rng.random((4, samples), np.float32),
        rng.integers(0, CLASSES, (4, samples)),
        rng.integers(0, CLASSES, samples),
        rng.random(samples) if weighted else None,
        groups=rng.integers(0, 3, samples) if grouped else None,
    )


def search(*, weighted: bool = True, grouped: bool = True, samples: int = 100) -> Search:
    exits = (trained(dense_head(MAP)), trained(map_head(MAP), seed=2), trained(dense_head(VECTOR), seed=3))
    x = np.random.default_rng(0).normal(size=(samples, 8, 8, 3)).astype(np.float32)
    screen, choose = (outcomes(n, weighted=weighted, grouped=grouped) for n in (7, 11))
    rng = np.random.default_rng(1)
    on_screen, on_choose = ({i: rng.random((n, CLASSES), np.float32) for i in (0, 2, -1)} for n in (7, 11))
    path = ((float(np.float32(0.99)), None), (float(np.float32(0.9)), 0.75))
    return Search(exits, screen, choose, x, on_screen, on_choose, path)


def read(place: Path) -> Search | None:
    return search_files.read(place, set(hashes(place)))


def assert_equal(one: Outcomes, other: Outcomes | None) -> None:
    assert other is not None
    for name in ("confidence", "predicted", "labels", "weights", "given", "groups"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("weighted", [True, False])
def test_what_is_read_is_what_was_written(weighted: bool, tmp_path: Path) -> None:
    given = search(weighted=weighted, grouped=not weighted)
    search_files.write(tmp_path, given)
    found = read(tmp_path)
    assert found is not None
    assert [t.head for t in found.trained] == [t.head for t in given.trained]
    for one, other in zip(found.trained, given.trained, strict=True):
        assert one.head.cost() == other.head.cost()
        assert len(one.weights) == len(other.weights) > 0
        for a, b in zip(one.weights, other.weights, strict=True):
            assert a.dtype == np.float32
            np.testing.assert_array_equal(a, b)
    assert_equal(given.outcomes, found.outcomes)
    assert_equal(given.screen, found.screen)
    for one, other in ((given.answers, found.answers), (given.screen_answers, found.screen_answers)):
        assert one.keys() == other.keys() == {0, 2, -1}
        for i, probabilities in one.items():
            np.testing.assert_array_equal(probabilities, other[i])
    assert found.path == given.path
    assert found.x.dtype == np.float32
    np.testing.assert_array_equal(found.x, given.x[:SAMPLES])


def test_without_heads(tmp_path: Path) -> None:
    alone = outcomes(5, weighted=False).rows([])
    search_files.write(
        tmp_path,
        replace(search(), trained=(), screen=alone, outcomes=alone, answers={}, screen_answers={}, path=()),
    )
    found = read(tmp_path)
    assert found is not None
    assert found.trained == () and found.answers == found.screen_answers == {}
    assert_equal(alone, found.outcomes)


def test_equal_contents_are_equal_bytes_also_after_reading(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("one", "two", "again", "other")]
    for place in places:
        place.mkdir()
    search_files.write(places[0], search())
    search_files.write(places[1], search())
    found = read(places[0])
    assert found is not None
    search_files.write(places[2], found)
    search_files.write(places[3], search(samples=3))
    one, two, again, other = map(hashes, places)
    assert one == two == again
    assert {name for name in one if one[name] != other[name]} == {"search/samples.npz"}


def test_a_slim_bundle_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) is None


# -- what somebody else has written there -------------------------------------------------------------


def bytes_of(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def bomb(header: bytes, zeros: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        member.write(header + bytes(zeros))
    return file.getvalue()


def npy_header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


X = np.zeros((2, 8, 8, 3), np.float32)
ROWS = np.full((4, 11), 0.5, np.float32)
CODES, LABELS = np.zeros((4, 11), np.int64), np.zeros(11, np.int64)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("samples.npz", b"", "no readable .npz file"),
        ("samples.npz", b"junk" * 50, "no readable .npz file"),
        ("samples.npz", pickle.dumps({"x": 1}), "no readable .npz file"),
        ("samples.npz", bytes_of(x=X)[:-30], "no readable .npz file"),
        ("samples.npz", bytes_of(x=np.array([{}])), "not numbers"),
        ("samples.npz", bytes_of(x=np.array(["a"])), "not numbers"),
        ("samples.npz", bomb(npy_header((10**12,))), "takes 4,000,000,000,000 bytes, there are 0"),
        ("samples.npz", bomb(npy_header((4, 4)), 1), "there are 1"),
        ("samples.npz", bytes_of(x=X * np.nan), "finite float32 samples"),
        ("samples.npz", bytes_of(y=X), "finite float32 samples"),
        ("choose.npz", bytes_of(), "labels must be"),
        ("choose.npz", bytes_of(confidence=ROWS, predicted=CODES), "labels must be"),
        ("choose.npz", bytes_of(confidence=ROWS, predicted=CODES, labels=LABELS[:3]), "must be (4, 3)"),
        ("choose.npz", bytes_of(confidence=ROWS[:2], predicted=CODES, labels=LABELS), "confidence must be (4, 11)"),
        ("choose.npz", bytes_of(confidence=ROWS * 9, predicted=CODES, labels=LABELS), "from 0 to 1"),
        ("choose.npz", bytes_of(confidence=ROWS, predicted=ROWS, labels=LABELS), "predicted must be (4, 11)"),
        (
            "choose.npz",
            bytes_of(confidence=ROWS, predicted=CODES, labels=LABELS, evil=X),
            "evil, which means",
        ),
        (
            "screen.npz",
            bytes_of(confidence=ROWS, predicted=CODES, labels=LABELS, groups=LABELS[:3]),
            "groups must be",
        ),
        ("screen.npz", bytes_of(confidence=ROWS, predicted=CODES, labels=LABELS, groups=ROWS[0]), "groups must be"),
        ("answers.npz", bytes_of(**{"0": ROWS.T[:5]}), "0 must be (11, 4)"),
        ("screen-answers.npz", bytes_of(**{"7": ROWS.T[:7]}), "of an exit, or of -1"),
        ("heads.npz", bytes_of(), "0_0 must be"),
        ("heads.npz", bytes_of(**{"0_0": X}), "0_0 must be"),
        ("exits.json", b"", "broken JSON"),
        ("exits.json", b"{}", "the file: must be a list, given an object with 0 fields"),
        ("exits.json", b"[{}]", "[0]: location, head, family and 5 more missing"),
        ("exits.json", b"[" * 100_000, "nested too deep"),
        ("path.json", b"[]", "path.json"),
        ("path.json", b"[[]]", "path.json"),
        ("path.json", b"[[0.5], [0.5, null]]", "as many thresholds"),
        ("path.json", b"[[0.5, 0.5, 0.5, 0.5]]", "at most 3"),
        ("path.json", b"[[0.1]]", "[0]: a threshold is no float32"),
        ("path.json", b"[[1.5]]", "[0][0]"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_damaged_ones_are_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    search_files.write(tmp_path, search(weighted=False, grouped=False))
    (tmp_path / "search" / name).write_bytes(content)
    with pytest.raises(EeaugError) as caught:
        read(tmp_path)
    line = str(caught.value)
    assert words in line and name in line and "\n" not in line and len(line) < 300, line


def test_a_large_one_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search_files.write(tmp_path, search())
    monkeypatch.setattr(npz_file, "MOST_BYTES", 1000)
    with pytest.raises(
        ConversionError, match=r"heads\.npz: unpacks to .* bytes, more than the 1,000 that are read"
    ):
        read(tmp_path)
