"""The inputs of the given model: their names, shapes and types, and which of them its output needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from eeaug.backbone.calls import INPUT
from eeaug.backbone.safe_names import safe
from eeaug.errors import ConversionError, InputError
from eeaug.support.sample_layout import SampleLayout

__all__ = ["Inputs", "Shape", "node_of", "read_inputs"]

Shape = tuple[int | None, ...]


def node_of(name: str, layout: SampleLayout) -> str:
    """What graphs call an input: INPUT where it is alone, else a name that no layer can have."""
    return f"{INPUT}:{name}" if layout.several else INPUT


@dataclass(frozen=True)
class Inputs:
    """Inputs of a model in its order.

    Parameters
    ----------
    tensors : new Keras inputs that stand for them
    dtypes : that the model declares
    unused : names of those that its output does not depend on, which are left out here
    """

    layout: SampleLayout
    tensors: tuple[Any, ...]
    dtypes: tuple[str, ...]
    unused: tuple[str, ...] = ()

    @property
    def nodes(self) -> dict[int, str]:
        """What graphs call them, by the identity of their tensors."""
        return {id(t): node_of(n, self.layout) for t, n in zip(self.tensors, self.layout.names, strict=True)}

    def needed(self, *outputs: Any) -> list[int]:
        """Numbers of those that tensors depend on."""
        seen, stack = {id(output) for output in outputs}, list(outputs)
        while stack:
            operation, index, _ = stack.pop()._keras_history
            more = [t for t in operation._inbound_nodes[index].input_tensors if id(t) not in seen]
            seen |= {id(t) for t in more}
            stack += more
        return [i for i, tensor in enumerate(self.tensors) if id(tensor) in seen]

    def used_by(self, where: str, *outputs: Any) -> Inputs:
        """Those that tensors depend on.

        Raises
        ------
        ConversionError : none, or one with an open size
        """
        kept = self.needed(*outputs)
        if not kept:
            raise ConversionError(f"{where} its output depends on none of its inputs")
        names = tuple(self.layout.names[i] for i in kept)
        for i in kept:
            shape = self.layout.shapes[i]
            if None in shape:
                raise ConversionError(
                    f"{where} the input {names[kept.index(i)]!r} has the shape {shape} with open dimensions; fix "
                    "them and save again"
                )
        return replace(
            self,
            layout=self.layout.only(names),
            tensors=tuple(self.tensors[i] for i in kept),
            dtypes=tuple(self.dtypes[i] for i in kept),
            unused=tuple(name for name in self.layout.names if name not in names),
        )


def read_inputs(
    keras: Any, where: str, model: Any, reserved: Collection[str], input_shape: Shape | None = None
) -> Inputs:
    """All inputs of a Keras model; ``input_shape`` of the one that there is, where the model leaves it open.

    Raises
    ------
    InputError : the input has another shape
    ConversionError : one is text, or the one has an open size
    """
    names: list[str] = []
    for tensor in model.inputs:
        given = tensor._keras_history.operation.name  # that of the tensor is another one where none was given
        if tensor.dtype == "string":
            which = "its input" if len(model.inputs) == 1 else f"its input {given!r}"
            raise ConversionError(f"{where} {which} is text; give the part of the model that takes numbers")
        name = safe(given)
        while name in names or (name in reserved and name != INPUT):
            name += "_"
        names.append(name)
    shapes = tuple(tuple(tensor.shape[1:]) for tensor in model.inputs)
    if len(shapes) == 1:
        shapes = (_closed(where, shapes[0], input_shape),)
    elif input_shape is not None:
        raise InputError(f"{where} has {len(shapes)} inputs: --input-shape is for models with one")
    dtypes = tuple(str(tensor.dtype) for tensor in model.inputs)
    # fixed names: Keras' automatic ones count up within a process, and would differ between runs
    tensors = tuple(
        keras.Input(shape, dtype=dtype, name=name if len(names) > 1 else INPUT)
        for name, shape, dtype in zip(names, shapes, dtypes, strict=True)
    )
    return Inputs(SampleLayout(tuple(names), shapes), tensors, dtypes)


def _closed(where: str, its_own: Shape, given: Shape | None) -> tuple[int, ...]:
    """The shape of a sample: the model's own, where that is open the given one."""
    shape = its_own if given is None else given
    fits = len(shape) == len(its_own) and all(n in (None, m) for n, m in zip(its_own, shape, strict=True))
    if not fits:
        raise InputError(f"{where} takes samples of shape {_open(its_own)}, given {_open(shape)}")
    closed = tuple(n for n in shape if n is not None)
    if len(closed) < len(shape):
        example = ",".join(str(n or 96) for n in shape)
        raise ConversionError(
            f"{where} takes samples of shape {_open(its_own)}: --input-shape says what those of the target have, "
            f"as {example}"
        )
    return closed


def _open(shape: Shape) -> str:
    return "×".join("?" if n is None else str(n) for n in shape)
