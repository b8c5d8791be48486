"""``eeaug augment``."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from eeaug.cache import Cache
from eeaug.cli import forecast_view, show
from eeaug.decision import MEASURES
from eeaug.errors import InfeasibleError, InputError
from eeaug.settings import EFFORTS, Settings, default_cache

__all__ = ["augment"]

MAX_SEED = 2**31 - 1  # NumPy takes 32 bits, and every location adds to it
MAX_THREADS = 1024


class _Finite(click.FloatRange):
    """A range without nan, which compares as inside of every range, and without infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


_POSITIVE = _Finite(min=0, min_open=True)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--hw",
    "hardware",
    required=True,
    metavar="NAME|FILE",
    help="Target: a YAML file, or a shipped profile (eeaug hw list).",
)
@click.option(
    "--data",
    metavar="FILE",
    help="A .npz, .data.yaml, directory, keras:NAME, tfds:NAME or module:function; default: <model>.data.yaml "
    "or <model>.npz beside the model.",
)
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the bundle goes; default: <model>-eeaug in the current directory.",
)
@click.option(
    "--output", "output_name", metavar="NAME", help="Which output is the classifier, of a model that has several."
)
@click.option(
    "--labels",
    type=click.Choice(["given", "none"]),
    default="given",
    show_default=True,
    help="none: the data has no labels; heads learn what the model says, the budget bounds disagreement with it.",
)
@click.option(
    "--priors",
    metavar="CLASS=SHARE,...",
    help="How often classes occur in the field, e.g. silence=0.95; reweights every mean and rate.",
)
@click.option("--force", is_flag=True, help="Replace a bundle that is there.")
@click.option(
    "--max-latency",
    "max_latency_s",
    type=_POSITIVE,
    metavar="SECONDS",
    help="Worst-case latency that no design may exceed.",
)
@click.option(
    "--max-accuracy-drop",
    type=_Finite(0, 1),
    metavar="SHARE",
    help="Accuracy that may be lost on the choose samples; 0.01 is one point.  [default: 0.01]",
)
@click.option(
    "--max-class-drop",
    type=_Finite(0, 1),
    metavar="SHARE",
    help="Accuracy that any single class may lose on the choose samples; default: not bounded.",
)
@click.option(
    "--risk",
    type=_Finite(0, 1, min_open=True, max_open=True),
    metavar="DELTA",
    help="Prove the budget on samples set aside: the true drop exceeds it with probability DELTA at most "
    "(0.05 is usual). Two thirds of x_val serve for that.",
)
@click.option(
    "--objective",
    type=click.Choice(["macs", "latency", "energy"]),
    default="macs",
    show_default=True,
    help="The mean cost that is minimised.",
)
@click.option(
    "--efficiency-weight",
    type=_Finite(0, 1),
    metavar="W",
    help="Instead of a budget: minimise W × relative cost + (1 − W) × accuracy lost.",
)
@click.option(
    "--scoring",
    type=click.Choice(["exact", "independent"]),
    default="exact",
    show_default=True,
    help="Count cascades on the samples, or treat exits as independent as the paper does.",
)
@click.option(
    "--confidence",
    type=click.Choice(MEASURES),
    default=MEASURES[0],
    show_default=True,
    help="What is compared with thresholds: the largest probability, its lead over the second, or 1 − entropy.",
)
@click.option(
    "--calibrate-on",
    type=click.Choice(["held", "train"]),
    default="held",
    show_default=True,
    help="Samples that thresholds are found on: x_val (else half of x_test), or a part of x_train as in the "
    "paper, on which the model is too sure.",
)
@click.option(
    "--correction",
    type=_Finite(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    metavar="C",
    help="Multiplies the found thresholds (the paper: 1, 0.67, 0.5); below 1 more samples leave than the budget "
    "allows.",
)
@click.option(
    "--points",
    type=click.Choice(["1", "3", "4", "5"]),
    default="3",
    show_default=True,
    metavar="N",
    help="Operating points in the bundle: threshold vectors to switch between while it runs (1, 3, 4 or 5).",
)
@click.option(
    "--mapping",
    type=click.Choice(["free", "one-each"]),
    default="free",
    show_default=True,
    help="Processors may run several segments or none, or one segment each as in the paper.",
)
@click.option(
    "--max-exits",
    type=click.IntRange(0, 6),
    metavar="N",
    help="Early exits at most; default: number of processors − 1, at least 1.",
)
@click.option(
    "--thresholds",
    type=click.IntRange(2, 101),
    default=13,
    show_default=True,
    metavar="N",
    help="Thresholds tried per exit, 'never' included; the second search is finer.",
)
@click.option(
    "--exit-at",
    multiple=True,
    metavar="LOCATION[:PROCESSOR]",
    help="There must be an exit here (on this processor). Repeatable.",
)
@click.option(
    "--threshold",
    multiple=True,
    metavar="LOCATION=VALUE",
    help="An exit at this location uses this threshold. Repeatable.",
)
@click.option("--forbid", multiple=True, metavar="LOCATION", help="No exit here. Repeatable.")
@click.option(
    "--effort",
    type=click.Choice(list(EFFORTS)),
    default="normal",
    show_default=True,
    help="How much is spent on heads: quick trains dense ones only.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    default=0,
    show_default=True,
    help="Of splits and training: equal seeds give equal bytes.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    metavar="N",
    help="Threads for training and extraction; default: all. Part of what must be equal for equal bytes.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Extract features on this Dask cluster (tcp://host:8786); needs the extra eeaug[distributed].",
)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where data, features and heads are kept between runs; default: $EEAUG_CACHE_DIR, else "
    "$XDG_CACHE_HOME/eeaug.",
)
@click.option(
    "--max-cache",
    type=_POSITIVE,
    default=20.0,
    show_default=True,
    metavar="GB",
    help="Disk that all of it may take; what was used longest ago makes room.",
)
@click.option(
    "--no-cache",
    is_flag=True,
    help="Use nothing of earlier runs, leave nothing for later ones; needs the same disk.",
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would be searched, how long it takes and what it could bring."
)
@click.option("--slim", is_flag=True, help="Leave search/ (outcomes and trained heads) out of the bundle.")
@click.option("--allow-chance", is_flag=True, help="Go on although the given model is no better than chance.")
@click.option("--allow-unsafe", is_flag=True, help="Load Lambda layers, which run code from the model file.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json on stdout, nothing else.")
@click.option("-q", "--quiet", is_flag=True, help="No progress; warnings and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Say more while working.")
def augment(as_json: bool, quiet: bool, verbose: bool, dry_run: bool, no_cache: bool, **options: Any) -> None:
    """Turn the trained classifier MODEL (.keras, .h5, SavedModel) into an early-exit network for a target.

    Trains exit heads on the frozen model, finds the exits, their thresholds and processors that save most
    within the limits, and writes the network as one stage per decision, verified, with a report.

    \b
    Examples:
      eeaug augment model.h5 --hw psoc6 --max-latency 2.5
      eeaug augment model.h5 --hw board.yaml --objective energy --max-accuracy-drop 0.005
      eeaug augment model.h5 --hw psoc6 --exit-at activation_2:cm0p --data other.npz
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other")
    settings = _settings(options)
    from eeaug import forecast, pipeline
    from eeaug.export.bundle import dump_json
    from eeaug.progress import Progress

    place = Cache(settings.cache).once() if no_cache else nullcontext(settings.cache)
    try:
        with show.observer(quiet=quiet, verbose=verbose) as observer, place as cache:
            run = forecast.forecast if dry_run else pipeline.augment
            report = run(replace(settings, cache=cache), Progress(observer))
    except InfeasibleError as error:
        if as_json:
            click.echo(dump_json(error.as_json()).encode(), nl=False)
        raise
    if dry_run:
        click.echo(dump_json(report) if as_json else forecast_view.render(report), nl=False)
        return
    if as_json:
        click.echo((settings.bundle / "report.json").read_bytes(), nl=False)
        return
    from rich.console import Console

    from eeaug.report import terminal

    if not quiet:
        Console().print(terminal.render(report))
    click.echo(f"bundle: {settings.bundle}")


def _settings(options: dict[str, Any]) -> Settings:
    """Options as settings; what click cannot check by itself is checked here."""
    budget, weight = options.pop("max_accuracy_drop"), options.pop("efficiency_weight")
    gigabytes, threads = options.pop("max_cache"), options.pop("threads")
    options["points"] = int(options["points"])
    given: dict[str, Any] = {"threads": threads} if threads is not None else {}
    return Settings(
        max_accuracy_drop=0.01 if budget is None and weight is None else budget,
        efficiency_weight=weight,
        exit_at=_pairs("--exit-at", options.pop("exit_at"), ":", needed=False),
        threshold={
            name: _confidence(name, value)
            for name, value in _pairs("--threshold", options.pop("threshold"), "=", needed=True).items()
        },
        cache=options.pop("cache_dir") or default_cache(),
        max_cache_bytes=int(gigabytes * 1e9),
        **given,
        **options,
    )


def _pairs(option: str, values: tuple[str, ...], separator: str, *, needed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value in values:
        name, split, rest = value.rpartition(separator)
        if needed and not split:
            raise InputError(f"{option} {value}: must be LOCATION{separator}VALUE")
        location = name if split else value
        if location in found:
            raise InputError(f"{option}: {location} is given twice")
        found[location] = rest if split else None
    return found


def _confidence(location: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise InputError(f"--threshold {location}={text}: a confidence is a number above 0 and up to 1")
    return value
