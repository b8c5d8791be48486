"""What is refused before the first pass."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eeaug.cascade.output import Decision
from eeaug.flow import prepare
from eeaug.settings import Contradiction, Goal, Input, Training
from eeaug.settings.contradictions import python


@pytest.mark.parametrize(
    ("labels", "kind", "command", "in_python"),
    [
        ("given", "multilabel", "--priors: a sample of this model", "priors=: a sample of this model"),
        ("none", "softmax", "--priors weigh samples by their labels: there are none with --labels none",
         "priors= weigh samples by their labels: there are none with labels='none'"),
    ],
)  # fmt: skip
def test_priors_without_one_label_per_sample(labels: str, kind: str, command: str, in_python: str) -> None:
    asked = Input(Path("m.h5"), "psoc6", None, labels=labels, priors="a=0.5")
    splits: Any = None  # not looked at
    with pytest.raises(Contradiction) as caught:
        prepare._priors(asked, Decision(kind, 3), splits, ("a", "b", "c"))
    assert str(caught.value).startswith(command) and caught.value.worded(python).startswith(in_python)


def test_heads_that_reach_back_need_a_single_exit() -> None:
    network: Any = SimpleNamespace(rules=SimpleNamespace(max_exits=2))
    with pytest.raises(Contradiction) as caught:
        prepare._planned(Goal(), Training(heads=("dense-connection",)), network, 100, Decision("softmax", 3))
    assert str(caught.value).startswith("--heads dense-connection: it reads all tensors up to its own")
    assert caught.value.worded(python).startswith("heads='dense-connection': it reads all tensors up to its own")
    assert str(caught.value).endswith("it needs --max-exits 1")
    assert caught.value.worded(python).endswith("it needs max_exits=1")
