"""Dense heads in training: gradients, the optimum, when they stop, and that they do it alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest
from head_parts import DECISION, at, of_tensor, targets
from keras_nets import CLASSES, dense_head

from eeaug.cascade import temperature
from eeaug.features import Features
from eeaug.heads import dense, families, hidden, logistic, training
from eeaug.heads import layers as design
from eeaug.heads.layers import Dense, Head
from eeaug.heads.training import Plan, Trained


def features(head: Head, n: int = 200, seed: int = 0) -> Features:
    """A cloud per class in the pooled values that the head reads, on scales far apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    shape = training.wanted(head).shape
    pooled = 5 + 3 * rng.normal(size=(n, prod(shape))) * np.linspace(0.1, 2, prod(shape))
    pooled[:, :CLASSES] += 8 * np.eye(CLASSES)[labels]
    return Features(
        tensors={training.wanted(head).key: pooled.astype(np.float32).reshape(n, *shape)},
        probabilities=np.full((n, CLASSES), 1 / CLASSES, np.float32),
        labels=labels.astype(np.int64),
    )


def plan(passes: int, seed: int = 0) -> Plan:
    return Plan(passes, 350, 64, 2e-2, seed, patience=2)


def loss(screen: Features) -> Any:
    return lambda p: temperature.cross_entropy(p, screen.labels, DECISION)


def everything(probabilities: Any) -> set[str]:
    return set(probabilities)


def head_of(*layers: Dense) -> Head:
    """On six plain values."""
    return Head(at((6,)), "blueprint", "vector", (design.Pool(()), *layers))


def values_and_labels(n: int) -> tuple[np.ndarray, np.ndarray]:
    """On scales far apart, and not independent."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, CLASSES, n)
    return (rng.normal(size=(n, 6)) @ rng.normal(size=(6, 6)) + 2 * np.eye(6)[labels]).astype(np.float32), labels


def cross_entropy(weights: Any, head: Head, x: np.ndarray, y: np.ndarray) -> float:
    p = dense.predict(Trained(head, weights), of_tensor(head, x)).astype(np.float64)
    wrong = 0.0 if head.dense[-1].activation == "softmax" else ((1 - y) * np.log(1 - p)).sum()
    return float(-((y * np.log(p)).sum() + wrong) / len(y))


@pytest.mark.parametrize("in_memory", [0, 1000], ids=["streamed", "held"])
@pytest.mark.parametrize("outputs", ["softmax", "sigmoid"])
def test_a_step_of_a_single_layer_knows_the_gradient(
    outputs: str, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Value and gradient are those of the cross entropy and its penalty, by differences of every weight."""
    monkeypatch.setattr(logistic, "IN_MEMORY", in_memory)
    head = head_of(Dense(CLASSES, outputs))
    x, labels = values_and_labels(40)
    y = np.eye(CLASSES, dtype=np.float32)[labels]
    fit = Features({training.wanted(head).key: x}, np.zeros((40, CLASSES), np.float32), labels)
    run = logistic._Running(head, fit, plan(1))
    logistic._begin([run], fit, np.arange(40), 0.3)
    assert (run.held is None) == (in_memory == 0)
    caught: list[Any] = []
    monkeypatch.setattr(run.descent, "take", lambda value, gradient: caught.append((value, gradient.copy())))

    def evaluated(weights: np.ndarray) -> tuple[float, np.ndarray]:
        run.descent.trial = run.descent.at = weights
        logistic._learn([run], fit, np.arange(40), lambda rows: y[rows])
        run.step(40)
        return caught.pop()

    weights = np.random.default_rng(1).normal(size=run.descent.at.size).astype(np.float32)
    value, gradient = evaluated(weights)
    penalty = 0.15 * float((weights[:-CLASSES] ** 2).sum())
    assert value == pytest.approx(cross_entropy(run._trained().weights, head, x, y) + penalty, rel=1e-4)
    for i in range(weights.size):
        step = np.zeros_like(weights)
        step[i] = 1e-2
        slope = (evaluated(weights + step)[0] - evaluated(weights - step)[0]) / 2e-2
        assert gradient[i] == pytest.approx(slope, abs=2e-3)


