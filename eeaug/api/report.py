"""A bundle that is there, its report, and several side by side."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eeaug.bundle import manifest
from eeaug.errors import InputError
from eeaug.report.words import facts

if TYPE_CHECKING:
    from eeaug.runtime import Cascade

__all__ = ["Exit", "Place", "Report", "compare", "open"]

Place = str | os.PathLike[str]


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


def compare(*directories: Place) -> dict[str, Any]:
    """Several bundles side by side, as ``eeaug report DIR DIR --format json`` has them.

    >>> import eeaug
    >>> facts = eeaug.compare("fashion_resnet-eeaug", "fashion_resnet-eeaug-certified")
    >>> [*facts["quantities"]][:2]
    ['samples', 'exits']

    Raises
    ------
    eeaug.InputError : fewer than two, one of them twice, or one is no bundle
    eeaug.ConversionError : as open
    """
    from eeaug.report.words import compare as side_by_side

    places = [Path(directory) for directory in directories]
    if len(set(places)) < max(2, len(places)):
        raise InputError(f"compare() takes two different bundles or more, {len(places)} given")
    reports = [(place, manifest.read(place).report) for place in places]
    with manifest.shown_whole(*places):
        return side_by_side.as_json([side_by_side.Named(str(place), report) for place, report in reports])


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
    are read on its ``split``; those that compare do so with the given model on the same samples. Of a bundle made
    with ``--stream`` they are of streams, as it decides these.
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
        return facts.decided(self._content)[0]

    @property
    def _result(self) -> Mapping[str, Any]:
        return facts.decided(self._content)[1]

    @property
    def summary(self) -> str:
        """The answer in one sentence, which names its split."""
        return str(self._content["design"]["summary"])

    @property
    def split(self) -> str:
        """The samples of the properties: the test set, which no choice has seen, else the calibration set."""
        return str(self._result["split"])

    @property
    def samples(self) -> int:
        """How many samples the split has."""
        return int(self._result["samples"])

    @property
    def exits(self) -> tuple[Exit, ...]:
        """The early exits in order; leave rates on the split. None where none pays off."""
        with manifest.shown_whole(self.path):
            exits, rates = self._content["design"]["exits"], self._result["leave_rates"]
            return tuple(Exit(e["location"], e["processor"], e["threshold"], rates[k]) for k, e in enumerate(exits))

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
        return facts.drop_bound_95(self._content)

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

    def to_dataframe(self) -> Any:
        """The comparison with the given model as a pandas.DataFrame: a row for each quantity, columns baseline,
        result and change.

        Figures are those of report.json on the ``split``, in SI units; ``change`` is result minus baseline.

        Raises
        ------
        eeaug.InputError : pandas is not installed
        """
        try:
            import pandas
        except ImportError:
            raise InputError("to_dataframe() needs pandas: pip install pandas") from None
        rows = {
            key: {"baseline": self._given[key], "result": value}
            for key, value in self._result.items()
            if isinstance(value, int | float) and key != "samples"
        }
        table = pandas.DataFrame.from_dict(rows, orient="index", dtype=float)
        return table.assign(change=table["result"] - table["baseline"])

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
