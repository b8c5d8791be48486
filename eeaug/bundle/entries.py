"""What manifest.json says, as data classes: frozen, and in JSON always in the same order.

eeaug.schema.manifest describes every field, with its unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from eeaug.bundle.device_entries import TflmStage, VelaStage
from eeaug.bundle.manifest_rules import DEFAULT
from eeaug.cascade.output import Decision, Quantised
from eeaug.data.preprocessing import Preprocessing
from eeaug.frameworks.tflite_session import Quantisation
from eeaug.schema.design import CHOICES
from eeaug.schema.manifest import VERSION

__all__ = [
    "Added",
    "CProcessor",
    "Handover",
    "Int8Files",
    "Int8Point",
    "Int8Stage",
    "Manifest",
    "OperatingPoint",
    "StageEntry",
    "Thresholds",
]

Thresholds = tuple[float | None, ...]  # None is never


@dataclass(frozen=True)
class Handover:
    """A tensor that goes on to the next stage: shape and bytes of one sample."""

    name: str
    shape: tuple[int, ...]
    bytes: int

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Handover:
        return cls(entry["name"], tuple(entry["shape"]), entry["bytes"])

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape), "bytes": self.bytes}


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
    input_name, input_shape : what it takes of one sample
    probabilities : name of what its classifier says
    handover : None in the last stage
    reuse : exponents of what exits before it and itself say; None: it decides by itself
    macs : of a sample that comes here
    choices : names of its processor's level and memories, of what it has several of (CHOICES)
    files : by format, below the bundle
    """

    name: str
    processor: str
    input_name: str
    input_shape: tuple[int, ...]
    probabilities: str
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

    @property
    def outputs(self) -> list[str]:
        """Names of all that it gives, the probabilities first."""
        return [self.probabilities, *([] if self.handover is None else [self.handover.name])]

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> StageEntry:
        (input_name,), outputs = entry["inputs"], entry["outputs"]
        return cls(
            name=entry["name"],
            processor=entry["processor"],
            input_name=input_name,
            input_shape=tuple(entry["input_shape"]),
            probabilities=outputs["probabilities"],
            handover=next(map(Handover.from_dict, outputs["handover"]), None),
            reuse=None if entry["reuse"] is None else tuple(entry["reuse"]),
            threshold=entry["threshold"],
            metric=entry["metric"],
            macs=entry["macs"],
            files=dict(entry["files"]),
            int8=Int8Stage.from_dict(entry["int8"]) if "int8" in entry else None,
            tflm=TflmStage.from_dict(entry["tflm"]) if "tflm" in entry else None,
            choices={key: entry[key] for key in CHOICES if key in entry},
            vela=VelaStage.from_dict(entry["vela"]) if "vela" in entry else None,
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "processor": self.processor,
            **self.choices,
            "inputs": [self.input_name],
            "input_shape": list(self.input_shape),
            "outputs": {
                "probabilities": self.probabilities,
                "handover": [] if self.handover is None else [self.handover.as_dict()],
            },
            "reuse": None if self.reuse is None else list(self.reuse),
            "threshold": self.threshold,
            "metric": self.metric,
            "macs": self.macs,
            "files": dict(self.files),
            **_there(int8=self.int8, tflm=self.tflm, vela=self.vela),
        }


@dataclass(frozen=True)
class Int8Point:
    """Thresholds (m) of the int8 files at an operating point."""

    thresholds: Thresholds

    @property
    def constants(self) -> tuple[int | None, ...]:
        """The thresholds as least int8 confidences that leave; None is never."""
        return tuple(map(Quantised.constant, self.thresholds))

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Int8Point:
        return cls(tuple(entry["thresholds"]))

    def as_dict(self) -> dict[str, Any]:
        return {"thresholds": list(self.thresholds), "constants": list(self.constants)}


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds (m) to switch to; ``int8`` None: there are no int8 files, or none keep the point's budget."""

    name: str
    thresholds: Thresholds
    int8: Int8Point | None = None

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> OperatingPoint:
        int8 = Int8Point.from_dict(entry["int8"]) if "int8" in entry else None
        return cls(entry["name"], tuple(entry["thresholds"]), int8)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "thresholds": list(self.thresholds), **_there(int8=self.int8)}


@dataclass(frozen=True)
class Int8Files:
    """The int8 files as a cascade of their own.

    Parameters
    ----------
    kernels : LiteRT's that run them
    calibration_samples : that ranges were taken from
    reference : as that of the manifest, of what the int8 files decide; None: not measured yet
    """

    kernels: str
    calibration_samples: int
    reference: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Int8Files:
        return cls(entry["kernels"], entry["calibration_samples"], entry.get("reference"))

    def as_dict(self) -> dict[str, Any]:
        return {
            "kernels": self.kernels,
            "calibration_samples": self.calibration_samples,
            **_there(reference=self.reference),
        }


@dataclass(frozen=True)
class CProcessor:
    """What a processor runs of the C files: its function, numbers of its stages, bytes."""

    name: str
    function: str
    stages: tuple[int, ...]
    arena_bytes: int
    arena_lower_bound_bytes: int
    weights_bytes: int

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> CProcessor:
        return cls(**{**entry, "stages": tuple(entry["stages"])})

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "stages": list(self.stages)}


