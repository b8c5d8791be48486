"""The commands as functions: augment, its dry run, retarget, certify."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eeaug.api.report import Place, Report, open
from eeaug.bundle.directory import check_place
from eeaug.errors import EeaugError, InputError
from eeaug.flow import from_memory, subprocess_run
from eeaug.hardware import Hardware
from eeaug.settings import Running, Settings, default_cache, options
from eeaug.settings.settings import PARTS
from eeaug.support.cache import Cache
from eeaug.support.progress import Lines, Observer

if TYPE_CHECKING:
    import keras

__all__ = ["augment", "certify", "dry_run", "retarget"]


def augment(
    model: Place | keras.Model,
    hardware: Place | Hardware,
    data: Place | Mapping[str, Any] | None = None,
    *,
    output: Place | None = None,
    progress: bool | Observer = False,
    **settings: Any,
) -> Report:
    """Turn a trained classifier into an early-exit network for a target, as ``eeaug augment`` does.

    >>> import eeaug
    >>> report = eeaug.augment("examples/fashion_resnet.h5", "psoc6", max_latency_s=2.5, effort="quick")
    >>> report.path.name
    'fashion_resnet-eeaug'
    >>> report.summary
    '...% of samples leave early (at ...): ...% of the mean MACs...saved, ... on the test set; ...'

    The run has a process of its own, so that frameworks that are at work in this one stay as they are, and the
    bundle has the same bytes as the command's.

    Parameters
    ----------
    model : path of a ``.keras``, ``.h5`` or SavedModel, or a Keras 3 model in memory, which goes by its name
    hardware : name of a shipped profile (``eeaug hw list``), path of a YAML file, or a target.Hardware
    data : as ``--data``; or a mapping of arrays x_train (n, ...), y_train (n,), x_val, y_val, x_test, y_test,
        class_names, groups_train, ..., as a ``.npz`` has them, of which any but one x may be missing; of a model
        with several inputs an x is a mapping, {"image": (n, ...), "age": (n,)}. Written to disk for the run;
        reports name them arrays.npz, as np.savez("arrays.npz", **data) makes the same file.
        None: what lies beside the model file
    output : where the bundle goes; None: ``<model>-eeaug`` in the current directory
    progress : True tells what it is doing on stderr, a progress.Observer is told; warnings are in the report
    settings : the options of the command, as fields of the parts of settings.Settings in SI units: max_latency_s,
        max_accuracy_drop (a share: 0.01 is one point), objective, effort, formats=["tflite"], target_class,
        promise, risk, exit_at={location: processor or None}, threshold={location: value}, ...
        One that is None is not given

    Raises
    ------
    TypeError : there is no such option
    eeaug.InputError : something given is wrong
    eeaug.InfeasibleError : no design meets the limits; has ``limit``, ``given`` and ``best``
    eeaug.ConversionError : the model is not supported, or a written file disagrees with it

    Nothing has been written then.
    """
    given = options.settings(Path(), "", None, output=output, **settings)
    with _settings(model, hardware, data, given) as asked, _observer(progress) as observer:
        subprocess_run.augment(asked, observer)
    return open(asked.bundle)


def dry_run(
    model: Place | keras.Model,
    hardware: Place | Hardware,
    data: Place | Mapping[str, Any] | None = None,
    *,
    progress: bool | Observer = False,
    **settings: Any,
) -> dict[str, Any]:
    """What augment with the same arguments would search, how long that takes and what it could bring.

    >>> import eeaug
    >>> facts = eeaug.dry_run("examples/fashion_resnet.h5", "psoc6", effort="quick")
    >>> facts["model"], facts["macs"]
    ('fashion_resnet.h5', 9345920)

    Returns
    -------
    What ``eeaug augment --dry-run --json`` prints

    Raises
    ------
    As augment. Nothing is written.
    """
    asked = options.settings(Path(), "", None, **settings)
    with _settings(model, hardware, data, asked, writes=False) as asked, _observer(progress) as observer:
        return subprocess_run.dry_run(asked, observer)


@contextmanager
def _settings(
    model: Place | keras.Model, hardware: Place | Hardware, data: Place | Mapping[str, Any] | None, asked: Settings,
    *, writes: bool = True,
) -> Iterator[Settings]:  # fmt: skip
    """The settings with files in place of what is in memory, as long as these are there."""
    in_memory = not from_memory.is_place(model) or isinstance(hardware, Hardware) or isinstance(data, Mapping)
    with Cache(asked.running.cache).once() if in_memory else nullcontext(Path()) as scratch, _unnamed(scratch):
        read = replace(
            asked.input, hardware=from_memory.hardware(hardware, scratch), model=from_memory.model(model, scratch)
        )
        asked = replace(asked, input=read)
        if writes:
            check_place(asked.bundle, force=asked.running.force)  # before what may be large is written
        read = replace(
            read, data=from_memory.data(data, scratch, asked.running, beside=from_memory.is_place(model))
        )
        with options.in_python():
            yield replace(asked, input=read)


def retarget(
    directory: Place,
    output: Place,
    hardware: Place | Hardware | None = None,
    *,
    manifest_sha256: str | None = None,
    progress: bool | Observer = False,
    **changes: Any,
) -> Report:
    """Write a bundle again for another budget or target, without data and training, as ``eeaug retarget`` does.

    >>> import eeaug
    >>> report = eeaug.retarget("fashion_resnet-eeaug", "fashion_resnet-frugal", max_accuracy_drop=0.03)
    >>> report["settings"]["max_accuracy_drop"]
    0.03

    Parameters
    ----------
    directory : the earlier bundle
    output : where the new one goes
    hardware : as for augment; None: that of the earlier bundle
    manifest_sha256 : that the earlier manifest.json must have; None: any
    changes : settings as for augment; None takes one away that may be left out. What is not named stays as it was

    Raises
    ------
    As augment. TypeError : there is no such option
    """
    with Cache(default_cache()).once() if isinstance(hardware, Hardware) else nullcontext(Path()) as scratch:
        given = options.changes(output=output, **changes)
        if hardware is not None:
            given["hardware"] = from_memory.hardware(hardware, scratch)
        with _unnamed(scratch), options.in_python(), _observer(progress) as observer:
            subprocess_run.retarget(Path(directory), given, observer, manifest_sha256)
    return open(output)


def certify(
    directory: Place,
    data: Place | Mapping[str, Any],
    labels: Place | None = None,
    *,
    output: Place | None = None,
    sheet: Place = "label-these.csv",
    cache_dir: Place | None = None,
    progress: bool | Observer = False,
    **options: Any,
) -> dict[str, Any]:
    """Prove the accuracy budget of a bundle on data of the field with few labels, as ``eeaug certify`` does.

    >>> import eeaug
    >>> facts = eeaug.certify("fashion_resnet-eeaug", "examples/fashion_resnet.npz", "data")
    >>> facts["promise"]["statement"]
    'Proven: with probability 0.95 over the draw of the 1,000 x_test samples, ...'
    >>> eeaug.open(facts["bundle"]).path.name
    'fashion_resnet-eeaug-certified'

    Parameters
    ----------
    data : as ``--data``, or a mapping of arrays as for augment
    labels : the sheet, filled in; "data": those of the data; None: none, and the ``sheet`` is written
    output : where the new bundle goes; None: ``<directory>-certified`` with labels, nowhere without
    options : max_accuracy_drop, risk, formats (by default those of the bundle), part, force, prepared, threads,
        manifest_sha256, as the command has them

    Returns
    -------
    What ``eeaug certify --json`` prints

    Raises
    ------
    As augment. eeaug.InfeasibleError : labels were given, and nothing can be proven
    """
    from eeaug.flow.certify import IN_DATA, Request

    place, cache = Path(directory), default_cache() if cache_dir is None else Path(cache_dir)
    if output is None and labels is not None:
        output = place.with_name(f"{place.resolve().name}-certified")
    running = Running(cache=cache)
    in_memory = isinstance(data, Mapping)
    with Cache(cache).once() if in_memory else nullcontext(Path()) as scratch, _unnamed(scratch):
        request = Request(
            data=str(from_memory.data(data, scratch, running, beside=False)),
            labels=None if labels is None else IN_DATA if labels == IN_DATA else Path(labels),
            sheet=Path(sheet), output=None if output is None else Path(output), cache=cache,
            **{"threads": running.threads, **options},
        )  # fmt: skip
        with _observer(progress) as observer:
            return subprocess_run.certify(place, request, observer)


@contextmanager
def _observer(progress: bool | Observer) -> Iterator[Observer]:
    if not isinstance(progress, bool):
        yield progress
        return
    lines = Lines(_to_stderr if progress else _to_nobody, quiet=not progress)
    with lines.beating():
        yield lines


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _to_nobody(text: str) -> None: ...


@contextmanager
def _unnamed(scratch: Path) -> Iterator[None]:
    """Errors name files without the folder that they had for a moment."""
    try:
        yield
    except EeaugError as error:
        if scratch.name:
            error.args = tuple(str(word).replace(f"{scratch}{os.sep}", "") for word in error.args)
            if isinstance(error, InputError):
                error.lines = tuple(line.replace(f"{scratch}{os.sep}", "") for line in error.lines)
        raise


def _signature() -> inspect.Signature:
    """With the options by name, for help() and the completion of notebooks; None: the default is not a constant."""
    mine = inspect.signature(augment)
    named = [p for p in mine.parameters.values() if p.kind is not p.VAR_KEYWORD]
    listed = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=_default(f), annotation=f.type)
        for part in PARTS.values()
        for f in fields(part)
        if f.name in options.KINDS and f.name != "output"
    ]
    return mine.replace(parameters=[*named, *listed])


def _default(of: Any) -> Any:
    return None if of.default is MISSING else of.default


augment.__signature__ = _signature()  # type: ignore[attr-defined]
