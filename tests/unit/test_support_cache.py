"""The cache: what goes first, what is refused, and what is not touched."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeaug.data.store import kept
from eeaug.errors import InputError
from eeaug.support import cache as module
from eeaug.support import checksums, leftovers
from eeaug.support.cache import PARTIAL, STALE_S, Cache, publishing

KEY = "0123456789abcdef" * 4


def made(path: Path, size: int, age_s: float = 0.0) -> Path:
    """A file of so many bytes, or a directory (no suffix) with one; its last use so long ago."""
    file = path if path.suffix in (".npy", ".npz") else path / "x.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\0" * size)
    then = time.time() - age_s
    for one in {file, path}:
        os.utime(one, (then, then))
    return path


def of_network(cache: Cache, name: str = "a.h5") -> Path:
    return cache.network(name, "1", "d.npz")


def disk_of(monkeypatch: pytest.MonkeyPatch, size: int, cache: Cache) -> None:
    """A disk on which nothing but the cache takes room."""

    def usage(_: Path) -> Any:
        return shutil._ntuple_diskusage(size, 0, size - sum(item.bytes for item in cache.items()))  # type: ignore[attr-defined]

    monkeypatch.setattr(module.shutil, "disk_usage", usage)


# -- room ---------------------------------------------------------------------------------------------


def test_what_was_used_longest_ago_goes_first_whatever_it_is(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=100)
    folder = of_network(cache)
    head = made(folder / "heads" / "h.npz", 10, age_s=40)
    data = made(cache.data / KEY, 50, age_s=30)
    features = made(folder / "features" / "f.npy", 30, age_s=20)
    assert [item.path for item in cache.items()] == [head, data, features]
    cache.make_room(10)  # 90 are there
    assert head.exists() and data.exists()
    module.touch(head)
    cache.make_room(20)
    assert (head.exists(), data.exists(), features.exists()) == (True, False, True)
    cache.make_room(65)
    assert (head.exists(), features.exists()) == (True, False)


def test_without_a_limit_all_stays_while_the_disk_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    files = [made(of_network(cache) / "features" / f"{i}.npy", 30, age_s=10 - i) for i in range(3)]
    disk_of(monkeypatch, 100, cache)
    cache.make_room(10)
    assert all(file.exists() for file in files)
    cache.make_room(50)
    assert [file.exists() for file in files] == [False, False, True]


def test_more_than_the_limit_is_refused_before_anything_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=10**9)
    features = made(of_network(cache) / "features" / "f.npy", 30)
    with pytest.raises(
        InputError, match=r"^features need 2 GB in .*, --max-cache allows 1 GB; allow more"
    ) as caught:
        cache.make_room(2 * 10**9)
    assert "\n" not in str(caught.value) and features.exists()


def test_a_full_disk_is_refused_before_anything_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    features = made(of_network(cache) / "features" / "f.npy", 30)
    disk_of(monkeypatch, 10**9 + 30, cache)
    with pytest.raises(
        InputError, match=r"^data need 5 GB, .* has 1 GB free; name another place with --cache-dir$"
    ):
        cache.make_room(5 * 10**9, "data")
    assert features.exists()


def test_a_place_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/x cannot be made: Not a directory; name another place"):
        Cache(tmp_path / "file" / "x").make_room(1)
    with pytest.raises(InputError, match="File exists"), Cache(tmp_path / "file").once():
        pytest.fail("there is no place")


def test_what_may_not_be_dropped_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path, limit_bytes=50)
    theirs = made(of_network(cache) / "features" / "theirs.npy", 30, age_s=20)
    ours = made(of_network(cache) / "features" / "ours.npy", 20, age_s=10)
    unlink = Path.unlink

    def refusing(path: Path, *arguments: Any, **options: Any) -> None:
        if path == theirs:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", refusing)
    cache.make_room(10)
    assert theirs.exists() and not ours.exists()


# -- what killed runs left ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        lambda cache: of_network(cache) / "features" / f"pass{PARTIAL}",
        lambda cache: of_network(cache) / "heads" / f"h.npz.12{PARTIAL}",
        lambda cache: cache.data / f"{KEY}.abc_12{PARTIAL}",
        lambda cache: cache.directory / "once-0123456789abcdef",
    ],
    ids=["features", "heads", "data", "once"],
)
def test_unfinished_things_go_when_they_are_stale_and_not_before(
    tmp_path: Path, place: Callable[[Cache], Path]
) -> None:
    cache = Cache(tmp_path, limit_bytes=100)
    left = made(place(cache), 80, age_s=STALE_S - 60)
    other = made(of_network(cache) / "heads" / "other.npz", 10)
    (item,) = [item for item in cache.items() if item.path == left]
    assert item.unfinished and item.bytes == 80
    cache.make_room(50)
    assert left.exists() and not other.exists(), "it counts, and may be gone on with"
    made(left, 80, age_s=STALE_S + 60)
    cache.make_room(0)
    assert not left.exists()


def test_a_directory_is_as_young_as_the_youngest_file_in_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    left = made(of_network(cache) / "features" / f"pass{PARTIAL}", 80, age_s=2 * STALE_S)
    os.utime(left / "x.npy")  # a pass at work writes into its files and makes none
    cache.make_room(0)
    assert left.exists()


def test_folders_of_networks_without_anything_go_when_nobody_has_used_them(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folder, other = of_network(cache), cache.network("b.h5", "other", "d.npz")
    for path in (folder / "about.json", other / "about.json"):
        os.utime(path, (0, 0))
    of_network(cache)
    cache.make_room(0)
    assert folder.exists() and not other.exists()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "x.npz"
    with pytest.raises(KeyboardInterrupt), publishing(target) as partial:
        partial.write_bytes(b"half")
        assert partial.suffix == PARTIAL and not target.exists()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with publishing(target) as partial:
        partial.write_bytes(b"whole")
    assert target.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [target]


# -- one run alone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, InputError("no"), KeyboardInterrupt()])
def test_a_cache_of_one_run_is_empty_and_gone_at_its_end(tmp_path: Path, error: BaseException | None) -> None:
    cache = Cache(tmp_path / "cache")
    kept_file = made(of_network(cache) / "features" / "f.npy", 3)

    def work() -> None:
        with cache.once() as place:
            assert place.parent == cache.directory and list(place.iterdir()) == []
            made(of_network(Cache(place)) / "features" / "f.npy", 3)
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    assert kept_file.exists() and [p.name for p in cache.directory.iterdir()] == ["networks"]


def test_the_next_run_drops_what_a_killed_one_left(tmp_path: Path) -> None:
    left = made(tmp_path / "once-0123456789abcdef", 3, age_s=2 * STALE_S)
    with Cache(tmp_path).once() as place:
        assert not left.exists() and place.exists()


def test_a_lock_tells_at_once_what_a_killed_run_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "YOUNG_S", -1.0)
    here = leftovers.machine()
    left = [
        made(tmp_path / f"once-{here}01234567", 3),
        made(tmp_path / "data" / f"{KEY}.{here}_abc{PARTIAL}", 3),
    ]
    stay = [
        made(tmp_path / "once-0123456789abcdef", 3),  # of another machine, whose locks are not seen here
        made(of_network(Cache(tmp_path)) / "features" / f"{here}{PARTIAL}", 3),  # will be gone on with
    ]
    with Cache(tmp_path).once() as mine, Cache(tmp_path).once() as other:
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in (*stay, mine, other))
    target = tmp_path / "a.npy"
    dead = tmp_path / f"a.npy.{here}-1{PARTIAL}"
    dead.write_bytes(b"x")
    with publishing(target) as first:
        assert not dead.exists()
        with publishing(tmp_path / "b.npy"):
            first.write_bytes(b"y")
    assert target.read_bytes() == b"y"


# -- names --------------------------------------------------------------------------------------------


def test_two_names_of_one_network_share_its_folder(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folder = cache.network("b.h5", "1", "d.npz")
    assert cache.network("a.h5", "1", "d.npz") == folder == cache.network("b.h5", "1", "e.npz")
    assert cache.network("b.h5", "2", "d.npz") != folder
    (network,) = [network for network in cache.networks() if network.folder == folder]
    assert (network.models, network.data) == (("a.h5", "b.h5"), ("d.npz", "e.npz"))
    assert sorted(p.name for p in folder.iterdir()) == ["about.json", "features", "heads"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"models": 3, "data": []}', b"\xff"])
def test_damaged_names_hurt_nobody(tmp_path: Path, text: str | bytes) -> None:
    cache = Cache(tmp_path)
    about = of_network(cache) / "about.json"
    about.write_bytes(text if isinstance(text, bytes) else text.encode())
    (network,) = cache.networks()
    assert (network.models, network.data) == ((), ())
    of_network(cache)
    assert checksums.read_json(about) == {"models": ["a.h5"], "data": ["d.npz"]}


# -- what is not ours ---------------------------------------------------------------------------------


def test_files_of_others_are_neither_seen_nor_dropped(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=1)
    foreign = [
        made(tmp_path / name, 50, age_s=2 * STALE_S)
        for name in (
            "data/cifar10", "data/train.npy", f"data/{KEY}0", "networks/resnet", "networks/x.npy", "once-upon",
            "thesis", f"old{PARTIAL}", f"networks/{KEY[:32]}/notes.npy",
        )
    ]  # fmt: skip
    assert cache.items() == []
    cache.make_room(1)
    assert all(path.exists() for path in foreign)


def test_links_are_not_followed(tmp_path: Path) -> None:
    precious = made(tmp_path / "precious" / "x.npy", 50, age_s=2 * STALE_S).parent
    cache = Cache(tmp_path / "cache", limit_bytes=1)
    folder = of_network(cache)
    cache.data.mkdir()
    links = [
        cache.data / KEY,
        folder / "features" / f"pass{PARTIAL}",
        cache.directory / "networks" / KEY[:32],
        cache.directory / "once-0123456789abcdef",
    ]
    for link in links:
        link.symlink_to(precious)
    inside = made(folder / "heads" / f"tmp{PARTIAL}", 10, age_s=2 * STALE_S)
    (inside / "link").symlink_to(precious)
    os.utime(inside, (0, 0))
    os.utime(inside / "link", (0, 0), follow_symlinks=False)
    assert cache.links() == sorted(links) and [item.path for item in cache.items()] == [inside]
    cache.make_room(1)
    assert not inside.exists() and all(link.is_symlink() for link in links) and (precious / "x.npy").exists()


def test_the_cache_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    cache = Cache(tmp_path / "cache", limit_bytes=10)
    features = made(of_network(cache) / "features" / "f.npy", 8)
    assert cache.links() == []
    cache.make_room(8)
    assert not features.exists()


# -- unpacked data ------------------------------------------------------------------------------------


def test_data_counts_is_noted_as_used_and_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=3000)

    def write(target: Path) -> list[str]:
        (inside,) = cache.items()
        assert inside.unfinished and inside.path == target, "a killed run leaves what is seen here"
        np.save(target / "x_train.npy", np.zeros(100))
        return []

    kept("here", cache.data, KEY, write)
    (item,) = cache.items()
    assert (item.path, item.kind, item.unfinished) == (cache.data / KEY, "data", False) and item.bytes > 800
    for path in (item.path, *item.path.iterdir()):
        os.utime(path, (1000, 1000))
    younger = made(of_network(cache) / "features" / "f.npy", 1500, age_s=60)
    kept("here", cache.data, KEY, lambda target: pytest.fail("it is there"))
    assert [i.path for i in cache.items()] == [younger, item.path]
    cache.make_room(1500)
    assert [i.path for i in cache.items()] == [item.path]
    cache.make_room(2900)
    assert cache.items() == []


def test_a_place_that_cannot_be_a_cache_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for place in ("file", "file/below", "dangling/below", "x" * 300):
        with pytest.raises(InputError, match="cannot be made"):
            Cache(tmp_path / place).check()
    Cache(tmp_path / "new" / "deep").check()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file"]
