"""The one pass: feature maps of the frozen backbone at every location, pooled or whole, cached on disk.

The backbone never changes, so whatever heads are tried, its tensors are computed once per sample. ONNX
Runtime does it, the runtime that the exported stages are verified with. Arrays are memory-mapped files:
anonymous memory does not grow with the data.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug import conversion
from eeaug.data import Preprocessing, View, batches
from eeaug.errors import InputError
from eeaug.locations import Location, pooled_shape
from eeaug.model import INPUT, Classifier

__all__ = ["Cache", "Features", "Wanted", "extract", "extractor", "need_bytes"]

PARTIAL = ".part"
STALE_S = 24 * 3600.0  # a partial entry this old was left behind by a killed run
FORMAT = 2  # of the cached files; part of their key
BATCH = 64
HALF_MAX = float(np.finfo(np.float16).max)
PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Wanted:
    """A tensor to keep: at a location, averaged over ``window``, or the whole map if that is None."""

    location: Location
    window: tuple[int, ...] | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.location.shape if self.window is None else pooled_shape(self.location.shape, self.window)

    @property
    def key(self) -> str:
        return f"{self.location.name} {self.window}"


@dataclass(frozen=True)
class Features:
    """Tensors of one part of the data, memory-mapped, n samples in the order of the part's indices.

    Parameters
    ----------
    pooled : (n, D), all pooled tensors side by side, flattened
    columns : key of a Wanted → its columns in ``pooled``
    maps : key of a Wanted → (n, *shape)
    probabilities : float32 (n, outputs), of the given model; (n, 0) where only whole maps are wanted
    labels : int64 (n,); (0,) for data that was read without labels
    """

    pooled: NDArray[Any]
    columns: dict[str, slice]
    maps: dict[str, NDArray[Any]]
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Cache:
    """Where features are kept, and how many bytes they may take together (None: as many as the disk has)."""

    directory: Path
    limit_bytes: int | None = None

    def make_room(self, need: int) -> None:
        """Drop what was used longest ago until ``need`` more bytes fit.

        Raises
        ------
        InputError : they do not fit into the limit, or not onto the disk
        """
        where = self.directory / "features"
        where.mkdir(parents=True, exist_ok=True)
        if self.limit_bytes is not None and need > self.limit_bytes:
            raise InputError(
                f"features need {need / 1e9:.3g} GB in {self.directory}, --max-cache allows "
                f"{self.limit_bytes / 1e9:.3g} GB; allow more, or give fewer training samples"
            )
        for left in where.glob(f"*{PARTIAL}"):
            if left.stat().st_mtime < time.time() - STALE_S:
                shutil.rmtree(left)
        entries = [e for e in where.iterdir() if e.is_dir() and e.suffix != PARTIAL]
        entries.sort(key=lambda e: e.stat().st_mtime)
        sizes = {e: sum(f.stat().st_size for f in e.iterdir()) for e in entries}
        while entries and (
            (self.limit_bytes is not None and sum(sizes[e] for e in entries) + need > self.limit_bytes)
            or shutil.disk_usage(where).free < need
        ):
            shutil.rmtree(entries.pop(0))
        free = shutil.disk_usage(where).free
        if free < need:
            raise InputError(
                f"features need {need / 1e9:.3g} GB, {self.directory} has {free / 1e9:.3g} GB free; name another "
                "place with --cache-dir"
            )


def need_bytes(wanted: Sequence[Wanted], samples: int, outputs: int, precision: type) -> int:
    """Disk that the features of ``samples`` samples take."""
    values = sum(prod(w.shape) for w in wanted)
    return samples * (values * np.dtype(precision).itemsize + outputs * 4)


def extract(
    classifier: Classifier,
    wanted: Sequence[Wanted],
    view: View,
    preprocessing: Preprocessing,
    *,
    data_sha256: str,
    cache: Cache,
    precision: type = np.float32,
    session: Callable[[], Any],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Features:
    """Run the backbone once over a part of the data, or open what an earlier run has left.

    ``session`` gives the extractor of :func:`extractor`; it is called only if there is work to do. With half
    precision, values beyond its range are clipped: only heads are trained on them.
    """
    entry = cache.directory / "features" / _key(classifier, wanted, view, preprocessing, data_sha256, precision)
    if not entry.is_dir():
        cache.make_room(need_bytes(wanted, len(view), classifier.decision.outputs, precision))
        _fill(entry, classifier, wanted, view, preprocessing, precision, session(), progress)
    else:
        entry.touch()  # for the order in which make_room drops entries
        progress(len(view), len(view))
    return _open(entry, wanted, view)


def extractor(classifier: Classifier, wanted: Sequence[Wanted], threads: int) -> Any:
    """An ONNX Runtime session from the input to every wanted tensor, and the given model's probabilities.

    For whole maps alone the network is left after the last of them: the answers are known by then.

    Pooling is added to the ONNX graph, not to the Keras one: the converter takes minutes for a hundred
    pooled branches of a deep network, and seconds without them.
    """
    import keras

    inputs = keras.Input(classifier.input_shape)
    names = sorted({w.location.name for w in wanted})
    answers = _with_answers(wanted)
    made = classifier.replay(None, inputs, [*names, *([classifier.output] if answers else [])])
    outputs = {f"map_{i}": made[name] for i, name in enumerate(names)}
    if answers:
        outputs[PROBABILITIES] = classifier.probabilities(made[classifier.output])
    outputs = {name: conversion.as_float32(tensor, f"{name}_float32") for name, tensor in outputs.items()}
    proto = conversion.to_onnx(inputs, outputs, input_name=INPUT)
    _add_pooling(proto, [(w, f"map_{names.index(w.location.name)}") for w in wanted])
    return conversion.session(proto, threads)


def _add_pooling(proto: Any, wanted: Sequence[tuple[Wanted, str]]) -> None:
    from onnx import TensorProto, helper

    graph = proto.graph
    kept = [value for value in graph.output if value.name == PROBABILITIES]
    for i, (want, source) in enumerate(wanted):
        rank = len(want.location.shape)
        name = f"wanted_{i}"
        if want.window:  # ONNX pools channels-first tensors
            first, last = [0, rank, *range(1, rank)], [0, *range(2, rank + 1), 1]
            window = list(want.window)
            graph.node.extend([
                helper.make_node("Transpose", [source], [f"{name}_a"], perm=first),
                helper.make_node("AveragePool", [f"{name}_a"], [f"{name}_b"], kernel_shape=window, strides=window),
                helper.make_node("Transpose", [f"{name}_b"], [name], perm=last),
            ])  # fmt: skip
        else:
            graph.node.append(helper.make_node("Identity", [source], [name]))
        kept.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *want.shape]))
    del graph.output[:]
    graph.output.extend(kept)


def _key(
    classifier: Classifier,
    wanted: Sequence[Wanted],
    view: View,
    preprocessing: Preprocessing,
    data_sha256: str,
    precision: type,
) -> str:
    facts = {
        "format": FORMAT,
        "model": classifier.sha256,
        "data": data_sha256,
        "preprocessing": preprocessing.as_dict(),
        "part": view.part.name,
        "indices": hashlib.sha256(np.ascontiguousarray(view.indices).tobytes()).hexdigest(),
        "wanted": [w.key for w in wanted],
        "precision": np.dtype(precision).name,
        "versions": [version("onnxruntime"), version("tf2onnx")],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _fill(
    entry: Path,
    classifier: Classifier,
    wanted: Sequence[Wanted],
    view: View,
    preprocessing: Preprocessing,
    precision: type,
    session: Any,
    progress: Callable[[int, int], None],
) -> None:
    """Write one entry; it appears under its name only when it is whole.

    Another run may write the same one meanwhile: each has its own partial directory, the first to end wins.
    """
    n, columns = len(view), _columns(wanted)
    partial = Path(tempfile.mkdtemp(dir=entry.parent, prefix=entry.name, suffix=PARTIAL))
    try:
        pooled = _create(
            partial / "pooled.npy", (n, sum(prod(w.shape) for w in wanted if w.window is not None)), precision
        )
        maps = {
            i: _create(partial / f"map_{i}.npy", (n, *w.shape), precision)
            for i, w in enumerate(wanted)
            if w.window is None
        }
        answers = _with_answers(wanted)
        width = classifier.decision.outputs if answers else 0
        probabilities = _create(partial / "probabilities.npy", (n, width), np.float32)
        names = [*(f"wanted_{i}" for i in range(len(wanted))), *([PROBABILITIES] if answers else [])]
        done = 0
        for x in batches(view.part, view.indices, preprocessing, BATCH):
            rows = slice(done, done + len(x))
            made = session.run(names, {INPUT: x})
            if answers:
                probabilities[rows] = made.pop()
            for i, (want, tensor) in enumerate(zip(wanted, made, strict=True)):
                if precision is np.float16:
                    tensor = np.clip(tensor, -HALF_MAX, HALF_MAX)
                if want.window is None:
                    maps[i][rows] = tensor
                else:
                    pooled[rows, columns[want.key]] = tensor.reshape(len(x), -1)
            done += len(x)
            progress(done, n)
        if not np.isfinite(probabilities).all():
            raise InputError(f"the given model gives NaN or infinite probabilities on {view.part.name}")
        try:
            partial.rename(entry)
        except OSError:
            if not entry.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _create(path: Path, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    if 0 in shape:  # nothing to map
        np.save(path, np.zeros(shape, dtype))
        return np.zeros(shape, dtype)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash when the map is written
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _open(entry: Path, wanted: Sequence[Wanted], view: View) -> Features:
    def read(name: str) -> NDArray[Any]:
        return np.load(entry / name, mmap_mode="r", allow_pickle=False)

    return Features(
        pooled=read("pooled.npy"),
        columns=_columns(wanted),
        maps={w.key: read(f"map_{i}.npy") for i, w in enumerate(wanted) if w.window is None},
        probabilities=read("probabilities.npy"),
        labels=np.zeros(0, np.int64) if view.part.y is None else view.y,
    )


def _with_answers(wanted: Sequence[Wanted]) -> bool:
    return not wanted or any(w.window is not None for w in wanted)


def _columns(wanted: Sequence[Wanted]) -> dict[str, slice]:
    columns: dict[str, slice] = {}
    start = 0
    for want in wanted:
        if want.window is not None:
            columns[want.key] = slice(start, start + prod(want.shape))
            start = columns[want.key].stop
    return columns
