"""Rows of the papers' tables that can be made here: which model, with which options, in which splits.

The names of rows are TABLE/ROW. Every row is a run of ``eeaug augment`` per split (its kind: "augment"), or the
curve of a single threshold over all exits of such a run's bundle ("curve"), or of a model that T-RecX published
("published", "published-test": on the test samples of eeaug's runs). Nothing here loads a framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from papers_published import SPONNER
from public_models import MODELS

__all__ = ["NIGHT_PASSES", "ROWS", "TABLES", "THREADS", "Row", "asked"]

TABLES = ("sponner", "trecx", "class-specific")
THREADS = 2  # of a run, unless --threads says otherwise
SPEAKERS = 5  # splits of the small sets, KWS by speaker and VWW at random
NO_INPUT = ("--forbid", "input")  # exits of the papers stand after layers
# The flow of Sponner et al.: heads like the model's classifier, exits taken as independent, a segment per processor
FLOW = (
    "--heads", "blueprint", "--scoring", "independent", "--mapping", "one-each", "--no-reuse", "--points", "1",
    *NO_INPUT,
)  # fmt: skip
WEIGHT = ("--efficiency-weight", "0.9")  # section 4.1
CLASSES = 10
# Class-specific: one exit that reads all earlier locations, thresholds from 0.95 (KP=On; sections 3.2 and 3.3)
SPECIFIC = ("--max-exits", "1", "--least-alpha", "0.95", *NO_INPUT, "--heads")
RECIPE_PASSES, NIGHT_PASSES = 3, 200  # of the trained model; T-RecX trains 500 from the start


@dataclass(frozen=True)
class Row:
    """``words`` is what stands in front of it; ``cache``: rows of a model and a name share features and heads."""

    name: str
    words: str
    model: str
    options: tuple[str, ...] = ()
    seeds: int = 1
    hardware: str = "psoc6"
    cache: str = "normal"
    kind: str = "augment"
    published: str = ""  # the folder under models/trecx
    by_name: bool = False  # takes long: run only where --only names it

    def command(self, seed: int, threads: int) -> str:
        """What is run, with DIR for the data directory and W for the work directory."""
        if self.kind.startswith("published"):
            return f"python benchmarks/papers.py --data-dir DIR --only {self.name}"
        file = MODELS[self.model][0]
        words = ["eeaug augment", f"DIR/models/{file}", "--data", f"W/{data_name(self.model, seed)}"]
        return " ".join([*words, *self.arguments(seed, threads)])

    def current(self, seed: int, run: Mapping[str, Any]) -> bool:
        """Whether a run is of what the row says today."""
        return seed < self.seeds and run["command"] == self.command(seed, run["threads"])

    def same(self, other: Row, seed: int, threads: int) -> bool:
        """Whether one run serves both."""
        return self.kind == other.kind and self.command(seed, threads) == other.command(seed, threads)

    def arguments(self, seed: int, threads: int) -> list[str]:
        """All after the model and the data that is not a path; the latency limit where the target has rates."""
        limit = MODELS[self.model][3] if self.hardware == "psoc6" else ()
        more = ("--seed", str(seed)) if seed else ()
        return ["--hw", self.hardware, *limit, *self.options, *more, "--threads", str(threads)]


def data_name(model: str, seed: int) -> str:
    """As public_models.prepare names it."""
    return f"{model}{seed or ''}.data.yaml"


def asked(names: list[str]) -> list[Row]:
    """The rows of these names, or else whose names begin so, or all; of rows ``by_name`` those of these names.

    Raises
    ------
    ValueError : there is no row of a name
    """
    chosen: set[str] = set()
    for name in names:
        rows = {name} & ROWS.keys() or {row for row in ROWS if row.startswith(name)}
        if not rows:
            raise ValueError(f"--only {name}: no such table or row; tables: {', '.join(TABLES)}; --list shows rows")
        chosen |= rows
    return [
        row for row in ROWS.values() if row.name in names or (not row.by_name and (not names or row.name in chosen))
    ]


def budget(drop: float, promise: str) -> tuple[str, ...]:
    return ("--max-accuracy-drop", f"{100 * drop:g}pp", "--promise", promise)


def sponner() -> Iterator[Row]:
    """Table 2. The paper inserts one exit less than there are processors, at most; so does its flow here.

    All of ResNet-110 share one pass over the data, which takes longest: their search is timed once.
    """
    for column, model, seeds in (("kws", "dscnn", SPEAKERS), ("ecg", "ecg", 1)):
        drop = -SPONNER[column].accuracy_change
        yield Row(f"sponner/{column}-flow", "the paper's flow", model, (*FLOW, *WEIGHT), seeds, cache="flow")
        budgets = {"half a": 0.005, "one": 0.01} if column == "ecg" else {"one": 0.01}
        for words, size in budgets.items():
            for promise in ("expected", "proven"):
                name = f"sponner/{column}-{promise}-{words.split()[0]}"
                yield Row(name, f"eeaug, {promise}, {words} point", model, budget(size, promise), seeds)
        yield Row(
            f"sponner/{column}-at-its-drop", f"eeaug, expected, the paper's {100 * drop:g} points", model,
            budget(drop, "expected"), seeds,
        )  # fmt: skip
    cloud = {"model": "resnet110", "hardware": "rk3588-cloud"}
    for promise in ("expected", "proven"):
        name, words = f"sponner/cifar-val-{promise}", f"eeaug, {promise}, one point"
        yield Row(name, words, options=budget(0.01, promise), **cloud)
    yield Row(
        "sponner/cifar-val-flow", "the paper's flow, one point", options=(*FLOW, *budget(0.01, "none")[:2]), **cloud
    )
    drop = -SPONNER["cifar-val"].accuracy_change
    yield Row(
        "sponner/cifar-val-at-its-drop", f"eeaug, expected, the paper's {100 * drop:g} points",
        options=budget(drop, "expected"), **cloud,
    )  # fmt: skip
    for factor, share in (("1.0", "1"), ("0.67", "0.6667"), ("0.5", "0.5")):
        on_train = ("--max-accuracy-drop", "1pp", "--calibrate-on", "train", "--correction", share)
        yield Row(
            f"sponner/cifar-{factor}-flow", "the paper's flow, one point", options=(*FLOW, *on_train), **cloud
        )
        yield Row(f"sponner/cifar-{factor}-normal", "eeaug's heads, one point", options=on_train, **cloud)
        drop = -SPONNER[f"cifar-{factor}"].accuracy_change
        yield Row(
            f"sponner/cifar-{factor}-at-its-drop",
            f"eeaug, validation set, expected, the paper's {100 * drop:g} points",
            options=budget(drop, "expected"), **cloud,
        )  # fmt: skip


def trecx() -> Iterator[Row]:
    """Table 1 and figure 4."""
    for task, model, seeds in (("ic", "resnet8", 1), ("kws", "dscnn", SPEAKERS), ("vww", "mobilenetv1", SPEAKERS)):
        folder = f"{task}/model_with_ev_assist"
        of = {"model": model, "published": folder}
        yield Row(f"trecx/{task}-published", "its published model, all samples here", kind="published", **of)
        if task == "ic":
            yield Row(
                "trecx/ic-published-without-view", "its published model without early view, all samples here",
                model, kind="published", published="ic/model_without_ev_assist",
            )  # fmt: skip
        yield Row(
            f"trecx/{task}-published-test", "its published model, test samples", kind="published-test", seeds=seeds,
            **of,
        )  # fmt: skip
        exits = ("--max-exits", "2")
        yield Row(f"trecx/{task}-frozen", "eeaug, two exits, frozen", model, exits, seeds, kind="curve")
        for promise in ("expected", "proven"):
            for points in (1, 2, 3):
                name, words = f"trecx/{task}-{promise}-{points}", f"eeaug, {promise}"
                yield Row(name, words, model, budget(points / 100, promise), seeds)
    for name, passes in (("recipe", RECIPE_PASSES), ("recipe-night", NIGHT_PASSES)):
        options = ("--recipe", "trecx", "--exit-weight", "0.5", "--finetune", str(passes))
        words = f"eeaug --recipe trecx, {passes} passes"
        night = passes == NIGHT_PASSES
        yield Row(f"trecx/ic-{name}", words, "resnet8", options, cache="recipe", by_name=night)


def class_specific() -> Iterator[Row]:
    """Tables 2 to 5, on ResNet-110: ResNet-21's trained weights are not published."""
    of = {"model": "resnet110"}
    for k in range(CLASSES):
        target = ("--target-class", str(k))
        yield Row(f"class-specific/{k}-paper", "α ≥ 0.95", options=(*target, *SPECIFIC, "dense-connection"), **of)
        yield Row(f"class-specific/{k}", "default", options=target, **of)
    for k in (1, 5, 7):
        options = ("--target-class", str(k), *SPECIFIC, "blueprint")
        yield Row(f"class-specific/{k}-off", "α ≥ 0.95, its location alone", options=options, **of)
    yield Row("class-specific/all", "for all classes", "resnet110", budget(0, "none"))


def _rows() -> Mapping[str, Row]:
    rows = [*sponner(), *trecx(), *class_specific()]
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


ROWS = _rows()
