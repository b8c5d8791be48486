"""``--dry-run``: what a search would look at, how long it takes, what it can save at best.

Nothing is kept and no threshold chosen: times are those of a run's own steps on a few samples, scaled; savings are
what an exit would bring if every sample left there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eeaug import hardware
from eeaug.errors import InputError
from eeaug.export import formats, rehearsal
from eeaug.flow import expected, handover, outlook, remembered
from eeaug.flow.prepare import Ready, prepare
from eeaug.heads.layers import Head
from eeaug.heads.train_all import PARTS, sources
from eeaug.network.locations import Location
from eeaug.settings import Settings
from eeaug.support import leftovers
from eeaug.support.cache import telling
from eeaug.support.progress import Progress

__all__ = ["forecast"]

Planned = Mapping[Location, Sequence[Head]]


def forecast(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Facts about the search that these settings ask for; writes nothing outside a temporary directory.

    Raises
    ------
    InputError, InfeasibleError, ConversionError : as the search itself would before its first pass
    """
    begun_s = time.process_time()
    if settings.running.dask is not None:
        raise InputError("--dry-run times this machine: leave --dask out")
    if (known := remembered.recall(settings)) is not None:
        return known
    target = hardware.read(settings.input.hardware)
    formats.check_possible(settings.running.formats, target)
    handover.check_possible(settings, target)
    rehearsal.begin(settings.running.formats)
    with telling(progress.caution):
        ready = prepare(settings, progress)
    likely = ready.maps.chosen()  # not known before dense heads are trained
    with progress.step("forecast"), leftovers.scratch() as scratch:
        estimate = expected.expected(settings, ready, progress, scratch, begun_s)
    return {
        **outlook.outlook(settings.goal, ready, likely),
        "estimate": estimate,
        "disk_bytes": _disk(ready, likely),
        "cache": settings.running.cache.as_posix(),
    }


def _disk(ready: Ready, likely: Planned) -> int:
    """Bytes of what the cache still lacks."""
    splits = ready.source.splits
    parts = {getattr(splits, name): p for name, p in PARTS.items()}
    wanted = sources([*ready.dense.values(), *likely.values()])
    return replace(ready.source.extraction, looks=False).need_bytes(parts, wanted)
