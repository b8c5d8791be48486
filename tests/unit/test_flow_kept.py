"""Limits by which another design is chosen, where the files of one need more than was estimated."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug import hardware
from eeaug.design.problem import Rules
from eeaug.errors import InfeasibleError
from eeaug.flow import kept, write_bundle
from eeaug.flow.kept import NotKept
from eeaug.settings import Goal
from eeaug.support.progress import Progress

RULES = Rules((), {}, {}, 1)
TARGET = hardware.read("psoc6")


def decided(ram: float = 40_000.0, flash: float = 90_000.0, worst: float = 0.8) -> Any:
    """A design with these estimates."""
    segments = SimpleNamespace(
        worst_latency_s=np.array([worst]), parameters_bytes=np.array([[flash / 2, flash / 2]])
    )  # fmt: skip
    used = {"sram": np.array([ram]), "flash": np.array([flash])}
    costs = SimpleNamespace(hardware=TARGET, memory_bytes=lambda _: used)
    return SimpleNamespace(chosen=SimpleNamespace(segments=segments), searched=SimpleNamespace(costs=costs))


def failed(limit: str, given: float, best: float) -> NotKept:
    return NotKept(f"the files need {best}; that", limit=limit, given=given, best=best)


def test_what_the_files_took_besides_is_counted_in() -> None:
    goal = Goal(max_latency_s=1.0)
    slower, _ = kept.tighter(goal, RULES, decided(), failed("max_latency_s", 1.0, 1.6))
    assert slower.max_latency_s == pytest.approx(0.5), "files take twice as long as estimated"
    often, _ = kept.tighter(Goal(period_s=1.0), RULES, decided(), failed("period_s", 1.0, 1.6))
    assert (often.max_latency_s, often.period_s) == (pytest.approx(0.5), 1.0)
    _, rules = kept.tighter(goal, RULES, decided(), failed("memory:sram", 45_000.0, 52_000.0))
    assert rules.reserved == {"sram": 12_000.0}
    small = rules.within(TARGET)
    assert small.memories[0].bytes == TARGET.memories[0].bytes - 12_000 and small.name == TARGET.name
    _, rules = kept.tighter(goal, RULES, decided(), failed("max_ram_bytes", 45_000.0, 52_000.0))
    assert rules.max_ram_bytes == 33_000.0
    _, rules = kept.tighter(goal, RULES, decided(), failed("max_flash_bytes", 95_000.0, 97_000.0))
    assert rules.max_flash_bytes == 88_000.0


@pytest.mark.parametrize(
    "limit", ["max_latency_s", "memory:sram", "memory:flash", "max_ram_bytes", "max_flash_bytes"]
)
def test_the_same_design_is_not_chosen_again(limit: str) -> None:
    estimates = {"max_latency_s": 0.8, "memory:flash": 90_000.0, "max_flash_bytes": 90_000.0}
    estimate = estimates.get(limit, 40_000.0)
    given = 1.05 * estimate
    goal, rules = kept.tighter(Goal(), RULES, decided(), failed(limit, given, 1.3 * estimate))
    left = {
        "max_latency_s": goal.max_latency_s, "max_ram_bytes": rules.max_ram_bytes,
        "max_flash_bytes": rules.max_flash_bytes,
    }.get(limit)  # fmt: skip
    if left is None:
        left = given - rules.reserved[limit.removeprefix("memory:")]
    assert 0 < left < estimate


class Quiet:
    """An observer that remembers notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return self.notes.append if name == "note" else lambda *_: None


@pytest.mark.parametrize(("fail", "asked"), [(1, 2), (5, 3)])
def test_another_design_is_sought_until_one_keeps_the_limits(
    fail: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Rules] = []
    errors: Iterator[NotKept] = (failed("memory:sram", 45_000.0, 52_000.0 - 100 * k) for k in range(fail))

    def chosen(goal: Goal, terms: Any, material: Any, seed: int) -> Any:
        seen.append(material.network.rules)
        return decided(ram=40_000.0 - 1000 * len(seen))

    def written(*_: Any) -> dict[str, Any]:
        if (error := next(errors, None)) is not None:
            raise error
        return {"done": True}

    monkeypatch.setattr(write_bundle, "decide", chosen)
    monkeypatch.setattr(write_bundle, "_delivered", written)
    monkeypatch.setattr(write_bundle.Terms, "of", lambda *_, **__: None)
    monkeypatch.setattr(write_bundle, "replace", lambda _, **changes: SimpleNamespace(**changes))
    observer = Quiet()
    settings: Any = SimpleNamespace(goal=Goal(), running=SimpleNamespace(seed=0))
    material: Any = SimpleNamespace(network=SimpleNamespace(rules=RULES), unseen=True)
    if fail >= asked:
        with pytest.raises(NotKept, match=r"need 52000\.0"):
            write_bundle.deliver(settings, material, Progress(observer))
    else:
        assert write_bundle.deliver(settings, material, Progress(observer)) == {"done": True}
    assert len(seen) == asked and seen[0] == RULES and seen[1].reserved == {"sram": 13_000.0}
    assert observer.notes[0] == "the files need 52000.0: the search looks for another design"


def test_where_no_other_design_is_left_the_first_refusal_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    designs = iter([decided()])

    def chosen(*_: Any) -> Any:
        if (design := next(designs, None)) is not None:
            return design
        raise InfeasibleError("nothing fits", limit="memory:sram", given=1.0, best=None)

    def written(*_: Any) -> dict[str, Any]:
        raise failed("memory:sram", 45_000.0, 52_000.0)

    monkeypatch.setattr(write_bundle, "decide", chosen)
    monkeypatch.setattr(write_bundle, "_delivered", written)
    monkeypatch.setattr(write_bundle.Terms, "of", lambda *_, **__: None)
    monkeypatch.setattr(write_bundle, "replace", lambda _, **changes: SimpleNamespace(**changes))
    settings: Any = SimpleNamespace(goal=Goal(), running=SimpleNamespace(seed=0))
    material: Any = SimpleNamespace(network=SimpleNamespace(rules=RULES), unseen=True)
    with pytest.raises(NotKept, match=r"need 52000\.0; that"):
        write_bundle.deliver(settings, material, Progress(Quiet()))
