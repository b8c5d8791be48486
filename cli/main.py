"""The command group, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

import eeaug
from eeaug.errors import EeaugError, InfeasibleError

__all__ = ["main"]

INTERRUPTED = 130
# command → module: imported when it is called, so that `eeaug --help` is quick
COMMANDS = {
    "augment": ("eeaug.cli.augment", "Turn a trained classifier into an early-exit network for a target."),
    "inspect": ("eeaug.cli.inspect", "Show blocks, costs and where exits can stand; trains nothing."),
    "report": ("eeaug.cli.report", "Show what came out."),
    "evaluate": ("eeaug.cli.evaluate", "Run the exported stages on data, as the cascade they are."),
    "hw": ("eeaug.cli.hw", "List, show and check hardware descriptions."),
}


class _Lazy(click.Group):
    """A group whose commands are imported on use; their help lines stand here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        import importlib

        module, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from eeaug.hardware_file import nearest

            hint = nearest(args[0], COMMANDS) if args else ""
            raise click.UsageError(error.message + hint, ctx) from None


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "EEAUG"},
    epilog="Example: eeaug augment model.h5 --hw psoc6 --max-latency 2.5 && eeaug report",
)
@click.version_option(eeaug.__version__, prog_name="eeaug")
def group() -> None:
    """Early exits for trained Keras classifiers, split over the processors of an embedded target."""


def main() -> None:
    """Run, and end with the documented exit code: 0, 1, 2, 3, 4 or 130."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    try:
        code = group.main(arguments, prog_name="eeaug", standalone_mode=False)
        return int(code or 0)
    except click.exceptions.Abort:
        click.echo("interrupted: nothing was written", err=True)
        return INTERRUPTED
    except KeyboardInterrupt:
        click.echo("interrupted: nothing was written", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except EeaugError as error:
        if isinstance(error, InfeasibleError) and "--json" in arguments:
            from eeaug.export.bundle import dump_json

            click.echo(dump_json(error.as_json()), nl=False)
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:  # `eeaug report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, MemoryError) as error:
        click.echo(f"error: {error or type(error).__name__}", err=True)
        return 1
    except Exception as error:  # a mistake of ours: said in a line, told in full on request
        if os.environ.get("EEAUG_TRACEBACK"):
            traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-1]
        click.echo(
            f"error: eeaug failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} "
            f"({Path(where.filename).name}:{where.lineno}); EEAUG_TRACEBACK=1 shows all of it",
            err=True,
        )
        return 1
