"""The papers' tables: docs/papers.md says what benchmarks/papers.json holds; rows are commands that exist."""

from __future__ import annotations

import importlib
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NAMES = (
    "papers", "papers_cells", "papers_chart", "papers_curves", "papers_page", "papers_published", "papers_rows",
    "papers_specific", "papers_sponner", "public_models",
)  # fmt: skip
FLAGS = ("as_json", "quiet", "verbose", "dry_run", "no_cache")  # of the command, not of its settings


@pytest.fixture
def papers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The modules of benchmarks/ by their last word: they stand in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield SimpleNamespace(**{name.removeprefix("papers_"): importlib.import_module(name) for name in NAMES})
    for name in (*NAMES, "papers_measure", "trecx"):
        sys.modules.pop(name, None)


def test_the_page_is_rendered_from_the_result(papers: Any) -> None:
    """Make it again with ``python benchmarks/papers.py --render``."""
    for name, text in papers.page.render(papers.papers.read(papers.papers.RESULT)).items():
        assert (papers.papers.DOCS / name).read_text(encoding="utf-8") == text, name


def test_the_result_holds_runs_of_todays_rows_alone(papers: Any) -> None:
    rows = papers.rows.ROWS
    for name, runs in papers.papers.read(papers.papers.RESULT).items():
        assert all(rows[name].current(int(seed), run) for seed, run in runs.items()), name


def test_commands_of_rows_are_commands(papers: Any) -> None:
    """Their options exist, take what they are given, and do not contradict each other."""
    from eeaug.cli.main import group

    command = group.get_command(None, "augment")  # type: ignore[arg-type]
    settings = importlib.import_module("eeaug.cli.augment")._settings
    for row in papers.rows.ROWS.values():
        words = shlex.split(row.command(row.seeds - 1, 2))
        if words[0] == "python":
            assert papers.rows.asked([words[-1]]) == [row]
            continue
        context = command.make_context("augment", words[2:])
        settings({name: value for name, value in context.params.items() if name not in FLAGS})


def test_rows_are_asked_for_by_name_or_table(papers: Any) -> None:
    asked, rows = papers.rows.asked, papers.rows.ROWS
    assert [row.name for row in asked(["class-specific/1"])] == ["class-specific/1"]
    assert {row.name.partition("/")[0] for row in asked([])} == set(papers.rows.TABLES)
    night = rows["trecx/ic-recipe-night"]
    assert night not in asked([]) and night not in asked(["trecx"]) and asked([night.name]) == [night]
    with pytest.raises(ValueError, match="--only nothing"):
        asked(["trecx", "nothing"])


def test_papers_agree_with_themselves(papers: Any) -> None:
    """What their text says of their tables."""
    published = papers.published
    given = sum(published.FALSE_NEGATIVES_GIVEN)
    printed = (-5.84, -5.36, -7.63, -7.63, -8.11, -8.83, -5.01, -6.68, -6.20, -3.93)  # cut, not rounded
    changes = [100 * (sum(row) / given - 1) for row in published.FALSE_NEGATIVES]
    assert changes == pytest.approx(printed, abs=0.01)
    assert sum(row.gain for row in published.TABLE_3) / 10 == pytest.approx(
        published.MEAN_GAINS["ResNet-21"], abs=5e-3
    )
    assert [round(100 * row.saved[1], 1) for row in published.TRECX.values()] == [20.7, 37.7, 36.3]
    assert sum(row.saved[1] for row in published.TRECX.values()) / 3 == pytest.approx(0.3158, abs=2e-4)
    back = {k: row for (k, on), row in published.TABLE_2.items() if on}
    same = ("layer", "alpha", "beta", "eta", "gain", "loss", "others", "exit", "target")
    assert all(
        getattr(row, name) == getattr(published.TABLE_3[k], name) for k, row in back.items() for name in same
    )


