"""``eeaug check``: limits on a bundle's figures, as a gate for continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eeaug.cli import out, shared
from eeaug.cli.report import find_bundle
from eeaug.errors import InfeasibleError
from eeaug.support import quantities
from eeaug.support.outputs import Output

if TYPE_CHECKING:
    from eeaug.report.gate import CheckedLimit, PairedMetrics

__all__ = ["check"]

_DROP = {"type": shared.Quantity(quantities.DROP, 0, 1), "metavar": "SHARE"}
_SHARE = {"type": shared.Quantity(quantities.SHARE, 0, 1), "metavar": "SHARE"}
_SECONDS = {"type": shared.SECONDS, "metavar": "SECONDS"}
_JOULES = {"type": shared.Quantity(quantities.JOULES, min=0, min_open=True), "metavar": "JOULES"}
_BYTES = {"type": shared.Quantity(quantities.BYTES, min=0, min_open=True), "metavar": "BYTES"}


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=shared.Place())
@click.option(
    "--max-accuracy-drop",
    **_DROP,
    help="Accuracy lost against the given model; 0.01 or 1% is one percentage point.",
)
@click.option(
    "--max-proven-drop",
    **_DROP,
    help="Accuracy drop that is proven for new data (augment --promise proven).",
)
@click.option("--max-class-drop", **_DROP, help="Accuracy that the worst class has lost.")
@click.option(
    "--min-macs-saved", **_SHARE, help="Share of the given model's MACs that is saved on average; 0.4 or 40%."
)
@click.option("--max-latency", **_SECONDS, help="Worst-case latency, as for augment: 0.2 or 200ms.")
@click.option("--max-p95-latency", **_SECONDS, help="Latency that 95 % of samples keep.")
@click.option("--max-mean-latency", **_SECONDS, help="Mean latency.")
@click.option("--max-energy", **_JOULES, help="Mean energy of a sample: 0.0025 or 2.5mJ.")
@click.option(
    "--max-flash",
    **_BYTES,
    help="Flash of all processors together, 64k is 64,000 and 64Ki 65,536 bytes: of the linked files of each "
    "format for devices; without such a format, of the weights.",
)
@click.option(
    "--max-ram",
    **_BYTES,
    help="RAM used in any one memory: by the linked files of each format for devices; without such a format, by "
    "tensors.",
)
@click.option(
    "--on",
    "samples",
    type=click.Choice(["test", "choose"]),
    default="test",
    show_default=True,
    help="Samples behind the figures: the test set, which no choice has seen, or the calibration set (choose), on "
    "which thresholds were decided.",
)
@click.option(
    "--point", default="default", show_default=True, metavar="NAME", help="The operating point that is checked."
)
@click.option("--junit", type=shared.Place(dir_okay=False), metavar="FILE", help="Write JUnit's XML there, too.")
@click.option("--force", is_flag=True, help="Replace the FILE of --junit if it is there.")
@shared.option("--manifest-sha256")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    directory: Path | None, samples: str, point: str, junit: Path | None, force: bool, manifest_sha256: str | None,
    as_json: bool, **limits: float | None,
) -> None:  # fmt: skip
    """Compare the figures of the bundle in DIR with limits; exit code 3 if one is not kept.

    Accuracies and MACs were measured on test samples; latencies and energies come from counted instructions of the
    C files, else from the rates of the hardware description; flash and RAM are those of linked files for devices. A
    proven drop is what the calibration set proves. Every file's hash is compared first, and whether manifest.json
    and report.json agree; --manifest-sha256 compares manifest.json itself. At least one limit must be given.

    \b
    Examples:
      eeaug check model-eeaug --max-accuracy-drop 0.01 --min-macs-saved 0.3
      eeaug check model-eeaug --max-latency 0.2 --max-flash 262144 --junit check.xml
    """
    from eeaug.bundle import manifest
    from eeaug.report import gate

    given = {name.replace("_", "-"): value for name, value in limits.items() if value is not None}
    if not given:
        raise click.UsageError("no limit is given; name one or more of " + ", ".join(f"--{k}" for k in gate.LIMITS))
    directory = directory or find_bundle(Path())
    xml = Output(junit, force, option="--junit")
    xml.check()
    bundle = manifest.read(directory, manifest_sha256)
    with manifest.shown_whole(directory):
        part = gate.part(bundle.report, samples, point)
        rows = gate.check(part, given)
    name = directory.absolute().name
    if junit is not None:
        xml.write(gate.junit(rows, name))
    _show(name, bundle.sha256, part, rows, as_json=as_json)
    failed = [row for row in rows if not row.ok]
    if failed:
        first = failed[0]
        what = "; ".join(f"--{row.limit.name}: {row.sentence}" for row in failed)
        raise InfeasibleError(
            f"{len(failed)} of {len(rows)} limits {'is' if len(failed) == 1 else 'are'} not kept: {what}",
            limit=first.limit.name, given=first.given, best=first.value,
        )  # fmt: skip


def _show(name: str, sha256: str, part: PairedMetrics, rows: Sequence[CheckedLimit], *, as_json: bool) -> None:
    """Print the result on stdout."""
    ok = all(row.ok for row in rows)
    if as_json:
        from eeaug.bundle.directory import dump_json

        facts: dict[str, Any] = {"bundle": name, "manifest_sha256": sha256}
        facts |= {"part": part.name, "samples": part.design["samples"]}
        facts |= {"point": part.point, "ok": ok, "limits": [row.as_dict() for row in rows]}
        out.write(dump_json(facts).encode())
        return
    from rich.text import Text

    from eeaug.report import units
    from eeaug.report.render.tables import table

    at = "" if part.point == "default" else f", operating point {part.point}"
    title = f"{name}: {part.design['samples']:,} {units.data_part(part.name)} samples{at}"
    cells = []
    for row in rows:
        value, given, margin = row.words
        verdict = Text("ok", "green") if row.ok else Text("failed", "red")
        cells.append((f"{row.quantity}, {row.basis}", given, value, margin, verdict))
    console = out.console()
    console.print(table(("limit", "given", "found", "margin", ""), cells, title=title, left=(0, 4)))
    if any(words.endswith(" pp") for row in rows for words in row.words):
        console.print("pp: percentage points")
