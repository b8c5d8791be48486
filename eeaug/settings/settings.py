"""What a run is asked to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from eeaug.errors import InputError
from eeaug.settings.vocabulary import (
    ALWAYS,
    CROSS_VALIDATED,
    EFFORTS,
    FAMILIES,
    FORMATS,
    LEAST_ALPHA,
    SAMPLED,
    TRECX_EPOCHS,
)
from eeaug.support.spelling import nearest

__all__ = ["MAX_CACHE_BYTES", "MAX_EPOCHS", "MAX_LOCATIONS", "Settings"]

MAX_EPOCHS = 100_000
MAX_LOCATIONS = 1_000_000
MAX_CACHE_BYTES = 10**18


@dataclass(frozen=True)
class Settings:
    """Options of ``eeaug augment``; SI units.

    ``max_accuracy_drop`` None with ``efficiency_weight`` w: the weighted objective of thresholds.Objective.
    ``labels`` "none": the given model's answers serve as labels. ``output_name`` picks one of several outputs.
    ``risk`` δ: the budget is proven to hold with probability 1 − δ. ``confidence``: a measure of
    output.MEASURES. ``calibrate_on`` "held" (x_val, else x_test) or "train". ``correction`` multiplies the
    found thresholds. ``max_class_drop`` bounds the accuracy drop of every class. ``points``: how many
    operating points the bundle carries.
    ``finetune``: passes over fit that exits and backbone are trained together.
    ``cross_validate``: keep the budget on samples that did not choose, as cross-validation estimates; None: where
    there are few.
    ``reuse``: later decisions may use what earlier exits said.
    ``heads``: families of heads, by default those of ``effort``.
    ``recipe``: one of RECIPES; ``exit_weight``: of the exit's loss in "trecx", None: the best of some.
    ``max_locations`` that are tried, by default those of ``effort``, and SAMPLED for a target class.
    ``target_class``: names or numbers of the classes that exits are for; none: all. ``least_alpha``: their smallest
    threshold, None: LEAST_ALPHA.
    ``formats``: what stages are written in; what is always written and what they are made from is added.
    ``dask``: address of a scheduler whose workers extract features.
    ``exit_at`` location → processor or None; ``threshold`` location → value; ``forbid`` locations.
    """

    model: Path
    hardware: str
    data: str | None = None
    output: Path | None = None
    force: bool = False
    max_latency_s: float | None = None
    max_accuracy_drop: float | None = 0.01
    objective: str = "macs"
    efficiency_weight: float | None = None
    scoring: str = "exact"
    mapping: str = "free"
    max_exits: int | None = None
    reuse: bool = True
    cross_validate: bool | None = None
    finetune: int = 0
    thresholds: int = 13
    exit_at: Mapping[str, str | None] = field(default_factory=dict)
    threshold: Mapping[str, float] = field(default_factory=dict)
    forbid: tuple[str, ...] = ()
    labels: str = "given"
    risk: float | None = None
    confidence: str = "max-softmax"
    calibrate_on: str = "held"
    correction: float = 1.0
    max_class_drop: float | None = None
    points: int = 3
    priors: str | None = None
    output_name: str | None = None
    heads: tuple[str, ...] = ()
    target_class: tuple[str, ...] = ()
    least_alpha: float | None = None
    recipe: str = "frozen"
    exit_weight: float | None = None
    max_locations: int | None = None
    effort: str = "normal"
    formats: tuple[str, ...] = ALWAYS
    seed: int = 0
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    cache: Path = field(default_factory=lambda: default_cache())
    max_cache_bytes: int = 20_000_000_000
    dask: str | None = None
    slim: bool = False
    allow_chance: bool = False
    allow_unsafe: bool = False

    def __post_init__(self) -> None:
        if self.efficiency_weight is not None and self.max_accuracy_drop is not None:
            raise InputError(
                "--efficiency-weight and --max-accuracy-drop are two different objectives: give one of them"
            )
        for name in self.heads:
            if name not in FAMILIES:
                close = nearest(name, FAMILIES)
                raise InputError(f"--heads {name}: no such family{close}; there are {', '.join(FAMILIES)}")
        for name in self.formats:
            if name not in FORMATS:
                close = nearest(name, FORMATS)
                raise InputError(f"--format {name}: no such format{close}; there are {', '.join(FORMATS)}")
        asked = {*ALWAYS, *self.formats, *(made for name in self.formats for made in FORMATS[name])}
        object.__setattr__(self, "formats", tuple(name for name in FORMATS if name in asked))
        if self.finetune and self.max_class_drop is not None:
            raise InputError("--max-class-drop compares with the given model, class by class: not with --finetune")
        if self.least_alpha is not None and not self.target_class:
            raise InputError("--least-alpha is of the thresholds of --target-class, which was not asked for")
        if self.cross_validate and not self._may_cross_validate:
            raise InputError(
                "--cross-validate is about --max-accuracy-drop alone: not with --risk, --efficiency-weight, "
                "--max-class-drop, --target-class, --threshold or --scoring independent"
            )
        if self.exit_weight is not None and self.recipe != "trecx":
            raise InputError("--exit-weight is of the joint training of --recipe trecx, which was not asked for")
        if self.recipe == "trecx":
            self._check_trecx()
        if self.target_class:
            self._check_target()
        if "tflite-int8" in self.formats:
            for flag, given in (("--max-class-drop", self.max_class_drop), ("--target-class", self.target_class)):
                if given:
                    raise InputError(
                        f"{flag} is about the float cascade alone: not with --format tflite-int8, tflm"
                    )
        if self.risk is None:
            return
        if self.finetune:
            raise InputError("--risk rests on the given model as the last resort, which --finetune replaces")
        if self.max_accuracy_drop is None:
            raise InputError("--risk guarantees --max-accuracy-drop: with --efficiency-weight there is none")
        if self.calibrate_on == "train":
            raise InputError("--risk needs samples that the model was not trained on: not --calibrate-on train")
        if self.correction != 1.0:
            raise InputError("--correction changes thresholds after they were found: --risk cannot hold for them")

    def _check_trecx(self) -> None:
        """One exit of the family ``trecx``, trained with the model; what is given otherwise must agree."""
        for option, disagrees in {
            "--target-class": bool(self.target_class),
            "--heads": self.heads not in ((), ("trecx",)),
            "--max-exits": self.max_exits not in (None, 1),
            "--confidence": self.confidence != "max-softmax",
        }.items():
            if disagrees:
                raise InputError(
                    f"--recipe trecx is one exit of the family trecx, for all classes: not with {option}"
                )
        for name, value in (("heads", ("trecx",)), ("max_exits", 1), ("reuse", False)):
            object.__setattr__(self, name, value)
        if not self.finetune:
            object.__setattr__(self, "finetune", TRECX_EPOCHS)

    def _check_target(self) -> None:
        others = {
            "--risk": self.risk is not None,
            "--finetune": bool(self.finetune),
            "--max-class-drop": self.max_class_drop is not None,
            "--efficiency-weight": self.efficiency_weight is not None,
            "--scoring independent": self.scoring != "exact",
            "--confidence": self.confidence != "max-softmax",
            "--correction": self.correction != 1,
        }
        for option, given in others.items():
            if given:
                raise InputError(
                    f"--target-class chooses exits by gain and loss, at thresholds of 0.95 to 1: not with {option}"
                )
        least = self.least_alpha or LEAST_ALPHA
        for location, value in self.threshold.items():
            if value < least:
                raise InputError(f"--threshold {location}={value:g}: with --target-class it is {least:g} to 1")

    @property
    def _may_cross_validate(self) -> bool:
        others = self.risk, self.efficiency_weight, self.max_class_drop, self.target_class or None
        free = self.scoring == "exact" and not self.threshold
        return self.max_accuracy_drop is not None and free and set(others) == {None}

    def cross_validates(self, samples: int) -> bool:
        """Whether the budget is cross-validated where there are so many choose samples."""
        if self.cross_validate is None:
            return self._may_cross_validate and samples < CROSS_VALIDATED
        return self.cross_validate

    @property
    def most_locations(self) -> float:
        """How many locations are tried at most."""
        if self.max_locations is not None:
            return self.max_locations
        return min(EFFORTS[self.effort].places, SAMPLED if self.target_class else inf)

    @property
    def bundle(self) -> Path:
        """Where the bundle goes: ``<stem>-eeaug`` in the current directory unless said otherwise."""
        return self.output or Path(f"{self.model.stem}-eeaug")

    def as_dict(self, max_exits: int) -> dict[str, Any]:
        """What shaped the result, for manifest and report: nothing of this machine but the thread count."""
        return {
            "objective": self.objective,
            "max_latency_s": self.max_latency_s,
            "max_accuracy_drop": self.max_accuracy_drop,
            "efficiency_weight": self.efficiency_weight,
            "scoring": self.scoring,
            "mapping": self.mapping,
            "max_exits": max_exits,
            "reuse": self.reuse,
            "cross_validate": self.cross_validate,
            "finetune": self.finetune,
            "thresholds": self.thresholds,
            "labels": self.labels,
            "risk": self.risk,
            "confidence": self.confidence,
            "calibrate_on": self.calibrate_on,
            "correction": self.correction,
            "max_class_drop": self.max_class_drop,
            "points": self.points,
            "priors": self.priors,
            "output_name": self.output_name,
            "heads": list(self.heads),
            "target_class": list(self.target_class),
            "least_alpha": self.least_alpha,
            "recipe": self.recipe,
            "exit_weight": self.exit_weight,
            "max_locations": self.max_locations,
            "effort": self.effort,
            "formats": list(self.formats),
            "seed": self.seed,
            "threads": self.threads,
            "exit_at": [name if on is None else f"{name}:{on}" for name, on in self.exit_at.items()],
            "threshold": [f"{name}={value!r}" for name, value in self.threshold.items()],
            "forbid": list(self.forbid),
        }


def default_cache() -> Path:
    """``$EEAUG_CACHE_DIR``; without it ``$XDG_CACHE_HOME/eeaug``, by default in ``~/.cache``."""
    given = os.environ.get("EEAUG_CACHE_DIR")
    if given:
        if not given.strip():
            raise InputError("EEAUG_CACHE_DIR is blank: it must name a place, or be unset")
        return Path(given)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eeaug"
    except RuntimeError as error:  # no HOME, and no such user
        raise InputError("there is no home directory to keep features in: name a place with --cache-dir") from error
