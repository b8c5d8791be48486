"""``eeaug report``: show what a bundle's report.json says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from eeaug.errors import InputError
from eeaug.export import bundle
from eeaug.report.facts import SCHEMA_VERSION

__all__ = ["find_bundle", "read_report", "report"]


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="text for a terminal, json as written in the bundle, markdown for a pull request",
)
def report(directory: Path | None, form: str) -> None:
    """Show the report of the bundle in DIR; by default of the only one in the current directory."""
    content, raw = read_report(directory or find_bundle(Path()))
    if form == "json":
        click.echo(raw, nl=False)
    elif form == "markdown":
        from eeaug.report import markdown

        # as bytes: the file or the comment it goes to is UTF-8, whatever the terminal is
        click.echo(markdown.render(content).encode(), nl=False)
    else:
        from rich.console import Console

        from eeaug.report import terminal

        Console().print(terminal.render(content))


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


def read_report(directory: Path) -> tuple[dict[str, Any], bytes]:
    """report.json of a bundle, parsed and as stored, checked against the manifest's sha256.

    Raises
    ------
    InputError
        `directory` is no bundle, a file cannot be read, or it has another schema_version.
    ConversionError
        report.json or another file of the bundle is not what eeaug wrote.
    """
    if not directory.is_dir():
        if directory.is_file():
            raise InputError(f"{directory} is a file: give the directory of the bundle")
        raise InputError(f"no directory {directory}: give the directory that `eeaug augment` wrote")
    manifest, _ = _read(directory / "manifest.json", bundle.SCHEMA_VERSION)
    files = manifest.get("files")
    if not isinstance(files, dict) or "report.json" not in files:
        raise InputError(f"{directory / 'manifest.json'} lists no sha256 of report.json: not a bundle of eeaug")
    bundle.check_files(directory, files)  # a report on files that are no longer those is no report
    return _read(directory / "report.json", SCHEMA_VERSION)


def _read(path: Path, reads: int) -> tuple[dict[str, Any], bytes]:
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
    except FileNotFoundError as error:
        message = f"{path.parent} is no bundle, it has no {path.name}: give what `eeaug augment` wrote"
        raise InputError(message) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is broken JSON at line {error.lineno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is broken JSON: not UTF-8 at byte {error.start}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != reads:
        raise InputError(f"{path} has schema_version {version!r}: this eeaug reads {reads}; make the bundle anew")
    return content, raw


def _is_bundle(directory: Path) -> bool:
    """Whether it looks like a bundle, of any schema_version: a strange one is for `read_report` to name."""
    try:
        manifest = json.loads((directory / "manifest.json").read_bytes())
        return "schema_version" in manifest and (directory / "report.json").is_file()
    except (OSError, ValueError, TypeError):
        return False