def made_up(row: Any, seed: int, saved: float, drop: float = 0.004) -> dict[str, Any]:
    metrics = {"samples": 50, "precision": 0.9, "recall": 0.9, "mean_latency_s": None, "mean_energy_j": None}
    given = metrics | {"accuracy": 0.9, "mean_macs": 200.0, "leave_rates": [1.0]}
    after = metrics | {"accuracy": 0.9 - drop, "mean_macs": 200 * (1 - saved), "leave_rates": [0.75, 0.25]}
    search = dict.fromkeys(
        ("locations", "heads_trained", "architectures", "placements", "threshold_configurations"), 4321
    )
    return {
        "command": row.command(seed, 1), "threads": 1, "commit": "abc1234", "eeaug": "9.9", "date": "2020-02-02",
        "python": "3.11.0", "versions": {"numpy": "2"}, "seconds": 3.0,
        "figures": {
            "parts": {"fit": 10, "choose": 20, "test": 50}, "given": given, "measured": after, "exits": [],
            "promise": {"promise": "proven", "max_accuracy_drop": 0.005, "kept": True, "unit": "group", "units": 9},
            "search": search, "search_s": 77.0,
        },
    }  # fmt: skip


def line(page: str, start: str) -> str:
    (shown,) = [text for text in page.splitlines() if text.startswith(start)]
    return shown


def test_a_run_is_shown_with_mean_and_deviation(papers: Any) -> None:
    row = papers.rows.ROWS["sponner/kws-proven-one"]
    runs = {str(seed): made_up(row, seed, saved, drop) for seed, saved, drop in ((0, 0.5, 0.004), (1, 0.7, 0.006))}
    page = papers.page.render({row.name: runs})["papers.md"]
    shown = line(page, "| eeaug, proven, one point (2 of 5 splits run) | 89.50 %")
    assert "| −0.50 ± 0.10 |" in shown and "| −60.0 % ± 10.0 |" in shown
    assert shown.endswith("| 75.0 % ± 0.0 | 1 of 2 | proven |")  # the second split loses more than half a point
    assert line(page, "| eeaug, proven, one point, dscnn |").endswith("| 4,321 | 4,321 | 77 s, 1 thread |")
    assert "| 2 of 5 | 2020-02-02 | abc1234 | 6 |" in line(page, f"| `{row.name}` |")


def test_what_was_not_run_says_so(papers: Any) -> None:
    row = papers.rows.ROWS["sponner/ecg-proven-one"]
    stale = made_up(row, 0, 0.5) | {"command": "eeaug augment something else"}
    page = papers.page.render({row.name: {"0": stale}})["papers.md"]
    assert "abc1234" not in page and page == papers.page.render({})["papers.md"]
    assert "| not run (`--only sponner/ecg-proven-one`) |" in line(
        page, "| eeaug, proven, one point | not run (`--only sponner/ecg"
    )
    assert all(f"`{name}`" in page for name in papers.rows.ROWS)


def test_runs_are_kept_in_order_without_stale_ones(papers: Any, tmp_path: Path) -> None:
    result = tmp_path / "papers.json"
    rows = papers.rows.ROWS
    late, early = rows["trecx/kws-expected-1"], rows["sponner/ecg-flow"]
    for seed in (1, 0):
        papers.papers.kept(result, late, seed, made_up(late, seed, 0.1))
    result.write_text(json.dumps(papers.papers.read(result) | {"gone": {}}))
    stale = papers.papers.read(result)
    stale[late.name]["0"]["command"] = "another"
    result.write_text(json.dumps(stale))
    papers.papers.kept(result, early, 0, made_up(early, 0, 0.1))
    papers.papers.kept(result, late, 2, made_up(late, 2, 0.2))
    left = papers.papers.read(result)
    assert list(left) == [early.name, late.name] and list(left[late.name]) == ["1", "2"]


