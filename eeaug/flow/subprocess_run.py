"""A run in a process of its own, for callers that have frameworks at work in theirs.

TensorFlow takes its number of threads once for a process, determinism is switched on for all of it, and Keras has
one backend: a notebook has chosen these before, and a run must not choose for it. So a run there gives the same
bytes as the command does, and its memory is free again when it ends.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from eeaug.errors import ConversionError, EeaugError, InfeasibleError, InputError
from eeaug.settings import Contradiction, Settings
from eeaug.support.leftovers import own_temporary
from eeaug.support.processes import die_with, ended_by, import_path
from eeaug.support.progress import Observer, Progress

if TYPE_CHECKING:
    from eeaug.flow.certify import Request

__all__ = ["augment", "certify", "dry_run", "retarget"]

END = "end"  # of a run: how it ended follows
RESULT = "result"  # of a run that has one: it follows
PARENT = "_EEAUG_PARENT"
CLEANING_S = 30.0  # for an interrupted run to delete its partial files
INTERRUPTED = 130
ERRORS = {kind.__name__: kind for kind in (Contradiction, ConversionError, EeaugError, InfeasibleError, InputError)}


def augment(settings: Settings, observer: Observer) -> None:
    """pipeline.augment in another process; the observer is told here, an interrupt here ends it there.

    Raises
    ------
    InputError (Contradiction), InfeasibleError, ConversionError : as in errors; nothing has been written then
    EeaugError : the run failed, or its process was killed
    """
    _in_its_own("augment", (settings,), observer)


def certify(directory: Path, request: Request, observer: Observer) -> dict[str, Any]:
    """flow.certify.certify in another process; raises the same."""
    result: dict[str, Any] = _in_its_own("certify", (directory, request), observer)
    return result


def dry_run(settings: Settings, observer: Observer) -> dict[str, Any]:
    """flow.forecast.forecast in another process; raises the same."""
    result: dict[str, Any] = _in_its_own("dry_run", (settings,), observer)
    return result


def retarget(directory: Path, changes: Mapping[str, Any], observer: Observer, manifest_sha256: str | None) -> None:
    """flow.retarget.retarget in another process; raises the same."""
    _in_its_own("retarget", (directory, changes, manifest_sha256), observer)


def _in_its_own(run: str, arguments: Sequence[object], observer: Observer) -> Any:
    """What the run (a module of flow, and its function) gives."""
    worker = subprocess.Popen(
        [sys.executable, "-P", "-c", f"from {__name__} import work; work()"],
        env={**os.environ, PARENT: str(os.getpid()), "PYTHONPATH": import_path()},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C comes to it from here, once
    )  # fmt: skip
    assert worker.stdin and worker.stdout
    end: dict[str, Any] | None = None
    result: Any = None
    try:
        with suppress(BrokenPipeError), worker.stdin as asked:  # it has died: reported below
            pickle.dump((run, arguments), asked)
        for line in worker.stdout:
            name, *values = json.loads(line)
            if name == END:
                (end,) = values
            elif name == RESULT:
                (result,) = values
            else:
                getattr(observer, name)(*values)
        worker.wait()
    finally:
        _ended(worker)
    if end is None:
        how = ended_by(-worker.returncode) if worker.returncode < 0 else f"ended with {worker.returncode}"
        raise EeaugError(f"the process of the run: {how}")
    if end:
        raise _raised(**end)
    return result


def _ended(worker: subprocess.Popen[bytes]) -> None:
    """Interrupt what still runs, and wait until it has cleaned up."""
    try:
        if worker.poll() is None:
            worker.send_signal(signal.SIGINT)
            worker.wait(CLEANING_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    finally:
        if worker.stdout:
            worker.stdout.close()


def _raised(kind: str, message: str, texts: list[str], facts: dict[str, Any], told: str) -> EeaugError:
    if kind not in ERRORS:  # a mistake of ours
        error = EeaugError(f"eeaug failed: {kind}: {message}")
        error.add_note(told)
        return error
    return ERRORS[kind](message, *texts, **facts)


def work() -> None:
    """The other process: a run and its arguments on stdin, lines of JSON on stdout, all else on stderr."""
    die_with(int(os.environ.pop(PARENT)))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as wire:
        os.dup2(2, 1)
        try:
            with own_temporary():
                run, arguments = pickle.load(sys.stdin.buffer)
                end = _run(run, arguments, wire)
            _Wire(wire).tell(END, end)
        except (KeyboardInterrupt, BrokenPipeError):  # nobody waits for it any more
            os._exit(INTERRUPTED)  # while TensorFlow shuts down, Ctrl-C would print a traceback


def _run(run: str, arguments: Sequence[Any], wire: IO[str]) -> dict[str, Any]:
    """How the run ended, for _raised; empty: well."""
    from eeaug.backbone import custom_objects
    from eeaug.flow import augment as pipeline
    from eeaug.flow import certify as certifying
    from eeaug.flow import forecast
    from eeaug.flow import retarget as retargeting

    to = _Wire(wire)
    progress = Progress(to)
    try:
        if run == "augment":
            pipeline.augment(arguments[0], progress)
        elif run == "retarget":
            directory, changes, manifest_sha256 = arguments
            retargeting.retarget(directory, changes, progress, manifest_sha256)
        elif run == "dry_run":
            to.tell(RESULT, forecast.forecast(arguments[0], progress))
        else:
            to.tell(RESULT, certifying.certify(arguments[0], arguments[1], progress))
    except BrokenPipeError:
        raise
    except Contradiction as error:
        return _ending(error, error.message, error.values, error.texts)
    except Exception as error:
        of_user = None if isinstance(error, EeaugError) else custom_objects.failure(error)
        if of_user is not None:
            return _ending(InputError(of_user), of_user, {})
        facts = {key: getattr(error, key) for key in ("limit", "given", "best", "lines") if hasattr(error, key)}
        message = str(error.args[0]) if "lines" in facts and error.args else str(error)
        return _ending(error, message, facts)
    return {}


def _ending(error: Exception, message: str, facts: Mapping[str, Any], texts: Sequence[str] = ()) -> dict[str, Any]:
    told = "".join(traceback.format_exception(error))
    return {"kind": type(error).__name__, "message": message, "texts": texts, "facts": facts, "told": told}


class _Wire:
    """Passes on what an observer is told, a line of JSON for each."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def tell(self, *what: object) -> None:
        self.file.write(json.dumps(what) + "\n")
        self.file.flush()

    def step(self, name: str, detail: str) -> None:
        self.tell("step", name, detail)

    def advance(self, done: int, of: int) -> None:
        self.tell("advance", done, of)

    def finished(self, name: str, detail: str, seconds: float) -> None:
        self.tell("finished", name, detail, seconds)

    def note(self, text: str) -> None:
        self.tell("note", text)

    def detail(self, text: str) -> None:
        self.tell("detail", text)

    def warning(self, text: str) -> None:
        self.tell("warning", text)
