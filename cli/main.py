"""The command group, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import eeaug
from eeaug.cli.grouped import Suggesting
from eeaug.errors import EeaugError
from eeaug.leftovers import own_temporary

__all__ = ["main"]

INTERRUPTED = 130
INTERRUPT_PAUSE_S = 1.0
# click 8.2 raises this for `eeaug` alone, 8.1 prints the help itself
NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
LONGEST_REASON = 240  # characters; a Keras error can quote a whole configuration
# command → module: imported when it is called, so that `eeaug --help` is quick
COMMANDS = {
    "augment": ("eeaug.cli.augment", "Turn a trained classifier into an early-exit network for a target."),
    "retarget": ("eeaug.cli.retarget", "Write a bundle for another budget or target, without data and training."),
    "inspect": ("eeaug.cli.inspect", "Show blocks, costs and where exits can stand; trains nothing."),
    "report": ("eeaug.cli.report", "Show what came out."),
    "check": ("eeaug.cli.check", "Compare a bundle's figures with limits: a gate for CI."),
    "evaluate": ("eeaug.cli.evaluate", "Run the exported stages on data, as the cascade they are."),
    "hw": ("eeaug.cli.hw", "List, show, check, fit and explain hardware descriptions."),
    "cache": ("eeaug.cli.cache", "Show or clear what earlier runs left for later ones."),
}


class _Lazy(Suggesting):
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
    streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None]  # None: closed by the caller
    for stream in streams:
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    interrupt = _interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a background job of a script ignores Ctrl-C
            signal.signal(number, interrupt)
    with own_temporary():
        code = run(sys.argv[1:])
    for stream in streams:
        try:
            stream.flush()
        except OSError:  # what is still buffered cannot be written; Python would try again when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # TensorFlow's own end would answer with a traceback
    if code == INTERRUPTED:
        # All is cleaned up by now. An interrupt that passed through code run from C, as in TensorFlow's import,
        # would make Python end by the signal itself and not with our code.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _interrupt() -> Callable[[int, Any], None]:
    """A signal handler that lets the cleaning up finish when Ctrl-C is pressed twice in a row."""
    last = -INTERRUPT_PAUSE_S

    def interrupt(number: int, frame: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= INTERRUPT_PAUSE_S:
            last = time.monotonic()
            raise KeyboardInterrupt

    return interrupt


def run(arguments: list[str]) -> int:
    """Run one command; every error becomes one line on stderr and the exit code that is returned."""
    try:
        code = group.main(arguments, prog_name="eeaug", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk or a closed pipe shows here, not when Python ends
        return int(code or 0)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        interrupt = error.__cause__ if isinstance(error, click.exceptions.Abort) else error  # Abort is click's own
        return _fail(
            f"interrupted: {interrupt if interrupt and interrupt.args else 'nothing was written'}", INTERRUPTED
        )
    except NO_ARGUMENTS as error:
        error.show()
        return error.exit_code
    except click.NoSuchOption as error:
        from eeaug.hardware_file import nearest

        hint = nearest(error.option_name, error.possibilities or ())
        path = "eeaug" if error.ctx is None else error.ctx.command_path
        return _fail(f"error: no such option {error.option_name}{hint or f'; see {path} --help'}", error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context is not None else ""
        message = " ".join(error.format_message().split()).rstrip(".")
        return _fail(f"error: {message}{hint}", error.exit_code)
    except EeaugError as error:
        return _fail(f"error: {error}", error.exit_code)
    except BrokenPipeError:  # `eeaug report | head`
        return 0
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # the same, as rich puts it
            return 0
        raise
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(
            f"error: {error.strerror}{where}" if error.strerror else f"error: {' '.join(str(error).split())}", 1
        )
    except MemoryError:
        return _fail("error: out of memory", 1)
    except Exception as error:  # a mistake of ours: said in a line, told in full on request
        if os.environ.get("EEAUG_TRACEBACK"):
            traceback.print_exc()
        at = traceback.extract_tb(error.__traceback__)[-1]
        return _fail(
            f"error: eeaug failed: {type(error).__name__}: {' '.join(str(error).split())[:LONGEST_REASON]} "
            f"({Path(at.filename).name}:{at.lineno}); EEAUG_TRACEBACK=1 shows all of it",
            1,
        )


def _fail(message: str, code: int) -> int:
    click.echo(message, err=True)
    return code
