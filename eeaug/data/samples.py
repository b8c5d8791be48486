"""Samples as they were stored, checked against a model, and handed out in preprocessed batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from eeaug.cascade.output import BLANK_NAMES
from eeaug.data import labels, store
from eeaug.data.preprocessing import Preprocessing, at_once
from eeaug.errors import EeaugError, InputError
from eeaug.streams.sequences import Sequences
from eeaug.support.spelling import nearest

__all__ = ["PARTS", "Data", "Part", "View", "batches", "prepared"]

PARTS = ("train", "val", "test")
SHOWN = 10  # names of classes in a message
FINITE_CHUNK = 256  # samples that are looked at in one piece


@dataclass(frozen=True, eq=False)
class Part:
    """A given part: ``x`` (n, ...) as stored, memory-mapped; ``groups`` (n,) or None; ``sequence`` (n,) or None.

    ``y`` holds int64 class numbers (n,); rows of 0 and 1 (n, classes), uint8, that are not all one-hot, until
    ``Data.labelled`` makes bit masks int64 (n,) of them; None where no labels are asked for. ``content``: a hash of
    what x holds, where whoever read it has one. Streams are in order of time in each group (sequence of a group).
    """

    name: str
    x: np.ndarray
    y: np.ndarray | None
    groups: np.ndarray | None
    content: str = ""
    sequence: np.ndarray | None = None

    @cached_property
    def digest(self) -> str:
        """A hash of what x holds, by which results are kept that depend on nothing else of the data."""
        return self.content or store.digest(self.x)

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Data:
    """What was given: ``source`` is a base name, ``sha256`` a hash of the contents.

    ``multilabel`` says that labels are bit masks: bit k is set where label k applies.
    """

    source: str
    sha256: str
    train: Part | None
    val: Part | None
    test: Part | None
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()
    multilabel: bool = False

    def parts(self) -> tuple[Part, ...]:
        """The parts that are given, in the order train, val, test."""
        return tuple(part for part in (self.train, self.val, self.test) if part is not None)

    def labelled(self, decision: str, classes: int) -> Data:
        """The labels as a model with this decision needs them: "softmax", "binary" or "multilabel".

        Raises
        ------
        InputError
            Several labels for a sample where the model picks one class, or labels the model does not have.
        """
        several = decision == "multilabel"

        def as_labels(part: Part | None) -> Part | None:
            if part is None or part.y is None:
                return part
            where = f"{self.source}: {_labels_of(part)}"
            return replace(
                part, y=labels.masks(where, part.y, classes) if several else labels.numbers(where, part.y)
            )

        return replace(
            self,
            train=as_labels(self.train),
            val=as_labels(self.val),
            test=as_labels(self.test),
            multilabel=several,
        )

    def blank(self) -> Data:
        """The labels as 0 for nothing, 1 for something (labels.something), and these as classes."""

        def of(part: Part | None) -> Part | None:
            if part is None or part.y is None:
                return part
            where = f"{self.source}: {_labels_of(part)}"
            y = labels.something(where, part.y, self.class_names)
            if (y == y[0]).all():
                what = "non-empty" if y[0] else "empty"
                raise InputError(f"{where}: all samples are {what}; exits learn from samples of both kinds")
            return replace(part, y=y)

        return replace(
            self,
            train=of(self.train),
            val=of(self.val),
            test=of(self.test),
            class_names=BLANK_NAMES,
            multilabel=False,
        )

    def in_order(self, classes: Sequence[str]) -> Data:
        """The labels as numbers of these classes, by name; ``notes`` say so if the data has them in another order.

        Data without names, or for a model whose classes are numbers, is as it was: nothing can be compared.

        Raises
        ------
        InputError
            A name that is none of the classes, or stands twice, so that nobody knows which is meant.
        """
        names, numbered = self.class_names, list(map(str, range(len(classes))))
        if names is None or list(names) == list(classes) or list(classes) == numbered:
            return self
        for name in names:
            if names.count(name) != 1 or list(classes).count(name) != 1:
                what = "stands twice" if name in classes else "is no class of the bundle"
                hint = nearest(name, classes) or f"; it has {', '.join(classes[:SHOWN])}"
                raise InputError(f"{self.source}: class_names: '{name}' {what}{hint}")
        position = np.array([list(classes).index(name) for name in names], np.int64)

        def moved(part: Part | None) -> Part | None:
            if part is None or part.y is None:
                return part
            if part.y.ndim == 1:
                labels.check_range(f"{self.source}: {_labels_of(part)}", part.y, len(names))
                return replace(part, y=position[part.y])
            if part.y.shape[1] != len(names):
                return part  # the check of its columns names what is wrong
            columns = np.zeros((len(part.y), len(classes)), part.y.dtype)
            columns[:, position] = part.y
            return replace(part, y=columns)

        note = f"{self.source} has its classes in another order than the bundle: labels are taken by name"
        return replace(
            self, train=moved(self.train), val=moved(self.val), test=moved(self.test), class_names=tuple(classes),
            notes=(*self.notes, note),
        )  # fmt: skip

    def check(self, input_shape: tuple[int | None, ...], classes: int) -> None:
        """Raise InputError unless the samples fit a model with this input shape and number of classes."""
        for part in self.parts():
            shape = part.x.shape[1:]
            fits = len(shape) == len(input_shape) and all(
                want in (None, have) for want, have in zip(input_shape, shape, strict=True)
            )
            if not fits:
                raise InputError(
                    f"{self.source}: {part.name} has samples of shape {shape}, the model takes {tuple(input_shape)}"
                )
            self.preprocessing.check(shape)
            _check_finite(self.source, part)
            if part.y is not None and not self.multilabel:
                where = f"{self.source}: {_labels_of(part)}"
                labels.check_range(where, labels.numbers(where, part.y), classes)
        if self.class_names is not None and len(self.class_names) != classes:
            raise InputError(
                f"{self.source}: class_names has {len(self.class_names)} names, the model has {classes} classes"
            )


@dataclass(frozen=True, eq=False)
class View:
    """Some samples of a part: ``indices`` int64 (m,), sorted."""

    part: Part
    indices: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """Labels, int64 (m,); an error where none were read."""
        if self.part.y is None:
            raise EeaugError(f"{self.part.name} was read without labels")
        return np.asarray(self.part.y[self.indices])

    @property
    def groups(self) -> np.ndarray | None:
        """Which group each sample is of, int64 (m,), numbered from 0; None where none were given."""
        if self.part.groups is None:
            return None
        return np.unique(self.part.groups[self.indices], return_inverse=True)[1].astype(np.int64)

    @property
    def sequences(self) -> Sequences:
        """Which samples follow which: a group is a sequence, or has several; an error where none were given."""
        if self.part.groups is None:
            raise EeaugError(f"{self.part.name} has no groups")
        within = None if self.part.sequence is None else self.part.sequence[self.indices]
        return Sequences.given(self.part.groups[self.indices], within)

    def __len__(self) -> int:
        return len(self.indices)


def batches(
    part: Part, indices: np.ndarray, preprocessing: Preprocessing, size: int | None = None
) -> Iterator[np.ndarray]:
    """Preprocessed samples of ``part``, float32 (at most ``size``, ...), in the order of ``indices``.

    Without a ``size`` as many as :func:`eeaug.data.preprocessing.at_once` says.

    Raises
    ------
    InputError
        At the first sample that holds NaN or infinity.
    """
    size = size or at_once(part.x.shape[1:])
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        yield prepared(part.name, chosen, part.x[chosen], preprocessing)


def prepared(part: str, numbers: np.ndarray, x: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Samples as stored, (n, ...), as the model takes them: float32. ``numbers`` (n,) name them in the error.

    Raises
    ------
    InputError
        At the first sample that holds NaN or infinity.
    """
    batch = preprocessing(x)
    wrong = ~np.isfinite(batch.reshape(len(batch), -1)).all(axis=1)
    if wrong.any():
        raise InputError(f"{part}: sample {int(numbers[wrong.argmax()])} holds NaN or infinity")
    return batch


def shifted(x: np.ndarray, by: Sequence[int]) -> np.ndarray:
    """Images or maps (n, *space, channels) moved along every axis of space, zeros where nothing was."""
    for axis, far in enumerate(by, start=1):
        if far:
            moved = np.zeros_like(x)
            lead = (slice(None),) * axis
            to, of = (slice(far, None), slice(None, -far)) if far > 0 else (slice(None, far), slice(-far, None))
            moved[(*lead, to)] = x[(*lead, of)]
            x = moved
    return x


def _labels_of(part: Part) -> str:
    return f"y_{part.name.removeprefix('x_')}"


def _check_finite(source: str, part: Part) -> None:
    """Raise InputError at the first sample with NaN or infinity: before an hour of training, not after."""
    if part.x.dtype.kind != "f":
        return
    for start in range(0, len(part.x), FINITE_CHUNK):
        piece = part.x[start : start + FINITE_CHUNK]
        wrong = ~np.isfinite(piece.reshape(len(piece), -1)).all(axis=1)
        if wrong.any():
            raise InputError(f"{source}: {part.name}: sample {start + int(wrong.argmax())} holds NaN or infinity")
