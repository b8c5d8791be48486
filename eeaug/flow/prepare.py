"""Everything before the first pass: model, data and target read, checked, taken apart, limits looked at."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from eeaug import data, hardware
from eeaug.backbone import custom_objects, keras_files, model, model_output, settled, stored_model
from eeaug.backbone.model import Classifier
from eeaug.cascade.blank_rule import BlankRule
from eeaug.cascade.output import Decision
from eeaug.data import Data, Part, Splits, plausibility
from eeaug.design import problem
from eeaug.design.network import Network
from eeaug.errors import ConversionError, EeaugError
from eeaug.features import Cluster, Extraction
from eeaug.flow import blank, streams
from eeaug.frameworks import onnx_agreement
from eeaug.hardware import Hardware, idle
from eeaug.heads import families, planning
from eeaug.heads.layers import Head
from eeaug.heads.packing import Offer
from eeaug.heads.specific import Specific
from eeaug.heads.supervision import Source
from eeaug.network import graph, locations, times
from eeaug.network.locations import Location
from eeaug.settings import EFFORTS, Contradiction, Goal, Input, Settings, Training
from eeaug.support.cache import Cache
from eeaug.support.progress import Progress

__all__ = ["Ready", "prepare", "start_frameworks"]

_RECURRENT = {"LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"}
SAMPLES, LARGE = 256, 50_000  # samples that the given model is asked about; a quarter of them if larger than LARGE
Heads = Mapping[Location, Sequence[Head]]


@dataclass(frozen=True)
class Ready:
    """What a search starts from: the network, its data, and the heads that will be tried by location.

    Of convolutional ones in ``maps`` those that dense ones leave most to.
    """

    network: Network
    given: Data
    source: Source
    classes: tuple[str, ...]
    dense: Heads
    maps: Offer

    @property
    def heads(self) -> list[Head]:
        return _flat(self.dense, self.maps)


def prepare(settings: Settings, progress: Progress, workers: Cluster | None = None) -> Ready:
    """Read and check everything; cheap, and all that can be refused is refused here.

    ``workers`` extract features and train heads; None: this process does.
    """
    asked, goal, running = settings.input, settings.goal, settings.running
    labelled = asked.labels == "given"
    target = hardware.read(asked.hardware)
    for name, why in idle.unreached(target).items():
        progress.caution(f"no design can use {name} of {target.name}: {why}")
    custom_objects.check(asked.custom_objects)
    code = bool(asked.custom_objects)
    stored_model.read(asked.model, architecture=asked.architecture, allow_unsafe=asked.allow_unsafe, custom=code)
    data.locate(asked.data, asked.model)
    Cache(running.cache, running.max_cache_bytes).check()
    with progress.step("import"):
        start_frameworks(running.threads, running.seed)
    with progress.step("load", "model"):
        custom_objects.load(asked.custom_objects)
        classifier = model.load(
            asked.model, architecture=asked.architecture, allow_unsafe=asked.allow_unsafe, output=asked.output_name,
            input_shape=asked.input_shape or partial(_shape_of_data, settings), blank=settings.blank,
        )  # fmt: skip
        classifier = replace(classifier, decision=replace(classifier.decision, measure=asked.confidence))
        if asked.custom_objects and not classifier.code:
            progress.warn(
                f"{', '.join(asked.custom_objects)}: nothing of this code is in {classifier.file}; leave it out"
            )
    # images and saved data sets are read by TensorFlow, whose thread count is fixed by now
    with progress.step("load", "data"):
        decision, shape = classifier.decision, classifier.input_shape
        given = data.load(
            asked.data, asked.model,
            cache=running.cache / "data", input_shape=shape,
            labelled=labelled and asked.blank_when is None,
            layout=classifier.layout, unused=classifier.unused,
        )  # fmt: skip
        answered = _asked(classifier, given)
        as_read = classifier
        if not settings.blank:
            classifier = _settled(classifier, given, answered, asked.decision)
        given = replace(given, notes=(*classifier.notes, *given.notes))
        decision = classifier.decision
        if settings.blank:
            given = _with_blanks(settings, classifier, given, answered, progress)
        elif labelled:
            given = given.labelled(decision.kind, decision.classes)
        given.check(shape, decision.classes)
        names = given.class_names or tuple(str(i) for i in range(decision.classes))
        splits = data.split(
            given,
            seed=running.seed,
            on_train=asked.calibrate_on == "train",
        )
        if splits.choose.part is given.train and settings.promise_asked and settings.promises != ("none",):
            raise Contradiction(
                f"{{{'promise' if goal.promise else 'risk'}}}: {given.source} has neither x_val nor x_test, and "
                "samples that the given model was trained on promise nothing"
            )
        if goal.stream:
            streams.check(goal, given.source, splits, decision, names)
        if asked.unit == "sample" and splits.choose.part.groups is not None:
            progress.caution(
                "--unit sample: promises and bounds treat the samples of a group as independent; new people, "
                "patients or places may lose far more"
            )
            splits = splits.without_groups()
        priors = None if asked.priors is None else _priors(asked, decision, splits, names)
    if answered is not None and (doubt := _scaled_otherwise(classifier, given, answered)) is not None:
        progress.warn_first(doubt)
    for note in splits.notes:
        progress.caution(note)
    with progress.step("graph"):
        network = _take_apart(settings, classifier, target)
        if answered is not None and classifier.onnx is not None:
            ends = [*(block.name for block in network.blocks), *(answer.call for answer in classifier.answers)]
            progress.note(onnx_agreement.checked(as_read, ends, answered[1], running.threads))
        specific = Specific.named(goal.target_class, names, decision)
        dense, maps = _planned(
            goal, settings.training, network, len(splits.fit), specific.decision if specific else decision
        )
    cache = Cache(running.cache, running.max_cache_bytes)
    cache.make_room(0, "unpacked data")
    folder = cache.network(classifier.file, classifier.identity, given.source)
    extraction = Extraction(classifier, given.preprocessing, cache, folder, running.threads, workers)
    source = Source(classifier, splits, extraction, labelled, priors, specific)
    return Ready(network, given, source, names, dense, maps)


def _with_blanks(
    settings: Settings, classifier: Classifier, given: Data, asked: tuple[Part, np.ndarray] | None,
    progress: Progress,
) -> Data:  # fmt: skip
    """Which samples hold nothing, by their labels or by what the given model says of them."""
    when, threads = settings.input.blank_when, settings.running.threads
    given = given.blank() if when is None else replace(given, class_names=None)
    given.check(classifier.input_shape, classifier.classes)
    assert asked is not None, "samples have the shape of the input"
    runner = blank.in_onnx(classifier, asked[1][: blank.ASKED], threads)
    return given if when is None else blank.labelled(BlankRule(when), classifier, runner, given, progress)


def _scaled_otherwise(classifier: Classifier, given: Data, asked: tuple[Part, np.ndarray]) -> str | None:
    """What says that samples are scaled otherwise than in training, all of them or those of one part."""
    first, x = asked
    doubt = plausibility.normalisation(classifier, x)
    for part in given.parts():
        if doubt is None and part is not first:
            doubt = plausibility.normalisation(classifier, _some(classifier, given, part), part.name)
    return doubt


def _asked(classifier: Classifier, given: Data) -> tuple[Part, np.ndarray] | None:
    """A few prepared samples of a part; None: none fit the model."""
    shape = classifier.input_shape
    part = next((part for part in given.parts() if part.x.shape[1:] == shape and len(part)), None)
    if part is None:  # given.check says why
        return None
    given.preprocessing.check(shape)
    return part, _some(classifier, given, part)


def _some(classifier: Classifier, given: Data, part: Part) -> np.ndarray:
    """Prepared samples from the whole of a part, which may be sorted by class."""
    count = SAMPLES if np.prod(classifier.input_shape) <= LARGE else SAMPLES // 4
    rows = np.unique(np.linspace(0, len(part) - 1, count).astype(np.intp))
    return np.concatenate(list(data.batches(part, rows, given.preprocessing)))


def _shape_of_data(settings: Settings, its_own: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape of the samples, for a model that leaves its own open."""
    asked, cache = settings.input, settings.running.cache / "data"
    given = data.load(asked.data, asked.model, cache=cache, input_shape=its_own, labelled=asked.labels == "given")
    shapes: tuple[int, ...] = given.parts()[0].x.shape[1:]
    return shapes


