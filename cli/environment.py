"""Variables of the environment that eeaug reads, and those that look as if it should."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import click

from eeaug.cli import out

__all__ = ["OWN", "known", "warn"]

PREFIX = "EEAUG_"
OWN = ("EEAUG_CACHE_DIR", "EEAUG_TRACEBACK")  # besides the variables of options
REMOTE = "EEAUG_REMOTE_"  # of runtime.address, some with the name of a processor behind them


def warn(context: click.Context, environment: Mapping[str, str] = os.environ) -> None:
    """Say in a line which variable that begins with EEAUG_ is none of an option, most likely misspelt."""
    strange = [
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name not in OWN and not name.startswith(REMOTE)
    ]
    if not strange:  # nothing to report: no import is needed
        return
    from eeaug.support.spelling import nearest

    names = {*OWN, *known(context.command, PREFIX.rstrip("_"))}
    for name in sorted(set(strange) - names):
        close = nearest(name, sorted(names)) or "; see eeaug augment --help"
        out.say(f"warning: no option of eeaug is given by the environment variable {name}{close}", err=True)


def known(command: click.Command, prefix: str) -> Iterator[str]:
    """The variables of a command's options, and of all commands below it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from known(inner, f"{prefix}_{name.upper().replace('-', '_')}")
    for param in command.params:
        if isinstance(param, click.Option) and (param.expose_value or not param.is_flag):  # not --version
            given = param.envvar or []
            yield from [given] if isinstance(given, str) else given
            if param.allow_from_autoenv and param.name:
                yield f"{prefix}_{param.name.upper()}"
