"""What manifest.json says of a stage's files for devices: in an interpreter, or compiled for an NPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["TflmStage", "VelaStage"]


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
