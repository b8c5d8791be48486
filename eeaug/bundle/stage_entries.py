"""What manifest.json says of a stage, as data classes; see entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from eeaug.bundle.device_entries import TflmStage, TritonStage, VelaStage
from eeaug.cascade.encoding import Encoding
from eeaug.cascade.output import Quantised
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.schema.design import CHOICES
from eeaug.support.sample_layout import SampleLayout

__all__ = ["Handover", "Int8Stage", "Returned", "StageEntry", "there"]


@dataclass(frozen=True)
class Handover:
    """A tensor that goes on to the next stage: shape and bytes of one sample, and how a link carries it."""

    name: str
    shape: tuple[int, ...]
    bytes: int
    encoding: Encoding | None = None

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Handover:
        encoding = Encoding.from_dict(entry["encoding"]) if "encoding" in entry else None
        return cls(entry["name"], tuple(entry["shape"]), entry["bytes"], encoding)

    def as_dict(self) -> dict[str, Any]:
        encoding = there(encoding=self.encoding)
        return {"name": self.name, "shape": list(self.shape), "bytes": self.bytes, **encoding}


@dataclass(frozen=True)
class Returned:
    """An output of a model that may be any, as the last stage gives it: shape of one sample, type of its values."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Returned:
        return cls(entry["name"], tuple(entry["shape"]), entry["dtype"])

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


@dataclass(frozen=True)
class Int8Stage:
    """A stage's int8 file.

    Parameters
    ----------
    inputs, outputs : how its tensors are quantised, by name
    requantised_from : how what it is handed comes; None: as it takes it
    threshold : in [0, 1]; None is never, or not sought yet
    """

    inputs: Mapping[str, Quantisation]
    outputs: Mapping[str, Quantisation]
    requantised_from: Quantisation | None
    threshold: float | None = None

    @property
    def constant(self) -> int | None:
        """The threshold as the least int8 confidence that leaves; None is never."""
        return Quantised.constant(self.threshold)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Int8Stage:
        inputs, outputs = ({n: Quantisation(**q) for n, q in entry[key].items()} for key in ("inputs", "outputs"))
        comes = entry["requantised_from"]
        return cls(inputs, outputs, None if comes is None else Quantisation(**comes), entry["threshold"])

    def as_dict(self) -> dict[str, Any]:
        return {
            "inputs": {name: asdict(q) for name, q in self.inputs.items()},
            "outputs": {name: asdict(q) for name, q in self.outputs.items()},
            "requantised_from": None if self.requantised_from is None else asdict(self.requantised_from),
            "threshold": self.threshold,
            "constant": self.constant,
        }


@dataclass(frozen=True)
class StageEntry:
    """A stage, for whoever runs it.

    Parameters
    ----------
    input_name, input_shape : the first tensor that it is given of one sample, and the shape of ``row``
    probabilities : name of what its classifier says; None: it has none and gives what ``returns`` lists
    handover : the tensor that it computes and hands over; None in the last stage
    reuse : exponents of what exits before it and itself say; None: it decides by itself
    macs : of a sample that comes here
    choices : names of its processor's level and memories, of what it has several of (CHOICES)
    files : by format, below the bundle
    tensors : all that it is given, where that are several: what it is handed, then inputs of the model
    taken : names of those that its files take; empty: all
    passed : inputs of the model that go on with its hand-over as they came
    returns : outputs of a model that may be any, which the last stage gives
    """

    name: str
    processor: str
    input_name: str
    input_shape: tuple[int, ...]
    probabilities: str | None
    handover: Handover | None
    reuse: tuple[float, ...] | None
    threshold: float | None
    metric: str
    macs: int
    files: Mapping[str, str]
    int8: Int8Stage | None = None
    tflm: TflmStage | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    vela: VelaStage | None = None
    tensors: SampleLayout | None = None
    taken: tuple[str, ...] = ()
    passed: tuple[Handover, ...] = ()
    returns: tuple[Returned, ...] = ()
    triton: TritonStage | None = None

    @property
    def row(self) -> SampleLayout:
        """All that it is given of one sample."""
        return self.tensors or SampleLayout((self.input_name,), (self.input_shape,))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what its files take."""
        return self.taken or self.row.names

    @property
    def onward(self) -> tuple[Handover, ...]:
        """All that it hands over, what it computes first; nothing in the last stage."""
        return () if self.handover is None else (self.handover, *self.passed)

    @property
    def handed(self) -> SampleLayout | None:
        """The same as the next stage is given it; None in the last."""
        if not self.onward:
            return None
        return SampleLayout(tuple(t.name for t in self.onward), tuple(t.shape for t in self.onward))

    @property
    def outputs(self) -> list[str]:
        """Names of all that it gives, the probabilities first."""
        if self.probabilities is None:
            return [returned.name for returned in self.returns]
        return [self.probabilities, *([] if self.handover is None else [self.handover.name])]

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any], row: SampleLayout | None = None) -> StageEntry:
        """``row``: what it is given, where that may be several tensors."""
        outputs, taken = entry["outputs"], tuple(entry["inputs"])
        handed = tuple(map(Handover.from_dict, outputs["handover"]))
        several = row is not None and row.several
        return cls(
            name=entry["name"],
            processor=entry["processor"],
            input_name=row.names[0] if row is not None and row.several else taken[0],
            input_shape=tuple(entry["input_shape"]),
            probabilities=outputs["probabilities"],
            handover=handed[0] if handed else None,
            reuse=None if entry["reuse"] is None else tuple(entry["reuse"]),
            threshold=entry["threshold"],
            metric=entry["metric"],
            macs=entry["macs"],
            files=dict(entry["files"]),
            int8=Int8Stage.from_dict(entry["int8"]) if "int8" in entry else None,
            tflm=TflmStage.from_dict(entry["tflm"]) if "tflm" in entry else None,
            choices={key: entry[key] for key in CHOICES if key in entry},
            vela=VelaStage.from_dict(entry["vela"]) if "vela" in entry else None,
            tensors=row if several else None,
            taken=taken if several else (),
            passed=handed[1:],
            returns=tuple(map(Returned.from_dict, outputs.get("returns", ()))),
            triton=TritonStage.from_dict(entry["triton"]) if "triton" in entry else None,
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "processor": self.processor,
            **self.choices,
            "inputs": list(self.inputs),
            "input_shape": list(self.input_shape),
            "outputs": {
                "probabilities": self.probabilities,
                "handover": [tensor.as_dict() for tensor in self.onward],
                **({"returns": [returned.as_dict() for returned in self.returns]} if self.returns else {}),
            },
            "reuse": None if self.reuse is None else list(self.reuse),
            "threshold": self.threshold,
            "metric": self.metric,
            "macs": self.macs,
            "files": dict(self.files),
            **there(int8=self.int8, tflm=self.tflm, vela=self.vela, triton=self.triton),
        }


def there(**fields: Any) -> dict[str, Any]:
    """The fields that are not None, as JSON."""
    return {
        name: value.as_dict() if hasattr(value, "as_dict") else value
        for name, value in fields.items()
        if value is not None
    }
