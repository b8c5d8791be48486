"""The given classifier as a flat list of layer calls, and sub-models cut out of it.

Everything before a trained head is the user's backbone: it is frozen here and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone import custom_objects, keras_files, model_files, stored_model
from eeaug.backbone.answers import ANY, Answer, answers_of, output_names, picked_output
from eeaug.backbone.calls import INPUT, Call, calls_of
from eeaug.backbone.from_onnx import convert
from eeaug.backbone.from_onnx.convert import Converted
from eeaug.backbone.losses import Loss
from eeaug.backbone.model_inputs import Shape, node_of, read_inputs
from eeaug.backbone.model_output import SHARPNESS, Ending, OutputMeaning, at_first, ending_of, tolerance, with_added
from eeaug.backbone.safe_names import safe
from eeaug.cascade.output import Decision
from eeaug.errors import ConversionError
from eeaug.support.sample_layout import SampleLayout

__all__ = ["INPUT", "RESERVED", "Call", "Classifier", "Shape", "added_by", "from_keras", "load"]

AT_ONCE, ELEMENTS = 32, 2_000_000  # samples in one call of the given model, and their elements

# Names of layers that are added later
SOFTMAX, SIGMOID, SCALE = "eeaug_softmax", "eeaug_sigmoid", "eeaug_scale"
RESERVED = (INPUT, SOFTMAX, SIGMOID, SCALE, "eeaug_final", "eeaug_handover")
_ADDED = {SCALE: "sharpened", SOFTMAX: "softmax", SIGMOID: "sigmoid"}


@dataclass(frozen=True)
class Classifier:
    """A trained, frozen classifier with one output.

    ``layout``: its inputs; samples have the shape ``input_shape``, which is that of a row where it has several.
    Inputs of the given model that its output does not depend on are ``unused``; ``dtypes`` are those that it
    declares. ``calls`` are in topological order. ``added``: what the last stage adds, see
    model_output.OutputMeaning; ``stripped``: instead of an activation that it ended in; ``ending`` what layers say
    of that, ``loss`` what the file says that it was trained with. ``given`` is the Keras model as it was read,
    before it was taken apart (but for that activation); ``half`` that some of it computes in half precision.
    ``answers``: outputs of a model that may be any, before which exits say "nothing here"; ``output`` and ``added``
    say nothing then. ``code``: names of classes and functions of the user in it; ``notes``: what was taken for
    granted, for the user to know.
    """

    name: str
    file: str
    sha256: str
    layout: SampleLayout
    decision: Decision
    added: str
    calls: tuple[Call, ...]
    output: str
    nodes: Mapping[str, Any] = field(repr=False)  # call name -> the Keras node that is replayed
    inputs: tuple[Any, ...] = field(repr=False)  # the flat model's input tensors
    dtypes: tuple[str, ...] = ("float32",)
    unused: tuple[str, ...] = ()
    ending: Ending = field(default_factory=Ending, repr=False)
    given: Any = field(default=None, repr=False)
    half: bool = False
    answers: tuple[Answer, ...] = ()
    notes: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    onnx: Converted | None = field(default=None, repr=False)  # the ONNX file that ``given`` was made of
    loss: Loss | None = None
    stripped: bool = False

    @property
    def logits(self) -> bool:
        """Whether it gives scores, of which the last stage makes probabilities."""
        return bool(self.added)

    @property
    def identity(self) -> str:
        """What results of the network depend on, in one text: the file, how it was converted, the user's code."""
        onnx = [] if self.onnx is None else [f"onnx {convert.VERSION}"]
        return " ".join([self.sha256, *onnx, *(file["sha256"] for file in custom_objects.files() if self.code)])

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.layout.shape

    @property
    def sources(self) -> dict[str, str]:
        """By name of an input, what calls that read it call it: INPUT where there is one alone."""
        return {name: node_of(name, self.layout) for name in self.layout.names}

    @property
    def tolerance(self) -> float:
        """What probabilities may be off by, for rounding alone."""
        return tolerance(self.half)

    def raw(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the given model returns for prepared samples (n, *input_shape): (n, outputs), nothing added."""
        answers = [np.asarray(piece, np.float32).reshape(len(piece), -1) for (piece,) in self._asked(x)]
        return np.concatenate(answers)

    def given_outputs(self, x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """All that a model which may be any returns for prepared samples (n, *input_shape), by name: (n, ...)."""
        pieces = list(self._asked(x))
        return {
            answer.name: np.concatenate([np.asarray(piece[i]) for piece in pieces])
            for i, answer in enumerate(self.answers)
        }

    def _asked(self, x: NDArray[np.float32]) -> Iterator[list[Any]]:
        """What the given model says of pieces of samples, in their order: each output (n, ...)."""
        fixed = self.given.inputs[0].shape[0]
        size = fixed or self._at_once
        for start in range(0, len(x), size):
            piece = x[start : start + size]
            missing = size - len(piece) if fixed else 0  # some models take batches of one size only
            full = np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)]) if missing else piece
            answer = self.given(self.fed(full), training=False)
            yield [each[: len(piece)] for each in (answer if isinstance(answer, list) else [answer])]

    def read_by(self, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the call of this name reads of prepared samples, in its first input."""
        import keras

        node = self.nodes[name]
        read = keras.Model(self.inputs if self.layout.several else self.inputs[0], node.input_tensors[0])
        size = self._at_once
        parts = (self.fed(x[i : i + size]) for i in range(0, len(x), size))
        return np.concatenate([np.asarray(read(part, training=False), np.float32) for part in parts])

    def fed(self, x: NDArray[np.float32]) -> Any:
        """Samples (n, *input_shape) as a Keras model takes them: a list of arrays for several inputs."""
        return list(self.layout.split(x).values()) if self.layout.several else x

    @property
    def _at_once(self) -> int:
        return max(1, min(AT_ONCE, ELEMENTS // prod(self.input_shape)))

    def own_probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same as probabilities: what the last stage must give, computed without the stages."""
        return with_added(self.raw(x), self.added)

    @property
    def classes(self) -> int:
        return self.decision.classes

    def replay(self, given: Mapping[str, Any], ends: Iterable[str]) -> dict[str, Any]:
        """Call the layers again up to ``ends``, from tensors for outputs of calls and for inputs (``sources``).

        Returns the new tensors of all calls on the way, and those given.
        """
        wanted = self.between(given, ends)
        outputs = dict(given)
        known = {id(self._tensor(name)): tensor for name, tensor in given.items()}
        for call in self.calls:
            if call.name not in wanted:
                continue
            node = self.nodes[call.name]
            args, kwargs = node.arguments.fill_in(known)
            out = node.operation(*args, **kwargs)
            for old, new in zip(node.outputs, _unmasked(out), strict=True):
                known[id(old)] = new
            outputs[call.name] = out
        return outputs

    def fresh_inputs(self, keras: Any) -> dict[str, Any]:
        """New Keras inputs in single precision, as :meth:`replay` takes them."""
        names = self.layout.names if self.layout.several else (INPUT,)
        pairs = zip(self.sources.values(), names, self.layout.shapes, strict=True)
        return {node: keras.Input(shape, name=name) for node, name, shape in pairs}

    def probabilities(self, tensor: Any) -> Any:
        """What the last stage gives for the backbone's output: scores get their softmax or sigmoid."""
        import keras

        if self.added == "sigmoid":
            return keras.layers.Activation("sigmoid", name=SIGMOID)(tensor)
        if self.added == "sharpened":
            tensor = keras.layers.Rescaling(SHARPNESS, name=SCALE)(tensor)
        return keras.layers.Softmax(name=SOFTMAX)(tensor) if self.added else tensor

    def _tensor(self, name: str) -> Any:
        places = list(self.sources.values())
        return self.inputs[places.index(name)] if name in places else self.nodes[name].outputs[0]

    def between(self, given: Collection[str], ends: Iterable[str]) -> set[str]:
        """Names of all calls and inputs (``sources``) that ``ends`` need and that are not ``given``."""
        by_name = {call.name: call for call in self.calls}
        wanted: set[str] = set()
        stack = list(ends)
        while stack:
            name = stack.pop()
            if name in wanted or name in given:
                continue
            wanted.add(name)
            stack.extend(by_name[name].inputs if name in by_name else ())
        return wanted


def load(
    path: Path, *, architecture: Path | None = None, allow_unsafe: bool = False, output: str | None = None,
    input_shape: Shape | Callable[[Shape], Shape] | None = None, blank: bool = False,
) -> Classifier:  # fmt: skip
    """Read a model file or a SavedModel directory, flatten its submodels, freeze it.

    ``architecture`` describes the layers of weights; None: what stands beside them. ``output`` picks the classifier
    of a model with several outputs, by name or number (from 0); layers that only the others need are left out.
    ``input_shape`` of a sample, where the model leaves it open, or what gives it for the model's own. ``blank``: it
    may be any, with any outputs, before which exits say "nothing here".

    Raises
    ------
    InputError : the file cannot be read, or has no such output, or its input has another shape
    ConversionError : it is not a classifier with one input and one output that eeaug can take apart
    """
    keras = keras_files.import_keras()
    path = model_files.meant(path)
    with model_files.opened(path, architecture) as files:
        stored = stored_model.read_files(files, allow_unsafe=allow_unsafe, custom=custom_objects.has_any())
        onnx = None
        if stored.kind in ("onnx", "torch"):
            onnx = convert.of_kind(stored.kind, files.path, keras, input_shape, RESERVED)
        model = onnx.model if onnx else keras_files.built(files.path, stored, allow_unsafe)
        described = stored.architecture
        digest = onnx.sha256 if onnx else model_files.sha256(path, described)
    if callable(input_shape):
        its_own = tuple(model.inputs[0].shape[1:]) if len(model.inputs) == 1 else ()
        input_shape = input_shape(its_own) if None in its_own else None
    classifier = from_keras(
        keras, model, path, output, input_shape=input_shape, loss=stored.loss, digest=digest, blank=blank
    )  # fmt: skip
    return replace(classifier, notes=(*stored.notes, *classifier.notes), onnx=onnx)


def from_keras(
    keras: Any, model: Any, path: Path, output: str | None = None, *,
    input_shape: Shape | None = None, loss: Loss | None = None, digest: str | None = None, blank: bool = False,
) -> Classifier:  # fmt: skip
    """The same for a model in memory; ``path`` is the file that it came from, ``digest`` its hash, if known."""
    where = f"{path.name}:"
    picked = list(model.outputs) if blank else [picked_output(keras, where, model, output)]
    model.trainable = False
    stateful = _stateless(model)
    read = read_inputs(keras, where, model, RESERVED, input_shape)
    whole = model if len(model.outputs) == len(picked) else keras.Model(model.inputs, picked)
    tensors = _flatten(
        keras, whole, read.tensors, {}, {*RESERVED, *(read.layout.names if read.layout.several else ())}, ""
    )
    flat = keras.Model(read.tensors if read.layout.several else read.tensors[0], tensors, name=model.name)
    read, given = read.used_by(where, *tensors), [model.inputs[i] for i in read.needed(*tensors)]
    calls, nodes = calls_of(flat, read.nodes)
    if not calls:
        raise ConversionError(f"{where} holds no layer")
    answers: tuple[Answer, ...] = ()
    ending, reading = Ending(), OutputMeaning(Decision("blank", 2))
    if blank:
        answers = answers_of(where, output_names(keras, model), tensors, nodes)
    else:
        ending = ending_of(calls)
        try:
            reading = at_first(where, ending, tuple(tensors[0].shape[1:]), read.layout, loss)
        except ConversionError as error:
            raise ConversionError(f"{error}; {ANY}") from error
    for call in calls:
        mode = getattr(nodes[call.name].operation, "quantization_mode", None)
        if mode:
            quantized = f"layer {call.name!r} ({call.kind}) is quantized to {mode}"
            raise ConversionError(f"{where} {quantized}: give the float model")
    return Classifier(
        name=path.stem,
        file=path.name,
        sha256=digest or model_files.sha256(path),
        layout=read.layout,
        decision=reading.decision,
        added=reading.added,
        calls=calls,
        output=calls[-1].name,
        nodes=nodes,
        inputs=read.tensors,
        dtypes=read.dtypes,
        unused=read.unused,
        ending=ending,
        given=keras.Model(given if read.layout.several else given[0], picked if blank else picked[0]),
        answers=answers,
        code=tuple(custom_objects.names_in(flat)),
        notes=(*stateful, *_counted(calls, nodes)),
        loss=loss,
        half=any(getattr(node.operation, "compute_dtype", None) in _HALF for node in nodes.values()),
    )


_HALF = ("float16", "bfloat16")


def _stateless(model: Any) -> list[str]:
    """Let recurrent layers forget: a sample's class must not depend on the samples before it. What was changed."""
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "stateful", False) is True]
    for layer in layers:
        layer.stateful = False
    names = ", ".join(dict.fromkeys(layer.name for layer in layers))
    note = f"stateful layers ({names}) begin every sample with a state of zeros, as after reset_state()"
    return [note] if layers else []


def _counted(calls: Sequence[Call], nodes: Mapping[str, Any]) -> list[str]:
    """How MACs of the user's layers are counted."""
    layers = {call.weights_of: (call, nodes[call.name].operation) for call in calls}
    ways = {"as TensorFlow's graph of it shows them": False, "as its function macs says": True}
    notes = []
    for words, with_function in ways.items():
        names = [
            f"{call.name} ({call.kind})"
            for call, layer in layers.values()
            if custom_objects.is_of_user(layer) and callable(getattr(layer, "macs", None)) == with_function
        ]
        if names:
            notes.append(f"{', '.join(names)}: code that was named, each one block, its MACs {words}")
    return notes


def added_by(names: Collection[str]) -> str:
    """What layers with these names (SOFTMAX, ...) were added for, as Classifier.added."""
    return next((what for name, what in _ADDED.items() if name in names), "")


def _flatten(
    keras: Any, model: Any, tensors: Sequence[Any], renamed: dict[int, str], names: set[str], prefix: str
) -> list[Any]:
    """Call the layers of a functional model on ``tensors``, those of nested models in their place."""
    if isinstance(model, keras.Sequential):
        model = model._functional
    known = {id(old): new for old, new in zip(model.inputs, tensors, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            layer = node.operation
            if node.is_input:
                continue
            args, kwargs = node.arguments.fill_in(known)
            if isinstance(layer, (keras.Sequential, keras.src.models.functional.Functional)):
                inner = [t for t in keras.tree.flatten((args, kwargs)) if keras.backend.is_keras_tensor(t)]
                out = _flatten(keras, layer, inner, renamed, names, f"{prefix}{safe(layer.name)}_")
            else:
                if id(layer) not in renamed:  # the same name may stand in two submodels
                    _rename(layer, renamed, names, prefix)
                if kwargs.get("training"):  # random layers store their default, which is training
                    kwargs = {**kwargs, "training": False}
                out = _unmasked(layer(*args, **kwargs))
            known.update({id(old): new for old, new in zip(node.outputs, out, strict=True)})
    return [known[id(t)] for t in model.outputs]


def _unmasked(result: Any) -> list[Any]:
    """The tensors that a layer gives, without masks: calls that use one have it among their arguments."""
    tensors = list(result) if isinstance(result, (list, tuple)) else [result]
    for tensor in tensors:
        if getattr(tensor, "_keras_mask", None) is not None:
            tensor._keras_mask = None
    return tensors


def _rename(layer: Any, renamed: dict[int, str], names: set[str], prefix: str) -> None:
    """Give a layer, and those inside of it, a name that no other has and that TensorFlow takes."""
    name = safe(layer.name)
    if name in names:
        name = f"{prefix}{name}"
    while name in names:
        name += "_"
    layer.name = renamed[id(layer)] = name
    names.add(name)
    # layers of a wrapper, which are in no graph of their own
    for inside in layer._flatten_layers(include_self=False) if hasattr(layer, "_flatten_layers") else ():
        inside.name = safe(inside.name)
