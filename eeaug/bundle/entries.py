"""What manifest.json says, as data classes: frozen, and in JSON always in the same order.

eeaug.schema.manifest describes every field, with its unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from eeaug.bundle.code_entry import CustomObjects
from eeaug.bundle.device_entries import OnnxOne
from eeaug.bundle.manifest_rules import DEFAULT
from eeaug.bundle.stage_entries import Handover, Int8Stage, Returned, StageEntry, there
from eeaug.bundle.stream_entry import StreamEntry
from eeaug.cascade.output import Decision, Quantised
from eeaug.data.preprocessing import Preprocessing
from eeaug.schema.manifest import VERSION
from eeaug.support.sample_layout import SampleLayout

__all__ = [
    "Added",
    "CProcessor",
    "Handover",
    "Int8Files",
    "Int8Point",
    "Int8Stage",
    "Manifest",
    "ModelInput",
    "OperatingPoint",
    "Returned",
    "StageEntry",
    "Thresholds",
]

Thresholds = tuple[float | None, ...]  # None is never


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
        return {"name": self.name, "thresholds": list(self.thresholds), **there(int8=self.int8)}


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
            **there(reference=self.reference),
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
class ModelInput:
    """An input of the given model, where it has several; ``dtype`` is what the model declares."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> ModelInput:
        return cls(entry["name"], tuple(entry["shape"]), entry["dtype"])

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


@dataclass(frozen=True)
class Manifest:
    """All of it. What a cascade needs no value of may be left out, to run stages that are no bundle yet.

    Parameters
    ----------
    inputs : name and SHA-256 of the model, then of the data
    model_inputs : of a model that has several; empty: it has one
    finetuned : passes over the training data that changed the model; None: it is as it was given
    early_view : whether the final classifier sees an exit's tensor; None: as ``finetuned``
    retargeted_from : name and SHA-256 of the bundle that it was made from
    reference : what new data is compared with (shift.recorded)
    custom_objects : code of the user that its Keras files need; None: they need none
    files : SHA-256 of every file by its path, when all are written
    stream : what decides streams; None: samples are none
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
    custom_objects: CustomObjects | None = None
    files: Mapping[str, str] | None = None
    model_inputs: tuple[ModelInput, ...] = ()
    onnx_one: OnnxOne | None = None
    stream: StreamEntry | None = None

    @property
    def layout(self) -> SampleLayout:
        """The tensors of a sample."""
        return layout_of(self.model_inputs) or self.stages[0].row

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

    @property
    def plain(self) -> Manifest:
        """With hand-overs as stages give them, whatever links make of them."""
        stages = [
            stage if stage.handover is None else replace(stage, handover=replace(stage.handover, encoding=None))
            for stage in self.stages
        ]
        return replace(self, stages=tuple(stages))

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
        model_inputs = tuple(map(ModelInput.from_dict, document.get("model_inputs", ())))
        return cls(
            classes=tuple(document["classes"]),
            decision=Decision(**document["decision"]),
            preprocessing=Preprocessing.from_dict(document["preprocessing"], layout_of(model_inputs)),
            stages=_stages(document["stages"], layout_of(model_inputs)),
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
            custom_objects=CustomObjects.from_dict(document["custom_objects"])
            if "custom_objects" in document
            else None,
            files=document.get("files"),
            model_inputs=model_inputs,
            onnx_one=OnnxOne.from_dict(document["onnx_one"]) if "onnx_one" in document else None,
            stream=StreamEntry.from_dict(document["stream"]) if "stream" in document else None,
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
            **({"model_inputs": [given.as_dict() for given in self.model_inputs]} if self.model_inputs else {}),
            "stages": [stage.as_dict() for stage in self.stages],
            "operating_points": [point.as_dict() for point in self.operating_points],
            **there(stream=self.stream),
            **there(finetuned=self.finetuned, early_view=self.early_view),
            **there(retargeted_from=self.retargeted_from, int8=self.int8),
            **{
                name: {"processors": [p.as_dict() for p in processors]}
                for name, processors in (("c", self.c), ("c_int8", self.c_int8))
                if processors is not None
            },
            **there(onnx_one=self.onnx_one),
            **there(reference=self.reference, custom_objects=self.custom_objects, files=self.files),
        }


def layout_of(inputs: Sequence[ModelInput]) -> SampleLayout | None:
    """The tensors of a sample of a model with several inputs; None: it has one."""
    if not inputs:
        return None
    return SampleLayout(tuple(given.name for given in inputs), tuple(given.shape for given in inputs))


def _stages(entries: Sequence[Mapping[str, Any]], layout: SampleLayout | None) -> tuple[StageEntry, ...]:
    stages: list[StageEntry] = []
    for entry in entries:
        stages.append(StageEntry.from_dict(entry, stages[-1].handed if stages else layout))
    return tuple(stages)