def _settled(
    classifier: Classifier, given: Data, asked: tuple[Part, np.ndarray] | None, decision: str | None
) -> Classifier:
    """With what the model's answers to some real samples say of its output.

    Raises
    ------
    ConversionError : it is neither probabilities nor logits
    """
    if asked is None:
        return classifier
    part, x = asked
    labels = [p.y for p in given.parts() if p.y is not None]
    several = any(y.ndim == 2 for y in labels)
    kind = model_output.SEVERAL_LABELS if several else model_output.ONE_LABEL if labels else None
    return settled.settled(classifier, x, part.name, kind, decision)


def _priors(asked: Input, decision: Decision, splits: Splits, names: tuple[str, ...]) -> dict[int, float]:
    """The priors by class; refuses now what could not be weighted after an hour of training."""
    if decision.kind == "multilabel":
        raise Contradiction("{priors}: a sample of this model may have several labels; they have no shares of one")
    if asked.labels == "none":
        raise Contradiction("{priors} weigh samples by their labels: there are none with {labels}", labels="none")
    priors = data.parse_priors(str(asked.priors), names)
    for view in (splits.screen, splits.choose, splits.test):
        if view is not None:
            data.weights(view.y, priors, decision.classes)
    return priors


def start_frameworks(threads: int, seed: int) -> None:
    """Import TensorFlow, fix thread counts and seeds: the same run gives the same bytes."""
    keras = keras_files.import_keras()
    import tensorflow as tf

    config = tf.config.threading
    if config.get_intra_op_parallelism_threads() != threads:
        try:
            config.set_intra_op_parallelism_threads(threads)
            config.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:
            raise EeaugError(
                f"TensorFlow already runs with {config.get_intra_op_parallelism_threads()} threads in this "
                f"process, {threads} were asked for"
            ) from error
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    importlib.import_module("onnxruntime")
    if not gc.get_freeze_count():
        # a million objects of the libraries stay alive, and to look through them again and again takes a tenth of a
        # run: the collector leaves them out. Only once, so that what an earlier run left is collected
        gc.freeze()


