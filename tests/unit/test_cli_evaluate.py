"""What `eeaug evaluate --baseline` says of the drop."""

from __future__ import annotations

import numpy as np
import pytest

from eeaug.cascade.betting import mean_upper_bound
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.cli import evaluate, evaluate_view
from eeaug.data.samples import Part


@pytest.mark.parametrize("grouped", [False, True])
def test_its_bound_counts_what_was_drawn(grouped: bool) -> None:
    labels = np.zeros(600, np.int64)
    said = np.where(np.arange(600) % 60 < 2, 1, labels)
    outcomes = Outcomes(np.ones((2, 600), np.float32), np.stack([said, labels]), labels)
    groups = np.repeat(np.arange(10), 60)
    part = Part("x_test", np.zeros((600, 1)), labels, groups if grouped else None)
    facts = evaluate._against_model(Passage(outcomes, (0.5,)), part, [], 0)
    losses = said.reshape(10, 60).mean(axis=1) if grouped else said
    assert facts["drop_bound_95"] == mean_upper_bound(losses, error=0.05, seed=0)
    assert (facts["drop_bound_95"] > 0.2) == grouped  # ten groups say little
    assert facts["bounds_unit"] == ("group" if grouped else "sample")
    assert evaluate_view._drop(facts).endswith("every group weighted equally" if grouped else " percentage points")
