"""The augmented network cut into stages: what each processor runs up to one decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eeaug.backbone import keras_files, model
from eeaug.backbone.model import INPUT, Classifier
from eeaug.frameworks import keras_to_onnx
from eeaug.heads import keras_head
from eeaug.heads.training import Trained
from eeaug.support.sample_layout import SampleLayout

__all__ = [
    "FINAL",
    "PROBABILITIES",
    "Stage",
    "backbone",
    "exit_name",
    "exit_output",
    "final_output",
    "monolith",
    "stage_graph",
    "stages",
    "whole",
]

PROBABILITIES = "probabilities"
HANDOVER = "handover_"
FINAL = "final"


@dataclass(frozen=True)
class Stage:
    """A segment of the backbone and its head, on one processor.

    ``start`` and ``end`` are locations; None stands for the model's input and output. ``threshold`` None
    means that nothing leaves here (in the last stage: everything does). ``macs`` is the whole stage's cost.
    ``row``: what the stage is given, the tensor of the stage before and inputs of the model; of these its files
    take those named in ``takes``. ``onward``: what it hands over, which is the row of the next stage; None in the
    last. ``choices``: names of its processor's level and memories, as hardware.Mode has them.
    """

    name: str
    processor: str
    start: str | None
    end: str | None
    exit: Trained | None
    threshold: float | None
    row: SampleLayout
    takes: tuple[str, ...]
    onward: SampleLayout | None
    bytes_per_element: int
    macs: int
    weights: tuple[float, ...] = ()
    carried: int = 0
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.row.shape

    @property
    def input_name(self) -> str:
        """The name of the tensor that feeds it, which the stage before gives under the same name."""
        return self.row.names[0]

    @property
    def handover(self) -> str | None:
        return None if self.onward is None else self.onward.names[0]

    @property
    def handover_shape(self) -> tuple[int, ...]:
        """Of the tensor that it computes and hands over."""
        return () if self.onward is None else self.onward.shapes[0]

    @property
    def handover_bytes(self) -> int:
        return 0 if self.onward is None else (sum(self.onward.sizes) + self.carried) * self.bytes_per_element


def handover_name(location: str) -> str:
    return f"{HANDOVER}{keras_head.safe_name(location)}"


def exit_output(handover: str) -> str:
    """The augmented model's output that belongs to the stage with this hand-over."""
    return f"exit_{handover.removeprefix(HANDOVER)}"


def final_output(name: str) -> str:
    """The augmented model's output that is the given model's output of this name."""
    return f"{FINAL}_{name}"


def exit_name(trained: Trained) -> str:
    """The augmented model's output of this exit; the names of the head's layers begin with it."""
    return exit_output(handover_name(trained.head.location.name))


def stages(
    classifier: Classifier,
    exits: Sequence[Trained],
    thresholds: Sequence[float | None],
    processors: Sequence[tuple[str, int]],
    macs: Sequence[int],
    weights: Sequence[tuple[float, ...]] = (),
    choices: Sequence[Mapping[str, str]] = (),
) -> tuple[Stage, ...]:
    """One stage per decision.

    Parameters
    ----------
    exits : m trained heads, in order; thresholds : theirs, None for never
    processors : m + 1 pairs (name, bytes per element); macs : m + 1 costs
    weights : m + 1 rows of reuse.Reuse; none: every classifier decides by itself
    choices : m + 1 of Stage.choices; none: no processor has several of anything
    """
    cut: list[Stage] = []
    layout = classifier.layout if classifier.layout.several else SampleLayout((INPUT,), classifier.layout.shapes)
    start, row = None, layout
    for k, (processor, width) in enumerate(processors):
        trained = exits[k] if k < len(exits) else None
        end = trained.head.location if trained else None
        onward = None
        ends = [*_reads(trained), *([end.name] if end else _ends(classifier))]
        if end:
            passed = layout.only(end.carries)
            onward = SampleLayout((handover_name(end.name), *passed.names), (end.shape, *passed.shapes))
        cut.append(
            Stage(
                name=f"{k}-{processor}",
                processor=processor,
                start=start,
                end=end.name if end else None,
                exit=trained,
                threshold=thresholds[k] if trained else None,
                row=row,
                takes=_taken(classifier, start, row, ends),
                onward=onward,
                bytes_per_element=width,
                macs=macs[k],
                weights=weights[k] if weights and k else (),
                carried=(k + 1) * classifier.decision.outputs if weights and end else 0,
                choices=choices[k] if choices else {},
            )
        )
        if end and onward:
            start, row = end.name, onward
    return tuple(cut)


def _ends(classifier: Classifier) -> list[str]:
    """The calls that the last stage computes."""
    return list(dict.fromkeys(answer.call for answer in classifier.answers)) or [classifier.output]


def _nodes(classifier: Classifier, start: str | None, row: SampleLayout) -> dict[str, str]:
    """What the graph calls the tensors that a stage is given, by their names."""
    first = {} if start is None else {row.names[0]: start}
    return {name: first.get(name) or classifier.sources.get(name, INPUT) for name in row.names}


