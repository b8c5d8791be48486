"""``eeaug hw fit``: rates from measured latencies."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eeaug import hardware
from eeaug.cli import out, shared
from eeaug.support.outputs import Output

if TYPE_CHECKING:  # numpy is imported on use
    from eeaug.hardware import Hardware, Processor
    from eeaug.hardware.fit import Fit, Measurement

__all__ = ["fit"]


@click.command()
@click.argument("target", metavar="NAME|FILE")
@click.option(
    "--measured", "csv", required=True, type=shared.Place(dir_okay=False), metavar="FILE.csv",
    help="A row per measurement: processor, latency_s, and model (and layer), or MACs as conv, pointwise, "
    "depthwise, dense (and layers, elements); docs/hardware.md.",
)  # fmt: skip
@click.option(
    "-o", "output", type=shared.Place(dir_okay=False), metavar="FILE.yaml",
    help="Where the description with the fitted rates goes; default: stdout.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--name", metavar="NAME", help="What reports call it; default: the old name and -fitted.")
@click.option("--runtime", metavar="TEXT", help="What it was measured with, for the description.")
@shared.option("--custom-objects")
@click.option(
    "--allow-unsafe", is_flag=True, help="Trust the model file: let it run code (Lambda layers, SavedModel graphs)."
)
@click.option("--json", "as_json", is_flag=True, help="Print rates and residuals as JSON.")
def fit(
    target: str, csv: Path, output: Path | None, force: bool, name: str | None, runtime: str | None,
    allow_unsafe: bool, custom_objects: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Fit the rates of processors by operation type to measured latencies.

    Shows for every measurement the errors of estimates by the old rates, by the new ones, and by a fit to all other
    measurements: the last one says how wrong an estimate for a network that was not measured may be. A type that
    was hardly measured gets no rate of its own. Without -o the new description is printed on stdout, all else on
    stderr.

    \b
    Examples:
      eeaug hw fit my-board.yaml --measured runs.csv -o my-board-fitted.yaml
      eeaug hw fit stm32l4r5 --measured runs.csv --runtime "TFLM, -O3" > board.yaml
    """
    if as_json and output is None:
        raise click.UsageError("--json prints rates and residuals: -o FILE says where the description goes")
    old = hardware.read(target)
    to = Output(output, force, {"the hardware description": target, "the file of measurements": csv})
    to.check()
    from eeaug.backbone import custom_objects as code
    from eeaug.backbone import keras_files
    from eeaug.hardware import fit as rates
    from eeaug.network import measurements

    code.check(custom_objects)
    if custom_objects:
        keras_files.import_keras()
        code.load(custom_objects)
    measured = measurements.read(csv, old, allow_unsafe=allow_unsafe)
    to = replace(to, inputs={**to.inputs, **{f"a measured model ({m.name})": m.file for m in measured}})
    to.check()
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()[:12]
    source = f"fitted by eeaug hw fit to the latencies in {csv.name} (sha256 {digest}…)"
    new, fits = rates.fitted(old, measured, source=source, name=name or f"{old.name}-fitted", runtime=runtime)
    rows = []
    for p in fits:
        mine = [m for m in measured if m.processor == p]
        rows += _residuals(old.processor(p), new.processor(p), mine)
    text = hardware.dump(new)
    if output is None:
        out.write(text.encode())
    else:
        to.write(text.encode())
    if as_json:
        from eeaug.bundle.directory import dump_json

        shown = {
            p: {"rates_macs_per_s": f.rates, **f.overheads, "factors": f.factors, "measured": sorted(f.measured)}
            for p, f in fits.items()
        }
        out.write(dump_json({"name": new.name, "processors": shown, "measurements": rows}).encode())
        return
    _show(new, fits, rows, stderr=output is None)
    for processor in old.processors:
        if processor.name not in fits:
            out.say(f"warning: nothing was measured on {processor.name}: its rates stay as they were", err=True)


def _residuals(old: Processor, new: Processor, measured: Sequence[Measurement]) -> list[dict[str, Any]]:
    from eeaug.hardware import fit as rates

    return [
        {
            "name": m.name,
            "processor": m.processor,
            "macs": sum(m.macs.values()),
            "latency_s": m.latency_s,
            "before_s": rates.estimated(old, m),
            "fitted_s": rates.estimated(new, m),
            "left_out_s": others,
        }
        for m, others in zip(measured, rates.left_out(new, measured), strict=True)
    ]


def _show(new: Hardware, fits: Mapping[str, Fit], rows: Sequence[Mapping[str, Any]], *, stderr: bool) -> None:
    from eeaug.report import units
    from eeaug.report.render.tables import table

    console = out.console(stderr=stderr)
    fitted_rates = []
    for processor, fitted in fits.items():
        for kind, rate in fitted.rates.items():
            if rate is None:
                fitted_rates.append((processor, kind, "hardly measured", "the default is used"))
            else:
                fitted_rates.append((processor, kind, f"{units.macs(rate)} MAC/s", _off(fitted, kind)))
        for key, seconds in fitted.overheads.items():
            if seconds is not None:
                change = _off(fitted, key) if key in fitted.measured else "hardly measured: as a rule"
                fitted_rates.append((processor, f"per {key.rpartition('_')[2]}", units.seconds(seconds), change))
    titles: tuple[str, ...] = ("processor", "type", "rate", "may well be off by")
    console.print(table(titles, fitted_rates, title=f"Rates of {new.name}", left=(0, 1)))
    console.print()
    errors = [
        (
            row["name"], row["processor"], units.macs(row["macs"]), units.seconds(row["latency_s"]),
            *(_error(row[key], row["latency_s"]) for key in ("before_s", "fitted_s", "left_out_s")),
        )
        for row in rows
    ]  # fmt: skip
    titles = ("", "processor", "MACs", "measured", "rates before", "fitted", "fitted to the others")
    console.print(table(titles, errors, title="Measurements, and the errors of estimates", left=(0, 1)))
    others = [abs(r["left_out_s"] / r["latency_s"] - 1) for r in rows if r["left_out_s"] is not None]
    if others:
        console.print(f"median error of what was left out of the fit: {100 * statistics.median(others):.1f} %")


def _off(fitted: Fit, key: str) -> str:
    return f"{100 * (fitted.factors[key] - 1):.0f} %"


def _error(seconds: float | None, measured: float) -> str:
    from eeaug.report import units

    return units.relative(measured, seconds)
