"""A bundle, opened: its stages in a runtime, at one of its operating points."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.stored_model import one_line
from eeaug.bundle.entries import Manifest, StageEntry, Thresholds
from eeaug.bundle.manifest import read_manifest
from eeaug.bundle.manifest_rules import DEFAULT
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision, Quantised
from eeaug.cascade.predictions import Decisions, Predictions
from eeaug.cascade.waiting import Rows
from eeaug.data.preprocessing import Preprocessing
from eeaug.errors import ConversionError, EeaugError, InputError
from eeaug.frameworks import runners
from eeaug.frameworks.runners import Runner
from eeaug.runtime.far import Far, opened
from eeaug.runtime.hearing import Floats, heard
from eeaug.runtime.journey import Journey
from eeaug.runtime.one_by_one import Lanes, OneByOne
from eeaug.runtime.stream import Stream

__all__ = ["BATCH", "Cascade"]

BATCH = 32  # larger batches exceed the caches of a processor: slower for each sample


@dataclass(frozen=True)
class Cascade:
    """The stages of a bundle in a runtime, at one of the bundle's operating points.

    ``stages`` are the entries of the manifest, ``sessions`` one per stage; ``points`` holds the thresholds (m) of
    every operating point by name, ``point`` is the one that decides. :meth:`predict` goes by the ``manifest``, too;
    None: stages that are no bundle, whose classes have no names.
    """

    decision: Decision
    stages: tuple[StageEntry, ...] = field(repr=False)
    sessions: tuple[Runner, ...] = field(repr=False)
    points: Mapping[str, Thresholds]
    point: str = DEFAULT
    manifest: Manifest | None = field(default=None, repr=False)
    far: Far | None = field(default=None, repr=False)
    _lanes: Lanes = field(default_factory=Lanes, repr=False, compare=False)

    @classmethod
    def load(
        cls, directory: str | Path, manifest: Manifest | Mapping[str, Any] | None = None,
        threads: int | None = None,
        point: str = DEFAULT, *, runtime: str = "onnx", allow_unsafe: bool = False,
        manifest_sha256: str | None = None, custom_objects: Sequence[str] = (),
        remote: Mapping[str, str] | None = None, deadline_s: float | None = None,
    ) -> Cascade:  # fmt: skip
        """Open the stages of a bundle.

        Parameters
        ----------
        manifest : of a bundle that is being written, or as it stands in manifest.json; None reads it, and compares
            every file with its sha256
        threads : of ONNX Runtime; None takes all processors
        point : the operating point whose thresholds decide
        runtime : onnx, keras, tflite or tflite-int8, which has thresholds and points of its own (see
            runners.RUNTIMES); the bundle must have such stages
        allow_unsafe : let Lambda layers of Keras stages run code from the file
        custom_objects : files or modules of code that Keras stages with layers of the user need; they are run
        manifest_sha256 : that manifest.json must have where it is read here; None: any
        remote : processor → URL of the server that runs its stages, made with ``--format triton``; they are not
            opened here. Tokens come from the environment (runtime.address)
        deadline_s : seconds from when a batch begins until what of it goes on to a server must be answered;
            else the last classifier before the server decides (Predictions.fallback). None: 10

        Raises
        ------
        InputError : no bundle, no such operating point, runtime, or server's address
        ConversionError : a file of the bundle is missing, has changed or cannot be run
        """
        directory = Path(directory)
        if manifest is None:
            manifest = read_manifest(directory, manifest_sha256)
        if not isinstance(manifest, Manifest):
            manifest = Manifest.from_dict(manifest)
        decision, stages, points = manifest.decision, manifest.stages, manifest.points
        asked = runners.Asked(
            directory,
            [stage.files for stage in stages],
            threads,
            allow_unsafe,
            reference=manifest.int8 is not None and manifest.int8.kernels == "reference",
            custom_objects=custom_objects,
            comes=[None if stage.int8 is None else stage.int8.requantised_from for stage in stages],
        )
        needed = manifest.custom_objects
        if runtime == "keras" and needed is not None and not custom_objects and manifest.files is not None:
            given = f"custom_objects={needed.names_of_files}"
            raise needed.needed_by(f"{directory}: its Keras stages have", [given, "(runtime 'onnx' needs none)"])
        far = opened(decision, stages, remote or {}, deadline_s, runtime)
        sessions = runners.opened(runtime, asked, None if far is None else far.near)
        if runtime == runners.INT8:
            decision, points = Quantised(**decision.as_dict()), manifest.int8_points
            stages = tuple(replace(s, threshold=None if s.int8 is None else s.int8.threshold) for s in stages)
        _check_point(point, points)
        return cls(decision, stages, sessions, points, point, manifest, far, Lanes(asked))

    def at(self, point: str) -> Cascade:
        """The same sessions with the thresholds of another operating point: nothing is loaded again.

        Raises
        ------
        InputError : there is no such operating point
        """
        _check_point(point, self.points)
        return replace(self, point=point)

    @property
    def thresholds(self) -> Thresholds:
        """(m,), None is never."""
        return self.points[self.point]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by number."""
        return self._manifest.classes

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """What the bundle's samples need before its first stage."""
        return self._manifest.preprocessing

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample; of a model with several inputs, how many values they have together."""
        return self.stages[0].input_shape

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the model's inputs by name, of one sample."""
        row = self.stages[0].row
        return dict(zip(row.names, row.shapes, strict=True))

    def predict(
        self, x: NDArray[Any] | Mapping[str, NDArray[Any]], *, prepared: bool = False, batch: int = BATCH
    ) -> Predictions:
        """Classify samples (n, *input_shape); what has left costs nothing more.

        Parameters
        ----------
        x : real numbers as they were given to ``eeaug augment``: the bundle's preprocessing is applied. Of a model
            with several inputs an array for each, by the names of ``inputs``
        prepared : that has been done already
        batch : how many samples a stage runs at once

        Raises
        ------
        InputError : samples of another shape, of no real numbers, or not finite
        """
        return self._predictions(self._begun(x, prepared, batch))

    async def predict_async(
        self, x: NDArray[Any] | Mapping[str, NDArray[Any]], *, prepared: bool = False, batch: int = BATCH
    ) -> Predictions:
        """:meth:`predict` within an event loop: stages here run in threads, and none waits for a server.

        Raises
        ------
        as :meth:`predict`
        """
        journey = await asyncio.to_thread(self._begun, x, prepared, batch)
        while (awaited := await asyncio.to_thread(journey.advance)) is not None:
            came = asyncio.wrap_future(awaited)
            await asyncio.wait([came])
            came.exception()  # the journey deals with it
        return await asyncio.to_thread(self._predictions, journey)

    def close(self) -> None:
        """Close the connections to servers, if there are any."""
        if self.far is not None:
            self.far.close()

    def __enter__(self) -> Cascade:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begun(
        self, x: NDArray[Any] | Mapping[str, NDArray[Any]], prepared: bool, batch: int
    ) -> Journey | OneByOne:
        """The samples, on their way."""
        x = self.stages[0].row.given(x)
        self._check(x, batch)
        prepare = _as_float32 if prepared else self.preprocessing
        batch = min(batch, max(1, len(x)))
        alone = batch == 1 and self.far is None and not self.blank
        journey = OneByOne(self, self.sessions, self._lanes) if alone else Journey(self, batch)
        batch = BATCH if alone else batch
        for i in range(0, len(x), batch):
            piece = x[i : i + batch]
            if x.dtype.kind == "f" and not np.isfinite(piece).all():
                raise InputError(f"samples must be finite; some of {i} to {i + len(piece) - 1} are not")
            journey.start(np.arange(i, i + len(piece)), prepare(piece))
        return journey

    def _predictions(self, journey: Journey | OneByOne) -> Predictions:
        decisions, p = journey.finished()
        fallback = np.zeros(len(p), np.bool_) if decisions.fallback is None else decisions.fallback
        if self.decision.kind == "multilabel":
            marks = self.decision.marks(decisions.predicted)
            names = tuple(tuple(np.array(self.classes)[row].tolist()) for row in marks)
            return Predictions(
                marks,
                names,
                decisions.confidence,
                decisions.exits,
                p,
                fallback=fallback,
                unanswered=decisions.unanswered,
            )
        if self.decision.outputs == 1:
            p = np.concatenate([1 - p, p], axis=1)
        return Predictions(
            decisions.predicted,
            tuple(self.classes[c] for c in decisions.predicted),
            decisions.confidence,
            decisions.exits,
            p,
            *(journey.given() if isinstance(journey, Journey) and self.blank else (np.zeros(0, np.intp), {})),
            fallback,
            decisions.unanswered,
        )

    def stream(self, streams: int = 1) -> Stream:
        """So many streams, of each of which :meth:`Stream.push` takes the next sample; as the bundle decides them.

        Raises
        ------
        InputError : the bundle was not made for streams
        """
        entry = None if self.manifest is None else self.manifest.stream
        if entry is None:
            raise InputError("the bundle was not made for streams: eeaug augment --stream makes one")
        if isinstance(self.decision, Quantised):
            assert entry.int8 is not None, "manifest_rules"
            entry = entry.int8

        def checked(x: Any, prepared: bool) -> Floats:
            rows = self.stages[0].row.given(x)
            self._check(rows, BATCH)
            if rows.dtype.kind == "f" and not np.isfinite(rows).all():
                raise InputError("samples must be finite; some are not")
            return (_as_float32 if prepared else self.preprocessing)(rows)

        return Stream(self, entry.rule, streams, self.classes, checked, BATCH)

    @property
    def blank(self) -> bool:
        """Whether exits say that there is nothing, and the last stage gives a model's outputs as they are."""
        return self.decision.kind == "blank"

    def run(self, batches: Iterable[Floats], batch: int = BATCH) -> Decisions:
        """Run prepared samples (n, *input_shape), in pieces of any size; what has left costs nothing more."""
        journey, n = Journey(self, batch), 0
        for x in batches:
            for i in range(0, len(x), batch):
                piece = x[i : i + batch]
                journey.start(np.arange(n, n + len(piece)), piece)
                n += len(piece)
        return journey.finished()[0]

    def outcomes(self, batches: Iterable[Floats], labels: NDArray[np.integer]) -> Outcomes:
        """Every classifier's answer to every sample, as if none ever left.

        With :attr:`blank` labels are 0 for nothing, 1 for something; the last stage decides nothing and is not run.
        """
        if self.blank:
            exits = len(self.stages) > 1
            sure = [[self.decision.answers(p)[0] for p in self.answers(x)] for x in batches if exits]
            return Outcomes.before_any([np.concatenate(of_exit) for of_exit in zip(*sure, strict=True)], labels)
        pairs: list[list[tuple[Floats, NDArray[np.int64]]]] = []
        given: list[NDArray[np.int64]] = []
        streams = self.manifest is not None and self.manifest.stream is not None
        first: list[Floats] = []
        for x in batches:
            probabilities = self.answers(x)
            first += probabilities[:1] if streams else []
            pairs.append([self.decision.answers(p) for p in heard(self.decision, self.stages, probabilities)])
            given.append(self.decision.answers(probabilities[-1])[1])
        confidence, predicted = (
            np.array([np.concatenate([batch[k][i] for batch in pairs]) for k in range(len(self.stages))])
            for i in range(2)
        )
        hears = any(stage.reuse for stage in self.stages)
        return Outcomes(
            confidence, predicted, labels,
            given=np.concatenate(given) if hears else None, first=np.concatenate(first) if streams else None,
        )  # fmt: skip

    def answers(self, x: Floats) -> list[Floats]:
        """What every classifier says by itself of prepared samples (n, *input_shape), as if none ever left.

        Returns (n, outputs) probabilities each; :func:`heard` makes of them what is decided by.
        """
        return [probabilities for probabilities, _ in self.through(x)]

    def through(self, x: Floats) -> Iterator[tuple[Floats, Rows]]:
        """Probabilities and hand-over of every stage, one after the other, as if no sample ever left."""
        tensors: Rows = tuple(self.stages[0].row.split(x).values())
        for k in range(len(self.stages) - self.blank):
            probabilities, tensors = self.stage(k, *tensors)
            yield probabilities, tensors

    def stage(self, k: int, *tensors: NDArray[Any]) -> tuple[Floats, Rows]:
        """Probabilities and hand-over of stage ``k`` by itself; there is no hand-over after the last.

        Parameters
        ----------
        tensors : what it is given (n, *shape), in the order of StageEntry.row; so is the hand-over for the next one

        Raises
        ------
        ConversionError : its file does not compute what the manifest says
        """
        stage = self.stages[k]
        if self.far is not None and self.far.has(k):
            answer = self.far.ask_one(k, tensors)
            passed = dict(zip(stage.row.names, tensors, strict=True))
            handed = () if answer.handover is None else (answer.handover, *(passed[t.name] for t in stage.passed))
            return answer.probabilities[0], handed
        wanted = [(self.decision.outputs,), *([] if stage.handover is None else [stage.handover.shape])]
        arrays, given = self._run(k, tensors, wanted)
        handed = arrays[1:]
        if stage.handover is not None and stage.handover.encoding is not None:
            handed = (stage.handover.encoding.received(arrays[1]),)
        return arrays[0], (*handed, *(given[tensor.name] for tensor in stage.passed))

    def returned(self, *tensors: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """What the last stage gives with :attr:`blank`, by name, (n, ...) each."""
        returns = self.stages[-1].returns
        arrays, _ = self._run(len(self.stages) - 1, tensors, [given.shape for given in returns])
        return {given.name: array for given, array in zip(returns, arrays, strict=True)}

    def whole(self, x: Floats) -> dict[str, NDArray[Any]]:
        """The same of prepared samples (n, *input_shape), none of which leaves before."""
        pieces = []
        for i in range(0, len(x), BATCH):
            tensors: Rows = tuple(self.stages[0].row.split(x[i : i + BATCH]).values())
            for k in range(len(self.stages) - 1):
                _, tensors = self.stage(k, *tensors)
            pieces.append(self.returned(*tensors))
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def _run(
        self, k: int, tensors: Rows, wanted: Sequence[tuple[int, ...]]
    ) -> tuple[Rows, dict[str, NDArray[Any]]]:
        """All that the file of stage ``k`` gives, in shapes (n, ...) that are ``wanted``, and what it was given."""
        stage = self.stages[k]
        given = dict(zip(stage.row.names, tensors, strict=True))
        try:
            arrays = self.sessions[k].run(stage.outputs, {name: given[name] for name in stage.inputs})
        except (EeaugError, MemoryError):
            raise
        except Exception as error:  # runtimes have errors of their own for names and shapes that a file has not
            raise ConversionError(f"stage {stage.name}: its file cannot be run: {one_line(error)}") from error
        for name, array, shape in zip(stage.outputs, arrays, wanted, strict=True):
            if array.shape != (len(tensors[0]), *shape):
                raise ConversionError(f"stage {stage.name}: {name} is {array.shape[1:]}, must be {shape}")
        return tuple(arrays), given

    @property
    def _manifest(self) -> Manifest:
        assert self.manifest is not None, "stages that are no bundle"
        return self.manifest

    def _check(self, x: NDArray[Any], batch: int) -> None:
        if batch < 1:
            raise InputError(f"batch: must be 1 or more, given {batch}")
        if x.dtype.kind not in "fiub":
            raise InputError(f"samples must be real numbers, given {x.dtype}")
        if x.shape[1:] != self.input_shape:
            hint = "; x[None] makes a batch of one sample" if x.shape == self.input_shape else ""
            wanted = ", ".join(map(str, ("n", *self.input_shape)))
            raise InputError(f"samples must have the shape ({wanted}), given {x.shape}{hint}")


def _as_float32(x: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(x, np.float32)


def _check_point(point: str, points: Mapping[str, Thresholds]) -> None:
    if point not in points:
        raise InputError(f"the bundle has no operating point '{point}'; it has {', '.join(points)}")
