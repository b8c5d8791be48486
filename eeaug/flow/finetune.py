"""``--finetune``: exits and backbone trained together from the weights that they have, kept only if that is better.

The loss is a weighted sum over all classifiers (Teerapittayanon et al. 2016, equation 1), the final one counting 1
and every exit EXIT_WEIGHT. All of them learn labels half mixed with what the given model says, so that the final
classifier stays what it was. Batch normalisation keeps the statistics that it was trained with.

``--recipe trecx`` (Ghanathe and Wilton, sections 4.2 and 4.3) is the same with labels alone, the weight of its one
exit given or searched, and an early view for the final classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import data
from eeaug.backbone import model, settled
from eeaug.cascade.outcomes import Outcomes
from eeaug.data import View
from eeaug.design.choose import decide
from eeaug.design.design import Decided
from eeaug.design.material import Material
from eeaug.design.network import Network
from eeaug.design.promise import Terms
from eeaug.errors import InfeasibleError
from eeaug.features import Features
from eeaug.frameworks import runners
from eeaug.heads import keras_head
from eeaug.heads.candidates import Candidates
from eeaug.heads.supervision import Source
from eeaug.heads.training import Trained
from eeaug.network import graph, locations
from eeaug.runtime import Cascade
from eeaug.settings import RISK, Settings, Training
from eeaug.stages import early_view, partition
from eeaug.stages.early_view import EarlyView
from eeaug.support.progress import Progress

__all__ = ["improved"]

EXIT_WEIGHT = 0.5
WEIGHTS = (0.3, 0.4, 0.5)  # exit weights that T-RecX found best, for one model each (section 5)
COPIED = 0.8  # share of the batches before which weights are copied (section 4.3)
RATE, BATCH = 5e-4, 64
TERMS = Terms(("none",), RISK)  # what is trained further is not the given model, which a promise rests on
SHIFT = 1 / 16  # of an image's size, by which batches are moved


def improved(
    settings: Settings, source: Source, material: Material,
    measure: Callable[[Cascade, NDArray[np.integer]], Outcomes] | None, progress: Progress,
) -> Material:  # fmt: skip
    """The material with the chosen exits and the backbone trained further, if a design on it is better on choose.

    ``measure`` gives a cascade's outcomes on the test part and takes what the given model says there; None: no
    such part.
    """
    asked, training, seed = settings.input, settings.training, settings.running.seed
    with progress.step("search"):
        before = decide(settings.goal, TERMS, material, seed)
    exits = [material.candidates.trained[e] for e in before.chosen.design.exits]
    if not exits:
        what = "--finetune" if training.recipe == "frozen" else f"--recipe {training.recipe}"
        progress.note(f"{what}: no exit pays off on the model as it is, so none is trained; --exit-at asks for one")
        return material
    known = material.network.classifier
    classifier = model.load(
        asked.model, architecture=asked.architecture, allow_unsafe=asked.allow_unsafe, output=asked.output_name,
        input_shape=lambda _: known.input_shape,
    )  # fmt: skip
    classifier = settled.again(classifier, known)
    source_given = _answers(source, source.splits.fit)
    whole = partition.monolith(classifier, exits)
    view = early_view.assisted(whole, exits[0]) if training.recipe == "trecx" else None
    if training.recipe == "trecx" and view is None:
        progress.note(
            "--recipe trecx: the final classifier cannot use the tensor of the exit here; it is trained without"
        )
    whole = whole if view is None else view.network
    tried = _best(whole, view, exits, source, source_given, training, seed, progress)
    trained = tuple(Trained(t.head, keras_head.detached(t.head, whole, partition.exit_name(t))) for t in exits)
    network = replace(material.network, classifier=classifier)
    if view is not None:
        network, trained = _changed(network, whole, trained, asked.model)
    screen, on_screen = _outcomes(source, whole, trained, source.splits.screen)
    choose, on_choose = _outcomes(source, whole, trained, source.splits.choose)
    after = replace(
        material,
        network=network,
        candidates=Candidates(
            trained, screen, choose, material.candidates.heads_trained, on_screen.__getitem__, on_choose.__getitem__
        ),
    )
    better = None
    with progress.step("search"), suppress(InfeasibleError):  # the trained network may lose more than the budget
        better = decide(settings.goal, TERMS, after, seed)
    kept = better is not None and better.score < before.score
    facts = {
        "recipe": training.recipe,
        "epochs": training.finetune,
        "kept": kept,
        "before": _facts(before),
        "after": _facts(better),
        "early_view_channels": None if view is None else view.channels,
        "exit_weights": tried,
    }
    outcome = "no design within the limits" if better is None else f"{_saved(better):.1%}"
    verdict = "fine-tuning is kept" if kept else "fine-tuning is not kept"
    progress.note(
        f"{verdict}: {_saved(before):.1%} of the mean MACs saved before, {outcome} after, on the calibration set"
    )
    if not kept:
        return replace(material, finetune=facts)
    unseen = source.splits.test

    def test(cascade: Cascade) -> Outcomes:
        assert measure is not None and unseen is not None
        answers = np.asarray(_answers(source, unseen).probabilities)
        return measure(cascade, source.classifier.decision.answers(answers)[1])

    return replace(after, finetune=facts, test=None if measure is None else test)


def _best(
    whole: Any, view: EarlyView | None, exits: Sequence[Trained], source: Source, given: Features,
    training: Training, seed: int, progress: Progress,
) -> list[dict[str, float]]:  # fmt: skip
    """Train in place, with the exits' weight in the loss that leaves the final classifier best on screen.

    Gives every weight that was tried and that accuracy; a single one is not judged by it.
    """
    weights: Sequence[float] = (EXIT_WEIGHT,)
    if training.recipe == "trecx":
        weights = WEIGHTS if training.exit_weight is None else (training.exit_weight,)
    start, best, tried = whole.get_weights(), None, []
    for weight in weights:
        whole.set_weights(start)
        detail = f"{training.finetune} passes over {len(source.splits.fit):,} samples"
        with progress.step("finetune", detail + (f", exit weighs {weight:g}" if len(weights) > 1 else "")):
            _train(whole, view, exits, source, given, training, seed, weight, progress)
            screen, _ = _outcomes(source, whole, exits, source.splits.screen)
        tried.append({"weight": weight, "final_accuracy_on_screen": float(screen.accuracies[-1])})
        if best is None or tried[-1]["final_accuracy_on_screen"] > best[0]:
            best = tried[-1]["final_accuracy_on_screen"], whole.get_weights()
    assert best is not None
    whole.set_weights(best[1])
    return tried


def _changed(
    network: Network, whole: Any, trained: Sequence[Trained], path: Path
) -> tuple[Network, tuple[Trained, ...]]:
    """The network around a model that has more in it than the given one (``path``), and the heads in it."""
    old = network.classifier
    classifier = replace(
        partition.backbone(whole, path),
        name=old.name, file=old.file, sha256=old.sha256, decision=old.decision,
    )  # fmt: skip
    blocks = graph.blocks(classifier)
    places = {at.name: at for at in locations.find(blocks, classifier.decision.outputs, classifier.layout)[0]}
    moved = tuple(
        replace(t, head=replace(t.head, location=places[t.head.location.name])) for t in trained
    )  # fmt: skip
    rules = replace(network.rules, locations=tuple(t.head.location for t in moved))
    return replace(network, classifier=classifier, blocks=blocks, rules=rules, given=network.given_blocks), moved


def _facts(decided: Decided | None) -> dict[str, float] | None:
    return None if decided is None else {"mean_macs": decided.mean_macs, "accuracy": decided.accuracy}


def _saved(decided: Decided) -> float:
    return 1 - float(decided.mean_macs / decided.chosen.baseline_segments.macs.sum())


def _answers(source: Source, view: View) -> Features:
    """What the given model says of a part, from the cache if it is there."""
    extraction = source.extraction
    missing = extraction.missing({view: np.float32}, [])
    return extraction.extract(view, [], (missing, extraction.convert(missing) if missing else b""))


def _outcomes(
    source: Source, whole: Any, trained: Sequence[Trained], view: View
) -> tuple[Outcomes, list[NDArray[np.float32]]]:
    """Of the trained network on a part, beside it what the given model says; and probabilities, the final last."""
    decision = source.classifier.decision
    names = [*(partition.exit_name(t) for t in trained), partition.FINAL]
    answered = runners.answering(whole)
    batches = data.batches(view.part, view.indices, source.extraction.preprocessing)
    parts = [answered(source.classifier.fed(x)) for x in batches]
    probabilities = [np.concatenate([np.asarray(part[name]) for part in parts]) for name in names]
    answers = [decision.answers(p) for p in probabilities]
    given = decision.answers(np.asarray(_answers(source, view).probabilities))[1]
    labels = view.y if source.labelled else given
    confidence, predicted = (np.array(rows) for rows in zip(*answers, strict=True))
    return Outcomes(confidence, predicted, labels, source.weights(labels), given, view.groups), probabilities


def _train(
    whole: Any, view: EarlyView | None, exits: Sequence[Trained], source: Source, given: Features,
    training: Training, seed: int, exit_weight: float, progress: Progress,
) -> None:  # fmt: skip
    """Adam with a cosine schedule on the network in one piece, in place.

    The early ``view`` is the exit's own after every batch of the first COPIED of all, free after.
    """
    import keras
    import tensorflow as tf

    for layer in whole.layers:
        layer.trainable = "Normalization" not in type(layer).__name__
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng([seed, 3])
    fit, n = source.splits.fit, len(source.splits.fit)
    batch = min(BATCH, n)
    steps = n // batch
    schedule = keras.optimizers.schedules.CosineDecay(RATE, training.finetune * steps)
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=1.0)
    optimizer.build(whole.trainable_variables)
    weights = {partition.FINAL: 1.0, **{partition.exit_name(t): exit_weight for t in exits}}
    lesson = source.lesson
    targets = lesson.targets if training.recipe == "trecx" else lesson.distilled
    softmax = source.classifier.decision.kind == "softmax"
    cross_entropy = keras.losses.CategoricalCrossentropy() if softmax else keras.losses.BinaryCrossentropy()

    @tf.function(reduce_retracing=True)
    def step(x: Any, y: Any) -> None:  # x: a list for several inputs
        with tf.GradientTape() as tape:
            outputs = whole(x, training=True)
            loss = tf.add_n([weight * cross_entropy(y, outputs[name]) for name, weight in weights.items()])
        optimizer.apply(tape.gradient(loss, whole.trainable_variables), whole.trainable_variables)

    with keras_head.trainable_strides(whole):
        for at in range(training.finetune * steps):
            if at % steps == 0:
                order = rng.permutation(n)
            rows = np.sort(order[at % steps * batch :][:batch])
            numbers = fit.indices[rows]
            x = np.asarray(fit.part.x[numbers])
            if source.images:
                x = data.shifted(
                    x, [int(rng.integers(-m, m + 1)) for m in (round(SHIFT * s) for s in x.shape[1:3])]
                )
            x = data.prepared(fit.part.name, numbers, x, source.extraction.preprocessing)
            step(tf.nest.map_structure(tf.constant, source.classifier.fed(x)), tf.constant(targets(given, rows)))
            if view is not None and at < COPIED * training.finetune * steps:
                view.copy()
            progress.advance(at + 1, training.finetune * steps)
