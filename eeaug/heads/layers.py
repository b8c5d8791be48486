"""What a head is made of, and what it costs: a short chain of steps on the tensor at its location."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

from eeaug.backbone.windows import Window
from eeaug.hardware.loops import KernelRun
from eeaug.network import kernels
from eeaug.network.costs import ExitCosts
from eeaug.network.kernels import Kernels
from eeaug.network.locations import Location, pooled_shape

__all__ = ["Averages", "Convolve", "Dense", "Head", "Pool", "Residual", "Step", "convolutions"]


@dataclass(frozen=True)
class Pool:
    """Average over windows of this size with the same stride; ``()`` leaves the tensor as it is."""

    window: tuple[int, ...]


@dataclass(frozen=True)
class Convolve:
    """Convolution with ``same`` padding, ``width`` wide in every spatial axis.

    ``filters`` None: depthwise. ``then``: "relu", batch normalisation and ReLU; "norm", the former alone; "",
    neither, for the depthwise half of a separable convolution.
    """

    filters: int | None
    stride: int = 1
    width: int = 1
    then: str = "relu"

    def shape(self, before: tuple[int, ...]) -> tuple[int, ...]:
        return (*(ceil(s / self.stride) for s in before[:-1]), self.filters or before[-1])

    def macs(self, before: tuple[int, ...]) -> int:
        window: int = self.width ** (len(before) - 1)
        return prod(self.shape(before)) * window * (before[-1] if self.filters else 1)

    @property
    def kind(self) -> str:
        """Of operation, as hardware rates name them."""
        if self.filters is None:
            return "depthwise"
        return "pointwise" if self.width == 1 else "conv"


@dataclass(frozen=True)
class Residual:
    """Two convolutions of width three around a shortcut, ReLU after their sum (He et al., CVPR 2016, figure 2).

    The shortcut is a strided pointwise convolution where shapes differ, else the tensor itself.
    """

    filters: int
    stride: int = 1

    def shape(self, before: tuple[int, ...]) -> tuple[int, ...]:
        return Convolve(self.filters, self.stride).shape(before)

    def parts(self, before: tuple[int, ...]) -> list[tuple[Convolve, tuple[int, ...]]]:
        """Its convolutions with the shapes that they read: the branch's two, then the shortcut's if it has one."""
        first, second = Convolve(self.filters, self.stride, 3), Convolve(self.filters, 1, 3, "norm")
        pairs = [(first, before), (second, self.shape(before))]
        if self.stride > 1 or before[-1] != self.filters:
            pairs.append((Convolve(self.filters, self.stride, then="norm"), before))
        return pairs


@dataclass(frozen=True)
class Dense:
    units: int
    activation: str  # the last one's is "softmax" or "sigmoid"


Step = Pool | Convolve | Residual | Dense


@dataclass(frozen=True)
class Averages:
    """Of the tensor at a location, over windows; ``finer`` as in :class:`Head`."""

    location: Location
    window: tuple[int, ...]
    finer: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return pooled_shape(self.location.shape, self.window)


@dataclass(frozen=True)
class Head:
    """A head's steps on a tensor of ``shape`` at a location; between the last map and Dense it is flattened.

    ``finer``: a window whose averages are kept anyway, and which the window of a first pooling is a multiple of.
    ``earlier``: what is read beside it, and joined to the first pooling before Dense, the head's own last.
    ``knows``: the classes that it was made for, if not all: its last layer is then fixed (logistic.widening).
    """

    location: Location
    family: str
    size: str
    steps: tuple[Step, ...]
    finer: tuple[int, ...] | None = None
    earlier: tuple[Averages, ...] = ()
    knows: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.family}-{self.size}"

    @property
    def key(self) -> str:
        """Unique among all heads of a search."""
        return f"{self.location.name}/{self.name}"

    @property
    def dense(self) -> tuple[Dense, ...]:
        return tuple(step for step in self.steps if isinstance(step, Dense))

    @property
    def pooling(self) -> tuple[int, ...] | None:
        """The window of the first pooling if only dense layers follow, else None: needs the whole map."""
        first, *rest = self.steps
        dense = all(isinstance(step, Dense) for step in rest)
        return first.window if isinstance(first, Pool) and dense else None

    def shapes(self) -> Iterator[tuple[Step, tuple[int, ...], tuple[int, ...]]]:
        """Every step with the shapes that it reads and gives, without the batch dimension."""
        shape = self.location.shape
        for step in self.steps:
            if isinstance(step, Pool):
                after = pooled_shape(shape, step.window)
                if self.earlier:
                    after = (prod(after) + sum(prod(e.shape) for e in self.earlier),)
            elif isinstance(step, Convolve | Residual):
                after = step.shape(shape)
            else:
                after = (step.units,)
            yield step, shape, after
            shape = after

    @cached_property
    def macs(self) -> int:
        return sum(self.cost().macs.values())

    def cost(self) -> ExitCosts:
        """MACs by operation type, parameters as deployed (batch normalisation folded), working memory."""
        macs: dict[str, int] = {}
        parameters = peak = operations = results = 0
        first = True
        for step, before, after in self.shapes():
            for convolution, read in convolutions(step, before):
                kind, channels = convolution.kind, convolution.shape(read)[-1]
                macs[kind] = macs.get(kind, 0) + convolution.macs(read)
                parameters += convolution.macs((1,) * (len(read) - 1) + read[-1:]) + channels
                operations += 1
                results += prod(convolution.shape(read))
            if isinstance(step, Dense):
                macs["dense"] = macs.get("dense", 0) + prod(before) * step.units
                parameters += prod(before) * step.units + step.units
                operations += 1
                results += step.units
            if step != Pool(()):
                # the tensor at the location, which the first step reads, is counted by the segment
                inside = prod(after) if isinstance(step, Residual) else 0
                peak = max(peak, prod(after) + inside + (0 if first else prod(before)))
                first = False
        return ExitCosts(
            self.location.name, self.location.after, self.name, macs, parameters, peak, operations, results,
            {format: _kernels(self, format) for format in kernels.FORMATS},
        )  # fmt: skip


def convolutions(step: Step, before: tuple[int, ...]) -> list[tuple[Convolve, tuple[int, ...]]]:
    """The convolutions of a step with the shapes that they read, in the order of their weights."""
    if isinstance(step, Convolve):
        return [(step, before)]
    return step.parts(before) if isinstance(step, Residual) else []


def _kernels(head: Head, format: str) -> Kernels:
    """What the head becomes in C; unknown where its tensors have more axes than kernels take."""
    try:
        return Kernels(tuple(_calls(head, format)))
    except ValueError:
        return Kernels((), (f"{head.key} (head)",))


def _calls(head: Head, format: str) -> Iterator[KernelRun]:
    joined = [pooled_shape(read.location.shape, read.window) for read in head.earlier]
    for read in head.earlier:
        if read.window:
            yield kernels.average(read.location.shape, read.window)
    for step, before, after in head.shapes():
        for convolution, given in convolutions(step, before):
            yield from _convolved(format, convolution, given)
        if isinstance(step, Residual):
            yield KernelRun("add", kernels.three(after), kernels.three(after))
        elif isinstance(step, Pool):
            if step.window:
                yield kernels.average(before, step.window)
            for shape in [*joined, pooled_shape(before, step.window)] if joined else ():
                yield KernelRun("copy", kernels.three(shape), kernels.three(shape))
        elif isinstance(step, Dense):
            yield kernels.dense((prod(before),), step.units)
            yield from kernels.activation(format, step.activation, (step.units,), taken=True)


def _convolved(format: str, step: Convolve, read: tuple[int, ...]) -> Iterator[KernelRun]:
    axes, written = len(read) - 1, step.shape(read)
    window = Window((step.width,) * axes, (step.stride,) * axes, (1,) * axes, "same")
    kernel, groups = ("conv", 1) if step.filters else ("depthwise", read[-1])
    yield kernels.convolution(kernel, read, written, window, groups)
    yield from kernels.after_convolution(format, "relu" if step.then == "relu" else None, written)
