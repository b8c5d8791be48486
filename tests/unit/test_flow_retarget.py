"""``eeaug retarget``: formats are tried before any work, where they are new or the target is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug.errors import InputError
from eeaug.flow import retarget
from eeaug.settings import Contradiction
from eeaug.support.progress import Lines, Progress


@pytest.mark.parametrize(
    ("asked", "changes", "tried"),
    [
        (("keras", "onnx"), {}, False),
        (("keras", "onnx", "c"), {}, False),  # the bundle has them
        (("keras", "onnx", "c"), {"hardware": "psoc6"}, True),
        (("keras", "onnx", "tflite"), {}, True),
    ],
)
def test_formats_are_tried_before_any_work(
    monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...], changes: dict[str, Any], tried: bool
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(retarget.rehearsal, "check", lambda *given: calls.append(given))
    settings: Any = SimpleNamespace(running=SimpleNamespace(formats=asked))
    source: Any = SimpleNamespace(manifest=SimpleNamespace(settings={"formats": ["keras", "onnx", "c"]}))
    candidates = SimpleNamespace(trained=[SimpleNamespace(head="a head")])
    material: Any = SimpleNamespace(
        network=SimpleNamespace(classifier="the network", hardware="the target"),
        candidates=candidates,
        x=np.zeros((20, 2)),
    )
    retarget.rehearse(settings, source, changes, material, Progress(Lines(lambda _: None)))
    assert bool(calls) is tried
    if tried:
        assert calls[0][1:4] == ("the network", "the target", ["a head"]) and len(calls[0][4]) == 8


@pytest.mark.parametrize(
    ("error", "changes", "option"),
    [
        (Contradiction("{risk}: not with {correction}"), {"correction": 0.5}, "--risk"),
        (Contradiction("{exit_at} and {forbid} both name a"), {"exit_at": {"a": None}}, "--forbid"),
        (Contradiction("hardware 'a': {max_latency_s} needs figures"), {"hardware": "a"}, "--max-latency"),
        (Contradiction("{risk}: not with {correction}"), {"risk": 0.1}, None),  # it is not the bundle's
        (Contradiction("{threshold} and {correction}"), {"correction": 0.5}, None),  # the bundle has none
        (Contradiction("{correction}: {0}", "no --risk"), {}, None),  # a name that looks like an option
        (InputError("--risk.npz: is damaged"), {}, None),
    ],
    ids=str,
)  # fmt: skip
def test_the_options_of_the_bundle_that_contradict_are_named(
    error: InputError, changes: dict[str, Any], option: str | None
) -> None:
    stored = {"risk": 0.05, "forbid": ["a"], "max_latency_s": 1.0, "exit_at": ["b"], "threshold": []}
    source: Any = SimpleNamespace(manifest=SimpleNamespace(settings=stored))
    with pytest.raises(InputError) as caught, retarget._explained(source, changes):
        raise error
    more = "" if option is None else f" ({option} is the bundle's; {option} none takes it away)"
    assert str(caught.value) == f"{error}{more}"
