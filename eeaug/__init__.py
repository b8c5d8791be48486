"""eeaug: early exits for trained Keras classifiers, split over the processors of a target.

From Python, eeaug.augment(model, hardware, data, ...) makes a bundle and eeaug.open(DIR) opens one; both give its
eeaug.Report. eeaug.retarget(DIR, OUTPUT, ...) writes one for other limits, eeaug.compare(DIR, DIR) sets several
beside each other, eeaug.dry_run(...) says what a run takes, eeaug.certify(DIR, data, ...) proves a budget on field
data. They are imported when they are asked for.

Each room is one kind of knowledge and imports only from rooms above it; its ``__init__`` lists its files in their
own order. tests/unit/test_architecture.py reads these lists and holds them:

    errors      what can go wrong, and the exit code it ends with
    support     knows nothing of exits: files, words, progress, the cache
    hardware    the target: processors, memories, links, and the files that describe them
    cascade     what a chain of classifiers says, costs and proves; arrays only
    streams     decisions that remember the samples before; arrays only
    settings    what a run is asked to do
    backbone    the given classifier, whatever file it comes from
    frameworks  converters, sessions and runners of the formats
    data        samples: read, checked, prepared, split into what serves what
    network     the backbone taken apart: graphs, locations, costs of a segment
    features    the one pass over the data, cached
    search      given a problem, its optimum: architectures, placements, thresholds
    heads       exit heads before any is chosen: layers, families, training, screening
    stages      the network cut for processors
    schema      JSON Schemas of what a bundle says
    bundle      the directory: its manifest, its atomic exchange, its search/
    runtime     stages as a cascade; loads neither search nor solver
    design      from candidates to one design: exits, thresholds, processors, proof, points
    export      a module or folder per format, and the check of every file
    report      one report.json, its words, its renderings
    flow        the runs, each one readable list
    api         all that from Python: a run, a bundle that is there, and its report
    cli         parse, call, render, exit code
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eeaug.api import Exit, Report, augment, certify, compare, dry_run, open, retarget
    from eeaug.errors import ConversionError, EeaugError, InfeasibleError, InputError

__all__ = [
    "ConversionError", "EeaugError", "Exit", "InfeasibleError", "InputError", "Report", "augment", "certify",
    "compare", "dry_run", "open", "retarget",
]  # fmt: skip
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    member = getattr(importlib.import_module("eeaug.errors" if name.endswith("Error") else "eeaug.api"), name)
    globals()[name] = member
    return member


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
