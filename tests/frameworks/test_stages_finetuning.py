"""``--finetune``: weights go into the network in one piece and come out again; a bundle of a tuned backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import classifier, dense_head, map_head, places, trained

from eeaug.errors import InputError
from eeaug.heads import families, keras_head
from eeaug.heads.layers import Dense, Head
from eeaug.settings import Settings
from eeaug.stages import partition

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


def test_a_head_comes_out_as_it_went_in(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at = list(places(given).values())
    heads = [trained(map_head(p) if len(p.shape) > 1 else dense_head(p)) for p in at]
    whole = partition.monolith(given, heads)
    for one in heads:
        out = keras_head.detached(one.head, whole, partition.exit_name(one))
        assert len(out) == len(one.weights)
        for a, b in zip(out, one.weights, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("family", families.MAP_FAMILIES)
def test_a_head_of_every_family_does(family: str, keras: Any) -> None:
    from eeaug.network.locations import Location

    place = Location("here", 1, (8, 8, 6), 10**9)
    for _, steps in families.MAP_FAMILIES[family](place.shape):
        one = trained(Head(place, family, "any", (*steps, Dense(4, "softmax"))))
        inputs = keras.Input(place.shape)
        net = keras.Model(inputs, keras_head.attach(one.head, one.weights, inputs, "exit_here"))
        for a, b in zip(keras_head.detached(one.head, net, "exit_here"), one.weights, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("other", [{"risk": 0.1}, {"max_class_drop": 0.1}])
def test_what_compares_with_the_given_model_refuses_it(other: dict[str, float]) -> None:
    with pytest.raises(InputError, match="--finetune"):
        Settings.of(model=Path("m.h5"), hardware="psoc6", finetune=1, **other)  # type: ignore[arg-type]