def _take_apart(settings: Settings, classifier: Classifier, target: Hardware) -> Network:
    blocks = graph.blocks(classifier)
    end = "the model's own outputs" if settings.blank else locations.END
    places, reasons = locations.find(blocks, classifier.decision.outputs, classifier.layout, end)
    recurrent = [call.name for call in classifier.calls if call.kind in _RECURRENT]
    if recurrent and not places:
        raise ConversionError(
            f"{classifier.file}: no exit can stand in this recurrent network: nothing follows layer "
            f"{recurrent[-1]!r} but the classifier, and its steps cannot be cut"
        )
    training, goal = settings.training, settings.goal
    reads_back = "dense-connection" in training.heads and not goal.target_class
    if goal.max_exits is None and (reads_back or training.recipe == "trecx"):
        goal = replace(goal, max_exits=1)  # these are a single exit
    rules = problem.rules(goal, target, places, reasons)
    tried = locations.thinned(rules.locations, settings.most_locations, rules.pinned)
    left_out = len(rules.locations) - len(tried)
    allowed = replace(rules, locations=tried)
    return Network(classifier, target, blocks, allowed, left_out, format=times.decisive(settings.running.formats))


def _planned(
    goal: Goal, training: Training, network: Network, samples: int, decision: Decision
) -> tuple[Heads, Offer]:
    """The heads that will be tried; refuses limits that none of them can meet."""
    effort = EFFORTS[training.effort]
    reaching_back = bool(goal.target_class) or network.rules.max_exits <= 1
    if "dense-connection" in training.heads and not reaching_back:
        raise Contradiction(
            "{heads}: it reads all tensors up to its own, which would have to be handed over behind another exit; "
            "it needs {max_exits}",
            heads="dense-connection", max_exits=1,
        )  # fmt: skip
    chosen = training.heads or (*effort.families, *(["dense-connection"] if goal.target_class else []))
    blueprint = (
        () if decision.kind == "blank" else families.blueprint_units(network.classifier.calls, network.blocks)
    )
    places = network.rules.locations if network.rules.max_exits else ()
    dense, maps = planning.planned(
        decision, places, blueprint, network.macs,
        chosen, effort, samples, network.rules.pinned, reaching_back=reaching_back,
        inputs=families.vectors(network.classifier),
    )  # fmt: skip
    heads = _flat(dense, maps)
    for name in network.rules.pinned:
        if all(head.location.name != name for head in heads):
            raise Contradiction(
                "{exit_at}: no head of {heads} fits there; blueprint does", exit_at=name, heads=",".join(chosen)
            )
    problem.check_limits(goal, network.costs(goal, [h.cost() for h in heads]), network.rules, network.blocks)
    return dense, maps


def _flat(dense: Heads, maps: Offer) -> list[Head]:
    return [head for by_location in (dense, maps.heads) for mine in by_location.values() for head in mine]
