"""``search/`` of a bundle: what a later choice needs instead of data and training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.bundle.directory import dump_json
from eeaug.cascade.outcomes import Outcomes
from eeaug.errors import ConversionError
from eeaug.heads.candidates import Search
from eeaug.heads.layers import Averages, Convolve, Dense, Head, Pool, Residual, convolutions
from eeaug.heads.training import Trained
from eeaug.network.locations import Location
from eeaug.schema import exits as exits_schema
from eeaug.support import json_file, npz_file
from eeaug.support.printable import shown

__all__ = ["PATH", "SAMPLES", "read", "write"]

EXITS, ANSWERS, SCREEN_ANSWERS = "search/exits.json", "search/answers.npz", "search/screen-answers.npz"
PATH = "search/path.json"
ARRAYS = ("confidence", "predicted", "labels", "weights", "given", "groups")  # of outcomes
SAMPLES = 64  # prepared ones that go along, so that files written later can be verified
STEPS: dict[str, Any] = {"pool": Pool, "convolve": Convolve, "residual": Residual, "dense": Dense}


def write(directory: Path, search: Search) -> None:
    """Write ``search/`` of the bundle at ``directory``.

    screen.npz and choose.npz: confidence float32 (C + 1, n), predicted (C + 1, n), labels (n,), with priors also
    weights (n,), with a fine-tuned backbone also given (n,), what the given model says, with groups also groups
    int64 (n,). heads.npz: weights ``<exit>_<i>`` in the order of the head's layers. exits.json: the C exits and
    their layers. samples.npz: x, at most SAMPLES prepared samples. screen-answers.npz and answers.npz: where exits
    use each other, their probabilities (n, outputs) on screen and on choose, and as ``-1`` the given model's.
    path.json: thresholds of the bundle's exits, from the safest step to the loosest, null is never.
    """
    folder = directory / "search"
    folder.mkdir()
    for name, outcomes in (("screen", search.screen), ("choose", search.outcomes)):
        arrays = {key: array for key in ARRAYS if (array := getattr(outcomes, key)) is not None}
        np.savez_compressed(folder / f"{name}.npz", **arrays)
    weights = {f"{i}_{k}": w for i, t in enumerate(search.trained) for k, w in enumerate(t.weights)}
    np.savez_compressed(folder / "heads.npz", **weights)  # type: ignore[arg-type]
    np.savez_compressed(folder / "samples.npz", x=search.x[:SAMPLES])
    for path, answers in ((SCREEN_ANSWERS, search.screen_answers), (ANSWERS, search.answers)):
        if answers:
            np.savez_compressed(directory / path, **{str(i): p for i, p in answers.items()})  # type: ignore[arg-type]
    listed = [_entry(trained.head) for trained in search.trained]
    (folder / "exits.json").write_text(dump_json(listed), encoding="utf-8")
    if search.path:
        (directory / PATH).write_text(dump_json([list(step) for step in search.path]), encoding="utf-8")


def read(directory: Path, names: Collection[str]) -> Search | None:
    """What :func:`write` has written; None for a bundle made with ``--slim``.

    Parameters
    ----------
    names : files of the bundle at ``directory``; no other is read

    Raises
    ------
    ConversionError : a file is missing, damaged or not what :func:`write` writes
    """
    if EXITS not in names:
        return None
    needed = (f"search/{key}.npz" for key in ("heads", "samples", "screen", "choose"))
    missing = [name for name in needed if name not in names]
    if missing:
        raise ConversionError(f"{directory}: {', '.join(missing)} missing")
    path = directory / EXITS
    listed = json_file.parsed(path, json_file.raw(path))
    json_file.check(path, listed, exits_schema.SCHEMA)
    heads = []
    for k, entry in enumerate(listed):
        try:
            heads.append(_head(entry))
            right = json.loads(dump_json(_entry(heads[-1]))) == entry
        except (ArithmeticError, LookupError, TypeError, ValueError):
            right = False
        if not right:
            raise ConversionError(f"{path}: [{k}]: its steps make no head of the cost that it has")
    folder = directory / "search"
    stored = npz_file.arrays(folder / "heads.npz")
    trained = []
    for i, head in enumerate(heads):
        shapes = _shapes(head)
        weights = [stored.pop(f"{i}_{k}", np.zeros(0)) for k in range(len(shapes))]
        for k, (array, shape) in enumerate(zip(weights, shapes, strict=True)):
            _expect(folder / "heads.npz", f"{i}_{k}", array, shape, "f")
        trained.append(Trained(head, tuple(weights)))
    if stored:
        raise ConversionError(f"{folder / 'heads.npz'}: {shown(next(iter(stored)))} is of no exit in exits.json")
    x = npz_file.arrays(folder / "samples.npz").get("x", np.zeros(0))
    if x.dtype != np.float32 or x.ndim < 2 or not 0 < len(x) <= SAMPLES or not np.isfinite(x).all():
        raise ConversionError(f"{folder / 'samples.npz'}: x must be 1 to {SAMPLES} finite float32 samples")
    screen, choose = (_outcomes(folder / f"{part}.npz", len(heads)) for part in ("screen", "choose"))
    on_screen, on_choose = (
        _answers(directory / name, len(heads), outcomes.samples) if name in names else {}
        for name, outcomes in ((SCREEN_ANSWERS, screen), (ANSWERS, choose))
    )
    steps = _path(directory / PATH, len(heads)) if PATH in names else ()
    return Search(tuple(trained), screen, choose, x, on_screen, on_choose, steps)


def _path(path: Path, heads: int) -> tuple[tuple[float | None, ...], ...]:
    steps = json_file.parsed(path, json_file.raw(path))
    json_file.check(path, steps, exits_schema.PATH)
    exits = len(steps[0])
    if exits > heads or any(len(step) != exits for step in steps):
        raise ConversionError(f"{path}: every step must have as many thresholds, at most {heads}")
    for k, step in enumerate(steps):
        if any(value is not None and float(np.float32(value)) != value for value in step):
            raise ConversionError(f"{path}: [{k}]: a threshold is no float32")
    return tuple(map(tuple, steps))


def _outcomes(path: Path, exits: int) -> Outcomes:
    stored = npz_file.arrays(path)
    strange = sorted(stored.keys() - set(ARRAYS))
    if strange:
        raise ConversionError(f"{path}: there is an array {shown(strange[0])}, which means nothing here")
    n = len(labels) if (labels := stored.get("labels")) is not None and labels.ndim == 1 else 0
    wanted = {"labels": ((n,), "iu"), "confidence": ((exits + 1, n), "f"), "predicted": ((exits + 1, n), "iu")}
    for name, (shape, kinds) in {
        **wanted,
        "weights": ((n,), "f"),
        "given": ((n,), "iu"),
        "groups": ((n,), "iu"),
    }.items():
        if name in wanted or name in stored:
            _expect(path, name, stored.get(name, np.zeros(0)), shape, kinds)
    confidence, weights = stored["confidence"], stored.get("weights")
    if not n or confidence.dtype != np.float32 or confidence.min() < 0 or confidence.max() > 1 + 1e-5:
        raise ConversionError(f"{path}: confidence must be float32 from 0 to 1 for one sample or more")
    if weights is not None and (weights.min() < 0 or not weights.any()):
        raise ConversionError(f"{path}: weights must be 0 or more, and not all of them 0")
    return Outcomes(**stored)


def _answers(path: Path, exits: int, samples: int) -> dict[int, NDArray[np.float32]]:
    answers = {}
    for name, array in npz_file.arrays(path).items():
        if name not in map(str, range(-1, exits)) or array.ndim != 2 or array.dtype != np.float32:
            raise ConversionError(f"{path}: {shown(name)} must be float32 (samples, outputs) of an exit, or of -1")
        _expect(path, name, array, (samples, array.shape[1]), "f")
        if array.min() < 0 or array.max() > 1 + 1e-5:
            raise ConversionError(f"{path}: {name} must be probabilities, from 0 to 1")
        answers[int(name)] = array
    return answers


def _expect(
    path: Path, name: str, array: NDArray[Any], shape: tuple[int, ...], kinds: str
) -> None:  # fmt: skip
    """Raise ConversionError unless it is an array of this shape and one of these kinds of numbers."""
    if array.shape != shape or array.dtype.kind not in kinds or (name[:1].isdigit() and array.dtype != np.float32):
        raise ConversionError(f"{path}: {name} must be {shape}, is {array.shape} of {array.dtype}")
    if not np.isfinite(array).all():
        raise ConversionError(f"{path}: {name} holds NaN or infinity")


def _shapes(head: Head) -> list[tuple[int, ...]]:
    """Of the weights of a head, kernel and bias of each layer in turn."""
    shapes: list[tuple[int, ...]] = []
    for step, before, _ in head.shapes():
        for convolution, read in convolutions(step, before):
            last = (read[-1], convolution.filters) if convolution.filters else (read[-1], 1)
            shapes += [(*(convolution.width,) * (len(read) - 1), *last), convolution.shape(read)[-1:]]
        if isinstance(step, Dense):
            shapes += [(prod(before), step.units), (step.units,)]
    return shapes


def _entry(head: Head) -> dict[str, Any]:
    cost = head.cost()
    names = {kind: name for name, kind in STEPS.items()}
    return {
        "location": _place(head.location),
        "head": head.name,
        "family": head.family,
        "size": head.size,
        "earlier": [{**dataclasses.asdict(read), "location": _place(read.location)} for read in head.earlier],
        "steps": [{"step": names[type(step)], **dataclasses.asdict(step)} for step in head.steps],
        "macs": dict(cost.macs),
        "parameters": cost.parameters,
    }


def _place(location: Location) -> dict[str, Any]:
    """Without what most locations have not."""
    fields = dataclasses.asdict(location).items()
    return {key: value for key, value in fields if value or key not in ("carries", "reordered")}


def _head(entry: dict[str, Any]) -> Head:
    steps = []
    for given in entry["steps"]:
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if k != "step"}
        steps.append(STEPS[given["step"]](**options))
    earlier = tuple(
        Averages(_location(read["location"]), tuple(read["window"]), tuple(read["finer"]))
        for read in entry["earlier"]
    )
    return Head(_location(entry["location"]), entry["family"], entry["size"], tuple(steps), earlier=earlier)


def _location(entry: dict[str, Any]) -> Location:
    shape, carries = tuple(entry["shape"]), tuple(entry.get("carries", ()))
    more = carries, entry.get("reordered", False)
    return Location(entry["name"], entry["after"], shape, entry["remaining_macs"], *more)
