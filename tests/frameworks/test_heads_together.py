"""Heads on the workers of a Dask cluster: the same bytes, whatever happens to a worker, and nothing sent twice."""

from __future__ import annotations

import os
import pickle
import pickletools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from head_parts import DECISION
from keras_nets import CLASSES

from eeaug.errors import InputError
from eeaug.features import Features, cluster, shelf
from eeaug.flow.prepare import start_frameworks
from eeaug.heads import families, together, training
from eeaug.heads.judge import Judge
from eeaug.heads.layers import Head
from eeaug.heads.supervision import Lesson
from eeaug.heads.together import Common, Group, Outcome
from eeaug.heads.training import Plan
from eeaug.network.locations import Location
from eeaug.support import checksums

distributed = pytest.importorskip("distributed", reason="the extra eeaug[distributed] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

PLACES = [Location(f"place_{i}", i + 1, (8, 8, 4 + 2 * i), 10**6) for i in range(3)]
N = {"fit": 256, "screen": 100, "choose": 90}


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as started:
        yield started


begin = partial(start_frameworks, 1, 0)


@pytest.fixture(scope="module")
def dense() -> list[Group]:
    return [
        Group(families.dense_heads(place, (), DECISION, 10**7), Plan(3, 50, 64, 2e-2, 0, 2), maps=False)
        for place in PLACES
    ]


@pytest.fixture(scope="module")
def convolutional() -> list[Group]:
    return [
        Group(
            families.map_heads(place, ["trecx", "separable"], DECISION, 1e6), Plan(4, 60, 32, 1e-2, 0),
            maps=True, moving=(True, False),
        )
        for place in PLACES
    ]  # fmt: skip


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, dense: Any, convolutional: Any) -> dict[str, Features]:
    """Files of a cache, mapped."""
    place = tmp_path_factory.mktemp("cache") / "networks" / "one" / "features"
    place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    heads = [head for group in (*dense, *convolutional) for head in group.heads]
    parts = {}
    for part, n in N.items():
        labels = np.arange(n) % CLASSES

        def kept(name: str, array: np.ndarray, part: str = part) -> Any:
            file = place / f"{part}-{name}.npy"
            np.save(file, array)
            checksums.append(file, file)
            return np.load(file, mmap_mode="r")

        tensors = {}
        for i, want in enumerate(dict.fromkeys(w for head in heads for w in training.sources(head))):
            x = rng.normal(size=(n, *want.shape)).astype(np.float16 if part == "fit" else np.float32)
            x[..., 0] += labels.reshape((n,) + (1,) * (x.ndim - 2))
            tensors[want.key] = kept(str(i), x)
        given = np.eye(CLASSES, dtype=np.float32)[labels] * 0.8 + np.float32(0.2 / CLASSES)
        parts[part] = Features(tensors, kept("given", given), labels)
    return parts


@pytest.fixture(scope="module")
def common(features: dict[str, Features]) -> Common:
    source: Any = SimpleNamespace(
        decision=DECISION, specific=None, blank=False, codes=lambda of: of.labels, labels=lambda of: of.labels,
        given_answers=lambda of: np.asarray(of.probabilities), weights=lambda _: None,
    )  # fmt: skip
    return Common(Lesson(DECISION, True, None), Judge(source, features["screen"], ()), features["fit"].labels)


@pytest.fixture(scope="module")
def here(
    common: Common, features: dict[str, Features], dense: list[Group], convolutional: list[Group]
) -> dict[str, Outcome]:
    """What comes of all groups without a cluster; a process of its own has TensorFlow with one thread."""
    outcomes: dict[str, Outcome] = {}
    save = partial(put, outcomes)
    assert len(list(together.in_threads(common, dense, features, 2, save))) == 3
    with ProcessPoolExecutor(1, get_context("spawn"), start_frameworks, (1, 0)) as process:
        for group in convolutional:
            save(group, process.submit(together.trained, common, group, features).result())
    return outcomes


def put(outcomes: dict[str, Outcome], group: Group, outcome: Outcome) -> None:
    name = f"{group.heads[0].location.name} {group.maps}"
    assert name not in outcomes, "twice"
    outcomes[name] = outcome


def there(
    common: Common, groups: Sequence[Group], features: dict[str, Features], workers: Any,
    seen: Callable[[], object] = lambda: None,
) -> dict[str, Outcome]:  # fmt: skip
    outcomes: dict[str, Outcome] = {}
    for _ in together.on_workers(common, groups, features, workers, partial(put, outcomes)):
        seen()
    return outcomes


def facts(outcome: Outcome) -> list[Any]:
    """All that is kept of a group, as bytes."""
    arrays = [array for one in outcome.trained for array in one.weights]
    arrays += [*(outcome.screen or ()), *outcome.choose]
    return [[one.head for one in outcome.trained], [(a.dtype, a.shape, a.strides, a.tobytes()) for a in arrays]]


def same(outcomes: dict[str, Outcome], expected: dict[str, Outcome]) -> None:
    assert outcomes
    for name, outcome in outcomes.items():
        assert facts(outcome) == facts(expected[name]), name


