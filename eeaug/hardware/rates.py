"""Rates of a core before anything was measured on it: counted instructions of the int8 C kernels, and their cycles.

MACs per second are ``clock × MACs / (instructions × cycles per instruction)``, over layers of MLPerf Tiny's
networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eeaug.hardware import cycles, kernels
from eeaug.hardware.loops import KernelRun
from eeaug.hardware.target import KINDS

__all__ = ["LAYERS", "Rates", "macs", "rates"]

FORMAT = "c-int8"


def _convolution(size: tuple[int, int], channels: tuple[int, int], window: tuple[int, int] = (3, 3)) -> KernelRun:
    """As many places come out as go in."""
    before = (window[0] - 1) // 2, (window[1] - 1) // 2
    return KernelRun("conv", (*size, channels[0]), (*size, channels[1]), window, before=before)


def _depthwise(size: tuple[int, int], channels: int) -> KernelRun:
    return KernelRun("depthwise", (*size, channels), (*size, channels), (3, 3), before=(1, 1))


def _dense(inputs: int, units: int) -> KernelRun:
    return KernelRun("dense", (1, 1, inputs), (1, 1, units))


# of ResNet-8, DS-CNN, MobileNetV1 (0.25) and the autoencoder
_SEPARABLE = (
    ((25, 5), 64, 64), ((48, 48), 8, 16), ((24, 24), 32, 32), ((12, 12), 64, 64), ((6, 6), 128, 128),
    ((3, 3), 256, 256),
)  # fmt: skip
LAYERS: Mapping[str, tuple[KernelRun, ...]] = {
    "conv": (
        _convolution((32, 32), (3, 16)),
        _convolution((32, 32), (16, 16)),
        _convolution((16, 16), (32, 32)),
        _convolution((8, 8), (64, 64)),
        _convolution((25, 5), (1, 64), (10, 4)),
    ),
    "pointwise": tuple(_convolution(size, (read, written), (1, 1)) for size, read, written in _SEPARABLE),
    "depthwise": tuple(_depthwise(size, channels) for size, channels, _ in _SEPARABLE),
    "dense": (_dense(640, 128), _dense(128, 128), _dense(128, 8), _dense(64, 12)),
}
assert tuple(LAYERS) == KINDS


@dataclass(frozen=True)
class Rates:
    """``by_kind``: MAC/s of ``default`` and of all KINDS, None where unknown; ``source`` says where from."""

    by_kind: Mapping[str, float | None]
    source: str


def macs(call: KernelRun) -> int:
    """Multiply-accumulate operations of a convolution, depthwise or not, or dense layer."""
    return call.outputs * call.taps * (1 if call.kernel == "depthwise" else call.read[2])


def rates(cpu: str | None, clock_hz: float) -> Rates:
    """What a core reaches with the int8 C kernels at a clock; all None for a core that was not counted."""
    counted = {
        kind: [None if cpu is None else kernels.instructions(FORMAT, cpu, call) for call in calls]
        for kind, calls in LAYERS.items()
    }
    per_instruction = None if cpu is None else cycles.per_instruction(cpu)
    if per_instruction is None or any(count is None for counts in counted.values() for count in counts):
        return Rates(dict.fromkeys(("default", *KINDS)), "rates unknown: eeaug hw fit finds them from latencies")
    work = {kind: sum(map(macs, calls)) for kind, calls in LAYERS.items()}
    instructions = {kind: sum(count or 0.0 for count in counts) for kind, counts in counted.items()}
    work["default"], instructions["default"] = sum(work.values()), sum(instructions.values())
    per_second = clock_hz / per_instruction.cycles
    return Rates(
        {kind: float(f"{per_second * work[kind] / instructions[kind]:.3g}") for kind in ("default", *KINDS)},
        f"rates: counted instructions of the int8 C kernels on a {cpu}, {per_instruction.cycles:g} cycles each "
        f"({per_instruction.words})",
    )
