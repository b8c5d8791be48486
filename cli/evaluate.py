"""``eeaug evaluate``: the exported stages on data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eeaug.cli import evaluate_view, out, shared, show
from eeaug.errors import InputError

if TYPE_CHECKING:  # numpy and onnxruntime are imported on use
    from eeaug.bundle.entries import Manifest
    from eeaug.cascade.outcomes import Outcomes
    from eeaug.cascade.passage import Passage
    from eeaug.data import Data, Part
    from eeaug.data.preprocessing import Preprocessing
    from eeaug.runtime import Cascade, Decisions

__all__ = ["evaluate"]


@click.command()
@click.argument("directory", metavar="DIR", type=shared.Place())
@shared.option("--data")
@shared.option("--part")
@click.option(
    "--labels",
    type=click.Choice(["given", "none"]),
    default="given",
    show_default=True,
    help="none: the data has no labels; no accuracy then, but leave rates, costs and shift.",
)
@click.option(
    "--point",
    default="default",
    show_default=True,
    metavar="NAME",
    help="The operating point whose thresholds are used; the manifest lists them.",
)
@click.option(
    "--baseline",
    is_flag=True,
    help="Run every stage on every sample, and say how much accuracy is lost against the given model; of streams "
    "that is always done.",
)
@click.option(
    "--remote",
    multiple=True,
    metavar="PROCESSOR=URL",
    help="The inference server that runs the stages of this processor, written with --format triton: "
    "http://host:8000, https://host/path. A token comes by the environment, EEAUG_REMOTE_TOKEN. May be repeated.",
)
@click.option(
    "--deadline",
    "deadline_s",
    type=shared.SECONDS,
    metavar="SECONDS",
    help="In which a server must answer, 50ms; else the last classifier before it decides.  [default: 10]",
)
@shared.option("--prepared")
@shared.option("--cache-dir")
@shared.option("--threads", "Threads; default: all.")
@shared.option("--manifest-sha256")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@shared.option("--quiet")
def evaluate(
    directory: Path, data: str, part: str | None, labels: str, point: str, baseline: bool,
    remote: tuple[str, ...], deadline_s: float | None, prepared: bool,
    cache_dir: Path | None, threads: int | None, manifest_sha256: str | None, as_json: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Run the ONNX stages of the bundle in DIR on data, as the cascade that they form.

    Every file's hash is checked first. The bundle's preprocessing is applied unless --prepared. Leave rates and
    confidences are compared with those recorded in the bundle: one outside its interval means that the data differs
    from the data that thresholds were found on. This is only reported, so the exit code stays 0.

    A bundle made with --stream decides streams: of data with groups (or sequences) in order of time, by sample and
    by event, beside the given model, confidence alone, and what is promised.

    \b
    Examples:
      eeaug evaluate model-eeaug --data new.npz
      eeaug evaluate model-eeaug --data field.npz --labels none --point frugal
      eeaug evaluate model-eeaug --data new.npz --remote cloud=https://host:8000 --deadline 50ms
    """
    import numpy as np

    from eeaug.bundle.directory import dump_json
    from eeaug.bundle.manifest import check_classifies
    from eeaug.bundle.manifest import read as read_bundle
    from eeaug.cascade.passage import Passage
    from eeaug.data import View
    from eeaug.flow import data_for_bundle, streams
    from eeaug.report.content.streams_again import again
    from eeaug.runtime import Cascade, Decisions
    from eeaug.settings import default_cache
    from eeaug.support.cache import telling
    from eeaug.support.progress import Progress

    bundle = read_bundle(directory, manifest_sha256)
    check_classifies(bundle)
    manifest = bundle.entries
    if baseline and manifest.finetuned:
        raise InputError(
            f"--baseline: the backbone of {directory} was fine-tuned: the given model is not in the bundle"
        )
    if manifest.stream is not None and point != "default":
        raise InputError(f"--point {point}: {directory} decides streams in one way; operating points are without")
    cascade = Cascade.load(
        directory, manifest, threads or os.cpu_count() or 1, point,
        remote=_servers(remote), deadline_s=deadline_s,
    )  # fmt: skip
    with show.observer(quiet=quiet, verbose=False, brief=True) as observer:
        progress = Progress(observer)
        with telling(progress.caution), progress.step("load", "data"):
            given, chosen = data_for_bundle.read(
                directory, manifest, data, part, cache=(cache_dir or default_cache()) / "data",
                labelled=labels == "given", prepared=prepared,
            )  # fmt: skip
        for note in given.notes:
            progress.note(f"note: {note}")
        if manifest.stream is not None:
            streams.need_order(given.source, chosen, f"{directory} decides streams and")
        with progress.step("run", f"{len(chosen):,} samples"):
            wanted = baseline or manifest.stream is not None
            outcomes = _outcomes(cascade, chosen, given.preprocessing) if wanted else None
            if outcomes is not None:
                decided = Decisions.of(outcomes, cascade.thresholds)
            else:
                decided = cascade.run(_batches(chosen, given.preprocessing))
    served = _served(bundle.report, manifest, given, chosen)
    drawn = replace(chosen, groups=None) if manifest.settings["unit"] == "sample" else chosen
    passage, stream, used = None, None, decided
    if outcomes is not None:
        passage = Passage(outcomes, cascade.thresholds)
    if outcomes is not None and manifest.stream is not None:
        macs, labelled = [stage.macs for stage in cascade.stages], chosen.y is not None
        order = View(chosen, np.arange(len(chosen))).sequences
        passage, stream = again(bundle.report, outcomes, order, macs, labelled=labelled)
        used = Decisions.along(passage)
    facts = {
        **_figures(cascade, chosen, used),
        "baseline": None if passage is None else _against_model(passage, drawn, served, manifest.seed),
        "reference": _compared(manifest, cascade, decided, served),
        **({} if stream is None else {"stream": stream}),
    }
    if decided.fallback is not None:
        facts["fallback"] = int(decided.fallback.sum())
        facts["unanswered"] = decided.unanswered
    facts["verdict"] = evaluate_view.verdict(facts, promise=bundle.report["promise"])
    if as_json:
        out.write(dump_json(facts).encode())
    else:
        evaluate_view.show(facts, given.source)


