"""``--finetune``: exits and backbone trained together from the weights that they have, kept only if that is better.

The loss is a weighted sum over all classifiers (Teerapittayanon et al. 2016, equation 1), the final one counting 1
and every exit EXIT_WEIGHT. All of them learn labels half mixed with what the given model says, so that the final
classifier stays what it was. Batch normalisation keeps the statistics that it was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import data, delivery, model, partition
from eeaug.candidates import Candidates, Source
from eeaug.cascade import Outcomes
from eeaug.data import View
from eeaug.delivery import Decided, Material
from eeaug.errors import InfeasibleError
from eeaug.features import Features
from eeaug.heads import keras_head
from eeaug.heads.training import Trained
from eeaug.progress import Progress
from eeaug.runtime import Cascade
from eeaug.settings import Settings

__all__ = ["improved"]

EXIT_WEIGHT = 0.5
RATE, BATCH = 5e-4, 64
SHIFT = 1 / 16  # of an image's size, by which batches are moved


def improved(
    settings: Settings, source: Source, material: Material,
    measure: Callable[[Cascade, NDArray[np.integer]], Outcomes] | None, progress: Progress,
) -> Material:  # fmt: skip
    """The material with the chosen exits and the backbone trained further, if a design on it is better on choose.

    ``measure`` gives a cascade's outcomes on the test part and takes what the given model says there; None: no
    such part.
    """
    with progress.step("search"):
        before = delivery.decide(settings, material)
    exits = [material.found.trained[e] for e in before.chosen.design.exits]
    if not exits:
        progress.note("--finetune: no exit pays off, there is nothing to train")
        return material
    classifier = model.load(settings.model, allow_unsafe=settings.allow_unsafe, output=settings.output_name)
    classifier = replace(classifier, decision=material.network.classifier.decision)
    with progress.step("finetune", f"{settings.finetune} passes over {len(source.splits.fit):,} samples"):
        whole = partition.monolith(classifier, exits)
        given = _answers(source, source.splits.fit)
        _train(whole, exits, source, given, settings, progress)
        trained = tuple(Trained(t.head, keras_head.detached(t.head, whole, partition.exit_name(t))) for t in exits)
        choose, said = _outcomes(source, whole, trained, source.splits.choose)
    after = replace(
        material,
        network=replace(material.network, classifier=classifier),
        found=Candidates(trained, choose, None, material.found.heads_trained, said.__getitem__),
    )
    better = None
    with progress.step("search"), suppress(InfeasibleError):  # the trained network may lose more than the budget
        better = delivery.decide(settings, after)
    kept = better is not None and better.score < before.score
    facts = {"epochs": settings.finetune, "kept": kept, "before": _facts(before), "after": _facts(better)}
    outcome = "no design within the limits" if better is None else f"{_saved(better):.1%}"
    verdict = "fine-tuning is kept" if kept else "fine-tuning is not kept"
    progress.note(f"{verdict}: {_saved(before):.1%} of the mean MACs saved before, {outcome} after, on choose")
    if not kept:
        return replace(material, finetune=facts)
    view = source.splits.test

    def test(cascade: Cascade) -> Outcomes:
        assert measure is not None and view is not None
        answers = np.asarray(_answers(source, view).probabilities)
        return measure(cascade, source.classifier.decision.answers(answers)[1])

    return replace(after, finetune=facts, test=None if measure is None else test)


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
    parts = [
        whole(x, training=False) for x in data.batches(view.part, view.indices, source.extraction.preprocessing, 64)
    ]
    said = [np.concatenate([np.asarray(part[name]) for part in parts]) for name in names]
    answers = [decision.answers(p) for p in said]
    given = decision.answers(np.asarray(_answers(source, view).probabilities))[1]
    labels = view.y if source.labelled else given
    confidence, predicted = (np.array(rows) for rows in zip(*answers, strict=True))
    return Outcomes(confidence, predicted, labels, source.weights(labels), given), said


def _train(
    whole: Any, exits: Sequence[Trained], source: Source, given: Features, settings: Settings, progress: Progress
) -> None:
    """Adam with a cosine schedule on the network in one piece, in place."""
    import keras
    import tensorflow as tf

    for layer in whole.layers:
        layer.trainable = "Normalization" not in type(layer).__name__
    keras.utils.set_random_seed(settings.seed)
    rng = np.random.default_rng([settings.seed, 3])
    fit, n = source.splits.fit, len(source.splits.fit)
    batch = min(BATCH, n)
    steps = n // batch
    schedule = keras.optimizers.schedules.CosineDecay(RATE, settings.finetune * steps)
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=1.0)
    optimizer.build(whole.trainable_variables)
    weights = {partition.FINAL: 1.0, **{partition.exit_name(t): EXIT_WEIGHT for t in exits}}
    softmax = source.classifier.decision.kind == "softmax"
    cross_entropy = keras.losses.CategoricalCrossentropy() if softmax else keras.losses.BinaryCrossentropy()

    @tf.function(reduce_retracing=True)
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            said = whole(x, training=True)
            loss = tf.add_n([weight * cross_entropy(y, said[name]) for name, weight in weights.items()])
        optimizer.apply(tape.gradient(loss, whole.trainable_variables), whole.trainable_variables)

    with keras_head.trainable_strides(whole):
        for at in range(settings.finetune * steps):
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
            step(tf.constant(x), tf.constant(source.distilled(given, rows)))
            progress.advance(at + 1, settings.finetune * steps)