def test_a_run_goes_on_where_it_was_stopped(papers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure, result = importlib.import_module("papers_measure"), tmp_path / "papers.json"
    asked: list[tuple[str, int]] = []

    def measured(row: Any, seed: int, *_: Any) -> dict[str, Any]:
        asked.append((row.name, seed))
        if row.name == "trecx/kws-published":
            raise FileNotFoundError("no such model")
        return {"of": seed}

    monkeypatch.setattr(measure, "measured", measured)
    rows = papers.rows.asked(["sponner/kws-expected-one", "trecx/kws-published"])
    run = lambda again=False: papers.papers.run(rows, tmp_path, tmp_path, result, 1, again)  # noqa: E731
    assert run() == ["trecx/kws-published"]
    every = [("sponner/kws-expected-one", seed) for seed in range(5)]
    assert asked == [*every, ("trecx/kws-published", 0)]
    (tmp_path / "rows" / "sponner_kws-expected-one-2.json").unlink()
    result.unlink()
    asked.clear()
    run()
    assert asked == [every[2], ("trecx/kws-published", 0)]
    runs = papers.papers.read(result)["sponner/kws-expected-one"]
    assert [known["figures"] for known in runs.values()] == [{"of": seed} for seed in range(5)]
    # another row of the same command takes what there is
    twin = papers.rows.ROWS["trecx/kws-expected-1"]
    papers.papers.collect([twin], tmp_path, result, 1)
    assert papers.papers.read(result)[twin.name] == runs
    asked.clear()
    run(again=True)
    assert len(asked) == 6


def test_figures_are_those_of_the_report(papers: Any) -> None:
    measure = importlib.import_module("papers_measure")
    report = json.loads((ROOT / "tests" / "data" / "report.json").read_text(encoding="utf-8"))
    timing = {"import": 9.0, "features": 1.25, "heads": 2.0, "export": 7.0}
    known = measure.figures(report, timing, cold=True)
    assert known["search_s"] == pytest.approx(3.2, abs=0.06) and "rho" not in known
    assert measure.figures(report, timing, cold=False)["search_s"] is None
    assert known["measured"]["mean_macs"] == report["design"]["measured"]["mean_macs"]
    assert [exit_["location"] for exit_ in known["exits"]] == [e["location"] for e in report["design"]["exits"]]


def test_a_curve_is_what_one_threshold_saves(papers: Any) -> None:
    """Against a replay, sample by sample, of two exits."""
    trecx = importlib.import_module("trecx")
    rng = np.random.default_rng(0)
    confidence, right = rng.random((2, 40)).round(2), rng.random((3, 40)) < 0.7
    given, path = right[2] | (rng.random(40) < 0.1), np.array([0.2, 0.5, 1.1])
    curve = trecx.Curve.of(confidence, right, path, given)
    best = dict.fromkeys((0.0, 0.05, 0.4), -1.0)
    for k, step in enumerate(trecx.STEPS):
        at = [next((i for i in (0, 1) if confidence[i, n] >= step), 2) for n in range(40)]
        saved = np.mean([1 - path[i] for i in at])
        lost = given.mean() - np.mean([right[i, n] for n, i in enumerate(at)])
        assert curve.saved[k].mean() == pytest.approx(saved)
        best |= {drop: max(most, saved) for drop, most in best.items() if lost <= drop + 1e-9}
    for drop, most in best.items():
        assert curve.oracle(drop) == (None if most == -1 else pytest.approx(most))
    saved, over = curve.held_out(0.4)
    assert len(saved) == trecx.HALVES and 0 <= over <= trecx.HALVES


def test_pictures_draw_the_curves(papers: Any) -> None:
    row = papers.rows.ROWS["trecx/ic-frozen"]
    run = made_up(row, 0, 0.5)
    run["figures"]["curve"] = {
        "samples": 50, "given": 0.9, "alone": [0.7, 0.9], "parameters": 99, "oracle": [None, 0.25, 0.5, 0.5],
        "held_out": [0.25, 0.01], "over": 9, "halves": 50, "steps": [[k / 100, k / 1000] for k in range(101)],
    }  # fmt: skip
    files = papers.page.render({row.name: {"0": run}})
    assert (
        "| – | 25.0 % | 50.0 % | 50.0 % | 25.0 % ± 1.0 % | 9 of 50 | 70.0 % | 90.0 % | 99 | 50 |"
        in files["papers.md"]
    )
    assert {name for name in files if name.endswith(".svg")} == {
        f"papers-{task}.svg" for task in ("ic", "kws", "vww")
    }
    root = ElementTree.fromstring(files["papers-ic.svg"])
    lines = [line.get("points", "").split() for line in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert len(lines) == 2 and len(lines[1]) == 61  # the paper's points, and what is within the frame
    wide, high = float(root.get("width", 0)), float(root.get("height", 0))
    for points in lines:
        assert all(0 < float(x) < wide and 0 < float(y) < high for x, y in (point.split(",") for point in points))
