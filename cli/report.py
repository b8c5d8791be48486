"""``eeaug report``: show what a bundle's report.json says, or what several of them say side by side."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from eeaug.bundle import manifest
from eeaug.bundle.directory import dump_json
from eeaug.cli import shared
from eeaug.errors import InputError
from eeaug.support import json_file, quantities, regular
from eeaug.support.outputs import Output

__all__ = ["find_bundle", "report"]


@click.command()
@click.argument("directories", metavar="[DIR]...", nargs=-1, type=shared.Place())
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "html"]),
    help="text for a terminal, json as written in the bundle, markdown for a pull request, html with charts in one "
    "file; by default what FILE's name ends with (.html, .md, .json), else text.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "output", type=shared.Place(), metavar="FILE", help="Write it there instead of to stdout.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--period",
    type=shared.Quantity(quantities.SECONDS, 0, shared.MOST_SECONDS, min_open=True),
    metavar="SECONDS",
    help="Time from one inference to the next, 1 or 200ms; with --battery, the report says how long it lasts.",
)
@click.option(
    "--battery", metavar="CAPACITY", help="2430J, 0.675Wh, or a charge at a voltage, 225mAh@3V; with --period."
)
@shared.option("--manifest-sha256", " For one DIR.")
@click.option(
    "--schema",
    is_flag=False,
    flag_value="report",
    type=click.Choice(["report", "manifest"]),
    help="Print the JSON Schema of report.json, or with 'manifest' of manifest.json, with the unit of every field.",
)
def report(
    directories: tuple[Path, ...], form: str | None, as_json: bool, output: Path | None, force: bool,
    period: float | None, battery: str | None, manifest_sha256: str | None, schema: str | None,
) -> None:  # fmt: skip
    """Show the report of the bundle in DIR; by default of the only one in the current directory.

    Several DIRs are compared, side by side.

    \b
    Examples:
      eeaug report model-eeaug -o report.html
      eeaug report model-eeaug --period 1 --battery 225mAh@3V
      eeaug report model-eeaug model-frugal
    """
    form = shared.format_of(form, as_json, output)
    to = Output(output, force)
    to.check()
    if schema:
        if directories:
            raise click.UsageError("--schema is the same for every bundle: give no DIR")
        described = importlib.import_module(f"eeaug.schema.{schema}")
        content = dump_json(described.schema()).encode()
    else:
        use = _use(period, battery)
        if form == "json" and use is not None and len(directories) < 2:
            raise click.UsageError("--format json is report.json as it was written: without --period and --battery")
        if form == "html" and output is None and sys.stdout.isatty():
            raise click.UsageError("--format html is a page for a browser: name a file, -o report.html")
        if len(set(directories)) < len(directories):
            raise click.UsageError("the same DIR is given twice")
        places = directories or (find_bundle(Path()),)
        if manifest_sha256 is not None and len(places) > 1:
            raise click.UsageError("--manifest-sha256 is for a single DIR")
        read = [manifest.read(place, manifest_sha256) for place in places]
        with manifest.shown_whole(*places):
            rendered = _compared(read, form, use) if len(read) > 1 else _one(read[0], form, use)
            if not isinstance(rendered, bytes):
                last = shared.manifest_line(read[0].sha256) if len(read) == 1 else ""
                shared.show(lambda console: _print(console, rendered, last), to)
                return
        content = rendered
    shared.give(content, to)


def _print(console: Any, rendered: Any, last: str) -> None:
    console.print(rendered)
    if last:
        console.print(last, highlight=False, soft_wrap=True)


def _one(bundle: manifest.Bundle, form: str, use: Any) -> Any:
    """The report of one bundle, as bytes or for a terminal."""
    content, place = bundle.report, bundle.directory
    if form == "json":
        return bundle.raw
    if form == "markdown":
        from eeaug.report.render import markdown

        # as bytes: the file or the comment it goes to is UTF-8, whatever the terminal is
        return markdown.render(content, use).encode()
    if form == "html":
        from eeaug.report.render import page

        name = place.resolve().name
        return page.render(content, bundle.manifest, manifest.times(place), name, use).encode()
    from eeaug.report.render import terminal

    return terminal.render(content, use=use)


def _compared(read: list[manifest.Bundle], form: str, use: Any) -> Any:
    """The comparison of several bundles, as bytes or for a terminal."""
    from eeaug.report.words import compare

    designs = [compare.Named(str(bundle.directory), bundle.report) for bundle in read]
    if form == "json":
        return dump_json(compare.as_json(designs, use)).encode()
    if form == "markdown":
        from eeaug.report.render import markdown

        return markdown.compare(designs, use).encode()
    if form == "html":
        from eeaug.report.render import page

        return page.compare(designs, use).encode()
    from eeaug.report.render import terminal

    return terminal.compare(designs, use)


def _use(period: float | None, battery: str | None) -> Any:
    if period is None and battery is None:
        return None
    if period is None or battery is None:
        missing, given = ("--period", "--battery") if period is None else ("--battery", "--period")
        raise click.UsageError(
            f"{given} needs {missing}: how long a battery lasts depends on how rare inferences are"
        )
    from eeaug.report.words.battery import Use, capacity_j

    return Use(period, capacity_j(battery))


def find_bundle(where: Path) -> Path:
    """The only bundle in the directory `where`, itself included.

    Raises
    ------
    InputError
        There is none, or there are several.
    """
    # hidden ones are what a killed run left behind
    children = (path for path in where.iterdir() if path.is_dir() and not path.name.startswith("."))
    bundles = [path for path in (where, *sorted(children)) if _is_bundle(path)]
    if not bundles:
        raise InputError("no bundle in the current directory: run `eeaug augment` or name its directory")
    if len(bundles) > 1:
        names = ", ".join(map(str, bundles))
        raise InputError(
            f"{len(bundles)} bundles in the current directory: {names}; name one, eeaug report {bundles[0]}"
        )
    return bundles[0]


def _is_bundle(directory: Path) -> bool:
    """Whether it looks like a bundle, of any schema_version: a strange one is for `manifest.read` to name."""
    try:
        content = regular.content(directory / "manifest.json", json_file.MOST_BYTES)
        return b'"schema_version"' in content and (directory / "report.json").is_file()
    except (OSError, regular.Unreadable):
        return False
