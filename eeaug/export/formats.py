"""The formats that stages are written in, beside Keras and ONNX files, which are always there (keras_onnx).

A format is a module of this package with two functions:

    write(work)              writes its files below ``work.directory`` and gives what the manifest then says of
                             them (entries.Added)
    check(work, reference)   reads them back, runs them on ``work.x`` as the cascade that they are, compares that
                             with a verify.Reference and gives what the report says of it (Checked); raises
                             ConversionError where they disagree
    complete(work)           may be left out; writes what needs the references, which are in the manifest now
    refuse_decision(decision)  may be left out; raises ConversionError where the model's output is none for it
    refuse(target)           may be left out; raises Contradiction where the hardware is none for this format

Its name stands in vocabulary.FORMATS, too, from where the command line has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.model import Classifier
from eeaug.bundle.entries import Added, Manifest
from eeaug.cascade.output import Decision
from eeaug.hardware import Hardware
from eeaug.settings import Contradiction
from eeaug.stages.partition import Stage

__all__ = ["FORMATS", "Checked", "Format", "Work", "check_possible", "like", "named"]


@dataclass(frozen=True)
class Work:
    """A bundle that is being written: its Keras and ONNX stages and its manifest's entries are there.

    Parameters
    ----------
    directory : the bundle's
    manifest : what it says of all that is written so far, still without hashes
    stages : the same stages as ``manifest.stages``, with what they are made of
    x : float32 (n, *input shape), prepared samples of the choose part that files are run on
    calibration : float32 (n, *input shape), those that int8 ranges are taken from; None: there is no data
    baseline : the processor that the given model runs on for comparison; None: it is not counted there
    counts : where counted instructions are kept between runs; None: nowhere
    """

    directory: Path
    manifest: Manifest
    classifier: Classifier
    stages: tuple[Stage, ...]
    hardware: Hardware
    x: NDArray[np.float32]
    threads: int
    calibration: NDArray[np.float32] | None = None
    baseline: str | None = None
    counts: Path | None = None

    def adding(self, name: str, added: Added) -> Work:
        """With the files of the format of this name, which were written."""
        return replace(self, manifest=self.manifest.adding(name, added))


@dataclass(frozen=True)
class Checked:
    """What a format's check has found, for the report.

    Parameters
    ----------
    disagreements : decisions that differ from the reference's; None: nothing here could run the files
    near_threshold : those of them that are near a tie
    samples : that the files were run on, where the report has no other place for it
    figures : the format's own block of the report, with its ``warnings``; None: it has none
    """

    disagreements: int | None
    near_threshold: int | None
    samples: int | None = None
    figures: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, int | None]:
        """The comparison alone."""
        samples = {} if self.samples is None else {"samples": self.samples}
        return {**samples, "disagreements": self.disagreements, "near_threshold": self.near_threshold}


@dataclass(frozen=True)
class Format:
    """``module`` of this package; ``needs``: what it imports → what pip installs for it.

    ``like``: "model", the files decide as the augmented model does; "int8", as the int8 stages in LiteRT do; None:
    they are a network of their own, which is measured as one, and there is no ``check``. ``over_links``: its files
    take hand-overs as links carry them; those of others as stages give them.
    """

    module: str
    needs: Mapping[str, str] = field(default_factory=dict)
    like: str | None = "model"
    over_links: bool = False

    def write(self, work: Work) -> Added:
        added: Added = self._module().write(work)
        return added

    def check(self, work: Work, reference: Any) -> Checked:
        """``reference``: a verify.Reference."""
        work = work if self.over_links else replace(work, manifest=work.manifest.plain)
        checked: Checked = self._module().check(work, reference)
        return checked

    def complete(self, work: Work) -> None:
        """Write what needs a reference of ``work.manifest``; most formats have no such function."""
        getattr(self._module(), "complete", lambda _: None)(work)

    def refuse(self, target: Hardware) -> None:
        """Raises Contradiction where the target is none for this format; most have no such function."""
        getattr(self._module(), "refuse", lambda _: None)(target)

    def refuse_decision(self, decision: Decision) -> None:
        """Raises ConversionError where the format cannot express such an output; most have no such function."""
        getattr(self._module(), "refuse_decision", lambda _: None)(decision)

    def _module(self) -> Any:
        return import_module(f"eeaug.export.{self.module}")


LITERT = {"ai_edge_litert": "ai-edge-litert"}
FORMATS: Mapping[str, Format] = {
    "tflite": Format("tflite", LITERT),
    "tflite-int8": Format("int8", LITERT, like=None),
    "tflm": Format("tflm", {"tflite_micro": "'eeaug[mcu]'"}, like="int8"),
    "c": Format("c", {"emx_onnx_cgen": "'eeaug[c]'"}),
    "c-int8": Format("c_int8", LITERT, like="int8"),
    "triton": Format("triton", over_links=True),
    "onnx-one": Format("onnx_one"),
    "vela": Format("vela", {"ethosu": "'eeaug[npu]'"}, like="int8"),
}


def named(names: Iterable[str]) -> dict[str, Format]:
    """The formats among ``names`` that are not always written, by name, in the order of writing."""
    asked = set(names)
    return {name: kind for name, kind in FORMATS.items() if name in asked}


def like(what: str, formats: Mapping[str, Format]) -> dict[str, Format]:
    """The formats that are compared with the "model", or with the "int8" stages."""
    return {name: kind for name, kind in formats.items() if kind.like == what}


def check_possible(names: Iterable[str], target: Hardware) -> None:
    """Refuse before any work a format whose package is missing, or that is nothing for the target.

    Raises
    ------
    Contradiction : with the command that installs it
    """
    for name, kind in named(names).items():
        for module, package in kind.needs.items():
            if find_spec(module) is None:
                missing = "{formats} needs a package that is not installed: pip install {0}"
                raise Contradiction(missing, package, formats=name)
        kind.refuse(target)
