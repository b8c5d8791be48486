"""The figures of a network that every table has, in one order: what it costs on average, at worst, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eeaug.settings import COSTS

__all__ = ["FIGURES", "Figure"]


@dataclass(frozen=True)
class Figure:
    """One of them: what it is called, its unit, what it says; ``null``: may be unknown.

    ``estimated``: from the hardware description; ``counted``: on samples, so that other samples give another.
    """

    words: str
    unit: str
    says: str
    null: bool = True
    estimated: bool = True
    counted: bool = True


def _figures() -> Iterator[tuple[str, Figure]]:
    for cost in COSTS.values():
        known = not cost.needs
        yield cost.metric, Figure(cost.words, cost.unit, "Mean over samples.", not known, not known)
        if cost.name == "latency":
            yield "p95_latency_s", Figure("p95 latency", "s", "Smallest path latency that 95 % of samples meet.")
            longest = "Of the longest path: every segment, head, hand-over and wake-up."
            yield "worst_latency_s", Figure("worst latency", "s", longest, counted=False)
    weights = "Weights of all stages; null: int8 on processors that are described in floats."
    yield "storage_bytes", Figure("storage", "B", weights, estimated=False, counted=False)
    tensors = "Most tensor bytes that are alive at once on any processor."
    yield "peak_activation_bytes", Figure("peak activations", "B", tensors, estimated=False, counted=False)


# what a network costs, in the order of every table
FIGURES: Mapping[str, Figure] = dict(_figures())
