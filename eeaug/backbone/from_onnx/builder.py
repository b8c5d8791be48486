"""The Keras graph as it grows: layers named like ONNX nodes, tensors brought into the order that one needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.from_onnx import atoms
from eeaug.backbone.from_onnx.atoms import Atom, Conflict, Group, Value, flat, size

__all__ = ["Array", "Builder", "Operand", "Unsupported", "of_layer"]

Array = NDArray[Any]
Operand = Value | Array
SMALL = 1 << 16  # numbers that an operation's constant may have, which is stored as text
MOST_AXES = 4  # behind the batch, of a transposition that is not made as small as it can be
EPSILON = 2.0**-10  # of batch normalisations that only scale and shift: 1 - EPSILON is exact


class Unsupported(Exception):
    """What of a node has no equal in Keras, as a phrase."""


@dataclass
class Builder:
    """What handlers of operators make layers with.

    ``node`` is the ONNX node at hand; ``taken`` are the names of layers so far, ``moved`` tensors in other orders.
    """

    keras: Any
    opset: int
    node: Any
    taken: set[str]
    moved: dict[tuple[Any, ...], Any]

    # -- names ----------------------------------------------------------------------------------------

    def name(self, suffix: str = "") -> str:
        """A free layer name: that of the node, in letters that layers may have."""
        text = self.node.name or f"{self.node.op_type}_{self.node.output[0]}"
        parts = [part for part in text.split("/") if part]
        # "/features/features.0/Conv": PyTorch repeats the outer modules in the names of the inner ones
        kept = [a for a, b in zip(parts, [*parts[1:], ""], strict=True) if not b.startswith(f"{a}.")]
        text = "/".join(kept)
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.-") or self.node.op_type
        plain = plain if plain[0].isalnum() else f"node_{plain}"
        return self.free(f"{plain}{suffix}"[-200:])

    def free(self, plain: str) -> str:
        """A name that no layer has yet."""
        wanted, number = plain, 1
        while wanted in self.taken:
            number += 1
            wanted = f"{plain}_{number}"
        self.taken.add(wanted)
        return wanted

    # -- order in memory ------------------------------------------------------------------------------

    def arranged(self, value: Value, wanted: Sequence[Group]) -> Any:
        """The tensor of a value with these axes in memory, behind the batch; moved once, however often."""
        have, want = flat(value.memory), flat(wanted)
        assert set(have) == set(want) and len(have) == len(want), "an arrangement names every atom once"
        shape = tuple(size(group) for group in wanted)
        if have == want:
            return self._reshaped(value.tensor, shape)
        edges = {id(group[0]) for group in (*value.memory, *wanted) if group}
        runs = _runs(have, want, edges)
        if len(runs) > MOST_AXES:
            runs = _runs(have, want, set())
        stored = sorted(range(len(runs)), key=lambda i: have.index(runs[i][0]))
        before = self._reshaped(value.tensor, tuple(size(tuple(runs[i])) for i in stored))
        order = tuple(stored.index(i) + 1 for i in range(len(runs)))
        key = (id(before), order)
        if key not in self.moved:
            after = self.keras.layers.Permute(order, name=self.name("_permute"))(before)
            self.moved[key] = (after, before)  # held, so that identities stay those of one tensor
        return self._reshaped(self.moved[key][0], shape)

    def _reshaped(self, tensor: Any, shape: tuple[int, ...]) -> Any:
        if tuple(tensor.shape[1:]) == shape:
            return tensor
        key = (id(tensor), "reshape", shape)
        if key not in self.moved:
            layer = (
                self.keras.layers.Flatten(name=self.name("_flatten"))
                if len(shape) == 1 and len(tensor.shape) > 2
                else self.keras.layers.Reshape(shape, name=self.name("_reshape"))
            )
            self.moved[key] = (layer(tensor), tensor)
        return self.moved[key][0]

    def ordered(self, value: Value, order: Sequence[int]) -> Value:
        """The value with one axis in memory for each of its axes, in this order."""
        wanted = [value.axes[axis] for axis in order]
        return replace(value, tensor=self.arranged(value, wanted), memory=tuple(wanted))

    def natural(self, value: Value, needed: Collection[int] = ()) -> list[int]:
        """Axes that are longer than 1, or needed, in the order in which they lie in memory: little is moved."""
        place = {one: i for i, one in enumerate(flat(value.memory))}
        order = sorted((i for i, group in enumerate(value.axes) if group), key=lambda i: place[value.axes[i][0]])
        for axis in sorted(needed):
            if axis not in order:
                before = next((i for i in range(axis - 1, -1, -1) if i in order), None)
                order.insert(0 if before is None else order.index(before) + 1, axis)
        return order

    def channels_last(self, value: Value) -> Value:
        """(batch, channels, *space) as (batch, *space, channels) in memory."""
        if value.axes[0]:
            raise Unsupported("it reads several samples as one")
        return self.ordered(value, [*range(2, len(value.axes)), 1]).with_axes(value.axes)

    def whole(self, value: Value, axis: int) -> Value:
        """The value with the atoms of an axis side by side in memory, as one new atom."""
        held = self.ordered(value, self.natural(value, [axis]))
        new, old = atoms.atom(size(value.axes[axis])), value.axes[axis]
        memory = tuple(new if group and group == old else group for group in held.memory)
        axes = tuple(new if i == axis else group for i, group in enumerate(held.axes))
        return replace(held, memory=memory, axes=axes)

    def reshaped(self, value: Value, shape: Sequence[int]) -> Value:
        """The value in another shape; numbers are moved only where atoms cannot be cut so."""
        try:
            return atoms.regrouped(value, shape)
        except Conflict:
            pass
        everything = tuple(flat(value.axes))
        one = atoms.atom(size(everything))
        joined = replace(value, tensor=self.arranged(value, [everything]), memory=(one,), axes=(one,))
        try:
            return atoms.regrouped(joined, shape)
        except Conflict:
            raise Unsupported(f"{value.shape} cannot be reshaped to {tuple(shape)} sample by sample") from None

    def aligned(self, a: Value, b: Value) -> tuple[Value, Value]:
        while True:
            try:
                return atoms.aligned(a, b)
            except Conflict as conflict:
                axis, rank = conflict.args[0], max(len(a.axes), len(b.axes))
                a = self.whole(a, axis - rank + len(a.axes))
                b = self.whole(b, axis - rank + len(b.axes))
            except ValueError as error:
                raise Unsupported(str(error)) from None

    # -- layers ---------------------------------------------------------------------------------------

    def each(self, value: Value, layer: Callable[[Any], Any], *, positive: bool = False) -> Value:
        """A layer that works on every number by itself."""
        return replace(value, tensor=layer(value.tensor), positive=positive)

    def activation(self, value: Value, function: str, *, positive: bool = False) -> Value:
        layer = self.keras.layers.Activation(function, name=self.name())
        return self.each(value, layer, positive=positive)

    def operation(self, module: str, kind: str, *args: Any, suffix: str = "", **kwargs: Any) -> Any:
        """An operation of Keras (``numpy.Clip``, say) under the name of the node."""
        import importlib

        operation = getattr(importlib.import_module(f"keras.src.ops.{module}"), kind)
        return operation(*args, **kwargs, name=self.name(suffix))

    def part(self, tensor: Any, where: tuple[Any, ...], suffix: str = "") -> Any:
        """A slice of a tensor (batch, *memory), the batch's among ``where``."""
        return self.operation("numpy", "GetItem", suffix=suffix)(tensor, where)

    def affine(self, value: Value, scale: Array | None, shift: Array | None) -> Value:
        """value · scale + shift, constants that are broadcast over it.

        One number for all is a Rescaling, one for each of the last axis in memory a BatchNormalization, else it
        is a Normalization.
        """
        layers = self.keras.layers
        rank = max(len(value.axes), *(c.ndim for c in (scale, shift) if c is not None))
        value = value.with_axes([()] * (rank - len(value.axes)) + list(value.axes))
        value = self._widened(value, [c for c in (scale, shift) if c is not None])
        by, to = (None if c is None else atoms.in_memory(value, np.asarray(c, np.float32)) for c in (scale, shift))
        ones = [c for c in (by, to) if c is not None]
        varying = sorted({i for c in ones for i, n in enumerate(c.shape) if n > 1})
        positive = value.positive and all((c >= 0).all() for c in ones)
        if not varying:
            factor = 1.0 if by is None else float(by.ravel()[0])
            offset = 0.0 if to is None else float(to.ravel()[0])
            if (factor, offset) == (1.0, 0.0):
                return value
            return self.each(value, layers.Rescaling(factor, offset, name=self.name()), positive=positive)
        channels = value.tensor.shape[-1]
        if varying == [len(value.memory) - 1]:
            gamma, beta = (
                np.full(channels, start, np.float32) if c is None else np.broadcast_to(c.ravel(), (channels,))
                for c, start in ((by, 1), (to, 0))
            )
            return self.each(value, self.batch_norm(gamma, beta, -1), positive=positive)
        if by is not None and not (by > 0).all():
            if by.size > SMALL:
                raise Unsupported(f"it multiplies by {by.size:,} constants of both signs along several axes")
            scaled = self.operation("numpy", "Multiply")(value.tensor, by[None])
            value = replace(value, tensor=scaled, positive=False)
            return value if shift is None else self.affine(value, None, shift)
        shape = [n if i in varying else 1 for i, n in enumerate(value.tensor.shape[1:])]
        factors = np.ones(shape, np.float32) if by is None else np.broadcast_to(by, shape)
        offsets = np.zeros(shape, np.float32) if to is None else np.broadcast_to(to, shape)
        layer = layers.Normalization(axis=[i + 1 for i in varying], name=self.name())
        layer.build(value.tensor.shape)
        kept = layer.adapt_mean.shape
        layer.adapt_mean.assign((-offsets / factors).reshape(kept))
        layer.adapt_variance.assign((1 / factors**2).reshape(kept))
        layer.finalize_state()
        return self.each(value, layer, positive=positive)

    def _widened(self, value: Value, constants: Sequence[Array]) -> Value:
        """The value repeated along axes of size 1 where a constant is longer."""
        for constant in constants:
            for back in range(1, constant.ndim + 1):
                if constant.shape[-back] > 1 and not value.axes[-back]:
                    value = self.repeated(value, len(value.axes) - back, constant.shape[-back])
        return value

    def repeated(self, value: Value, axis: int, times: int) -> Value:
        """The value repeated along an axis of size 1."""
        new = atoms.atom(times)
        order = self.natural(value, [axis])
        held = self.ordered(value, order)
        at = order.index(axis)
        tensor = self.operation("numpy", "Repeat", times, axis=at + 1)(held.tensor)
        memory = tuple(new if i == at else group for i, group in enumerate(held.memory))
        axes = tuple(new if i == axis else group for i, group in enumerate(held.axes))
        return replace(held, tensor=tensor, memory=memory, axes=axes)

    def batch_norm(
        self, gamma: Array, beta: Array, axis: int, mean: Array | None = None, variance: Array | None = None,
        epsilon: float = EPSILON,
    ) -> Callable[[Any], Any]:  # fmt: skip
        """A batch normalisation of these weights; by itself it scales by gamma and shifts by beta."""
        layer = self.keras.layers.BatchNormalization(axis=axis, epsilon=epsilon, name=self.name())
        mean = np.zeros_like(gamma) if mean is None else mean
        variance = np.full_like(gamma, 1 - EPSILON) if variance is None else variance
        return of_layer(layer, [gamma, beta, mean, variance])


def _runs(have: Sequence[Atom], want: Sequence[Atom], edges: Collection[int]) -> list[list[Atom]]:
    """Atoms that stay neighbours, cut before those of ``edges`` (identities): what one transposition moves."""
    runs: list[list[Atom]] = []
    for one in want:
        if runs and have.index(runs[-1][-1]) + 1 == have.index(one) and id(one) not in edges:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def of_layer(layer: Any, weights: Sequence[Array]) -> Callable[[Any], Any]:
    """Call a layer and give it weights."""

    def called(tensor: Any) -> Any:
        result = layer(tensor)
        layer.set_weights([np.asarray(weight, np.float32) for weight in weights])
        return result

    return called
