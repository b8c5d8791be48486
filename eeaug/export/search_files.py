"""``search/`` of a bundle: what a later choice needs instead of data and training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade import Outcomes
from eeaug.export.bundle import dump_json
from eeaug.heads.design import Averages, Convolve, Dense, Head, Pool, Residual
from eeaug.heads.training import Trained
from eeaug.locations import Location

__all__ = ["SAMPLES", "Search", "read", "write"]

SAMPLES = 64  # prepared ones that go along, so that files written later can be verified
STEPS: dict[str, Any] = {"pool": Pool, "convolve": Convolve, "residual": Residual, "dense": Dense}


@dataclasses.dataclass(frozen=True)
class Search:
    """Trained heads in the order of the outcomes' rows; outcomes on choose and certify; prepared samples.

    ``answers``: probabilities on choose of exits that use each other, by index, those of −1 the given model's.
    """

    trained: tuple[Trained, ...]
    outcomes: Outcomes
    certify: Outcomes | None
    x: NDArray[np.float32]
    answers: Mapping[int, NDArray[np.float32]] = dataclasses.field(default_factory=dict)


def write(directory: Path, search: Search) -> None:
    """Write ``search/`` of the bundle at ``directory``.

    choose.npz and certify.npz: confidence float32 (C + 1, n), predicted (C + 1, n), labels (n,), with priors
    also weights (n,), with a fine-tuned backbone also given (n,), what the given model says. heads.npz: weights
    ``<exit>_<i>`` in the order of the head's layers. exits.json: the C exits and their layers. samples.npz: x, at
    most SAMPLES prepared samples. answers.npz: where exits use each other, their probabilities (n, outputs) on
    choose, and as ``-1`` the given model's.
    """
    folder = directory / "search"
    folder.mkdir()
    for name, outcomes in (("choose", search.outcomes), ("certify", search.certify)):
        if outcomes is not None:
            arrays = {"confidence": outcomes.confidence, "predicted": outcomes.predicted, "labels": outcomes.labels}
            if outcomes.weights is not None:
                arrays["weights"] = outcomes.weights
            if outcomes.given is not None:
                arrays["given"] = outcomes.given
            np.savez_compressed(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    weights = {f"{i}_{k}": w for i, t in enumerate(search.trained) for k, w in enumerate(t.weights)}
    np.savez_compressed(folder / "heads.npz", **weights)  # type: ignore[arg-type]
    np.savez_compressed(folder / "samples.npz", x=search.x[:SAMPLES])
    if search.answers:
        np.savez_compressed(folder / "answers.npz", **{str(i): p for i, p in search.answers.items()})  # type: ignore[arg-type]
    listed = [_entry(trained.head) for trained in search.trained]
    (folder / "exits.json").write_text(dump_json(listed), encoding="utf-8")


def read(directory: Path) -> Search | None:
    """What :func:`write` has written; None for a bundle made with ``--slim``."""
    folder = directory / "search"
    if not folder.is_dir():
        return None
    heads = [_head(entry) for entry in json.loads((folder / "exits.json").read_text(encoding="utf-8"))]
    with np.load(folder / "heads.npz", allow_pickle=False) as stored:
        trained = []
        for i, head in enumerate(heads):
            count = sum(name.startswith(f"{i}_") for name in stored)
            trained.append(Trained(head, tuple(stored[f"{i}_{k}"] for k in range(count))))
    with np.load(folder / "samples.npz", allow_pickle=False) as stored:
        x = stored["x"]
    outcomes = _outcomes(folder / "choose.npz")
    assert outcomes is not None
    answers = {}
    if (folder / "answers.npz").is_file():
        with np.load(folder / "answers.npz", allow_pickle=False) as stored:
            answers = {int(name): stored[name] for name in stored}
    return Search(tuple(trained), outcomes, _outcomes(folder / "certify.npz"), x, answers)


def _outcomes(path: Path) -> Outcomes | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        optional = stored.get("weights"), stored.get("given")
        return Outcomes(stored["confidence"], stored["predicted"], stored["labels"], *optional)


def _entry(head: Head) -> dict[str, Any]:
    cost = head.cost()
    names = {kind: name for name, kind in STEPS.items()}
    return {
        "location": dataclasses.asdict(head.location),
        "head": head.name,
        "family": head.family,
        "size": head.size,
        "earlier": [dataclasses.asdict(read) for read in head.earlier],
        "steps": [{"step": names[type(step)], **dataclasses.asdict(step)} for step in head.steps],
        "macs": dict(cost.macs),
        "parameters": cost.parameters,
    }


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
    return Location(entry["name"], entry["after"], tuple(entry["shape"]), entry["remaining_macs"])
