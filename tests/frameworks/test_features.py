"""The one pass: what is kept is what Keras gives; what is there is not computed again, killed or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_parts import N, extraction, kept, view
from keras_nets import classifier, places

from eeaug import features
from eeaug.backbone.model import Classifier
from eeaug.data import View
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import InputError
from eeaug.features import Extraction, Features, Wanted, shards
from eeaug.support import checksums
from eeaug.support.cache import Cache

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 64)


def extracted(given: Classifier, wanted: list[Wanted], samples: View, place: Path, **options: Any) -> Features:
    made, precision = extraction(given, place), options.get("precision", np.float32)
    missing = made.missing({samples: precision}, wanted)
    return made.extract(samples, wanted, (missing, made.convert(missing)) if missing else ((), b""), **options)


def expected(net: Any, name: str, x: np.ndarray) -> np.ndarray:
    """The tensor after a layer, by Keras."""
    import keras

    return np.asarray(keras.Model(net.inputs[0], net.get_layer(name).output)(x, training=False))


def test_pooled_values_are_those_of_keras(tmp_path: Path) -> None:
    import keras

    net, given = classifier("residual", tmp_path)
    at = places(given)
    wanted = [Wanted(at[n], w) for n in ("second_out", "stem") if n in at for w in ((8, 8), (3, 2))]
    wanted += [Wanted(at["first_out"], (2, 4)), Wanted(at["first_out"])]
    samples = view(given)
    found = extracted(given, wanted, samples, tmp_path)
    x = samples.part.x[samples.indices]
    assert set(found.tensors) == {want.key for want in wanted}
    for want in wanted:
        assert want.location is not None
        tensor = expected(net, want.location.name, x)
        if want.window:
            tensor = np.asarray(keras.layers.AveragePooling2D(want.window)(tensor))
        np.testing.assert_allclose(found.tensors[want.key], tensor, atol=1e-4)
    np.testing.assert_allclose(found.probabilities, np.asarray(net(x, training=False)), atol=1e-5)
    np.testing.assert_array_equal(found.labels, samples.part.y[samples.indices])


@pytest.mark.parametrize(("kind", "name", "window"), [("signal", "first", (5,)), ("vector", "first", ())])
def test_signals_and_vectors(tmp_path: Path, kind: str, name: str, window: tuple[int, ...]) -> None:
    net, given = classifier(kind, tmp_path)
    want, samples = Wanted(places(given)[name], window), view(given)
    found = extracted(given, [want], samples, tmp_path)
    tensor = expected(net, name, samples.part.x[samples.indices])
    if kind == "signal":
        tensor = tensor[:, :30].reshape(N, 6, 5, 8).mean(axis=2)
    np.testing.assert_allclose(found.tensors[want.key], tensor, atol=1e-4)


def test_a_logits_model_gives_probabilities(tmp_path: Path) -> None:
    _, given = classifier("logits", tmp_path)
    found = extracted(given, [Wanted(places(given)["stem"], (8, 8))], view(given), tmp_path)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert found.probabilities.min() >= 0


def test_arrays_stay_on_disk(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at = places(given)["stem"]
    found = extracted(given, [Wanted(at, (8, 8)), Wanted(at)], view(given), tmp_path)
    for array in (found.probabilities, *found.tensors.values()):
        assert isinstance(array, np.memmap) and not array.flags.writeable


def test_half_precision_clips_what_it_cannot_hold(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    want, samples = Wanted(places(given)["stem"], (8, 8)), view(given)
    samples.part.x[samples.indices[0]] = 1e9
    found = extracted(given, [want], samples, tmp_path, precision=np.float16)
    tensor = found.tensors[want.key]
    assert tensor.dtype == np.float16 and np.isfinite(tensor).all()
    assert tensor[0].max() == features.HALF_MAX
    assert found.probabilities.dtype == np.float32


# -- what is there, what is missing -------------------------------------------------------------------


def test_what_is_kept_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    seen: list[tuple[int, int]] = []
    first = extracted(given, wanted, samples, tmp_path, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(0, N), (64, N), (128, N), (N, N), (N, N)]
    monkeypatch.setattr(shards, "run", None)
    again = extracted(given, wanted, samples, tmp_path)
    np.testing.assert_array_equal(first.tensors[wanted[0].key], again.tensors[wanted[0].key])


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    """Another grid, a location more: what was there serves again, and so do the answers."""
    _, given = classifier("residual", tmp_path)
    at, samples = places(given), view(given)
    old, new = Wanted(at["stem"], (4, 4)), Wanted(at["first_out"])
    extracted(given, [old], samples, tmp_path)
    before = kept(tmp_path)
    made = extraction(given, tmp_path)
    assert made.missing({samples: np.float32}, [old, new]) == [new]
    both = extracted(given, [old, new], samples, tmp_path)
    assert set(both.tensors) == {old.key, new.key}
    assert len(before) == 2 and set(before) < set(kept(tmp_path)) and len(kept(tmp_path)) == 3


def test_a_file_stands_for_all_that_its_values_depend_on(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at, samples = places(given), view(given)
    want, plain = Wanted(at["stem"], (4, 4)), extraction(given, tmp_path)
    files = [
        plain.file(samples, want, np.float32),
        plain.file(samples, want, np.float16),
        plain.file(samples, Wanted(at["stem"], (2, 2)), np.float32),
        plain.file(samples, Wanted(at["stem"]), np.float32),
        plain.file(samples, Wanted(at["first_out"], (4, 4)), np.float32),
        plain.file(View(samples.part, samples.indices[1:]), want, np.float32),
        extraction(given, tmp_path, Preprocessing(scale=0.5)).file(samples, want, np.float32),
        Extraction(given, Preprocessing(), Cache(tmp_path), tmp_path, 1).file(samples, want, np.float32),
        plain.file(View(replace(samples.part, x=samples.part.x + 1), samples.indices), want, np.float32),
    ]
    assert len(set(files)) == len(files)
    elsewhere = replace(samples.part, name="x_val", x=samples.part.x.copy(), y=None)
    assert plain.file(View(elsewhere, samples.indices.copy()), want, np.float32) == files[0]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("error", [Killed, KeyboardInterrupt])
def test_a_killed_pass_goes_on_after_its_last_shard(
    tmp_path: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    whole = extracted(given, wanted, samples, tmp_path / "whole")

    def stop(done: int, of: int) -> None:
        if done > 64:
            raise error

    with pytest.raises(error):
        extracted(given, wanted, samples, tmp_path, progress=stop)
    assert all(name.endswith(".part") for name in kept(tmp_path))
    seen: list[int] = []
    run = shards.run
    monkeypatch.setattr(shards, "run", lambda *task: (seen.append(len(task[3])), run(*task))[1])
    found = extracted(given, wanted, samples, tmp_path)
    assert sum(seen) == N - 64, "the first shard was there"
    np.testing.assert_array_equal(found.tensors[wanted[0].key], whole.tensors[wanted[0].key])
    np.testing.assert_array_equal(found.probabilities, whole.probabilities)
    assert len(kept(tmp_path)) == 2 and not any(name.endswith(".part") for name in kept(tmp_path))


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """While one writes, another starts to write the same and ends first."""
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    others: list[Features] = []

    def meanwhile(done: int, of: int) -> None:
        if done == 64:
            others.append(extracted(given, wanted, samples, tmp_path))

    mine = extracted(given, wanted, samples, tmp_path, progress=meanwhile)
    key = wanted[0].key
    np.testing.assert_array_equal(mine.tensors[key], others[0].tensors[key])
    assert mine.tensors[key].reshape(N, -1).any(axis=1).all()
    assert len(kept(tmp_path)) == 2


def test_nan_in_the_data_or_the_model_is_told(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    samples.part.x[samples.indices[100], 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=f"sample {samples.indices[100]} holds NaN"):
        extracted(given, wanted, samples, tmp_path)
    samples.part.x[samples.indices[100]] = 3e38  # finite, and too large for what follows
    with pytest.raises(InputError, match="the given model gives NaN or infinite probabilities on x_train"):
        extracted(given, wanted, samples, tmp_path)
    assert kept(tmp_path) == []


def test_need_is_what_the_files_hold(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at, samples = places(given)["stem"], view(given)
    wanted, made = [Wanted(at, (4, 4)), Wanted(at)], extraction(given, tmp_path)
    need = made.need_bytes({samples: np.float16}, wanted)
    extracted(given, wanted, samples, tmp_path, precision=np.float16)
    files = list(tmp_path.glob("networks/*/features/*"))
    shard_sums = checksums.footer_bytes(128, 1, 128) + 4 * -(-N // shards.SHARD)
    assert need == sum(file.stat().st_size - 128 - shard_sums for file in files)  # less header and checksums
    assert made.need_bytes({samples: np.float16}, wanted) == 0
