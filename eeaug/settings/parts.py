"""The four parts of what a run is asked to do: each is handed to those who use it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eeaug.errors import InputError
from eeaug.settings.vocabulary import ALWAYS, MAX_ACCURACY_DROP, REFRESH

__all__ = [
    "MAX_CACHE_BYTES", "MAX_EPOCHS", "MAX_LOCATIONS", "Goal", "Input", "Running", "Training", "default_cache",
]  # fmt: skip

MAX_EPOCHS = 100_000
MAX_LOCATIONS = 1_000_000
MAX_CACHE_BYTES = 10**18


@dataclass(frozen=True)
class Input:
    """What is read, and what it means.

    ``architecture``: the description of layers of a file of weights; None: what stands beside it.
    ``input_shape`` of a sample, where the model leaves it open; None: that of the data.
    ``output_name`` picks one of several outputs. ``decision``: one of DECISIONS, what outputs are read as; None:
    what they, the labels and the loss say. ``labels`` "none": the given model's answers serve as labels.
    ``calibrate_on`` "held" (x_val, else x_test) or "train". ``unit``: one of UNITS, what promises are about where
    the data has groups. ``confidence``: a measure of output.MEASURES. ``blank``: the model may be any, and exits
    say only that a sample holds nothing, as its labels say; ``blank_when``: the same, as this BlankRule says of the
    given model's outputs. ``custom_objects``: files or modules of code that define layers and activations of the
    model.
    """

    model: Path
    hardware: str
    data: str | None = None
    architecture: Path | None = None
    input_shape: tuple[int, ...] | None = None
    output_name: str | None = None
    decision: str | None = None
    labels: str = "given"
    priors: str | None = None
    calibrate_on: str = "held"
    unit: str = "group"
    confidence: str = "max-softmax"
    blank: bool = False
    blank_when: str | None = None
    allow_chance: bool = False
    allow_unsafe: bool = False
    custom_objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Goal:
    """What a design must keep, what it is to minimise, and where its exits may be; SI units.

    ``max_ram_bytes`` bounds every memory that is a processor's RAM, ``max_flash_bytes`` the flash of all together.
    ``max_accuracy_drop`` None with ``efficiency_weight`` w: the weighted objective of thresholds.Objective.
    ``period_s``: one inference that often, with sleep between; None: not known.
    ``max_blank_loss``: of --blank, the share of samples with something that may be lost; None: MAX_BLANK_LOSS.
    ``max_class_drop`` bounds the accuracy drop of every class. ``promise``: one of PROMISES, None: as
    ``Settings.promises`` says. ``risk`` δ: what is proven holds with probability 1 − δ; None: RISK.
    ``target_class``: names or numbers of the classes that exits are for; none: all. ``least_alpha``: their smallest
    threshold, None: from where an exit alone keeps the limits. ``reuse``: later decisions may use what earlier ones
    said. ``thresholds``: how many of an exit are tried. ``exit_at`` location → processor or None; ``threshold``
    location → value; ``forbid`` locations. ``correction`` multiplies the found thresholds. ``points``: how many
    operating points the bundle carries.
    ``stream``: samples are streams, and a decision may remember those before; ``refresh``: see ``memory``, None:
    REFRESH; ``debounce``: answers change after m of n; ``background``: classes that are no event, names or numbers;
    ``max_missed``: share of the events that may be missed beyond the given model's, and with how many of its
    samples one must be answered, None: any.
    """

    objective: str = "macs"
    max_latency_s: float | None = None
    period_s: float | None = None
    max_ram_bytes: float | None = None
    max_flash_bytes: float | None = None
    max_accuracy_drop: float | None = MAX_ACCURACY_DROP
    efficiency_weight: float | None = None
    max_blank_loss: float | None = None
    max_class_drop: float | None = None
    promise: str | None = None
    risk: float | None = None
    target_class: tuple[str, ...] = ()
    least_alpha: float | None = None
    scoring: str = "exact"
    mapping: str = "free"
    max_exits: int | None = None
    reuse: bool = True
    thresholds: int = 13
    exit_at: Mapping[str, str | None] = field(default_factory=dict)
    threshold: Mapping[str, float] = field(default_factory=dict)
    forbid: tuple[str, ...] = ()
    correction: float = 1.0
    points: int = 3
    stream: bool = False
    refresh: int | None = None
    debounce: tuple[int, int] | None = None
    background: tuple[str, ...] = ()
    max_missed: tuple[float, int | None] | None = None

    @property
    def memory(self) -> int:
        """Of so many samples of a stream in a row one at least is decided without memory."""
        return REFRESH if self.refresh is None else self.refresh

    @property
    def longest_s(self) -> float | None:
        """What the worst case may take: the limit, and no more than the period, when the next sample comes."""
        return min((s for s in (self.max_latency_s, self.period_s) if s is not None), default=None)

    @property
    def own_clock(self) -> bool:
        """Whether processors work at their own clock only: MACs are the same at any level."""
        return self.objective == "macs"


@dataclass(frozen=True)
class Training:
    """What heads are trained, where, and how.

    ``heads``: families, by default those of ``effort``. ``recipe``: one of RECIPES; ``exit_weight``: of the exit's
    loss in "trecx", None: the best of some. ``finetune``: passes over fit that exits and backbone are trained
    together. ``max_locations`` that are tried, by default those of ``effort``, and SAMPLED for a target class.
    """

    heads: tuple[str, ...] = ()
    recipe: str = "frozen"
    exit_weight: float | None = None
    finetune: int = 0
    max_locations: int | None = None
    effort: str = "normal"


@dataclass(frozen=True)
class Running:
    """How the run works, and what it writes.

    ``formats``: what stages are written in; what is always written and what they are made from is added.
    ``c_prefix``: what names in C files begin with; None: the model's name.
    ``dask``: address of a scheduler whose workers extract features and train heads.
    """

    output: Path | None = None
    force: bool = False
    formats: tuple[str, ...] = ALWAYS
    c_prefix: str | None = None
    slim: bool = False
    seed: int = 0
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    cache: Path = field(default_factory=lambda: default_cache())
    max_cache_bytes: int = 20_000_000_000
    dask: str | None = None


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
