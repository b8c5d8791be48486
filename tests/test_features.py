"""The one pass: what is cached is what Keras gives, once, whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_nets import classifier, places

from eeaug import features
from eeaug.data import Part, View
from eeaug.errors import InputError
from eeaug.features import Cache, Features, Wanted
from eeaug.model import Classifier
from eeaug.preprocessing import Preprocessing

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # TF on NumPy 2

N = 150  # more than two batches
PLAIN = Preprocessing()


def view(given: Classifier, seed: int = 0) -> View:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * N, *given.input_shape)).astype(np.float32)
    part = Part("x_train", x, np.arange(2 * N) % 4, None)
    return View(part, np.sort(rng.permutation(2 * N)[:N]))


def never() -> Any:
    raise AssertionError("the backbone must not run again")


def extracted(given: Classifier, wanted: list[Wanted], samples: View, cache: Path, **options: Any) -> Features:
    options = {"session": lambda: features.extractor(given, wanted, 1), "preprocessing": PLAIN, **options}
    place = options.pop("cache", None) or Cache(cache)
    return features.extract(given, wanted, samples, data_sha256="d", cache=place, **options)


def expected(net: Any, name: str, x: np.ndarray) -> np.ndarray:
    """The tensor after a layer, by Keras."""
    import keras

    return np.asarray(keras.Model(net.inputs[0], net.get_layer(name).output)(x, training=False))


def test_pooled_values_are_those_of_keras(tmp_path: Path) -> None:
    import keras

    net, given = classifier("residual", tmp_path)
    at = places(given)
    wanted = [Wanted(at[n], w) for n in ("second_out", "stem") if n in at for w in ((8, 8), (3, 2))]
    wanted += [Wanted(at["first_out"], (2, 4)), Wanted(at["first_out"], None)]
    samples = view(given)
    found = extracted(given, wanted, samples, tmp_path)
    x = samples.part.x[samples.indices]
    assert found.pooled.shape == (N, sum(int(np.prod(w.shape)) for w in wanted if w.window))
    for want in wanted:
        tensor = expected(net, want.location.name, x)
        if want.window is None:
            np.testing.assert_allclose(found.maps[want.key], tensor, atol=1e-4)
        else:
            pooled = np.asarray(keras.layers.AveragePooling2D(want.window)(tensor)).reshape(N, -1)
            np.testing.assert_allclose(found.pooled[:, found.columns[want.key]], pooled, atol=1e-4)
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
    np.testing.assert_allclose(found.pooled, tensor.reshape(N, -1), atol=1e-4)


def test_a_logits_model_gives_probabilities(tmp_path: Path) -> None:
    _, given = classifier("logits", tmp_path)
    found = extracted(given, [Wanted(places(given)["stem"], (8, 8))], view(given), tmp_path)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert found.probabilities.min() >= 0


def test_arrays_stay_on_disk(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at = places(given)["stem"]
    found = extracted(given, [Wanted(at, (8, 8)), Wanted(at, None)], view(given), tmp_path)
    for array in (found.pooled, found.probabilities, *found.maps.values()):
        assert isinstance(array, np.memmap) and not array.flags.writeable


def test_half_precision_clips_what_it_cannot_hold(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    want, samples = Wanted(places(given)["stem"], (8, 8)), view(given)
    samples.part.x[samples.indices[0]] = 1e9
    found = extracted(given, [want], samples, tmp_path, precision=np.float16)
    assert found.pooled.dtype == np.float16 and np.isfinite(found.pooled).all()
    assert found.pooled[0].max() == features.HALF_MAX
    assert found.probabilities.dtype == np.float32


# -- the cache ----------------------------------------------------------------------------------------


def test_what_is_cached_is_not_computed_again(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    seen: list[tuple[int, int]] = []
    first = extracted(given, wanted, samples, tmp_path, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(64, N), (128, N), (N, N)]
    again = extracted(given, wanted, samples, tmp_path, session=never, progress=lambda *at: seen.append(at))
    assert seen[3:] == [(N, N)]
    np.testing.assert_array_equal(first.pooled, again.pooled)


def test_the_key_is_all_that_the_values_depend_on(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    extracted(given, wanted, samples, tmp_path)
    changes: list[dict[str, Any]] = [
        {"preprocessing": Preprocessing(scale=0.5)},
        {"precision": np.float16},
    ]
    for change in changes:
        with pytest.raises(AssertionError, match="must not run again"):
            extracted(given, wanted, samples, tmp_path, session=never, **change)
    for other in ([Wanted(places(given)["stem"], (2, 2))], [Wanted(places(given)["first_out"], (4, 4))]):
        with pytest.raises(AssertionError, match="must not run again"):
            extracted(given, other, samples, tmp_path, session=never)
    with pytest.raises(AssertionError, match="must not run again"):
        extracted(given, wanted, View(samples.part, samples.indices[1:]), tmp_path, session=never)


def entries(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "features").iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_pass_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)

    def stop(done: int, of: int) -> None:
        if done > 64:
            raise error

    with pytest.raises(error):
        extracted(given, wanted, samples, tmp_path, progress=stop)
    assert entries(tmp_path) == []
    extracted(given, wanted, samples, tmp_path)
    assert len(entries(tmp_path)) == 1


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """While one writes an entry, another writes the same and ends first."""
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    others: list[Features] = []

    def meanwhile(done: int, of: int) -> None:
        if done == 64:
            others.append(extracted(given, wanted, samples, tmp_path))

    mine = extracted(given, wanted, samples, tmp_path, progress=meanwhile)
    np.testing.assert_array_equal(mine.pooled, others[0].pooled)
    assert mine.pooled.any(axis=1).all()
    assert len(entries(tmp_path)) == 1


def test_nan_in_the_data_or_the_model_is_told(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    wanted, samples = [Wanted(places(given)["stem"], (4, 4))], view(given)
    samples.part.x[samples.indices[100], 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=f"sample {samples.indices[100]} holds NaN"):
        extracted(given, wanted, samples, tmp_path)
    samples.part.x[samples.indices[100]] = 3e38  # finite, and too large for what follows
    with pytest.raises(InputError, match="the given model gives NaN or infinite probabilities on x_train"):
        extracted(given, wanted, samples, tmp_path)
    assert entries(tmp_path) == []


def entry(cache: Path, name: str, size: int, age_s: float) -> Path:
    folder = cache / "features" / name
    folder.mkdir(parents=True)
    (folder / "pooled.npy").write_bytes(bytes(size))
    os.utime(folder, (time.time() - age_s,) * 2)
    return folder


def test_the_limit_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    old, newer = entry(tmp_path, "old", 400, 200), entry(tmp_path, "newer", 400, 100)
    Cache(tmp_path, 1000).make_room(200)
    assert old.exists() and newer.exists()
    Cache(tmp_path, 1000).make_room(300)
    assert not old.exists() and newer.exists()


def test_what_cannot_fit_is_refused_before_anything_is_dropped(tmp_path: Path) -> None:
    old = entry(tmp_path, "old", 400, 200)
    with pytest.raises(InputError, match=r"features need 2e-06 GB .* --max-cache allows 1e-06 GB"):
        Cache(tmp_path, 1000).make_room(2000)
    assert old.exists()


def test_what_killed_runs_left_is_dropped_after_a_day(tmp_path: Path) -> None:
    left, running = entry(tmp_path, "a.part", 400, 2 * features.STALE_S), entry(tmp_path, "b.part", 400, 60)
    Cache(tmp_path).make_room(1)
    assert not left.exists() and running.exists()


def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage: Callable[..., Any] = lambda where: type("Usage", (), {"free": 10**9})()  # noqa: E731
    monkeypatch.setattr(features.shutil, "disk_usage", usage)
    with pytest.raises(InputError, match=r"features need 2 GB, .* has 1 GB free; name another place"):
        Cache(tmp_path).make_room(2 * 10**9)


def test_need_is_what_the_files_hold(tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    at = places(given)["stem"]
    wanted = [Wanted(at, (4, 4)), Wanted(at, None)]
    extracted(given, wanted, view(given), tmp_path)
    (made,) = (tmp_path / "features").iterdir()
    held = sum(p.stat().st_size - 128 for p in made.iterdir())  # less the header of every array
    assert features.need_bytes(wanted, N, given.classes, np.float32) == held
