"""cascade.h as an application's author reads it."""

from __future__ import annotations

import golden
import pytest

from eeaug.bundle.entries import Handover, StageEntry
from eeaug.cascade.output import Decision
from eeaug.export.c import cascade_source
from eeaug.export.c.cascade_source import Facts, PlannedProcessor
from eeaug.export.c.plan import MemoryPlan


def facts(decision: Decision, *, reuse: bool) -> Facts:
    """Three stages, the first two of which hand something over."""
    handovers = (Handover("a", (8, 8, 4), 1024), Handover("b", (16,), 64), None)
    stages = tuple(
        StageEntry(
            name=f"{k}-{processor}",
            processor=processor,
            input_name="input",
            input_shape=(28, 28, 1),
            probabilities="probabilities",
            handover=handover,
            reuse=(0.3,) * k + (1.0,) if reuse and k else None,
            threshold=None if handover is None else 0.8,
            metric=decision.metric,
            macs=1000,
            files={},
        )
        for k, (processor, handover) in enumerate(zip(("cm0p", "cm4f", "cm4f"), handovers, strict=True))
    )
    return Facts(
        title="3 stages of net.keras, written by eeaug.",
        preparation="((x * 1 + 0) - mean) / std, mean: none, std: none",
        decision=decision,
        classes=tuple("abcd"),
        stages=stages,
        points={"careful": (0.9, 0.95), "default": (0.8, 0.9), "frugal": (0.5, None)},
        reuse=reuse,
        prefix="net",
        version="0.1.0",
        build=0x12AB,
    )


def plan(size: int) -> MemoryPlan:
    return MemoryPlan((), (), (), (), (), (), size, size)


PROCESSORS = [
    PlannedProcessor("cm0p", "cm0p", range(1), plan(1_000)),
    PlannedProcessor("cm4f", "cm4f", range(1, 3), plan(20_000)),
]


@pytest.mark.parametrize(
    ("name", "kind", "reuse"), [("cascade.h", "softmax", True), ("cascade_labels.h", "multilabel", False)]
)
def test_header(name: str, kind: str, reuse: bool) -> None:
    golden.compare(name, cascade_source.interface(facts(Decision(kind, 4), reuse=reuse), PROCESSORS))
