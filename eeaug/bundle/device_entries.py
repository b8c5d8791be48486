"""What manifest.json says of a stage's files elsewhere: in an interpreter, compiled for an NPU, on a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["IDENTITY", "MAX_ROWS", "OnnxOne", "TflmStage", "TritonStage", "VelaStage", "of_ensemble"]

IDENTITY = "eeaug_model"  # an output of every model on a server: which one it is
MAX_ROWS = 64  # that a model on a server takes at once


def of_ensemble(i: int, output: str) -> str:
    """The name that an output of the i-th of an ensemble's stages has there."""
    return f"{i}_{output}"


@dataclass(frozen=True)
class TflmStage:
    """A stage's int8 file in TFLM: bytes of its arena, the least of them, operators to register."""

    arena_bytes: int
    arena_least_bytes: int
    operators: tuple[str, ...]

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> TflmStage:
        return cls(entry["arena_bytes"], entry["arena_least_bytes"], tuple(entry["operators"]))

    def as_dict(self) -> dict[str, Any]:
        return {
            "arena_bytes": self.arena_bytes,
            "arena_least_bytes": self.arena_least_bytes,
            "operators": list(self.operators),
        }


@dataclass(frozen=True)
class VelaStage:
    """A stage's int8 file compiled for an NPU, with Vela's estimates.

    Parameters
    ----------
    system, memory_mode : of Vela's configuration file, at ``clock_hz``
    cycles : of an inference, by the NPU
    sram_bytes, storage_bytes : tensors at once; weights and commands
    on_cpu : kinds of operators that are left to the processor
    """

    accelerator: str
    system: str
    memory_mode: str
    clock_hz: float
    cycles: int
    sram_bytes: int
    storage_bytes: int
    on_cpu: tuple[str, ...]

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> VelaStage:
        return cls(**{**entry, "on_cpu": tuple(entry["on_cpu"])})

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "on_cpu": list(self.on_cpu)}


@dataclass(frozen=True)
class TritonStage:
    """A stage as a model of an inference server.

    Parameters
    ----------
    model : its name there
    identity : the number that it gives with each answer, as the output IDENTITY
    ensemble : name of the model that it begins, of all stages that follow it on its server; None: it begins none
    """

    model: str
    identity: int
    ensemble: str | None = None

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> TritonStage:
        return cls(**entry)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class OnnxOne:
    """The cascade as one ONNX file: its path, and the names of what it takes and gives."""

    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> OnnxOne:
        return cls(entry["file"], tuple(entry["inputs"]), tuple(entry["outputs"]))

    def as_dict(self) -> dict[str, Any]:
        return {"file": self.file, "inputs": list(self.inputs), "outputs": list(self.outputs)}