@dataclass(frozen=True)
class Added:
    """What a format adds to a manifest.

    Parameters
    ----------
    files : per stage its path below the bundle; None: this stage has none
    stages : per stage further fields of its entry; empty: none of any
    whole : fields of the manifest
    versions : of what wrote the files
    """

    files: Sequence[str | None]
    stages: Sequence[Mapping[str, Any]] = ()
    whole: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """All of it. What a cascade needs no value of may be left out, to run stages that are no bundle yet.

    Parameters
    ----------
    inputs : name and SHA-256 of the model, then of the data
    finetuned : passes over the training data that changed the model; None: it is as it was given
    early_view : whether the final classifier sees an exit's tensor; None: as ``finetuned``
    retargeted_from : name and SHA-256 of the bundle that it was made from
    reference : what new data is compared with (shift.recorded)
    files : SHA-256 of every file by its path, when all are written
    """

    classes: tuple[str, ...]
    decision: Decision
    preprocessing: Preprocessing
    stages: tuple[StageEntry, ...]
    operating_points: tuple[OperatingPoint, ...] = ()
    tool: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Mapping[str, str], ...] = ()
    finetuned: int | None = None
    early_view: bool | None = None
    retargeted_from: Mapping[str, str] | None = None
    int8: Int8Files | None = None
    c: tuple[CProcessor, ...] | None = None
    c_int8: tuple[CProcessor, ...] | None = None
    reference: Mapping[str, Any] | None = None
    files: Mapping[str, str] | None = None

    @property
    def points(self) -> dict[str, Thresholds]:
        """The m thresholds of every operating point; those of the default are the stages' own."""
        listed = {point.name: point.thresholds for point in self.operating_points}
        return {**listed, DEFAULT: tuple(stage.threshold for stage in self.stages[:-1])}

    @property
    def int8_points(self) -> dict[str, Thresholds]:
        """The same of the int8 files, where a point has any."""
        listed = {p.name: p.int8.thresholds for p in self.operating_points if p.int8 is not None}
        int8_stages = (stage.int8 for stage in self.stages[:-1])
        return {**listed, DEFAULT: tuple(None if int8 is None else int8.threshold for int8 in int8_stages)}

    def adding(self, name: str, added: Added) -> Manifest:
        """With what the format of this name adds."""
        nothing: Mapping[str, Any] = {}
        stages = tuple(
            replace(stage, files=stage.files if path is None else {**stage.files, name: path}, **fields)
            for stage, path, fields in zip(
                self.stages, added.files, added.stages or [nothing] * len(self.stages), strict=True
            )
        )
        return replace(self, stages=stages, versions={**self.versions, **added.versions}, **added.whole)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Manifest:
        """Of manifest.json, or of what of it a cascade needs."""
        by_name = {name: document.get(name, {}).get("processors") for name in ("c", "c_int8")}
        processors = {
            name: None if entries is None else tuple(map(CProcessor.from_dict, entries))
            for name, entries in by_name.items()
        }
        return cls(
            classes=tuple(document["classes"]),
            decision=Decision(**document["decision"]),
            preprocessing=Preprocessing.from_dict(document["preprocessing"]),
            stages=tuple(map(StageEntry.from_dict, document["stages"])),
            operating_points=tuple(map(OperatingPoint.from_dict, document.get("operating_points", ()))),
            tool=document.get("tool", {}),
            versions=document.get("versions", {}),
            seed=document.get("seed", 0),
            settings=document.get("settings", {}),
            inputs=tuple(document.get("inputs", ())),
            finetuned=document.get("finetuned"),
            early_view=document.get("early_view"),
            retargeted_from=document.get("retargeted_from"),
            int8=Int8Files.from_dict(document["int8"]) if "int8" in document else None,
            c=processors["c"],
            c_int8=processors["c_int8"],
            reference=document.get("reference"),
            files=document.get("files"),
        )

    def as_dict(self) -> dict[str, Any]:
        """manifest.json, in its order."""
        return {
            "schema_version": VERSION,
            "tool": dict(self.tool),
            "versions": dict(self.versions),
            "seed": self.seed,
            "settings": dict(self.settings),
            "classes": list(self.classes),
            "decision": self.decision.as_dict(),
            "preprocessing": self.preprocessing.as_dict(),
            "inputs": [dict(given) for given in self.inputs],
            "stages": [stage.as_dict() for stage in self.stages],
            "operating_points": [point.as_dict() for point in self.operating_points],
            **_there(finetuned=self.finetuned, early_view=self.early_view),
            **_there(retargeted_from=self.retargeted_from, int8=self.int8),
            **{
                name: {"processors": [p.as_dict() for p in processors]}
                for name, processors in (("c", self.c), ("c_int8", self.c_int8))
                if processors is not None
            },
            **_there(reference=self.reference, files=self.files),
        }


def _there(**fields: Any) -> dict[str, Any]:
    """The fields that are not None, as JSON."""
    return {
        name: value.as_dict() if hasattr(value, "as_dict") else value
        for name, value in fields.items()
        if value is not None
    }
