"""``eeaug evaluate``: the exported stages on data."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from eeaug.errors import InputError

__all__ = ["evaluate"]


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, metavar="FILE", help="As for augment: a .npz, .data.yaml, directory, keras:NAME, ..."
)
@click.option(
    "--part",
    type=click.Choice(["test", "val", "train"]),
    help="Which part of it; default: the first of test, val, train that is there.",
)
@click.option("--prepared", is_flag=True, help="The samples are preprocessed already.")
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where data is unpacked; default: $XDG_CACHE_HOME/eeaug.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads; default: all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    directory: Path, data: str, part: str | None, prepared: bool, cache_dir: Path | None, threads: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Run the ONNX stages of the bundle in DIR on data, as the cascade that they are.

    Every file's hash is checked first. The bundle's preprocessing is applied unless --prepared.

    \b
    Example:
      eeaug evaluate model-eeaug --data new.npz
    """
    from eeaug import data as samples
    from eeaug.export import bundle
    from eeaug.preprocessing import Preprocessing
    from eeaug.settings import default_cache

    manifest = bundle.read_manifest(directory)
    stages = manifest["stages"]
    shape = tuple(stages[0]["input_shape"])
    cache = (cache_dir or default_cache()) / "data"
    given = samples.load(data, directory / "model", cache=cache, input_shape=shape)
    preprocessing = Preprocessing() if prepared else Preprocessing.from_dict(manifest["preprocessing"])
    decision = manifest["decision"]
    given = replace(given, preprocessing=preprocessing).labelled(decision["kind"], decision["classes"])
    given.check(shape, len(manifest["classes"]))
    parts = {name: getattr(given, name) for name in ("test", "val", "train")}
    chosen = next((p for name, p in parts.items() if p is not None and part in (None, name)), None)
    if chosen is None:
        raise InputError(f"--part {part}: {given.source} has no x_{part}")
    facts = _run(directory, manifest, chosen, preprocessing, threads or os.cpu_count() or 1)
    if as_json:
        click.echo(bundle.dump_json(facts).encode(), nl=False)
    else:
        _print(facts, given.source)


def _run(directory: Path, manifest: dict[str, Any], part: Any, preprocessing: Any, threads: int) -> dict[str, Any]:
    import numpy as np

    from eeaug.data import batches
    from eeaug.runtime import BATCH, Cascade

    cascade = Cascade.load(directory, manifest, threads)
    right, counts, confident = 0, np.zeros(len(cascade.stages)), np.zeros(len(cascade.stages))
    correct = np.zeros(len(cascade.stages))
    done = 0
    for x in batches(part, np.arange(len(part.y)), preprocessing, BATCH):
        decided = cascade.run(x)
        hit = decided.predicted == part.y[done : done + len(x)]
        done += len(x)
        right += int(hit.sum())
        counts += np.bincount(decided.exits, minlength=len(counts))
        correct += np.bincount(decided.exits, weights=hit, minlength=len(counts))
        confident += np.bincount(decided.exits, weights=decided.confidence, minlength=len(counts))
    costs = np.cumsum([stage["macs"] for stage in manifest["stages"]])
    return {
        "part": part.name,
        "samples": done,
        "accuracy": right / done,
        "mean_macs": float(counts @ costs) / done,
        "leave_rates": [float(c) / done for c in counts],
        "stages": [
            {
                "name": stage["name"],
                "left": int(counts[k]),
                "accuracy": float(correct[k] / counts[k]) if counts[k] else None,
                "mean_confidence": float(confident[k] / counts[k]) if counts[k] else None,
                "macs": int(costs[k]),
            }
            for k, stage in enumerate(manifest["stages"])
        ],
    }


def _print(facts: dict[str, Any], source: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from eeaug.report import units

    table = Table(title=f"{facts['samples']:,} samples of {escape(source)} ({facts['part']})", title_justify="left")
    for column in ("left at stage", "share", "right of these", "mean confidence", "MACs so far"):
        table.add_column(column, justify="left" if column == "left at stage" else "right")
    for stage, rate in zip(facts["stages"], facts["leave_rates"], strict=True):
        table.add_row(
            escape(stage["name"]),
            units.share(rate),
            "–" if stage["accuracy"] is None else units.share(stage["accuracy"]),
            "–" if stage["mean_confidence"] is None else f"{stage['mean_confidence']:.4f}",
            units.macs(stage["macs"]),
        )
    console = Console()
    console.print(table)
    console.print(
        f"accuracy {units.share(facts['accuracy'])}, mean MACs {units.macs(facts['mean_macs'])}",
        highlight=False,
        soft_wrap=True,
    )
