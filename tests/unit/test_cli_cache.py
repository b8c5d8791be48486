"""``eeaug cache show|clear``, ``--no-cache``, and where the cache is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eeaug.cli.main import run as run_eeaug
from eeaug.settings import Running, Settings, default_cache
from eeaug.support.cache import PARTIAL, Cache

KEY = "0123456789abcdef" * 4
DAY_S = 24 * 3600.0
ONCE = "once-0123456789abcdef"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache of these tests is, by the environment."""
    for name in [name for name in os.environ if name.startswith("EEAUG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EEAUG_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """stdout of a command that succeeds and says nothing else."""

    def said(*arguments: str) -> str:
        code = run_eeaug([*arguments])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return str(out)

    return said


Said = Callable[..., str]


def made(path: Path, size: int, days: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * size)
    aged(path, days)
    aged(path.parent, days)
    return path


def aged(path: Path, days: float) -> None:
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))


@pytest.fixture
def filled(place: Path) -> Cache:
    """Two models on one data set: resnet used today, dscnn forty days ago; an old killed run, new data."""
    cache = Cache(place)
    old = cache.network("dscnn.h5", "1", "kws.npz")
    made(old / "features" / "a.npy", 5_000, days=40)
    made(old / "heads" / "a.npz", 300, days=40)
    aged(old / "about.json", 40)
    new = cache.network("resnet.h5", "3", "cifar10.npz")
    cache.network("copy.h5", "3", "cifar10.npz")
    made(new / "features" / "b.npy", 70_000)
    made(new / "features" / f"c{PARTIAL}" / "x.npy", 11_000)
    made(new / "heads" / "b.npz", 2_000, days=3)
    made(place / "data" / KEY / "x.npy", 900_000)
    killed = made(place / ONCE / "data" / KEY / "x.npy", 4_000, days=50)
    for folder in list(killed.parents)[1:3]:
        aged(folder, 50)
    made(place / "thesis.tex", 10, days=400)
    return cache


def left(cache: Cache) -> list[str]:
    return sorted(p.name for p in cache.directory.rglob("*") if p.is_file() and p.name != "about.json")


ALL = ["a.npy", "a.npz", "b.npy", "b.npz", "thesis.tex", "x.npy", "x.npy", "x.npy"]

# -- show ---------------------------------------------------------------------------------------------


def test_show(said: Said, filled: Cache) -> None:
    head, line, first, second, empty, data, once, total = said("cache", "show").splitlines()
    assert head.split() == ["model", "data", "features", "heads", "unfinished", "last", "used"]
    day = time.strftime("%Y-%m-%d", time.localtime(filled.networks()[0].used_s))
    assert first.split()[:-1] == ["dscnn.h5", "kws.npz", "5", "kB", "300", "B", "–", day]
    assert second.split()[:-2] == ["copy.h5,", "resnet.h5", "cifar10.npz", "81", "kB", "2", "kB", "1", "(11", "kB)"]
    assert first.index("kws.npz") == second.index("cifar10.npz") == head.index("data") and not empty
    assert set(line) == {"─"}
    assert data.startswith("unpacked data: 900 kB in 1, last used ")
    assert once.startswith("runs with --no-cache: 4 kB in 1, last used ")
    assert total == f"total: 992 kB in {filled.directory} (--max-cache is 20 GB by default)"


def test_show_json(said: Said, filled: Cache) -> None:
    facts = json.loads(said("cache", "show", "--json"))
    assert (facts["directory"], facts["max_cache_bytes"]) == (str(filled.directory), Running.max_cache_bytes)
    assert facts["bytes"] == 992_300 == 900_000 + 4_000 + 81_000 + 2_000 + 5_300
    old, new = facts["networks"]
    assert (old["models"], old["data"], old["features_bytes"], old["heads_bytes"]) == (
        ["dscnn.h5"], ["kws.npz"], 5_000, 300,
    )  # fmt: skip
    assert (new["models"], new["unfinished"]) == (["copy.h5", "resnet.h5"], 1)
    assert (facts["data"]["bytes"], facts["once"]["items"]) == (900_000, 1)
    assert old["last_used"] < new["last_used"] <= facts["data"]["last_used"] and old["last_used"].endswith("+00:00")


def test_an_empty_or_missing_cache_is_a_line(said: Said, place: Path) -> None:
    assert said("cache", "show") == f"{place}: nothing is kept\n"
    assert not place.exists(), "to look makes nothing"
    place.mkdir()
    assert said("cache", "show") == f"{place}: nothing is kept\n"
    assert json.loads(said("cache", "show", "--json"))["networks"] == []
    assert said("cache", "clear") == f"dropped 0 B (0 bytes) from {place}\n"


# -- clear --------------------------------------------------------------------------------------------


def test_clear_drops_all_of_the_cache_and_nothing_else(said: Said, filled: Cache) -> None:
    lines = said("cache", "clear").splitlines()
    assert lines[-1] == f"dropped 992 kB (992,300 bytes) from {filled.directory}"
    assert lines[0] == "dscnn.h5 on kws.npz: 5.3 kB" and len(lines) == 5
    assert left(filled) == ["thesis.tex"]
    assert filled.networks() == [] and sorted(p.name for p in (filled.directory / "networks").iterdir()) == []


def test_clear_what_is_old(said: Said, filled: Cache) -> None:
    assert said("cache", "clear", "--older-than", "45").endswith(
        f"dropped 4 kB (4,000 bytes) from {filled.directory}\n"
    )
    assert len(filled.networks()) == 2
    assert "(7,300 bytes)" in said("cache", "clear", "--older-than", "2")
    assert left(filled) == ["b.npy", "thesis.tex", "x.npy", "x.npy"]
    assert [network.models for network in filled.networks()] == [("copy.h5", "resnet.h5")], "empty folders go too"


@pytest.mark.parametrize("name", ["resnet.h5", "copy.h5"])
def test_clear_a_model_by_any_of_its_names(said: Said, filled: Cache, name: str) -> None:
    assert "dropped 83 kB (83,000 bytes)" in said("cache", "clear", "--model", name)
    assert left(filled) == ["a.npy", "a.npz", "thesis.tex", "x.npy", "x.npy"]
    assert [network.models for network in filled.networks()] == [("dscnn.h5",)]


def test_a_model_that_is_not_there_names_the_nearest(filled: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_eeaug(["cache", "clear", "--model", "resnet8.h5"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: --model resnet8.h5: nothing is kept of it; did you mean 'resnet.h5'?\n")
    assert left(filled) == ALL


def test_clear_json(said: Said, filled: Cache) -> None:
    would = json.loads(said("cache", "clear", "--dry-run", "--json"))
    assert (would["dropped"], would["bytes"]) == (False, 992_300) and len(left(filled)) == len(ALL)
    assert sum(part["bytes"] for part in would["parts"]) == would["bytes"]
    assert json.loads(said("cache", "clear", "--json")) == {**would, "dropped": True}


def test_a_dry_run_drops_nothing(said: Said, filled: Cache) -> None:
    whole = said("cache", "clear", "--dry-run")
    assert f"would drop 992 kB (992,300 bytes) from {filled.directory}\n" in whole and "dropped" not in whole
    assert left(filled) == ALL and len(filled.networks()) == 2
    assert said("cache", "clear").replace("dropped", "would drop") == whole


def test_what_may_not_be_dropped_is_an_error(
    filled: Cache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("eeaug.support.cache.shutil.rmtree", refuses)
    assert run_eeaug(["cache", "clear"]) == 1
    out, err = capsys.readouterr()
    assert "dropped 77.3 kB (77,300 bytes)" in out
    assert err.startswith("error: ") and err.endswith(" may not be dropped, 3 in all: see who owns them\n")
    assert err.count("\n") == 1


def test_links_are_told_and_left(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = made(tmp_path / "precious" / KEY / "x.npy", 10)
    place.mkdir()
    (place / "data").symlink_to(tmp_path / "precious")
    assert run_eeaug(["cache", "clear"]) == 0
    out, err = capsys.readouterr()
    assert "(0 bytes)" in out and err == f"warning: {place / 'data'} is a symbolic link: left alone\n"
    assert precious.exists() and (place / "data").is_symlink()


# -- where it is --------------------------------------------------------------------------------------


def test_the_option_comes_before_the_environment_before_the_default(
    said: Said, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert said("cache", "show", "--cache-dir", "there") == "there: nothing is kept\n"
    assert said("cache", "show").startswith(f"{place}: ") and default_cache() == place
    monkeypatch.setenv("EEAUG_CACHE_DIR", "")
    assert said("cache", "show").startswith(f"{tmp_path / 'xdg' / 'eeaug'}: ")


def test_a_file_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EEAUG_CACHE_DIR", str(tmp_path / "file"))
    assert run_eeaug(["cache", "clear"]) == 2
    assert "file is not a directory: --cache-dir, or EEAUG_CACHE_DIR, names one" in capsys.readouterr().err


# -- augment --no-cache -------------------------------------------------------------------------------


def fake(monkeypatch: pytest.MonkeyPatch, work: Callable[[Settings], None]) -> None:
    """``augment`` up to the pipeline, and ``work`` in its place."""

    def run(settings: Settings, _: Any) -> dict[str, Any]:
        work(settings)
        return {}

    monkeypatch.setattr("eeaug.flow.augment", SimpleNamespace(augment=run), raising=False)
    monkeypatch.setattr("eeaug.flow.forecast", SimpleNamespace(forecast=run), raising=False)
    monkeypatch.setattr("eeaug.cli.forecast_view.render", lambda _: "")


AUGMENT = ["augment", "m.h5", "--hw", "psoc6", "-q"]


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_without_a_cache_nothing_is_read_and_nothing_left(
    filled: Cache, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    seen: list[Settings] = []

    def work(settings: Settings) -> None:
        seen.append(settings)
        assert settings.running.cache.parent == filled.directory and list(settings.running.cache.iterdir()) == []
        made(Cache(settings.running.cache).network("m.h5", "3", "cifar10.npz") / "features" / "f.npy", 10)

    fake(monkeypatch, work)
    before = {p for p in filled.directory.rglob("*") if ONCE not in p.as_posix()}
    assert run_eeaug([*AUGMENT, "--no-cache", "--max-cache", "7", *more]) == 0
    (settings,) = seen
    assert settings.running.max_cache_bytes == 7_000_000_000
    assert set(filled.directory.rglob("*")) == before, "and what a killed run left long ago is gone"


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ValueError("ours"), 1)])
def test_a_failing_run_without_a_cache_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def work(settings: Settings) -> None:
        made(settings.running.cache / "data" / KEY / "x.npy", 10)
        raise error

    fake(monkeypatch, work)
    assert run_eeaug([*AUGMENT, "--no-cache"]) == code
    assert list(place.iterdir()) == []


def test_with_the_cache_the_run_gets_the_place_itself(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    fake(monkeypatch, lambda settings: seen.append(settings.running.cache))
    assert run_eeaug(AUGMENT) == 0
    assert run_eeaug([*AUGMENT, "--cache-dir", "there"]) == 0
    assert seen == [place, Path("there")]
