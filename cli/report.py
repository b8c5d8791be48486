"""``eeaug report``: show what a bundle's report.json says, or what several of them say side by side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from eeaug import quantities
from eeaug.cli import shared
from eeaug.errors import InputError
from eeaug.export import bundle
from eeaug.outputs import Output
from eeaug.report import stored

__all__ = ["find_bundle", "report"]


@click.command()
@click.argument("directories", metavar="[DIR]...", nargs=-1, type=shared.Place())
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "html"]),
    default="text",
    show_default=True,
    help="text for a terminal, json as written in the bundle, markdown for a pull request, html with charts in one "
    "file",
)
@click.option("-o", "output", type=shared.Place(), metavar="FILE", help="Write it there instead of to stdout.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--period",
    type=shared.Quantity(quantities.SECONDS, 0, shared.MOST_SECONDS, min_open=True),
    metavar="SECONDS",
    help="One inference that often, 1 or 200ms; with --battery, says how long it lasts.",
)
@click.option(
    "--battery", metavar="CAPACITY", help="2430J, 0.675Wh, or a charge at a voltage, 225mAh@3V; with --period."
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of report.json, with the unit of every field.")
def report(
    directories: tuple[Path, ...], form: str, output: Path | None, force: bool, period: float | None,
    battery: str | None, schema: bool,
) -> None:  # fmt: skip
    """Show the report of the bundle in DIR; by default of the only one in the current directory.

    Several DIRs are compared, side by side.

    \b
    Examples:
      eeaug report model-eeaug --format html -o report.html
      eeaug report model-eeaug --period 1 --battery 225mAh@3V
      eeaug report model-eeaug model-frugal
    """
    to = Output(output, force)
    to.check()
    if schema:
        if directories:
            raise click.UsageError("--schema is that of every report: give no DIR")
        from eeaug.report.schema import schema as described

        content = bundle.dump_json(described()).encode()
    else:
        use = _use(period, battery)
        if form == "json" and use is not None and len(directories) < 2:
            raise click.UsageError("--format json is report.json as it was written: without --period and --battery")
        if form == "html" and output is None and sys.stdout.isatty():
            raise click.UsageError("--format html is a page for a browser: name a file, -o report.html")
        if len(set(directories)) < len(directories):
            raise click.UsageError("the same DIR is given twice")
        places = directories or (find_bundle(Path()),)
        read = [(place, *stored.read(place)) for place in places]
        made = _compared(read, form, use) if len(read) > 1 else _one(*read[0], form, use)
        if not isinstance(made, bytes):
            shared.show(lambda console: console.print(made), to)
            return
        content = made
    shared.give(content, to)


def _one(place: Path, content: dict[str, Any], raw: bytes, form: str, use: Any) -> Any:
    """The report of one bundle, as bytes or for a terminal."""
    if form == "json":
        return raw
    if form == "markdown":
        from eeaug.report import markdown

        # as bytes: the file or the comment it goes to is UTF-8, whatever the terminal is
        return markdown.render(content, use).encode()
    if form == "html":
        from eeaug.report import page

        name = place.resolve().name
        return page.render(content, stored.manifest(place), stored.times(place), name, use).encode()
    from eeaug.report import terminal

    return terminal.render(content, use=use)


def _compared(read: list[tuple[Path, dict[str, Any], bytes]], form: str, use: Any) -> Any:
    """The comparison of several bundles, as bytes or for a terminal."""
    from eeaug.report import compare

    designs = [compare.Named(str(place), content) for place, content, _ in read]
    if form == "json":
        return bundle.dump_json(compare.as_json(designs, use)).encode()
    if form == "markdown":
        from eeaug.report import markdown

        return markdown.compare(designs, use).encode()
    if form == "html":
        from eeaug.report import page

        return page.compare(designs, use).encode()
    from eeaug.report import terminal

    return terminal.compare(designs, use)


def _use(period: float | None, battery: str | None) -> Any:
    if period is None and battery is None:
        return None
    if period is None or battery is None:
        missing, given = ("--period", "--battery") if period is None else ("--battery", "--period")
        raise click.UsageError(f"{given} needs {missing}: a battery lasts as long as inferences are rare")
    from eeaug.report import battery as batteries

    return batteries.Use(period, batteries.capacity_j(battery))


def find_bundle(where: Path) -> Path:
    """The only bundle in the directory `where`, itself included.

    Raises
    ------
    InputError
        There is none, or there are several.
    """
    # hidden ones are what a killed run left behind
    children = (path for path in where.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = [path for path in (where, *sorted(children)) if _is_bundle(path)]
    if not found:
        raise InputError("no bundle in the current directory: run `eeaug augment` or name its directory")
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise InputError(
            f"{len(found)} bundles in the current directory: {names}; name one, eeaug report {found[0]}"
        )
    return found[0]


def _is_bundle(directory: Path) -> bool:
    """Whether it looks like a bundle, of any schema_version: a strange one is for `stored.read` to name."""
    try:
        manifest = json.loads((directory / "manifest.json").read_bytes())
        return "schema_version" in manifest and (directory / "report.json").is_file()
    except (OSError, ValueError, TypeError):
        return False
