"""``eeaug augment``."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import click

from eeaug.cascade.measures import MEASURES
from eeaug.cli import config, forecast_view, out, shared, show
from eeaug.cli.grouped import Grouped
from eeaug.errors import InfeasibleError
from eeaug.settings import (
    DECISIONS,
    EFFORTS,
    FAMILIES,
    MAX_CACHE_BYTES,
    MAX_EPOCHS,
    MAX_LOCATIONS,
    MAX_SEED,
    RECIPES,
    UNITS,
    Settings,
    default_cache,
)
from eeaug.settings.vocabulary import MAX_ACCURACY_DROP, MOST_REFRESH, REFRESH, TRECX_EPOCHS
from eeaug.support import quantities
from eeaug.support.cache import Cache

__all__ = ["augment"]

GO_ON = "; the cache keeps what is finished, the same command goes on from there"
EXAMPLES = {
    "Input": "--hw board.yaml --data recorded.npz --priors silence=0.95",
    "What to keep": "--max-accuracy-drop 0.005 --max-latency 0.2",
    "What to minimise": "--objective energy",
    "Exits and heads": "--max-exits 2 --effort thorough",
    "Thresholds and proof": "--promise proven --risk 0.01 --points 5",
    "Streams": "--stream --refresh 16 --debounce 2/3 --background silence",
    "Placement": "--exit-at activation_2:cm0p --forbid activation_1",
    "Output and formats": "-o out --force --format tflite,c",
    "Running": "--dry-run --threads 4",
}


@click.command(cls=Grouped, examples=EXAMPLES)
@click.argument("model", type=shared.ModelPlace())
@shared.option("--hw", required=True)
@click.option(
    "--data",
    metavar="FILE",
    help="A .npz, .data.yaml, directory, keras:NAME, tfds:NAME or module:function; default: <model>.data.yaml "
    "or <model>.npz beside the model.",
)
@config.option()
@shared.option("-o", "Where the bundle goes; default: <model>-eeaug in the current directory.")
@shared.option("--architecture")
@shared.option("--input-shape")
@click.option(
    "--output", "output_name", metavar="NAME", help="Which output is the classifier, of a model that has several."
)
@click.option(
    "--decision",
    type=click.Choice(DECISIONS),
    help="single-label: a sample has one of the classes; multilabel: any number of them. Default: what outputs, "
    "labels and the loss in the file say.",
)
@click.option(
    "--labels",
    type=click.Choice(["given", "none"]),
    default="given",
    show_default=True,
    help="none: the data has no labels; heads then learn the model's answers, and the budget limits the "
    "disagreement with them.",
)
@click.option(
    "--priors",
    metavar="CLASS=SHARE,...",
    help="How often classes occur in the field, e.g. silence=0.95 or silence=95%; reweights every mean and rate.",
)
@click.option(
    "--blank",
    is_flag=True,
    help="For any MODEL (detector, segmenter, autoencoder): exits only recognise empty samples, all others get "
    "MODEL's own outputs. Labels: 0 or 'nothing' for empty samples.",
)
@click.option(
    "--blank-when",
    metavar="EXPRESSION",
    help="The same without labels: a sample is empty where this is true of MODEL's own outputs, such as "
    '"max(scores) < 0.3".',
)
@shared.option("--force")
@shared.option("--max-latency")
@shared.option("--period")
@shared.option("--max-ram")
@shared.option("--max-flash")
@shared.option("--max-accuracy-drop", "  [default: 0.01]")
@click.option(
    "--max-blank-loss",
    type=shared.Quantity(quantities.DROP, 0, 1),
    metavar="SHARE",
    help="With --blank: share of the non-empty samples that may leave as empty; default: 0.01. --promise says how "
    "surely.",
)
@shared.option("--max-class-drop", "; default: no limit.")
@shared.option("--promise")
@shared.option("--risk")
@shared.option("--objective")
@shared.option("--efficiency-weight")
@shared.option("--scoring")
@click.option(
    "--confidence",
    type=click.Choice(tuple(MEASURES)),
    default=next(iter(MEASURES)),
    show_default=True,
    help="What is compared with thresholds: the largest probability, its lead over the second, or 1 − entropy.",
)
@click.option(
    "--calibrate-on",
    type=click.Choice(["held", "train"]),
    default="held",
    show_default=True,
    help="The calibration set, which decides how far thresholds may be opened. held: x_val, else half of x_test. "
    "train: a part of x_train as in the paper, on which the model is too sure, so nothing is promised.",
)
@click.option(
    "--unit",
    type=click.Choice(UNITS),
    default=UNITS[0],
    show_default=True,
    help="What promises are about where the data has groups_val (patients, speakers). group: new groups. sample: "
    "new samples of the same groups, which ignores how groups differ.",
)
@shared.option("--correction")
@shared.option("--points")
@click.option(
    "--stream",
    is_flag=True,
    help="Samples of each group follow each other (a recording, a camera): a decision may remember those before. "
    "groups_* or sequence_* say which belong together; docs/streams.md.",
)
@click.option(
    "--refresh",
    type=click.IntRange(1, MOST_REFRESH),
    metavar="N",
    help=f"With --stream: of N samples in a row one at least is decided without memory; default: {REFRESH}.",
)
@click.option(
    "--debounce",
    type=shared.DEBOUNCE,
    metavar="M/N",
    help="With --stream: another class is answered only when M of the last N samples say so.",
)
@click.option(
    "--background",
    type=shared.NAMES,
    metavar="CLASS[,CLASS...]",
    help="With --stream: classes that are no event (silence), so that none of them is missed or a false alarm.",
)
@click.option(
    "--max-missed",
    type=shared.MISSED,
    metavar="SHARE[/N]",
    help="With --stream: share of the events that may be missed beyond those that the given model misses (1%), a "
    "limit beside --max-accuracy-drop; with /N an event counts as missed unless one of its first N samples is "
    "answered rightly.",
)
@shared.option("--mapping")
@shared.option("--max-exits", "; default: 3, with --mapping one-each number of processors − 1.")
@shared.option("--reuse/--no-reuse")
@shared.option("--thresholds")
@shared.option("--exit-at")
@shared.option("--threshold")
@shared.option("--forbid")
@click.option(
    "--effort",
    type=click.Choice(list(EFFORTS)),
    default="normal",
    show_default=True,
    help="How long heads are trained. quick: dense heads only, at 24 locations at most. normal: separable ones, "
    "too, for about as long as one pass of the model over the data. thorough: all families, for ten times as long.",
)
@click.option(
    "--heads",
    type=shared.NAMES,
    metavar="FAMILY[,FAMILY...]",
    help=f"Families of heads to try: {', '.join(FAMILIES)}; default: those of --effort.",
)
@shared.option("--format")
@shared.option("--c-prefix")
@click.option(
    "--target-class",
    type=shared.NAMES,
    metavar="CLASS[,CLASS...]",
    help="Exits for these classes only (names or numbers): their samples leave early, the accuracy of the given "
    "model is kept, and all other samples cost as little more as possible.",
)
@click.option(
    "--least-alpha",
    type=shared.Quantity(quantities.SHARE, 0.5, 1, min_open=True, max_open=True),
    metavar="A",
    help="Smallest threshold of --target-class; default: where an exit alone begins to keep the limits.",
)
@click.option(
    "--recipe",
    type=click.Choice(RECIPES),
    default=RECIPES[0],
    show_default=True,
    help="frozen: exits on the model as it is. trecx: one exit trained together with the model (--finetune passes, "
    f"{TRECX_EPOCHS} by default), whose convolution also assists the final classifier; kept only if better.",
)
@click.option(
    "--exit-weight",
    type=shared.Quantity(quantities.SHARE, 0, 1, min_open=True),
    metavar="W",
    help="Weight of the exit's loss in --recipe trecx; default: 0.3, 0.4 and 0.5 are tried.",
)
@click.option(
    "--max-locations",
    type=click.IntRange(1, MAX_LOCATIONS),
    metavar="N",
    help="Try exits at N locations at most, evenly over the model's MACs, and on the input; default: all, 24 with "
    "--effort quick, 20 with --target-class.",
)
@click.option(
    "--finetune",
    type=click.IntRange(0, MAX_EPOCHS),
    default=0,
    metavar="EPOCHS",
    help="Then train the chosen exits and the backbone together for so many passes over the training data, and "
    "keep that if it is better on the calibration samples.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of splits and training: equal seeds give equal bytes.",
)
@shared.option(
    "--threads",
    "Threads for training and extraction; default: all. Equal bytes need equal threads.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Extract features and train heads on this Dask cluster (tcp://host:8786); needs the extra "
    "eeaug[distributed].",
)
@click.option(
    "--cache-dir",
    type=shared.Place(file_okay=False),
    metavar="DIR",
    envvar="EEAUG_CACHE_DIR",
    help="Where data, features and heads are kept between runs; default: $EEAUG_CACHE_DIR, else "
    "$XDG_CACHE_HOME/eeaug.",
)
@click.option(
    "--max-cache",
    type=shared.Quantity(quantities.GIGABYTES, 0, MAX_CACHE_BYTES, min_open=True),
    default=20.0,
    show_default=True,
    metavar="GB",
    help="Disk space for all of it, 20 or 20GB; what has not been used for longest is deleted first.",
)
@click.option(
    "--no-cache",
    is_flag=True,
    help="Use nothing of earlier runs, leave nothing for later ones; needs the same disk space.",
)
@shared.option("--dry-run", "Say what would be searched, how long that takes and what it could save.")
@shared.option("--slim")
@click.option("--allow-chance", is_flag=True, help="Go on although the given model is no better than chance.")
@click.option(
    "--allow-unsafe", is_flag=True, help="Trust the model file: let it run code (Lambda layers, SavedModel graphs)."
)
@shared.option("--custom-objects")
@shared.option("--json")
@shared.option("--quiet")
@shared.option("--verbose")
def augment(as_json: bool, quiet: bool, verbose: bool, dry_run: bool, no_cache: bool, **options: Any) -> None:
    """Turn the trained classifier MODEL (.keras, .h5, SavedModel, .zip) into an early-exit network for a target.

    Trains exit heads on the frozen model, finds the exits, their thresholds and processors that save most
    within the limits, and writes the network as one stage per decision, verified, with a report.

    Every option may come from the environment, too, --max-latency from $EEAUG_AUGMENT_MAX_LATENCY; and from a
    file (--config). Values may have units: 1% or 0.5pp, 200ms or 3us, 2.5GB (k is 1000, Ki 1024).

    \b
    Examples:
      eeaug augment model.h5 --hw psoc6 --max-latency 2.5
      eeaug augment model.h5 --hw board.yaml --objective energy --max-accuracy-drop 0.005
      eeaug augment model.h5 --hw psoc6 --exit-at activation_2:cm0p --data other.npz
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other")
    settings = _settings(options)
    from eeaug.bundle.directory import dump_json
    from eeaug.flow import augment as pipeline
    from eeaug.flow import forecast
    from eeaug.support.progress import Progress

    place = Cache(settings.running.cache).once() if no_cache else nullcontext(settings.running.cache)
    with shared.interruptible(None if dry_run else settings.bundle, "" if no_cache else GO_ON):
        try:
            with show.observer(quiet=quiet, verbose=verbose) as observer, place as cache:
                run = forecast.forecast if dry_run else pipeline.augment
                report = run(replace(settings, running=replace(settings.running, cache=cache)), Progress(observer))
        except InfeasibleError as error:
            if as_json:
                out.write(dump_json(error.as_json()).encode())
            raise
        if dry_run:
            shared.show_lines(forecast_view.render(report), dump_json(report) if as_json else None)
            return
        shared.show_result(report, settings.bundle, as_json=as_json, quiet=quiet)


def _settings(options: dict[str, Any]) -> Settings:
    """Options as settings; what click cannot check by itself is checked here."""
    budget, weight = options.pop("max_accuracy_drop"), options.pop("efficiency_weight")
    room, threads = options.pop("max_cache"), options.pop("threads")
    options["points"] = int(options["points"])
    given: dict[str, Any] = {"threads": threads} if threads is not None else {}
    return Settings.of(
        max_accuracy_drop=MAX_ACCURACY_DROP if budget is None and weight is None else budget,
        efficiency_weight=weight,
        exit_at=shared.pairs("--exit-at", options.pop("exit_at"), ":", needed=False),
        threshold=shared.thresholds(options.pop("threshold")),
        target_class=options.pop("target_class") or (),
        heads=options.pop("heads") or (),
        background=options.pop("background") or (),
        formats=options.pop("formats") or (),
        custom_objects=tuple(options.pop("custom_objects")),
        cache=options.pop("cache_dir") or default_cache(),
        max_cache_bytes=int(room),
        **given,
        **options,
    )
