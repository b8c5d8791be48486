"""What TensorFlow and Keras hold: saved ``tf.data.Dataset`` directories, ``keras:NAME`` and ``tfds:NAME``."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.backbone.keras_files import import_keras
from eeaug.data.input_groups import is_member
from eeaug.data.store import FORMAT, Raw, SampleNeeds, kept, write_rows
from eeaug.errors import InputError
from eeaug.support import streams
from eeaug.support.progress import counted
from eeaug.support.spelling import nearest

__all__ = ["is_saved", "read_keras", "read_tfds", "write_saved"]

KERAS_SETS = ("cifar10", "cifar100", "fashion_mnist", "mnist")
TFDS_SPLITS = {"train": "train", "val": "validation", "test": "test"}
ROWS = 256


def is_saved(folder: Path) -> bool:
    """Whether ``tf.data.Dataset.save`` has written this folder."""
    return (folder / "dataset_spec.pb").is_file()


def write_saved(where: str, parts: Mapping[str, Path], target: Path, wanted: SampleNeeds) -> Iterator[str]:
    """Write the arrays of saved data sets with elements (x, y), single samples or batches."""
    import_keras()  # without its log lines
    import tensorflow as tf

    for part, folder in parts.items():
        try:
            dataset = _loaded(folder)
        except Exception as error:  # of TensorFlow or protobuf, by what is damaged
            raise InputError(f"{folder}: not a readable saved data set: {_first_line(error)}") from error
        try:
            _write(f"{where}: {part}", dataset, part, target, wanted)
        except tf.errors.OpError as error:
            raise InputError(f"{folder}: its samples cannot be read and stacked: {_first_line(error)}") from error
    yield from ()


def _loaded(folder: Path) -> Any:
    """The saved data set; no file says whether it is compressed."""
    import tensorflow as tf

    dataset = tf.data.Dataset.load(str(folder))
    try:
        next(iter(dataset.take(1)), None)
    except tf.errors.DataLossError:
        return tf.data.Dataset.load(str(folder), compression="GZIP")
    return dataset


def _write(where: str, dataset: Any, part: str, target: Path, wanted: SampleNeeds) -> None:
    """One part: x in pieces, y whole."""
    import tensorflow as tf

    spec = dataset.element_spec
    pair = spec if isinstance(spec, tuple) else (spec,)
    enough = len(pair) == 2 or (len(pair) == 1 and not wanted.labelled)
    grouped = wanted.layout is not None and enough and isinstance(pair[0], dict)
    specs = [*pair[0].values(), *pair[1:]] if grouped else [*pair]
    if not enough or not all(isinstance(s, tf.TensorSpec) and s.shape.rank is not None for s in specs):
        raise InputError(f"{where}: its elements must be (x, y) of dense tensors, are {spec}")
    options = tf.data.Options()
    options.deterministic = True
    if grouped:
        _write_groups(where, dataset.with_options(options), part, target, wanted)
        return
    batched = wanted.input_shape is not None and pair[0].shape.rank == len(wanted.input_shape) + 1
    if not batched:
        dataset = dataset.batch(ROWS)
    y: list[np.ndarray] = []

    def rows() -> Iterator[np.ndarray]:
        elements = dataset.with_options(options)
        for element in counted(elements.as_numpy_iterator(), int(elements.cardinality())):
            if wanted.labelled:
                y.append(np.asarray(element[1]))
            yield np.asarray(element[0] if isinstance(element, tuple) else element)

    write_rows(where, target / f"x_{part}.npy", rows())
    if wanted.labelled:
        _save_labels(target / f"y_{part}.npy", y)


def _save_labels(path: Path, y: list[np.ndarray]) -> None:
    labels = np.concatenate(y)
    if labels.dtype == object:  # TensorFlow's strings
        labels = np.array([value.decode("utf-8", "replace") for value in labels.reshape(-1)])
    np.save(path, labels, allow_pickle=False)


def _write_groups(where: str, dataset: Any, part: str, target: Path, wanted: SampleNeeds) -> None:
    """One part whose x are tensors by input: a pass for each, so that none is held whole."""
    layout, spec = wanted.layout, dataset.element_spec
    assert layout is not None
    specs = spec[0] if isinstance(spec, tuple) else spec
    known = [name for name in specs if name in layout.names]
    if not known or any(not is_member(f"x_{part}.{name}") for name in specs):
        raise InputError(
            f"{where}: its elements have the inputs {', '.join(specs)}; the model has {', '.join(layout.names)}"
        )
    batched = specs[known[0]].shape.rank == len(layout.shape_of(known[0])) + 1
    dataset = dataset if batched else dataset.batch(ROWS)

    def rows(name: str) -> Iterator[np.ndarray]:
        for element in dataset.as_numpy_iterator():
            yield np.asarray((element[0] if isinstance(element, tuple) else element)[name])

    for name in specs:
        write_rows(where, target / f"x_{part}.{name}.npy", rows(name))
    if wanted.labelled:
        _save_labels(target / f"y_{part}.npy", [np.asarray(element[1]) for element in dataset.as_numpy_iterator()])


def read_keras(given: str, cache: Path, wanted: SampleNeeds) -> Raw:
    """A data set of ``keras.datasets``, fetched by Keras unless an earlier run has written it to ``cache``."""
    name = given.removeprefix("keras:")
    if name not in KERAS_SETS:
        hint = nearest(name, KERAS_SETS) or f"; known are {', '.join(KERAS_SETS)}"
        raise InputError(f"{given}: no image data set of keras.datasets{hint}")

    def write(target: Path) -> Iterator[str]:
        keras = import_keras()
        try:
            with contextlib.redirect_stdout(sys.stderr):  # its progress bar
                parts = getattr(keras.datasets, name).load_data()
        except Exception as error:  # Keras raises a bare one where the network fails
            raise InputError(f"{given}: Keras cannot fetch it: {_first_line(error)}") from error
        for part, (x, y) in zip(("train", "test"), parts, strict=True):
            np.save(target / f"x_{part}.npy", x, allow_pickle=False)
            np.save(target / f"y_{part}.npy", y, allow_pickle=False)
        yield from ()

    return kept(given, cache, _key(given), write)


def read_tfds(given: str, cache: Path, wanted: SampleNeeds) -> Raw:
    """A data set of TensorFlow Datasets, with its splits train, validation and test."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            import_keras()  # without its log lines
            tfds = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise InputError(f"{given}: needs TensorFlow Datasets: pip install 'eeaug[tfds]' ({error})") from error
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if not streams.live():
                tfds.disable_progress_bar()
            builder = tfds.builder(given.removeprefix("tfds:"))
    except Exception as error:  # unknown names and versions: of many types
        raise InputError(f"{given}: no such data set: {_first_line(error)}") from error

    def write(target: Path) -> Iterator[str]:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                builder.download_and_prepare()
        except Exception as error:
            raise InputError(f"{given}: cannot be fetched: {_first_line(error)}") from error
        info = builder.info
        if info.supervised_keys is None:
            raise InputError(f"{given}: does not say which of its features are (x, y); give a module:function")
        for part, split in TFDS_SPLITS.items():
            if split in info.splits:
                dataset = builder.as_dataset(split=split, as_supervised=True, shuffle_files=False)
                try:
                    _write(given, dataset, part, target, SampleNeeds(None, wanted.labelled))
                except sys.modules["tensorflow"].errors.OpError as error:
                    raise InputError(
                        f"{given}: {split}: its samples cannot be stacked: {_first_line(error)}"
                    ) from error
        names = getattr(info.features[info.supervised_keys[1]], "names", None)
        if names and wanted.labelled:
            np.save(target / "class_names.npy", np.array(names))
        left_out = [split for split in info.splits if split not in TFDS_SPLITS.values()]
        if left_out:
            yield f"{given}: the splits {', '.join(left_out)} are left out"

    return kept(given, cache, _key(f"tfds:{builder.info.full_name} {wanted.labelled}"), write)


def _key(name: str) -> str:
    return sha256(f"{FORMAT} {name}".encode()).hexdigest()


def _first_line(error: Exception) -> str:
    """What an error says, without the places in TensorFlow's graph that it names."""
    line = next(iter(str(error).strip().splitlines()), "")
    return re.sub(r"\{\{[^}]*\}\} ?| ?\[Op:\w*\].*", "", line) or type(error).__name__
