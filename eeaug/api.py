"""What notebooks and scripts use: ``eeaug.augment``, ``eeaug.open`` (both give a ``Report``), ``eeaug.certify``."""

from __future__ import annotations

import copy
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import MISSING, dataclass, field, fields, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eeaug.bundle import manifest
from eeaug.bundle.directory import check_place
from eeaug.errors import EeaugError, InputError
from eeaug.flow import from_memory, subprocess_run
from eeaug.hardware import Hardware
from eeaug.report.words import facts
from eeaug.settings import Running, default_cache, options
from eeaug.settings.settings import PARTS
from eeaug.support.cache import Cache
from eeaug.support.progress import Lines, Observer

if TYPE_CHECKING:
    import keras

    from eeaug.runtime import Cascade

__all__ = ["Exit", "Report", "augment", "certify", "open"]

Place = str | os.PathLike[str]


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
    '...% of samples leave early (at ...): ...% of the mean MACs saved, ... on the test part; ...'

    The run has a process of its own, so that frameworks that are at work in this one stay as they are, and the
    bundle has the same bytes as the command's.

    Parameters
    ----------
    model : path of a ``.keras``, ``.h5`` or SavedModel, or a Keras 3 model in memory, which goes by its name
    hardware : name of a shipped profile (``eeaug hw list``), path of a YAML file, or a target.Hardware
    data : as ``--data``; or a mapping of arrays x_train (n, ...), y_train (n,), x_val, y_val, x_test, y_test,
        class_names, groups_train, ..., as a ``.npz`` has them, of which any but one x may be missing, written to
        disk for the run; reports name them arrays.npz, as np.savez("arrays.npz", **data) makes the same file.
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
    asked = options.settings(Path(), "", None, output=output, **settings)
    in_memory = not from_memory.is_place(model) or isinstance(hardware, Hardware) or isinstance(data, Mapping)
    with Cache(asked.running.cache).once() if in_memory else nullcontext(Path()) as scratch, _unnamed(scratch):
        read = replace(
            asked.input, hardware=from_memory.hardware(hardware, scratch), model=from_memory.model(model, scratch)
        )
        asked = replace(asked, input=read)
        check_place(asked.bundle, force=asked.running.force)  # before what may be large is written
        read = replace(
            read, data=from_memory.data(data, scratch, asked.running, beside=from_memory.is_place(model))
        )
        asked = replace(asked, input=read)
        with options.in_python():
            subprocess_run.augment(asked, _observer(progress))
    return open(asked.bundle)


def open(directory: Place, *, manifest_sha256: str | None = None) -> Report:
    """The report of a bundle that is there, after a look at the hash of every file, as ``eeaug report`` does.

    >>> import eeaug
    >>> eeaug.open("fashion_resnet-eeaug")["settings"]["effort"]
    'quick'

    Parameters
    ----------
    manifest_sha256 : that manifest.json must have, as a run has printed it; None: any

    Raises
    ------
    eeaug.InputError : there is no bundle, or one of another version
    eeaug.ConversionError : a file is missing or has changed, or manifest and report do not say the same
    """
    path = Path(directory)
    bundle = manifest.read(path, manifest_sha256)
    return Report(path.absolute(), bundle.report, bundle.manifest, manifest.times(path))


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
        return subprocess_run.certify(place, request, _observer(progress))


class Exit(NamedTuple):
    """An early exit: a sample leaves where its confidence is ``threshold`` or more (None: none ever does).

    ``leave_rate`` is the share of all samples, from 0 to 1, that leave here, on the split of the report.
    """

    location: str
    processor: str
    threshold: float | None
    leave_rate: float


