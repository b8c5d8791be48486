"""What a run is asked to do.

A line of code here may touch values that a user gives; it reads no file.

    vocabulary      the names and limits that options are made of: costs, recipes, families, formats
    parts           what is read, what a design is to be, how heads are trained, how the run works
    contradictions  what cannot be asked for together
    settings        the four parts as one
    options         the same as Python values, checked
"""

from __future__ import annotations

from eeaug.settings.contradictions import Contradiction
from eeaug.settings.parts import (
    MAX_CACHE_BYTES,
    MAX_EPOCHS,
    MAX_LOCATIONS,
    Goal,
    Input,
    Running,
    Training,
    default_cache,
)
from eeaug.settings.settings import Settings
from eeaug.settings.vocabulary import (
    ALWAYS,
    COSTS,
    DECISIONS,
    EFFORTS,
    FAMILIES,
    FORMATS,
    MAX_SEED,
    MAX_THREADS,
    PROMISES,
    RECIPES,
    RISK,
    UNITS,
    Cost,
    Effort,
)

__all__ = [
    "ALWAYS", "COSTS", "DECISIONS", "EFFORTS", "FAMILIES", "FORMATS", "MAX_CACHE_BYTES", "MAX_EPOCHS",
    "MAX_LOCATIONS", "MAX_SEED", "MAX_THREADS", "PROMISES", "RECIPES", "RISK", "UNITS", "Contradiction", "Cost",
    "Effort", "Goal", "Input", "Running", "Settings", "Training", "default_cache",
]  # fmt: skip
