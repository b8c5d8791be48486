"""A model's outputs: the classifier among them, or of a model that may be any, all, which the last stage gives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.calls import INPUT
from eeaug.errors import ConversionError, InputError
from eeaug.support.spelling import nearest

__all__ = ["ANY", "Answer", "answers_of", "differ", "output_names", "picked_output"]

ANY = "exits before any other model can recognise empty samples: --blank"
ALIKE = 1e-3  # of a tensor of whole numbers, the share of values that rounding before it may turn


@dataclass(frozen=True)
class Answer:
    """An output: tensor ``index`` of what the call gives, of ``shape`` for a sample.

    ``name``: as files and expressions have it, letters, digits and underscores.
    """

    name: str
    call: str
    index: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def returned(self) -> str:
        """The type of what stages give: half precision as float32, everything else as it is."""
        return "float32" if "float" in self.dtype else self.dtype


def output_names(keras: Any, model: Any) -> list[str]:
    """Names of a model's outputs: those that its author gave, otherwise of the layers that they come from."""
    structure = getattr(model, "_outputs_struct", None)
    if isinstance(structure, dict):
        return [str(path[0]) for path, _ in keras.tree.flatten_with_path(structure)]
    return [tensor._keras_history.operation.name for tensor in model.outputs]


def picked_output(keras: Any, where: str, model: Any, output: str | None) -> Any:
    """The tensor among the model's outputs that ``output`` means."""
    names = output_names(keras, model)
    listed = ", ".join(f"{i}: {name}" for i, name in enumerate(names))
    if output is None:
        if len(names) > 1:
            raise ConversionError(
                f"{where} has {len(names)} outputs ({listed}); name the classifier by --output; {ANY}"
            )
        return model.outputs[0]
    matches = [i for i, name in enumerate(names) if name == output]
    if not matches and output.isdecimal() and int(output) < len(names):
        matches = [int(output)]
    if len(matches) > 1:
        raise InputError(f"{where} {len(matches)} outputs are called {output!r}; give a number: {listed}")
    if not matches:
        raise InputError(f"{where} no output {output!r}{nearest(output, names)}; it has {listed}")
    return model.outputs[matches[0]]


def answers_of(
    where: str, names: Sequence[str], tensors: Sequence[Any], nodes: Mapping[str, Any]
) -> tuple[Answer, ...]:
    """The outputs of a flat model, by the names of the given one's; ``nodes`` by name of the call.

    Raises
    ------
    ConversionError : one is not what a sample by itself gives
    """
    places = {id(tensor): (name, i) for name, node in nodes.items() for i, tensor in enumerate(node.outputs)}
    answers: list[Answer] = []
    for name, tensor in zip(names, tensors, strict=True):
        shape = tuple(tensor.shape)
        if id(tensor) not in places:
            raise ConversionError(f"{where} output {name!r} is the input itself")
        if not shape or shape[0] is not None or None in shape[1:] or len(shape) < 2:
            raise ConversionError(
                f"{where} output {name!r} has the shape {shape}: must be (samples, ...) of fixed sizes"
            )
        call, index = places[id(tensor)]
        taken = {answer.name for answer in answers}
        answers.append(Answer(_name(name, taken), call, index, shape[1:], str(tensor.dtype)))
    return tuple(answers)


def _name(name: str, taken: set[str]) -> str:
    """A name that expressions, ONNX and TFLite take, and that no other output has."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    plain = plain if plain[:1].isalpha() else f"output{plain}"
    plain = f"{plain}_" if plain == INPUT or plain.startswith("handover_") else plain
    number, unique = 2, plain
    while unique in taken:
        unique, number = f"{plain}_{number}", number + 1
    return unique


def differ(given: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], tolerance: float) -> str | None:
    """How outputs by name differ from the given model's own, in words; None: by rounding alone.

    Real numbers may be off by ``tolerance`` of the largest of a tensor, or of 1 if that is more.
    """
    for name, own in given.items():
        theirs = other[name]
        if own.shape != theirs.shape:
            return f"output {name!r} has the shape {theirs.shape}, the given model's {own.shape}"
        if own.dtype.kind in "biu":
            turned = float(np.mean(own != theirs)) if own.size else 0.0
            if turned > ALIKE:
                return f"{turned:.2%} of the values of output {name!r} are others"
            continue
        finite = np.isfinite(own)
        if not np.array_equal(finite, np.isfinite(theirs)):
            return f"output {name!r} is not finite for the same values"
        off = np.abs(own - theirs, where=finite, out=np.zeros(own.shape, np.float32))
        largest = max(1.0, float(np.abs(own, where=finite, out=np.zeros(own.shape, np.float32)).max(initial=0.0)))
        if off.max(initial=0.0) > tolerance * largest:
            return f"output {name!r} is off by up to {off.max():.3g}, of values up to {largest:.3g}"
    return None
