"""What stages on servers mean: samples and bytes that are sent, and what is answered with the link down."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.cascade.passage import Passage
from eeaug.hardware import Hardware, Link
from eeaug.stages.partition import Stage

__all__ = ["figures"]


def figures(
    hardware: Hardware, stages: Sequence[Stage], passage: Passage, received_bytes: NDArray[np.integer], split: str
) -> dict[str, Any] | None:
    """``remote`` of the report's design; None: no stage is on a server.

    Parameters
    ----------
    passage : of the samples of the part ``split``
    received_bytes : per stage, of one sample that comes there
    """
    far = [hardware.processor(stage.processor).remote for stage in stages]
    if not any(far):
        return None
    first, outcomes = far.index(True), passage.outcomes
    reach = np.append(1.0, 1 - np.cumsum(passage.leave_rates))
    crossings = [k for k in range(len(stages)) if far[k] != (far[k - 1] if k else False)]
    link = hardware.link(stages[first - 1].processor, stages[first].processor) if first else None
    usual, late = (None, None) if link is None else _times(link, float(received_bytes[first]))
    down = None
    if first:
        here = np.minimum(passage.at, first - 1)
        right = outcomes.predicted[here, np.arange(outcomes.samples)] == outcomes.labels
        down = float(outcomes.accuracy_of(outcomes.share(right)))
    return {
        "processors": list(
            dict.fromkeys(stage.processor for stage, there in zip(stages, far, strict=True) if there)
        ),
        "stage": stages[first].name,
        "split": split,
        "sent": float(reach[first]),
        "encoding": None if link is None else link.encoding,
        "bytes_each": int(received_bytes[first]),
        "mean_bytes": float(sum(reach[k] * received_bytes[k] for k in crossings)),
        "handover_s": usual,
        "handover_p95_s": late,
        "input_bytes": prod(stages[0].input_shape) * stages[0].bytes_per_element,
        "link_down_accuracy": down,
    }


def _times(link: Link, sent: float) -> tuple[float | None, float | None]:
    """Seconds that so many bytes take in the mean, and that 95 of 100 hand-overs stay below; None: unknown."""
    if link.bandwidth_bytes_per_s is None:
        return None, None
    usual = link.latency_s + sent / link.bandwidth_bytes_per_s
    if link.late_s is None:
        return usual, None
    slow = link.bandwidth_p5_bytes_per_s or link.bandwidth_bytes_per_s
    return usual, link.latency_s + link.late_s + sent / slow