@pytest.mark.parametrize("in_memory", [0, 1000], ids=["streamed", "held"])
@pytest.mark.parametrize("outputs", ["softmax", "sigmoid"])
def test_a_step_of_hidden_layers_goes_down_the_gradient(
    outputs: str, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients that Adam gets are those of the cross entropy, by finite differences of every weight."""
    monkeypatch.setattr(hidden, "IN_MEMORY", in_memory)
    head = head_of(Dense(4, "tanh"), Dense(CLASSES, outputs))
    x, labels = values_and_labels(40)
    y = np.eye(CLASSES, dtype=np.float32)[labels]
    fit = Features({training.wanted(head).key: x}, np.zeros((40, CLASSES), np.float32), labels)
    run = hidden._Running(head, fit, plan(1), 1)
    rng = np.random.default_rng(1)
    run.weights = [rng.normal(size=w.shape) for w in run.weights]
    run.ridge = np.float32(0)
    caught: list[Any] = []
    run._adam = caught.extend  # type: ignore[method-assign]
    assert (run.held is None) == (in_memory == 0)
    run.step(run.values(fit, np.arange(40), {}), y)
    for weight, gradient in zip(run.weights, caught, strict=True):
        for index in np.ndindex(weight.shape):
            here = weight[index]
            around = []
            for value in (here + 1e-3, here - 1e-3):
                weight[index] = value
                around.append(cross_entropy(run.trained().weights, head, x, y))
            weight[index] = here
            assert gradient[index] == pytest.approx((around[0] - around[1]) / 2e-3, abs=2e-3)


def long_way(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Probabilities of the multinomial logistic regression on standardised values, by plain gradient descent."""
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    kernel, bias = np.zeros((x.shape[1], y.shape[1])), np.zeros(y.shape[1])

    def answers() -> np.ndarray:
        z = np.exp(x @ kernel + bias)
        return np.asarray(z / z.sum(axis=1, keepdims=True))

    for _ in range(20_000):
        error = (answers() - y) / len(y)
        kernel -= 0.2 * (x.T @ error + ridge * kernel)
        bias -= 0.2 * error.sum(axis=0)
    return answers()


@pytest.mark.parametrize("in_memory", [0, 10**6], ids=["streamed", "held"])
def test_a_single_layer_is_trained_to_its_optimum(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a part of the samples, then of all."""
    monkeypatch.setattr(logistic, "IN_MEMORY", in_memory)
    monkeypatch.setattr(logistic, "LEAST_PART", 64)
    head = head_of(Dense(CLASSES, "softmax"))
    x, labels = values_and_labels(500)
    fit = Features({training.wanted(head).key: x}, np.zeros((500, CLASSES), np.float32), labels)
    later = itertools.count(1.0)  # the last is the best
    one = dense.train([head], fit, targets(fit), fit, Plan(100, 0, 0, 0, 0), everything, lambda p: -next(later))[0]
    expected = long_way(x.astype(np.float64), np.eye(CLASSES)[labels], logistic.RIDGE / 500)
    np.testing.assert_allclose(dense.predict(one, fit), expected, atol=2e-3)


def test_training_learns_and_is_the_same_again() -> None:
    head = dense_head(at((8, 8, 3)))
    fit, screen = features(head, 400), features(head, 200, seed=1)

    def once(seed: int) -> Trained:
        return dense.train([head], fit, targets(fit), screen, plan(12, seed), everything, loss(screen))[0]

    first, second, other = once(0), once(0), once(1)
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first.weights, other.weights, strict=True))
    _, predicted = DECISION.answers(dense.predict(first, screen))
    assert np.mean(predicted == screen.labels) > 0.9


def test_a_head_is_what_it_was_when_screen_saw_the_best_of_it() -> None:
    """And stops soon after."""
    head = head_of(Dense(CLASSES, "softmax"))
    fit = features(head, 200)
    seen: list[np.ndarray] = []

    def judged(p: np.ndarray) -> float:
        seen.append(p.copy())
        return abs(len(seen) - 3)

    one = dense.train([head], fit, targets(fit), fit, Plan(50, 0, 0, 0, 0, patience=2), everything, judged)[0]
    np.testing.assert_allclose(dense.predict(one, fit), seen[2], atol=1e-5)
    assert len(seen) == 3 + 2 + 2  # of the first part, and of all samples


def test_heads_train_as_if_alone() -> None:
    """Whoever else is at the location, and whoever is dropped: caches of heads rely on it."""
    small, large = (h for h in families.dense_heads(at((8, 8, 3)), (), DECISION, 10**7) if h.size != "average")
    fit = features(small)
    both = Features({**fit.tensors, **features(large).tensors}, fit.probabilities, fit.labels)
    alone = dense.train([large], both, targets(both), both, plan(2), everything, loss(both))[0]
    together = dense.train([small, large], both, targets(both), both, plan(2), lambda p: {large.key}, loss(both))
    assert [t.head for t in together] == [large]
    for a, b in zip(alone.weights, together[0].weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_blas_has_one_thread_until_the_last_that_needs_it_has_ended() -> None:
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info, threadpool_limits

    def most() -> int:
        return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        before = most()
        first, second = dense.one_thread(), dense.one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert most() == 1, "the second computes"
        second.__exit__(None, None, None)
        assert most() == before == 2


def test_heads_that_are_not_kept_are_not_trained_on() -> None:
    head = dense_head(at((8, 8, 3)))
    fit = features(head)
    assert dense.train([head], fit, targets(fit), fit, plan(3), lambda probabilities: set(), loss(fit)) == []


def test_a_head_that_knows_a_class_is_one_against_the_rest() -> None:
    """It is what a head with two outputs is, trained alike, and never sure of any other class."""
    head = dense_head(at((8, 8, 3)))
    linear = replace(head, steps=(head.steps[0], head.steps[-1]))
    fit, screen = features(head, 400), features(head, 200, seed=1)
    (knowing,) = dense.train(
        [families.limited(linear, (1,))], fit, targets(fit), screen, plan(8), everything, loss(screen)
    )
    p = dense.predict(knowing, screen)
    others = np.delete(p, 1, axis=1)
    np.testing.assert_allclose(others, np.broadcast_to(others[:, :1], others.shape), rtol=1e-5)
    assert others.max() <= 1 / (CLASSES - 1) + 1e-6
    assert ((p[:, 1] > 0.5) == (screen.labels == 1)).mean() > 0.9
    narrow = replace(linear, steps=(linear.steps[0], Dense(2, "softmax")))

    def two(rows: np.ndarray) -> np.ndarray:
        return np.stack([fit.labels[rows] == 1, fit.labels[rows] != 1], axis=1).astype(np.float32)

    def halved(p: np.ndarray) -> float:
        of_others = np.repeat(p[:, 1:] / (CLASSES - 1), CLASSES, axis=1)
        of_others[:, 1] = p[:, 0]
        return float(loss(screen)(of_others))

    (plain,) = dense.train([narrow], fit, two, screen, plan(8), everything, halved)
    np.testing.assert_allclose(dense.predict(plain, screen)[:, 0], p[:, 1], atol=1e-5)
    kernel, bias = logistic.widening((1,), CLASSES)
    np.testing.assert_array_equal(knowing.weights[-2], kernel)
    np.testing.assert_array_equal(knowing.weights[-1], bias)