@dataclass(frozen=True, eq=False, repr=False)
class Report(Mapping[str, Any]):
    """What a bundle's report.json says; immutable, as what is handed out is a copy.

    >>> import eeaug
    >>> report = eeaug.open("fashion_resnet-eeaug")
    >>> report.split, report.samples
    ('test', 1000)
    >>> report.accuracy == report["design"]["measured"]["accuracy"]
    True
    >>> {exit.processor for exit in report.exits}, 0 < report.exits[0].leave_rate < 1
    ({'cm4f'}, True)
    >>> 0.2 < report.macs_saved < 1 and report.worst_latency_s <= 2.5
    True
    >>> print(f"In short: {report}")
    In short: ...% of samples leave early ...
    >>> report.markdown().splitlines()[0], report.html()[:15]
    ('### fashion_resnet on psoc6', '<!doctype html>')
    >>> import numpy as np
    >>> x = np.load("examples/fashion_resnet.npz")["x_test"]
    >>> bool(np.mean(report.cascade().predict(x).exits == 0) == report.exits[0].leave_rate)
    True

    ``report["design"]["measured"]`` and so on are the values of report.json (``eeaug report --schema``). Properties
    are read on its ``split``; those that compare do so with the given model on the same samples.
    """

    path: Path
    _content: Mapping[str, Any] = field(repr=False)
    _manifest: Mapping[str, Any] = field(repr=False)
    _times: Mapping[str, float] = field(repr=False)

    def __getitem__(self, key: str) -> Any:
        return copy.deepcopy(self._content[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    @property
    def _given(self) -> Mapping[str, Any]:
        return facts.shown(self._content)[0]

    @property
    def _result(self) -> Mapping[str, Any]:
        return facts.shown(self._content)[1]

    @property
    def summary(self) -> str:
        """The answer in one sentence, which names its split."""
        return str(self._content["design"]["summary"])

    @property
    def split(self) -> str:
        """The part of the data that properties are read on: test, which no choice has seen; without one choose."""
        return str(self._result["split"])

    @property
    def samples(self) -> int:
        """How many samples the split has."""
        return int(self._result["samples"])

    @property
    def exits(self) -> tuple[Exit, ...]:
        """The early exits in order; leave rates on the split. None where none pays off."""
        with manifest.shown_whole(self.path):
            exits = [(at.exit, at.leave_rate) for at in facts.stages(self._content) if at.exit is not None]
            return tuple(Exit(of["location"], of["processor"], of["threshold"], rate) for of, rate in exits)

    @property
    def accuracy(self) -> float:
        """Share of the split, 0 to 1, that is right; with labels="none" that agrees with the given model."""
        return float(self._result["accuracy"])

    @property
    def accuracy_drop(self) -> float:
        """Accuracy of the given model less that of the result on the split: 0.01 is one point, below 0 a gain."""
        return float(self._given["accuracy"] - self._result["accuracy"])

    @property
    def accuracy_drop_bound(self) -> float | None:
        """Upper bound of the drop, with 95 % confidence from test samples alone; None without such."""
        value = self._content["accuracy_drop_bound_95"]
        return None if value is None else float(value)

    @property
    def mean_macs(self) -> float:
        """Multiply-accumulate operations of a sample, mean over the split."""
        return float(self._result["mean_macs"])

    @property
    def macs_saved(self) -> float:
        """Share of the given model's MACs, up to 1, that the mean sample of the split is spared."""
        return 1 - self.mean_macs / float(self._given["mean_macs"])

    @property
    def mean_latency_s(self) -> float | None:
        """Seconds, mean over the split, estimated from the hardware's rates; None where these are unknown."""
        return _known(self._result["mean_latency_s"])

    @property
    def worst_latency_s(self) -> float | None:
        """Seconds of a sample that leaves last, of whatever split, estimated from the hardware's rates, or None."""
        return _known(self._result["worst_latency_s"])

    @property
    def mean_energy_j(self) -> float | None:
        """Joules, mean over the split, estimated from the hardware's powers; None where these are unknown."""
        return _known(self._result["mean_energy_j"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the run has warned of."""
        return tuple(self._content["warnings"])

    def cascade(
        self, runtime: str = "onnx", *, point: str = "default", threads: int | None = None,
        allow_unsafe: bool = False, custom_objects: tuple[str, ...] = (),
    ) -> Cascade:  # fmt: skip
        """The exported stages, to classify samples with; see runtime.Cascade.load, which raises the same."""
        from eeaug.runtime import Cascade

        code: dict[str, Any] = {"allow_unsafe": allow_unsafe, "custom_objects": custom_objects}
        return Cascade.load(self.path, threads=threads, point=point, runtime=runtime, **code)

    def html(self) -> str:
        """The page of ``eeaug report --format html``: one file with charts that needs no network."""
        from eeaug.report.render import page

        with manifest.shown_whole(self.path):
            return page.render(self._content, self._manifest, self._times, self.path.name)

    def markdown(self) -> str:
        """The text of ``eeaug report --format markdown``."""
        from eeaug.report.render import markdown

        with manifest.shown_whole(self.path):
            return markdown.render(self._content)

    def __rich__(self) -> Any:
        from eeaug.report.render import terminal

        return terminal.render(self._content)

    def __str__(self) -> str:
        from eeaug.report.render import terminal

        with manifest.shown_whole(self.path):
            return terminal.plain(lambda console: console.print(self.__rich__()))

    def __repr__(self) -> str:
        return f"<eeaug.Report of {self.path.name}: {self.summary}>"

    def _repr_html_(self) -> str:
        """The page in a frame: its styles and those of the notebook leave each other alone, and no script runs."""
        return (
            f'<iframe srcdoc="{escape(self.html())}" sandbox="" title="{escape(self.path.name)}" '
            'style="width: 100%; height: 45rem; border: 0; resize: vertical"></iframe>'
        )


def _known(value: float | None) -> float | None:
    return None if value is None else float(value)


def _observer(progress: bool | Observer) -> Observer:
    if isinstance(progress, bool):
        return Lines(_to_stderr if progress else _to_nobody)
    return progress


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