def _taken(classifier: Classifier, start: str | None, row: SampleLayout, ends: Sequence[str]) -> tuple[str, ...]:
    """Names of what is computed with, of what a stage is given."""
    nodes = _nodes(classifier, start, row)
    run = classifier.between(nodes.values(), ends)
    read = {source for call in classifier.calls if call.name in run for source in call.inputs} | {*ends}
    return tuple(name for name in row.names if nodes[name] in read)


def stage_graph(classifier: Classifier, stage: Stage) -> tuple[Any, dict[str, Any]]:
    """The stage's Keras input, or a list of them, and its outputs by name: probabilities, then the hand-over.

    The last stage has no hand-over; inputs of the model that others hand on are no outputs. That of a model that
    may be any gives the model's outputs instead, by their names.
    """
    import keras

    nodes = _nodes(classifier, stage.start, stage.row)
    inputs = {name: keras.Input(stage.row.shape_of(name), name=name) for name in stage.takes}
    ends = _ends(classifier) if stage.end is None else [stage.end]
    tensors = classifier.replay({nodes[name]: t for name, t in inputs.items()}, [*_reads(stage.exit), *ends])
    given = list(inputs.values()) if len(inputs) > 1 else inputs[stage.takes[0]]
    if stage.exit is None:
        if classifier.answers:
            return given, _answers(classifier, tensors, stage.start)
        return given, {PROBABILITIES: _final(classifier, tensors[classifier.output])}
    handover = keras_to_onnx.as_float32(tensors[ends[0]], "eeaug_handover")
    return given, {PROBABILITIES: _attached(stage.exit, tensors), str(stage.handover): handover}


def whole(classifier: Classifier) -> tuple[Any, dict[str, Any]]:
    """A model that may be any by itself: its Keras input or a list of them, and its outputs by name."""
    import keras

    inputs = classifier.fresh_inputs(keras)
    given = list(inputs.values())
    tensors = classifier.replay(inputs, _ends(classifier))
    return given if classifier.layout.several else given[0], _answers(classifier, tensors, None)


def monolith(classifier: Classifier, exits: Sequence[Trained]) -> Any:
    """The whole early-exit model: one output per classifier, ``exit_<location>`` in order, then ``final``.

    Of a model that may be any, its outputs as ``final_<name>``.
    """
    import keras

    inputs = classifier.fresh_inputs(keras)
    locations = [trained.head.location.name for trained in exits]
    earlier = [name for trained in exits for name in _reads(trained)]
    ends = list(dict.fromkeys([*earlier, *locations, *_ends(classifier)]))
    tensors = classifier.replay(inputs, ends)
    outputs = {exit_name(trained): _attached(trained, tensors) for trained in exits}
    if classifier.answers:
        answers = _answers(classifier, tensors, None)
        outputs |= {final_output(name): tensor for name, tensor in answers.items()}
    else:
        outputs[FINAL] = _final(classifier, tensors[classifier.output])
    given = list(inputs.values())
    return keras.Model(given if classifier.layout.several else given[0], outputs, name="augmented")


def backbone(augmented: Any, path: Path) -> Classifier:
    """The backbone of an augmented model: without its heads, and what the last stage adds."""
    keras = keras_files.import_keras()
    tensor, added = augmented.output[FINAL], set()
    while tensor._keras_history.operation.name in model.RESERVED:
        operation, index, _ = tensor._keras_history
        added.add(operation.name)
        (tensor,) = operation._inbound_nodes[index].input_tensors
    # what the given model lacked was decided by samples, not by layers alone
    return replace(
        model.from_keras(keras, keras.Model(augmented.inputs, tensor), path), added=model.added_by(added)
    )


def _final(classifier: Classifier, tensor: Any) -> Any:
    return keras_to_onnx.as_float32(classifier.probabilities(tensor), "eeaug_final")


def _answers(classifier: Classifier, tensors: Mapping[str, Any], start: str | None) -> dict[str, Any]:
    """The outputs of a model that may be any by name, of its calls' tensors; ``start`` is what a stage is given."""
    import keras

    answers: dict[str, Any] = {}
    for answer in classifier.answers:
        tensor = tensors[answer.call]
        tensor = tensor[answer.index] if isinstance(tensor, (list, tuple)) else tensor
        name = f"eeaug_{answer.name}"
        if answer.returned == "float32":
            tensor = keras_to_onnx.as_float32(tensor, name)
        # what the stage is given may be an output, too
        answers[answer.name] = keras.layers.Identity(name=name)(tensor) if answer.call == start else tensor
    return answers


def _reads(trained: Trained | None) -> list[str]:
    """Earlier locations that the head reads, too; a stage with such a head begins at the input."""
    return [] if trained is None else [read.location.name for read in trained.head.earlier]


def _attached(trained: Trained, tensors: Mapping[str, Any]) -> Any:
    head, earlier = trained.head, [tensors[name] for name in _reads(trained)]
    return keras_head.attach(head, trained.weights, tensors[head.location.name], exit_name(trained), earlier)