def test_the_same_bytes_on_workers_and_answers_alone(
    local: Any, common: Common, features: Any, dense: Any, convolutional: Any, here: Any
) -> None:
    with cluster.workers(local.scheduler_address, begin, pytest.fail) as workers:
        for groups in (dense, convolutional):
            outcomes = there(common, groups, features, workers)
            assert len(outcomes) == 3 and all(outcome.trained for outcome in outcomes.values())
            same(outcomes, here)
            known = [
                Group(g.heads, g.plan, g.maps, known=here[f"{g.heads[0].location.name} {g.maps}"].trained)
                for g in groups
            ]
            for name, outcome in there(common, known, features, workers).items():
                assert outcome.screen is None
                np.testing.assert_array_equal(outcome.choose, here[name].choose)
        assert not workers.shelves, "workers of this machine see the cache"


def test_a_worker_that_dies_costs_its_heads_only(
    local: Any, common: Common, features: Any, convolutional: Any, here: Any
) -> None:
    killed: list[str] = []

    with cluster.workers(local.scheduler_address, begin, pytest.fail) as workers:

        def kill() -> None:
            """The worker that trains at the end of some other's training, whichever that is."""
            busy = [worker for worker, tasks in workers.client.processing().items() if tasks]
            if busy and not killed:
                killed.extend(busy[:1])
                workers.client.run(os._exit, 1, workers=killed, wait=False, on_error="ignore")

        same(there(common, convolutional, features, workers, kill), here)
    assert killed


def test_files_that_a_worker_does_not_see_are_sent_once(
    local: Any, common: Common, features: Any, dense: Any, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf.checksums, "seal", lambda path: None)  # as if each file had just been deleted
    monkeypatch.setattr(cluster, "PIECE_BYTES", 5000)  # of files of 6 to 130 KB
    sent: list[tuple[Any, ...]] = []
    with cluster.workers(local.scheduler_address, begin, pytest.fail) as workers:
        run = workers.client.run

        def counted(function: Any, *given: Any, **options: Any) -> Any:
            if function is cluster._put:
                sent.append((*given[1:3], *options["workers"]))
            return run(function, *given, **options)

        workers.client.run = counted
        same(there(common, dense, features, workers), here)
        same(there(common, dense, features, workers), here)
        assert sent and len(sent) == len(set(sent))
        assert len({column for column, *_ in sent}) == 3 * (1 + len({a for g in dense for a in sources(g.heads)}))
        held = workers.client.run(_shelves)
        assert sum(held.values()) > 0
    with distributed.Client(local.scheduler_address, set_as_default=False) as client:
        for _ in range(100):
            if not any(client.run(_shelves).values()):
                break
            time.sleep(0.1)
        assert not any(client.run(_shelves).values()), "room is free once the run has ended"


def sources(heads: Sequence[Head]) -> list[Any]:
    return [want for head in heads for want in training.sources(head)]


def _shelves() -> int:
    return len(shelf.SHELVES)


def test_a_worker_that_cannot_train_ends_the_run_before_it_begins(
    local: Any, common: Common, features: Any, dense: Any
) -> None:
    with (
        pytest.raises(InputError, match=r"--dask tcp://\S+: worker tcp://\S+: no TensorFlow of \d+ threads"),
        cluster.workers(local.scheduler_address, _without, pytest.fail) as workers,
    ):
        there(common, dense, features, workers, pytest.fail)


def _without() -> None:
    raise InputError(f"no TensorFlow of {os.cpu_count()} threads")


def test_a_task_that_nobody_waits_for_ends(local: Any, tmp_path: Path) -> None:
    """As after Ctrl-C, or where the run is killed."""
    with cluster.workers(local.scheduler_address, begin, pytest.fail) as workers:
        tasks = [(i, (None, (tmp_path,), {"x": np.zeros(1)})) for i in range(4)]
        waiting = threading.Thread(
            target=lambda: next(workers.reading("it", _for_ever, tasks, alone=True), None), daemon=True
        )
        waiting.start()
        assert _comes(lambda: len(list(tmp_path.glob("*.begun"))) == 2)
    assert _comes(lambda: len(list(tmp_path.glob("*.ended"))) == 2)
    assert len(list(tmp_path.glob("*.begun"))) == 2


def _for_ever(_: None, place: Path, read: Any, wanted: Callable[[], None]) -> None:
    (place / f"{os.getpid()}.begun").touch()
    try:
        for _ in range(600):
            wanted()
            time.sleep(0.05)
    except cluster.Unwanted:
        (place / f"{os.getpid()}.ended").touch()


def _comes(true: Callable[[], bool]) -> bool:
    for _ in range(300):
        if true():
            return True
        time.sleep(0.1)
    return False


def test_what_goes_to_workers_is_of_eeaug_and_numpy(common: Common, convolutional: Any) -> None:
    """No Keras, no code by value: a model file cannot come with something that runs there."""
    given = pickle.dumps((common, convolutional, together._on_worker), protocol=2)
    names = {arg.split()[0].split(".")[0] for op, arg, _ in pickletools.genops(given) if op.name == "GLOBAL"}
    assert names <= {"eeaug", "numpy", "_codecs", "collections", "__builtin__", "copy_reg"}, names
