"""Whatever happens to a file of the cache: what is read is what was written, or it is made anew; never an error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from keras_nets import CLASSES

from eeaug.data import Part, View, npz, store
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import InputError
from eeaug.features import Extraction, Wanted, shards
from eeaug.features import extraction as extracting
from eeaug.heads import store as heads_store
from eeaug.heads.layers import Dense, Head, Pool
from eeaug.heads.training import Trained
from eeaug.network.locations import Location
from eeaug.support import cache as caching
from eeaug.support import checksums
from eeaug.support.cache import Cache
from eeaug.support.sample_layout import SampleLayout

Rng = np.random.Generator
N = 50
AT = Location("here", 1, (4, 4, 3), 10**6)
WANTED = [Wanted(AT, (2, 2)), Wanted(AT), Wanted(None, outputs=CLASSES)]
KINDS = "features", "unfinished", "heads", "npz", "folder", "names"


# -- what can happen to a file ------------------------------------------------------------------------


def flipped(path: Path, rng: Rng, bits: int) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(bits):
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def at_an_end(path: Path, rng: Rng) -> None:
    """Where headers, lengths and checksums are."""
    content = bytearray(path.read_bytes())
    content[int(rng.choice([*range(min(128, len(content))), *range(-min(64, len(content)), 0)]))] ^= 1 << int(
        rng.integers(8)
    )
    path.write_bytes(content)


def another(path: Path, rng: Rng) -> None:
    """A sound file of the same kind in its place; without one some other bytes."""
    others = [p for p in path.parent.parent.rglob(f"*{path.suffix}") if p.is_file() and p != path]
    path.write_bytes(others[rng.integers(len(others))].read_bytes() if others else rng.bytes(300))


def other_array(path: Path, rng: Rng) -> None:
    """A sound .npy of another type and shape, as whoever edits a file by hand would leave it."""
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 2), [np.float64, np.int8, np.float32][rng.integers(3)]))


def replaced(path: Path, by: Callable[[Path], object]) -> None:
    path.unlink()
    by(path)


MUTATIONS: dict[str, Callable[[Path, Rng], object]] = {
    "a bit": lambda p, r: flipped(p, r, 1),
    "four bits": lambda p, r: flipped(p, r, 4),
    "fifty bits": lambda p, r: flipped(p, r, 50),
    "at an end": at_an_end,
    "truncated": lambda p, r: p.write_bytes(p.read_bytes()[: r.integers(p.stat().st_size)]),
    "a byte less": lambda p, r: p.write_bytes(p.read_bytes()[:-1]),
    "empty": lambda p, r: p.write_bytes(b""),
    "appended": lambda p, r: p.write_bytes(p.read_bytes() + r.bytes(1 + r.integers(100))),
    "zeros": lambda p, r: p.write_bytes(bytes(p.stat().st_size)),
    "random": lambda p, r: p.write_bytes(r.bytes(p.stat().st_size)),
    "a page of zeros": lambda p, r: p.write_bytes(p.read_bytes()[:40] + bytes(64) + p.read_bytes()[104:]),
    "another file": another,
    "another array": other_array,
    "missing": lambda p, r: p.unlink(),
    "a directory": lambda p, r: replaced(p, Path.mkdir),
    "a full directory": lambda p, r: replaced(p, lambda q: (q.mkdir(), (q / "x").write_text(""))),
    "a pipe": lambda p, r: replaced(p, os.mkfifo),
    "a link": lambda p, r: replaced(p, lambda q: q.symlink_to(os.devnull)),
    "a link to nothing": lambda p, r: replaced(p, lambda q: q.symlink_to("nothing")),
    "a link to itself": lambda p, r: replaced(p, lambda q: q.symlink_to(q.name)),
    "a link to a copy": lambda p, r: (
        shutil.copy(p, p.parents[3] / "x"),
        replaced(p, lambda q: q.symlink_to(p.parents[3] / "x")),
    ),
    "not to be read": lambda p, r: p.chmod(0),
}


# -- what reads them ----------------------------------------------------------------------------------


class Stopped(BaseException):
    pass


def extraction(place: Path) -> Extraction:
    """Of a model that gives functions of its input."""
    cache = Cache(place)
    model: Any = SimpleNamespace(
        decision=SimpleNamespace(outputs=CLASSES), output="out", added=None, answers=(),
        layout=SampleLayout(("x",), ((4,),)),
    )  # fmt: skip
    return Extraction(model, Preprocessing(), cache, cache.network("m.h5", "1", "d.npz"), threads=1)


def features(place: Path, stop: int | None = None) -> list[Any]:
    x = np.arange(2 * N * 48, dtype=np.float32).reshape(2 * N, 4, 4, 3) % 251
    part = Part("x_train", x, np.arange(2 * N) % CLASSES, None)
    made = extraction(place)
    wanted = WANTED
    found = []
    for view, precision in ((View(part, np.arange(N)), np.float16), (View(part, np.arange(N, N + 20)), np.float32)):

        def progress(done: int, of: int) -> None:
            if stop is not None and done >= stop:
                raise Stopped

        missing = made.missing({view: precision}, wanted)
        given = (missing, made.convert(missing)) if missing else ((), b"")
        got = made.extract(view, wanted, given, precision=precision, progress=progress)
        arrays = [got.tensors[w.key] for w in wanted[:2]] + [got.probabilities]
        expected = computed(wanted, x[view.indices])
        assert [(a.dtype, a.shape) for a in arrays] == [
            (precision if w.location else np.float32, (len(view), *w.shape)) for w in wanted
        ]
        found += [np.asarray(a).tolist() for a in arrays]
        for array, right in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(array, right.astype(array.dtype))
    return found


def computed(wanted: list[Wanted], x: np.ndarray) -> list[np.ndarray]:
    means = x.reshape(len(x), 2, 2, 2, 2, 3).mean(axis=(2, 4))
    of = {(2, 2): means, None: x}
    answers = x[:, 0, 0, :1] + np.arange(CLASSES, dtype=np.float32)
    return [answers if w.location is None else of[w.window] for w in wanted]  # type: ignore[index]


def run(model: bytes, threads: int, outputs: Any, x: np.ndarray, numbers: Any, part: str, *others: Any) -> Any:
    """Stands for ONNX Runtime."""
    wanted = [WANTED[i] for i in model]
    for start in range(0, len(x), 5):
        rows = slice(start, min(start + 5, len(x)))
        yield rows, [computed(wanted, x[rows])[i] for i in outputs]


def unfinished(place: Path) -> list[Any]:
    if not any(place.rglob("*.part")) and not any(place.rglob("*.npy")):
        with pytest.raises(Stopped):
            features(place, stop=30)
        return []
    return features(place)


def heads(place: Path) -> list[Any]:
    folder = place / "networks" / ("0" * 32)
    (folder / "heads").mkdir(parents=True, exist_ok=True)
    found = []
    trust = extraction(place).trusted
    for i in range(2):
        head = Head(AT, "blueprint", "average", (Pool((4, 4)), Dense(CLASSES, "softmax")))
        path = folder / "heads" / f"{i}.npz"
        answers = heads_store.answers_file(path, [Path("features.npy")])
        if not trust(path, "trained heads") or not trust(answers, "answers of heads"):
            rng = np.random.default_rng(i)
            weights = tuple(rng.normal(size=s).astype(np.float32) for s in ((3, CLASSES), (CLASSES,)))
            said = [rng.random((20, CLASSES), np.float32) for _ in range(2)]
            heads_store.save(path, [head], [Trained(head, weights)], said[:1])
            heads_store.save_answers(answers, [Trained(head, weights)], said[1:])
        (judged,) = heads_store.load(path, answers, [head])
        found += [w.tolist() for w in (*judged.trained.weights, judged.screen(), judged.choose())]
    return found


def unpacked(place: Path) -> list[Any]:
    archive = place.parent / "d.npz"
    if not archive.exists():
        rng = np.random.default_rng(3)
        np.savez(archive, x_train=rng.random((30, 6)), y_train=np.arange(30) % 2, x_test=rng.random((9, 6)))
    raw = npz.read(str(archive), place / "data", store.SampleNeeds(None, True))
    return [raw.sha256, {name: array.tolist() for name, array in sorted(raw.arrays.items())}]


def folder(place: Path) -> list[Any]:
    def write(target: Path) -> list[str]:
        rng = np.random.default_rng(4)
        store.write_rows("here", target / "x_train.npy", iter(rng.random((3, 10, 4))))
        np.save(target / "class_names.npy", np.array(["a", "b"]))
        return ["a note"]

    raw = store.kept("here", place / "data", "0123456789abcdef" * 4, write)
    return [raw.sha256, raw.notes, {name: array.tolist() for name, array in sorted(raw.arrays.items())}]


def names(place: Path) -> list[Any]:
    made = Cache(place)
    made.network("m.h5", "1", "d.npz")
    made.network("n.h5", "2", "d.npz")
    return sorted((n.models, n.data) for n in made.networks())


READERS = dict(zip(KINDS, (features, unfinished, heads, unpacked, folder, names), strict=True))


@pytest.fixture(autouse=True)
def _no_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 16)
    monkeypatch.setattr(shards, "run", run)
    monkeypatch.setattr(extracting, "halved", lambda model, large: model)
    monkeypatch.setattr(Extraction, "convert", lambda self, missing: bytes(WANTED.index(w) for w in missing))


def kept(place: Path, kind: str) -> list[Path]:
    files = [p for p in sorted(place.rglob("*")) if p.is_file()]
    return [p for p in files if kind == "names" or p.name != "about.json"]


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_made_anew_and_said_once(tmp_path: Path, kind: str, mutation: str) -> None:
    read, rng = READERS[kind], np.random.default_rng([KINDS.index(kind), list(MUTATIONS).index(mutation)])
    sound = tmp_path / "sound"
    expected = read(sound)
    assert kept(sound, kind)
    if kind == "unfinished":
        expected = features(tmp_path / "whole")
    for round_, file in enumerate(kept(sound, kind) * (3 if "bit" in mutation or "end" in mutation else 1)):
        place = tmp_path / f"cache-{round_}"
        shutil.copytree(sound, place)
        damaged = place / file.relative_to(sound)
        before = damaged.read_bytes()
        MUTATIONS[mutation](damaged, rng)
        same = damaged.is_file() and not damaged.is_symlink() and damaged.read_bytes() == before
        said: list[str] = []
        with caching.telling(said.append):
            assert read(place) == expected
        assert len(said) <= 1 and all("\n" not in line and "made anew" in line for line in said)
        if not same and mutation != "missing" and kind != "unfinished":
            (line,) = said
            assert damaged.name in line or damaged.parent.name in line
        if os.geteuid() == 0 and mutation == "not to be read":
            assert said == []  # root reads it
        again: list[str] = []
        with caching.telling(again.append):
            assert read(place) == expected
        assert again == []


def test_every_byte_of_small_files_counts(tmp_path: Path) -> None:
    """Of a file with a footer, and of facts."""
    plain, facts = tmp_path / "a" / "x.npy", tmp_path / "a" / "facts.json"
    plain.parent.mkdir()
    np.save(plain, np.arange(5))
    rng = np.random.default_rng(5)
    checksums.append(plain, plain)
    given = {"sha256": "ab", "notes": ["ü", 'a "word"'], "n": 3}
    checksums.write_json(facts, facts, given)
    assert checksums.agrees(plain) and checksums.read_json(facts) == given
    np.testing.assert_array_equal(np.load(plain, mmap_mode="r"), np.arange(5))
    for path in (plain, facts):
        content = path.read_bytes()
        for i in range(len(content)):
            changed = bytearray(content)
            changed[i] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            if path == plain:
                assert not checksums.agrees(path)
            else:
                assert checksums.read_json(path) in (None, given)
        for size in range(0, len(content), 3):
            path.write_bytes(content[:size])
            assert not checksums.agrees(path) and checksums.read_json(path) is None


def test_a_sound_file_in_another_place_is_none_and_a_moved_cache_is_sound(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "c" / "x.npy"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"content")
    checksums.append(file, file)
    shutil.copytree(tmp_path / "a", tmp_path / "moved")
    assert checksums.agrees(tmp_path / "moved" / "b" / "c" / "x.npy")
    shutil.copy(file, file.with_name("y.npy"))
    assert not checksums.agrees(file.with_name("y.npy"))


def test_a_footer_that_says_too_much_is_none(tmp_path: Path) -> None:
    """Lengths that would take gigabytes or never end."""
    file = tmp_path / "x"
    for start, piece, content in ((0, 0, 7), (8, 1, 7), (0, 1, 1 << 60), (1 << 60, 1, 7)):
        data = checksums.FIELDS.pack(start, piece, content, 0)
        file.write_bytes(b"content" + data + checksums.ENDING.pack(0, checksums.MAGIC))
        assert not checksums.agrees(file)


def test_what_may_not_be_deleted_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked(tmp_path / "cache")
    for file in (tmp_path / "cache").rglob("*.npy"):
        file.write_bytes(b"")

    def refuse(path: Path, **_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(InputError, match=r"is damaged and cannot be deleted: Permission denied; see who owns it"):
        unpacked(tmp_path / "cache")


def test_a_full_disk_is_one_line_with_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    names(tmp_path / "cache")
    unpacked(tmp_path / "other")  # writes the archive
    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    monkeypatch.setattr(np, "savez", full)
    for read in (features, heads, unpacked):
        with pytest.raises(InputError, match=f"{tmp_path}.*No space left on device") as caught:
            read(tmp_path / "cache")
        assert "\n" not in str(caught.value)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.name != "about.json"]


@pytest.mark.parametrize("name", ["networks", "data"])
def test_a_file_or_a_link_to_nothing_where_folders_are(tmp_path: Path, name: str) -> None:
    """Below the directory of the cache these are ours; the directory itself is not."""
    place = tmp_path / "cache"
    expected = features(place), unpacked(place)
    for folder_ in list((place / name).iterdir()):
        ways: list[Callable[[Path], object]] = [lambda p: p.symlink_to("nothing"), os.mkfifo, Path.touch]
        for by in ways:
            shutil.rmtree(folder_)
            by(folder_)
            assert (features(place), unpacked(place)) == expected
        shutil.rmtree(folder_)
        folder_.write_text("somebody's")
        with pytest.raises(InputError, match="is in the way of the cache: move it, or name another place"):
            (features if name == "networks" else unpacked)(place)
        assert folder_.read_text() == "somebody's"


def test_a_directory_with_files_of_others_serves_and_they_stay(tmp_path: Path) -> None:
    """As $HOME would: only names of the layout are touched."""
    place = tmp_path / "home"
    theirs = [
        *("notes.txt", "data/cifar10/train.npy", "data/x_train.npy", "data/facts.json", f"data/{'0' * 63}/x.npy"),
        *(
            "networks/resnet/features/a.npy",
            "networks/about.json",
            f"networks/{'a' * 31}/heads/h.npz",
            "features/a.npy",
        ),
    ]
    for name in theirs:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
        os.utime(place / name, (0, 0))
    before = {name: (place / name).stat().st_mtime_ns for name in theirs}
    said: list[str] = []
    with caching.telling(said.append):
        for read in (features, heads, unpacked, folder, names):
            read(place)
        Cache(place, limit_bytes=1).make_room(1)
    assert said == [] and {name: (place / name).stat().st_mtime_ns for name in theirs} == before
    assert all((place / name).read_text() == name for name in theirs)


@pytest.mark.parametrize("mutation", ["empty", "a full directory", "a pipe", "a link to nothing", "random"])
def test_a_damaged_cache_is_shown_and_cleared(
    tmp_path: Path, mutation: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from eeaug.cli.main import run as run_eeaug

    place, rng = tmp_path / "cache", np.random.default_rng(6)
    for read in (features, heads, unpacked, folder, names):
        read(place)
    with pytest.raises(Stopped):
        features(Cache(place).directory / "once-0123456789abcdef", stop=30)
    for file in [p for p in place.rglob("*") if p.is_file()]:
        if not ("about" in file.name and "directory" in mutation):
            MUTATIONS[mutation](file, rng)
    for arguments in (["show"], ["show", "--json"], ["clear"], ["show"]):
        assert run_eeaug(["cache", *arguments, "--cache-dir", str(place)]) == 0
    out, _ = capfd.readouterr()
    assert out.splitlines()[-1].endswith("nothing is kept") or "link" in mutation
    assert "link" in mutation or not any(p for p in place.rglob("*") if not p.is_dir())
