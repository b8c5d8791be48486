"""The order in which options are given changes nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from click import Command

from eeaug import hardware
from eeaug.cascade.output import Decision
from eeaug.cli import augment
from eeaug.design import problem
from eeaug.heads import families, planning
from eeaug.network.locations import Location
from eeaug.settings import EFFORTS, Settings
from eeaug.settings.options import settings

# one of every kind: values, names, flags, pairs, and some that others replace or are checked against
OPTIONS = [
    ["--hw", "psoc6"], ["--data", "d.npz"], ["-o", "out"], ["--max-latency", "2.5"], ["--max-accuracy-drop", "2%"],
    ["--objective", "energy"], ["--max-exits", "2"], ["--exit-at", "a:cm0p"], ["--exit-at", "b"],
    ["--threshold", "a=0.7"], ["--threshold", "b=0.8"], ["--forbid", "c"], ["--format", "c,tflite"],
    ["--heads", "separable,blueprint"], ["--seed", "7"], ["--threads", "1"], ["--no-reuse"], ["--slim"],
    ["--cache-dir", "cache"], ["--max-cache", "1GB"], ["--force"], ["--points", "5"],
]  # fmt: skip


def shuffled(seed: int) -> list[list[str]]:
    return random.Random(seed).sample(OPTIONS, len(OPTIONS))


def parsed(command: Command, options: list[list[str]], model: int) -> Settings:
    """As the command makes them of these options, with the model behind so many of them."""
    words = [*options[:model], ["m.h5"], *options[model:]]
    with command.make_context("augment", [word for group in words for word in group]) as context:
        given = dict(context.params)
    for name in ("as_json", "quiet", "verbose", "dry_run", "no_cache"):
        del given[name]
    return augment._settings(given)


@pytest.mark.parametrize("seed", range(20))
def test_the_command_makes_the_same_settings(seed: int) -> None:
    first, second = (parsed(augment.augment, *given) for given in ((OPTIONS, 0), (shuffled(seed), seed)))
    assert first == second
    assert (first.goal.exit_at, first.goal.max_accuracy_drop, first.running.seed) == (
        {"a": "cm0p", "b": None},
        0.02,
        7,
    )


def test_formats_are_written_in_their_own_order() -> None:
    def formats(names: str) -> tuple[str, ...]:
        return settings(Path("m.h5"), "psoc6", None, formats=names.split(",")).running.formats

    assert formats("c,tflite,keras") == formats("keras,c,tflite") == ("keras", "onnx", "tflite", "c")


def place(name: str) -> Location:
    return Location(name, 1, (8, 8, 8), 10_000_000)


def test_pins_and_families_mean_the_same() -> None:
    """Repeated options, and names in a list."""
    target, at = hardware.read("psoc6"), [place(name) for name in "abcd"]

    def rules(*pinned: str) -> problem.Rules:
        given: dict[str, Any] = {
            "exit_at": dict.fromkeys(pinned),
            "forbid": tuple("cd" if "a" in pinned[0] else "dc"),
        }
        asked = settings(Path("m.h5"), "psoc6", None, max_exits=2, **given)
        return problem.rules(asked.goal, target, at, {})

    assert rules("a", "b") == rules("b", "a")

    def planned(*chosen: str) -> Any:
        effort, decision = EFFORTS["thorough"], Decision("softmax", 4)
        return planning.planned(decision, at, (), 10**8, chosen, effort, 1000, (), reaching_back=True)

    assert planned(*families.FAMILIES) == planned(*families.FAMILIES[::-1])
    assert len(planned(*families.FAMILIES)[1].heads[at[0]]) > 1