def _servers(values: Sequence[str]) -> dict[str, str]:
    """``--remote`` by processor."""
    servers: dict[str, str] = {}
    for value in values:
        processor, split, url = value.partition("=")
        if not (processor and split and url):
            raise InputError(f"--remote {value}: must be PROCESSOR=URL")
        if processor in servers:
            raise InputError(f"--remote: {processor} is given twice")
        servers[processor] = url
    return servers


def _batches(part: Part, preprocessing: Preprocessing) -> Any:
    import numpy as np

    from eeaug.data import batches
    from eeaug.runtime import BATCH
    from eeaug.support.progress import counted

    return counted(batches(part, np.arange(len(part)), preprocessing, BATCH), len(part), len)


def _outcomes(cascade: Cascade, part: Part, preprocessing: Preprocessing) -> Outcomes:
    """Of every stage on every sample; without labels, the given model is right."""
    import numpy as np

    y = np.zeros(len(part), np.int64) if part.y is None else part.y
    outcomes = cascade.outcomes(_batches(part, preprocessing), y)
    return outcomes if part.y is not None else replace(outcomes, labels=outcomes.baseline)


def _figures(cascade: Cascade, part: Part, decided: Decisions) -> dict[str, Any]:
    import numpy as np

    n, count = len(part), len(cascade.stages)
    left = np.bincount(decided.exits, minlength=count)
    sure = np.bincount(decided.exits, weights=decided.confidence, minlength=count)
    hit = None if part.y is None else decided.predicted == part.y
    right = None if hit is None else np.bincount(decided.exits, weights=hit, minlength=count)
    costs = np.cumsum([stage.macs for stage in cascade.stages])
    return {
        "part": part.name,
        "point": cascade.point,
        "samples": n,
        "accuracy": None if hit is None else float(hit.mean()),
        "mean_macs": float(left @ costs) / n,
        "leave_rates": [float(c) / n for c in left],
        "stages": [
            {
                "name": stage.name,
                "left": int(left[k]),
                "accuracy": float(right[k] / left[k]) if right is not None and left[k] else None,
                "mean_confidence": float(sure[k] / left[k]) if left[k] else None,
                "macs": int(costs[k]),
            }
            for k, stage in enumerate(cascade.stages)
        ],
    }


def _served(report: dict[str, Any], manifest: Manifest, given: Data, part: Part) -> list[str]:
    """What these very samples served as when the bundle was made; empty for new ones."""
    if given.sha256 not in [source["sha256"] for source in manifest.inputs]:
        return []
    parts = report["data"]["parts"]
    return [name for name, view in parts.items() if view is not None and view["of"] == part.name]


def _against_model(passage: Passage, part: Part, served: Sequence[str], seed: int) -> dict[str, Any]:
    from eeaug.cascade.learn_then_test import Claim, upper_bound
    from eeaug.report.units import data_part

    losses = passage.losses
    seen = [name for name in served if name != "test"]
    claim = Claim(losses, -1.0, groups=part.groups)
    return {
        "accuracy": None if part.y is None else float(passage.outcomes.alone.accuracies[0]),
        "drop": float(losses.mean()),
        "drop_bound_95": None if seen else upper_bound(claim, error=0.05, seed=seed, exact=False),
        "bounds_unit": "sample" if part.groups is None else "group",
        "drop_bound_95_missing": f"{part.name} was used as {' and '.join(map(data_part, seen))} set"
        if seen
        else None,
    }


def _compared(manifest: Manifest, cascade: Cascade, decided: Decisions, served: Sequence[str]) -> dict[str, Any]:
    """Every statistic against the bundle's reference, but of classifiers whose server did not always answer."""
    import numpy as np

    from eeaug.cascade import shift

    recorded = manifest.reference
    assert recorded is not None  # of every bundle that was read
    # what was to go on to a server has passed the exit that then answered
    exits = decided.exits if decided.fallback is None else decided.exits + decided.fallback
    came = [int((exits >= k).sum()) for k in range(len(decided.reached))]
    heard = [len(sure) == n for sure, n in zip(decided.reached, came, strict=True)]
    reached = [
        sure if all_of_them else np.zeros(n, np.float32)
        for sure, all_of_them, n in zip(decided.reached, heard, came, strict=True)
    ]
    new = shift.seen(exits, reached)
    statistics = [
        c
        for c in shift.compare(shift.read(recorded, cascade.point), new, cascade.thresholds)
        if heard[c.exit] or c.statistic == "leave_rate"
    ]
    return {
        "part": recorded["part"],
        "samples": recorded["samples"],
        "weighted": recorded["weighted"],
        "level": shift.LEVEL,
        "samples_served_as": list(served),
        "outside": sum(c.outside for c in statistics),
        "statistics": [
            {
                "stage": cascade.stages[c.exit].name,
                "statistic": c.statistic,
                "expected": c.expected,
                "interval": c.interval,
                "observed": c.observed,
                "p_value": c.p_value,
                "outside": c.outside,
            }
            for c in statistics
        ],
    }
