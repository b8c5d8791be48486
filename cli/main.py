"""The command group, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

import eeaug
from eeaug.cli import environment, supervised
from eeaug.cli.grouped import Suggesting
from eeaug.errors import ConversionError, EeaugError, InputError
from eeaug.support import places, processes
from eeaug.support.leftovers import own_temporary
from eeaug.support.printable import LONGEST_LINE, one_line, printable, shortened

__all__ = ["main"]

INTERRUPTED = 130
INTERRUPT_PAUSE_S = 1.0
# click 8.2 raises this for `eeaug` alone, 8.1 prints the help itself
NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
NEARLY_FULL_BYTES = 100_000_000
LONGEST_REASON = 160  # characters; a Keras error can quote a whole configuration
# errno of an OSError that means: the place that was named cannot be used so
WRONG_PLACE = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
    errno.ENOTEMPTY, errno.EPERM, errno.EROFS, errno.ENXIO,
}  # fmt: skip
# command → module: imported when it is called, so that `eeaug --help` is quick
COMMANDS = {
    "augment": ("eeaug.cli.augment", "Turn a trained classifier into an early-exit network for a target."),
    "retarget": ("eeaug.cli.retarget", "Write a bundle for another budget or target, without data and training."),
    "inspect": ("eeaug.cli.inspect", "Show blocks, costs and where exits can stand; trains nothing."),
    "report": ("eeaug.cli.report", "Show the report of a bundle, or compare several."),
    "check": ("eeaug.cli.check", "Compare a bundle's figures with limits: a gate for CI."),
    "evaluate": ("eeaug.cli.evaluate", "Run the stages of a bundle on data, as the cascade that they form."),
    "certify": ("eeaug.cli.certify", "Prove the budget on data of the field, with few labels."),
    "hw": ("eeaug.cli.hw", "Write, list, show, check, fit and explain hardware descriptions."),
    "cache": ("eeaug.cli.cache", "Show or clear what earlier runs left for later ones."),
    "completion": ("eeaug.cli.completion", "Print the script that makes a shell complete commands and options."),
    "help": ("eeaug.cli.completion", "Show the help of a command."),
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
        command: click.Command = getattr(importlib.import_module(module), "help_" if name == "help" else name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "EEAUG"},
    epilog="Example: eeaug augment model.h5 --hw psoc6 --max-latency 2.5 && eeaug report",
)
@click.version_option(eeaug.__version__, "-V", "--version", prog_name="eeaug")
@click.pass_context
def group(context: click.Context) -> None:
    """Early exits for trained Keras classifiers, split over the processors of an embedded target."""
    environment.warn(context)


def main() -> None:
    """Run, and end with the documented exit code: 0, 1, 2, 3, 4 or 130."""
    sys.exit(supervised.run(_main, _fail) if hasattr(os, "fork") else _main())


def _main() -> int:
    """The run itself; main waits for it."""
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # while TensorFlow shuts down, Ctrl-C would print a traceback
    if code == INTERRUPTED:
        # All is cleaned up by now. An interrupt that passed through code run from C, as in TensorFlow's import,
        # would make Python end by the signal itself and not with our code.
        sys.stderr.flush()
        os._exit(code)
    return code


def _interrupt() -> Callable[[int, Any], None]:
    """A signal handler that lets the cleaning up finish when Ctrl-C is pressed twice in a row."""
    last = -INTERRUPT_PAUSE_S

    def interrupt(number: int, frame: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= INTERRUPT_PAUSE_S:
            last = time.monotonic()
            raise KeyboardInterrupt

    return interrupt


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C from here on: a second one that waited for native code to end would change the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if getattr(signal.getsignal(number), "__module__", None) == __name__:  # ours
            signal.signal(number, signal.SIG_IGN)


def run(arguments: list[str]) -> int:
    """Run one command; every error becomes one line on stderr and the exit code that is returned."""
    try:
        code = group.main(arguments, prog_name="eeaug", standalone_mode=False)
        if sys.stdout is not None:
            with places.naming("standard output"):
                sys.stdout.flush()  # a full disk or a closed pipe shows here, not when Python ends
        return int(code or 0)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        interrupt = error.__cause__ if isinstance(error, click.exceptions.Abort) else error  # Abort is click's own
        if isinstance(interrupt, EOFError):  # click takes it for Ctrl-D
            return _unforeseen(interrupt)
        _ignore_interrupts()
        return _fail(
            f"interrupted: {interrupt if interrupt and interrupt.args else 'nothing was written'}", INTERRUPTED
        )
    except NO_ARGUMENTS as error:
        error.show()
        return int(error.exit_code)
    except click.NoSuchOption as error:
        from eeaug.support.spelling import nearest

        hint = nearest(error.option_name, error.possibilities or ())
        path = "eeaug" if error.ctx is None else error.ctx.command_path
        return _fail(f"error: no such option {error.option_name}{hint or f'; see {path} --help'}", error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context is not None else ""
        message = " ".join(error.format_message().split()).rstrip(".")
        if isinstance(error, click.MissingParameter) and "--hw" in getattr(error.param, "opts", ()):
            from eeaug import hardware

            message += f": a YAML file (eeaug hw new writes one), or one of {', '.join(hardware.shipped())}"
        return _fail(f"error: {shortened(printable(message), LONGEST_LINE - 7 - len(hint))}{hint}", error.exit_code)
    except EeaugError as error:
        if (cause := _of_the_machine(error)) is not None:
            return _fail(f"error: {cause}", 1)
        if isinstance(error, InputError) and error.lines:
            return _fail(f"error: {error.args[0]}", error.exit_code, error.lines)
        return _fail(f"error: {error}", error.exit_code)
    except BrokenPipeError:  # `eeaug report | head`
        return 0
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # the same, as rich puts it
            return 0
        raise
    except OSError as error:
        return _os_error(error)
    except Exception as error:
        return _unforeseen(error)


# what setup.cfg installs of the whole tool and packaging/build.py leaves out of eeaug-runtime
_OF_THE_WHOLE_TOOL = {
    "tensorflow", "keras", "tf_keras", "h5py", "google", "networkx", "scipy", "threadpoolctl", "onnx", "tf2onnx",
    "ai_edge_litert",
}  # fmt: skip

_OF_PAGES = {"jinja2", "markupsafe"}  # the extra page of eeaug-runtime


def _unforeseen(error: Exception) -> int:
    """A mistake of ours, or code of the user, unless memory or the disk is full: a line, all of it on request."""
    if _for_want_of_memory(error):
        return _fail("error: out of memory", 1)
    if (full := _full_disk(error)) is not None:
        return _fail(f"error: No space left on device{full}", 1)
    if os.environ.get("EEAUG_TRACEBACK"):
        traceback.print_exception(error)
    if isinstance(error, ModuleNotFoundError) and (needed := _not_in_runtime(error.name)) is not None:
        return _fail(f"error: {needed}", 2)
    from eeaug.backbone import custom_objects

    if (of_user := custom_objects.failure(error)) is not None:
        return _fail(f"error: {of_user}", InputError.exit_code)
    at = traceback.extract_tb(error.__traceback__)[-1]
    return _fail(
        f"error: eeaug failed: {type(error).__name__}: {one_line(str(error), LONGEST_REASON)} "
        f"({Path(at.filename).name}:{at.lineno}); EEAUG_TRACEBACK=1 shows all of it",
        1,
    )


def _not_in_runtime(module: str | None) -> str | None:
    """What is missing where only eeaug-runtime is installed; None: no package that it leaves out."""
    name = (module or "").split(".")[0]
    if name in _OF_PAGES:
        return f"a page needs {name}, which is not installed: pip install eeaug-runtime[page]"
    if name not in _OF_THE_WHOLE_TOOL:
        return None
    return (
        f"this needs {name}, which is not installed: pip install eeaug for the whole tool; eeaug-runtime reports, "
        "checks and evaluates bundles, and runs them from Python (eeaug.runtime.Cascade)"
    )


def _os_error(error: OSError) -> int:
    """The place that cannot be used, with the code of a wrong place where it was named; a full disk is none."""
    if _for_want_of_memory(error):
        return _fail("error: out of memory", 1)
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if (full := _full_disk(error)) is not None:
        reason = error.strerror or " ".join(str(error).split())
        return _fail(f"error: {reason}{f': {name}' if name else full}", 1)
    if not error.strerror:
        return _fail(f"error: {' '.join(str(error).split())}", 1)
    code = 2 if name and error.errno in WRONG_PLACE else 1
    return _fail(f"error: {error.strerror}{f': {name}' if name else ''}", code)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _for_want_of_memory(error: BaseException) -> bool:
    return any(
        isinstance(one, MemoryError)
        or (not isinstance(one, EeaugError) and processes.for_want_of_memory(f"{type(one).__name__}: {one}"))
        for one in _chain(error)
    )


def _of_the_machine(error: EeaugError) -> str | None:
    """What a file is blamed for, but the machine is at fault: a full disk, or memory that is limited."""
    if processes.limited() and _for_want_of_memory(error):  # else its size may have been that of no machine
        return "out of memory"
    if isinstance(error, ConversionError) or "damaged" in str(error):
        full = _full_disk(error)
        return None if full is None else f"No space left on device{full}"
    return None


def _full_disk(error: BaseException) -> str | None:
    """``: PLACE is full`` where the error is of a full disk, the fullest of the places that are written to."""
    full = any(
        getattr(one, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        or re.search(r"no space left|errno = 28\b|disk quota exceeded", str(one), re.IGNORECASE)
        for one in _chain(error)
        if not isinstance(one, EeaugError)
    )
    if not full:
        return None
    free = {}
    for place in _written_places():
        with suppress(OSError):
            free[place] = shutil.disk_usage(place).free
    fullest = min(free, key=lambda place: free[place], default=None)
    if fullest is None or free[fullest] > NEARLY_FULL_BYTES:  # the disk has room: partial files have been deleted
        return ""
    return f": {fullest} has {free[fullest] / 1e6:,.1f} MB free"


def _written_places() -> Iterator[Path]:
    """Directories that a run writes to: those of its arguments, of temporary files, of the cache, and this one."""
    yield from (_folder(Path(word)) for word in sys.argv[1:] if not word.startswith("--"))
    with suppress(OSError):
        yield Path(tempfile.gettempdir())
    from eeaug.settings import default_cache

    with suppress(EeaugError):
        yield _folder(default_cache())
    with suppress(OSError):
        yield Path.cwd()


def _folder(path: Path) -> Path:
    try:
        return path if path.is_dir() else path.absolute().parent
    except (OSError, ValueError):  # no path at all
        return Path()


def _fail(message: str, code: int, lines: Iterable[str] = ()) -> int:
    """One line on stderr, and one below it for each mistake of a file."""
    click.echo(shortened(printable(message)), err=True)
    for line in lines:
        click.echo(f"  {shortened(printable(line))}", err=True)
    return code
