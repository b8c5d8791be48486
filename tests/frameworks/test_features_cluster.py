"""The one pass on a Dask cluster: the same features, and a worker that dies costs its shard only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_parts import extraction, kept, view
from keras_nets import classifier, places

from eeaug.errors import InputError
from eeaug.features import Wanted, cluster, shards

distributed = pytest.importorskip("distributed", reason="the extra eeaug[distributed] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
        yield made


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 16)  # of 150 samples


nothing = tuple  # what workers begin with


def features(given: Any, samples: Any, place: Path, workers: Any = None, **options: Any) -> Any:
    made = extraction(given, place)
    object.__setattr__(made, "workers", workers)
    at = places(given)
    wanted = [Wanted(at["stem"], (4, 4)), Wanted(at["first_out"])]
    missing = made.missing({samples: np.float32}, wanted)
    return made.extract(samples, wanted, (missing, made.convert(missing)), **options)


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    assert set(a.tensors) == set(b.tensors)
    for key in a.tensors:
        np.testing.assert_array_equal(a.tensors[key], b.tensors[key])


def test_the_same_features_on_a_cluster(local: Any, tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    samples = view(given)
    seen: list[int] = []
    with cluster.workers(local.scheduler_address, nothing, print) as workers:
        there = features(given, samples, tmp_path / "there", workers, progress=lambda done, of: seen.append(done))
    same(there, features(given, samples, tmp_path / "here"))
    assert seen[-1] == 150 and seen == sorted(seen)


def test_a_worker_that_dies_costs_its_shard_only(local: Any, tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    samples = view(given)
    killed: list[int] = []

    with cluster.workers(local.scheduler_address, nothing, print) as workers, distributed.Client(local) as client:

        def kill(done: int, of: int) -> None:
            if done and not killed:
                worker, pid = next(iter(client.run(os.getpid).items()))
                killed.append(pid)
                client.run(os._exit, 1, workers=[worker], wait=False, on_error="ignore")

        there = features(given, samples, tmp_path / "there", workers, progress=kill)
    assert killed
    same(there, features(given, samples, tmp_path / "here"))


def test_what_is_wrong_with_a_sample_is_told(local: Any, tmp_path: Path) -> None:
    _, given = classifier("residual", tmp_path)
    samples = view(given)
    samples.part.x[samples.indices[100], 0, 0, 0] = np.nan
    with (
        cluster.workers(local.scheduler_address, nothing, print) as workers,
        pytest.raises(InputError, match=f"sample {samples.indices[100]} holds NaN"),
    ):
        features(given, samples, tmp_path, workers)
    assert kept(tmp_path) == []


def test_nobody_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "TIMEOUT_S", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with (
            pytest.raises(InputError, match=f"--dask {address}: no Dask scheduler"),
            cluster.workers(address, nothing, print),
        ):
            pass


def test_tls_without_certificates_is_one_line() -> None:
    with (
        pytest.raises(InputError, match=r"--dask tls:.*: certificates are missing in Dask"),
        cluster.workers("tls://127.0.0.1:1", nothing, print),
    ):
        pass


def test_a_cluster_without_workers_or_with_other_versions_is_refused(
    local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(InputError, match="has no workers"),
        cluster.workers(empty.scheduler_address, nothing, print),
    ):
        pass
    with monkeypatch.context() as other:
        other.setattr(cluster, "version", lambda name: "0.0")
        with (
            pytest.raises(InputError, match=r"has eeaug .*, here are eeaug 0\.0, onnxruntime 0\.0"),
            cluster.workers(local.scheduler_address, nothing, print),
        ):
            pass
    monkeypatch.setattr(cluster, "HOUSE", tmp_path)
    with (
        pytest.raises(InputError, match="other source files than here"),
        cluster.workers(local.scheduler_address, nothing, print),
    ):
        pass
