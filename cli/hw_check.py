"""``eeaug hw check``: what is wrong in a description, and what it keeps unknown or idle."""

from __future__ import annotations

from collections.abc import Iterator

import click

from eeaug import hardware
from eeaug.cli import out
from eeaug.hardware import idle

__all__ = ["check", "lines"]


@click.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(name: str, as_json: bool) -> None:
    """Check a hardware file: all mistakes at once, and warnings about what stays unknown or has no use.

    \b
    Example:
      eeaug hw check board.yaml
    """
    target = hardware.read(name)
    if as_json:
        out.json({"name": target.name, "ok": True, "warnings": _warnings(target)})
        return
    for line in lines(target):
        out.say(line)


def lines(target: hardware.Hardware) -> Iterator[str]:
    """What is in it, and the warnings."""
    counts = [
        _count(target.processors, "processor", "processors"),
        _count(target.memories, "memory", "memories"),
        _count(target.links, "link", "links"),
    ]
    yield f"{target.name}: ok: {', '.join(counts)}"
    for line in _warnings(target):
        yield f"warning: {line}"


def _warnings(target: hardware.Hardware) -> list[str]:
    return [*hardware.warnings(target), *idle.warnings(target)]


def _count(items: tuple[object, ...], one: str, many: str) -> str:
    return f"{len(items)} {one if len(items) == 1 else many}"
