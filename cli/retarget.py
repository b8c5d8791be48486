"""``eeaug retarget``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eeaug.cli import out, shared, show
from eeaug.cli.grouped import Grouped
from eeaug.errors import InfeasibleError
from eeaug.settings.options import NOTHING

__all__ = ["retarget"]

EXAMPLES = {
    "Input": "--hw stm32l4r5",
    "What to keep": "--max-accuracy-drop 0.02 --max-latency none",
    "What to minimise": "--objective energy",
    "Exits and heads": "--max-exits 2",
    "Thresholds and proof": "--points 5 --threshold activation_2=0.9",
    "Placement": "--exit-at activation_2:cm0p --mapping one-each",
    "Output and formats": "-o model-frugal --format tflite",
    "Running": "--dry-run",
}


@click.command(cls=Grouped, examples=EXAMPLES)
@click.argument("directory", metavar="DIR", type=shared.Place())
@shared.inherited("--hw")
@shared.option("-o", "Where the new bundle goes.")
@shared.option("--force")
@shared.inherited("--max-latency")
@shared.inherited("--period")
@shared.inherited("--max-ram")
@shared.inherited("--max-flash")
@shared.inherited("--max-accuracy-drop")
@shared.inherited("--max-class-drop", ".")
@shared.inherited("--promise")
@shared.inherited("--risk")
@shared.inherited("--objective")
@shared.inherited("--efficiency-weight")
@shared.inherited("--scoring")
@shared.inherited("--correction")
@shared.inherited("--points")
@shared.inherited("--mapping")
@shared.inherited("--max-exits", "; with --hw, where the old target's default holds, the new one's does.")
@shared.inherited("--reuse/--no-reuse")
@shared.inherited("--thresholds")
@shared.inherited("--exit-at")
@shared.inherited("--threshold")
@shared.inherited("--forbid")
@shared.inherited("--format", " Those of DIR by default.")
@shared.inherited("--c-prefix")
@shared.inherited("--threads", "Threads of TensorFlow and ONNX Runtime.")
@shared.option("--custom-objects")
@shared.option("--manifest-sha256")
@shared.option("--dry-run", "Say what would be written, write nothing.")
@shared.option("--slim")
@shared.option("--json")
@shared.option("--quiet")
@shared.option("--verbose")
def retarget(
    directory: Path, output: Path | None, manifest_sha256: str | None, as_json: bool, quiet: bool, verbose: bool,
    dry_run: bool, **options: Any,
) -> None:  # fmt: skip
    """Write the bundle in DIR again, for another budget or target.

    Needs no data and trains nothing: the trained heads and their answers to the calibration samples are in
    DIR/search. An option that is not given stays as it was for DIR; "none" removes a limit or a demand
    (--max-latency none, --exit-at none). Nothing is measured: eeaug evaluate does that.

    Every option may come from the environment, too: --max-latency from $EEAUG_RETARGET_MAX_LATENCY. Values may
    have units: 1% or 0.5pp, 200ms or 3us.

    \b
    Examples:
      eeaug retarget model-eeaug --max-accuracy-drop 0.03 -o model-frugal
      eeaug retarget model-eeaug --hw stm32l4r5 --max-latency none -o model-l4r5
      eeaug retarget model-eeaug --max-accuracy-drop 0.005 --dry-run
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other")
    if output is None and not dry_run:
        raise click.UsageError("-o is missing: the directory that the new bundle goes to")
    changes = _changes(options) | {"output": output}
    from eeaug.bundle.directory import dump_json
    from eeaug.bundle.manifest import shown_whole
    from eeaug.flow import retarget as retargeting
    from eeaug.support.progress import Progress

    with shared.interruptible(None if dry_run else output):
        try:
            with show.observer(quiet=quiet, verbose=verbose) as observer:
                run = retargeting.preview if dry_run else retargeting.retarget
                report = run(directory, changes, Progress(observer), manifest_sha256)
        except InfeasibleError as error:
            if as_json:
                out.write(dump_json(error.as_json()).encode())
            raise
        if output is None or dry_run:
            with shown_whole(directory):
                shared.show_lines(_preview(report), dump_json(report) if as_json else None)
            return
        shared.show_result(report, output, as_json=as_json, quiet=quiet)


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given; what click cannot check by itself is checked here."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    readers: dict[str, Any] = {
        "exit_at": lambda values: shared.pairs("--exit-at", values, ":", needed=False),
        "threshold": shared.thresholds,
        "forbid": tuple,
        "points": int,
    }
    taken_away = {name for name, value in given.items() if value in (shared.NONE, (shared.NONE,))} - {"promise"}
    return {
        name: NOTHING.get(name) if name in taken_away else readers.get(name, _same)(value)
        for name, value in given.items()
    }


def _same(value: Any) -> Any:
    return value


def _preview(report: dict[str, Any]) -> list[str]:
    """The design that would be written, as lines of text."""
    from eeaug.report import units
    from eeaug.report.words import alternatives

    design, base = report["design"], report["baseline"]["choose"]
    exact = design["predicted"]["exact"]
    lines = [f"{report['model']['file']} on {report['hardware']['name']}: {design['summary']}", ""]
    exits = [*design["exits"], None]
    for segment, exit_, leave in zip(design["segments"], exits, exact["leave_rates"], strict=True):
        way = f"{segment['stage']}: {segment['from'] or 'input'} → {segment['to']}"
        where = f"{units.share(leave)} leave"
        if exit_ is not None:
            closed = exit_["threshold"] is None
            condition = "never" if closed else f"confidence ≥ {units.threshold(exit_['threshold'])}"
            where = f"exit {exit_['head']}, {condition}: {where}"
        lines.append(f"  {way}; {where}")
    lines += [
        "",
        f"predicted on the {exact['samples']:,} calibration samples, against the whole model on "
        f"{report['baseline']['processor']}:",
        f"  accuracy {units.share(exact['accuracy'])} ({units.points(exact['accuracy'] - base['accuracy'])}), "
        f"mean MACs {units.macs(exact['mean_macs'])} ({units.relative(base['mean_macs'], exact['mean_macs'])}), "
        f"mean latency {units.seconds(exact['mean_latency_s'])}, worst {units.seconds(exact['worst_latency_s'])}, "
        f"mean energy {units.joules(exact['mean_energy_j'])}",
    ]
    for point, note in zip(report["operating_points"], alternatives.point_notes(report), strict=True):
        mine = point["predicted"]
        thresholds = ", ".join(units.threshold(t) for t in point["thresholds"])
        lines.append(
            f"  {point['name']}: thresholds {thresholds}; "
            f"accuracy {units.points(mine['accuracy'] - base['accuracy'])}, "
            f"mean MACs {units.relative(base['mean_macs'], mine['mean_macs'])}" + (f" ({note})" if note else "")
        )
    return [*lines, "", report["promise"]["statement"]]
