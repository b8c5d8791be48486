"""What a run is asked to do.

A line of code here may touch values that a user gives; it reads no file.

    vocabulary  the names and limits that options are made of: costs, recipes, families, formats,
    settings    all that a run is asked to do, and what contradicts itself
    options     the same as Python values, checked
"""

from __future__ import annotations

from eeaug.settings.settings import MAX_CACHE_BYTES, MAX_EPOCHS, MAX_LOCATIONS, Settings
from eeaug.settings.vocabulary import (
    ALWAYS,
    COSTS,
    EFFORTS,
    FAMILIES,
    FORMATS,
    MAX_SEED,
    MAX_THREADS,
    RECIPES,
    Cost,
    Effort,
)

__all__ = [
    "ALWAYS", "COSTS", "EFFORTS", "FAMILIES", "FORMATS", "MAX_CACHE_BYTES", "MAX_EPOCHS", "MAX_LOCATIONS",
    "MAX_SEED", "MAX_THREADS", "RECIPES", "Cost", "Effort", "Settings",
]  # fmt: skip
