"""Rates of a core before anything was measured on it: counted instructions of the int8 C kernels, and their cycles.

MACs per second are ``clock / (instructions per MAC × cycles per instruction)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eeaug.hardware import cycles
from eeaug.hardware.target import KINDS

__all__ = ["Rates", "rates"]

# instructions per MAC of ``--format c-int8`` (docs/c.md): convolutions as in ResNet-8, and all else as in DS-CNN
# and MobileNetV1 together
_PER_MAC = {
    "cortex-m0plus": (7.67, 9.57),
    "cortex-m4": (1.95, 3.10),
    "cortex-m7": (1.96, 3.10),
    "cortex-m33": (1.96, 3.12),
    "cortex-m55": (1.00, 0.87),
}


@dataclass(frozen=True)
class Rates:
    """``by_kind``: MAC/s of ``default`` and of all KINDS, None where unknown; ``source`` says where from."""

    by_kind: Mapping[str, float | None]
    source: str


def rates(cpu: str | None, clock_hz: float) -> Rates:
    """What a core reaches with the int8 C kernels at a clock; all None for a core that was not counted."""
    kinds = ("default", *KINDS)
    counted = None if cpu is None else _PER_MAC.get(cpu.partition("+")[0])
    per_instruction = None if cpu is None else cycles.per_instruction(cpu)
    if counted is None or per_instruction is None:
        return Rates(dict.fromkeys(kinds), "rates unknown: eeaug hw fit finds them from latencies")
    conv, others = counted
    per_mac = {"default": others, "conv": conv}
    by_kind = {kind: per_mac.get(kind) for kind in kinds}
    return Rates(
        {
            kind: None if count is None else float(f"{clock_hz / (count * per_instruction.cycles):.3g}")
            for kind, count in by_kind.items()
        },
        f"rates: counted instructions of the int8 C kernels on a {cpu}, {per_instruction.cycles:g} cycles each "
        f"({per_instruction.words})",
    )
