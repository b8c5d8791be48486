"""Measuring beside other work: the outcomes come or the error does, and nothing is left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eeaug.bundle.entries import StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision
from eeaug.errors import InputError
from eeaug.flow.measure_in_background import Alongside
from eeaug.runtime import Cascade

SAMPLES = np.random.default_rng(0).dirichlet(np.ones(3), 50).astype(np.float32)
STAGE = StageEntry("0-cpu", "cpu", "x", (3,), "p", None, None, None, "max-softmax", 1, {})


class Echo:
    """A stage that says what it is given."""

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        return list(inputs.values())


CASCADE = Cascade(Decision("softmax", 3), (STAGE,), (Echo(),), {"default": ()})


def measure(cascade: Cascade) -> Outcomes:
    return cascade.outcomes([SAMPLES[:30], SAMPLES[30:]], np.zeros(50, np.int64))


@pytest.mark.parametrize("threads", [1, 2])
def test_outcomes_are_those_of_the_cascade(threads: int) -> None:
    threads_used = set()

    def noted(cascade: Cascade) -> Outcomes:
        threads_used.add(threading.current_thread())
        return measure(cascade)

    with Alongside(noted, lambda: CASCADE, threads) as measured:
        found = measured.outcomes()
        assert measured.cascade() is CASCADE
    assert found is not None
    expected = measure(CASCADE)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    np.testing.assert_array_equal(found.predicted, expected.predicted)
    assert (threading.current_thread() in threads_used) == (threads == 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_without_such_a_part_there_are_none(threads: int) -> None:
    with Alongside(None, lambda: CASCADE, threads) as measured:
        assert measured.outcomes() is None


@pytest.mark.parametrize("threads", [1, 2])
def test_errors_are_raised_where_outcomes_are_asked_for(threads: int) -> None:
    def fails(_: Cascade) -> Outcomes:
        raise InputError("a sample is not finite")

    with Alongside(fails, lambda: CASCADE, threads) as measured, pytest.raises(InputError, match="not finite"):
        measured.outcomes()


def test_an_error_elsewhere_ends_it_within_a_run() -> None:
    begun, runs = threading.Event(), []

    class Slow:
        def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
            begun.set()
            runs.append(time.sleep(0.01))
            return list(inputs.values())

    def endless(cascade: Cascade) -> Outcomes:
        while True:
            cascade.stage(0, SAMPLES)

    slow = replace(CASCADE, sessions=(Slow(),))
    with pytest.raises(KeyboardInterrupt), Alongside(endless, lambda: slow, 2):
        begun.wait()
        raise KeyboardInterrupt
    after = len(runs)
    time.sleep(0.1)
    assert len(runs) == after
