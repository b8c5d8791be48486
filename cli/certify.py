"""``eeaug certify``: a budget proven on data of the field."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from eeaug.cli import out, shared, show
from eeaug.errors import InfeasibleError

__all__ = ["certify"]

MOST_STEPS = 10  # that are shown
IN_DATA = "data"


@click.command()
@click.argument("directory", metavar="DIR", type=shared.Place())
@shared.option("--data")
@shared.option("--part")
@click.option(
    "--labels",
    type=shared.Place(),
    metavar=f"FILE|{IN_DATA}",
    help=f"The sheet with labels filled in, or {IN_DATA}: take the labels of the data. Without this option the "
    "sheet is written.",
)
@click.option(
    "--sheet",
    type=shared.Place(),
    default="label-these.csv",
    show_default=True,
    metavar="FILE",
    help="Where the samples that need a label are listed.",
)
@shared.inherited("--max-accuracy-drop")
@shared.option(
    "--risk", help="Largest probability that what is proven does not hold; default: that of DIR, else 0.05."
)
@shared.option(
    "-o", "Where the new bundle goes; default with --labels: DIR-certified. Without --labels none is written."
)
@shared.option("--force", " The same for --sheet.")
@shared.option("--format", " Default: those of DIR.")
@shared.option("--prepared")
@shared.option("--cache-dir")
@shared.option("--threads", "Threads; default: all.")
@shared.option("--custom-objects")
@shared.option("--manifest-sha256")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@shared.option("--quiet")
@shared.option("--verbose")
def certify(
    directory: Path, labels: Path | None, output: Path | None, cache_dir: Path | None, threads: int | None,
    manifest_sha256: str | None, as_json: bool, quiet: bool, verbose: bool, formats: Any, **options: Any,
) -> None:  # fmt: skip
    """Prove the accuracy budget of the bundle in DIR on data of the field, with labels for few of its samples.

    Cascade and given model run on all samples. Where both give the same answer nothing can be lost, so no label is
    needed: label-these.csv lists the other samples, the most useful first. Fill in its column "label", from the
    first line on and as far as you like, and give it back with --labels: the thresholds of DIR-certified are opened
    as far as these labels prove. Samples with different answers and no label count as lost.

    \b
    Examples:
      eeaug certify model-eeaug --data field.npz
      eeaug certify model-eeaug --data field.npz --labels label-these.csv
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other")
    from eeaug.bundle.directory import dump_json
    from eeaug.flow import certify as certifying
    from eeaug.settings import default_cache
    from eeaug.support.cache import telling
    from eeaug.support.progress import Progress

    if output is None and labels is not None:
        output = directory.with_name(f"{directory.resolve().name}-certified")
    request = certifying.Request(
        labels=IN_DATA if labels == Path(IN_DATA) else labels,
        output=output,
        formats=None if formats is None else tuple(formats),
        cache=cache_dir or default_cache(),
        threads=threads or os.cpu_count() or 1,
        manifest_sha256=manifest_sha256,
        **options,
    )
    with shared.interruptible(output), telling(lambda text: out.say(f"warning: {text}", err=True)):
        try:
            with show.observer(quiet=quiet, verbose=verbose) as observer:
                facts = certifying.certify(directory, request, Progress(observer))
        except InfeasibleError as error:
            if as_json:
                out.write(dump_json(error.as_json()).encode())
            raise
    shared.show_lines(_lines(facts), dump_json(facts) if as_json else None)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    from eeaug.report import units
    from eeaug.report.render import terminal
    from eeaug.report.render.tables import table

    promise = facts["promise"]
    differ, labelled = f"{facts['to_label']:,}", f"{facts['labelled']:,}"
    yield (
        f"{promise['samples']:,} samples of {facts['data']['source']} ({facts['data']['part']}): cascade and given "
        f"model give different answers to {differ} of them at some step of the path; {labelled} have a label"
    )
    yield ""
    steps = facts["steps"]
    apart = max(1, len(steps) // MOST_STEPS)
    shown = {*range(0, len(steps), apart), len(steps) - 1, (facts["step"] or 1) - 1}
    rows = [
        (
            str(step["step"]), units.share(step["leave"]), f"{step['labels']:,}",
            "proven" if step["step"] == facts["step"] else "",
        )
        for k, step in enumerate(steps)
        if k in shown
    ]  # fmt: skip
    steps_table = table(("step", "leave early", "labels needed", ""), rows, left=(3,))
    yield from (line.rstrip() for line in terminal.plain(lambda console: console.print(steps_table)).splitlines())
    yield ""
    yield promise["statement"]
    yield facts["next"]
    if facts["sheet"] is not None:
        yield f"sheet: {facts['sheet']}"
    if facts["bundle"] is not None:
        yield f"bundle: {facts['bundle']}"
