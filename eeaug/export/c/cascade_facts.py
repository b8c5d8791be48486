"""What the source of a cascade in C says: processors with their plans, and all else that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eeaug.bundle.entries import StageEntry
from eeaug.cascade.output import Decision
from eeaug.export import feeds
from eeaug.export.c.arithmetic import FLOAT, Arithmetic
from eeaug.export.c.plan import MemoryPlan
from eeaug.export.c.text import filled
from eeaug.streams.rules import Rule

__all__ = ["CMSIS_NN", "Facts", "PlannedProcessor"]

CMSIS_NN = "third_party/cmsis_nn"  # where a copy of it lies, if any; another one may take its place


@dataclass(frozen=True)
class PlannedProcessor:
    """A processor and the numbers of the stages that it runs, with their plan. ``stem``: its name in C."""

    name: str
    stem: str
    stages: range
    plan: MemoryPlan


@dataclass(frozen=True)
class Facts:
    """Everything else that the cascade's source says; ``stages`` are the manifest's entries.

    ``reuse``: probabilities of earlier exits are handed over, because later decisions use them.
    ``folders``: further ones with headers. ``prefix``: what all names in C begin with. ``version``: of what
    writes the files. ``build``: a number of 32 bits that stands for all that both ends of a hand-over must
    have in common. ``stream``: what decides streams; None: samples are none.
    """

    title: str
    preparation: str
    decision: Decision
    classes: tuple[str, ...]
    stages: Sequence[StageEntry]
    points: Mapping[str, tuple[float | None, ...]]
    reuse: bool
    prefix: str = "cascade"
    version: str = ""
    build: int = 0
    arithmetic: Arithmetic = FLOAT
    folders: tuple[str, ...] = ()
    stream: Rule | None = None

    def filled(self, template: str, **known: object) -> str:
        """A template with what is known of the cascade and of its numbers."""
        folders = " ".join(f" {folder}" for folder in self.folders)
        makes = folders.replace(CMSIS_NN, "$(CMSIS_NN)")
        inside = " ".join(
            " ${CMSIS_NN}/Include" if folder.startswith(CMSIS_NN) else f" ${{CMAKE_CURRENT_SOURCE_DIR}}/{folder}"
            for folder in self.folders
        )
        flags = "".join(f" -I{folder}" for folder in self.folders)
        ours = {"folders": makes, "include_flags": flags, "cmake_folders": inside, **self.arithmetic.words}
        return filled(template, self.prefix, **{**ours, **known})

    @property
    def macro(self) -> str:
        """What macros begin with."""
        return self.prefix.upper()

    @property
    def predicted_type(self) -> str:
        return "uint64_t" if self.decision.kind == "multilabel" else "int32_t"

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.stages[0].input_shape

    @property
    def input_words(self) -> str:
        """What a sample is, for comments."""
        row = self.stages[0].row
        return feeds.listed(row) if row.several else " x ".join(map(str, row.shape))
