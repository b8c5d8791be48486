"""``eeaug retarget``: formats are tried before any work, where they are new or the target is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eeaug.flow import retarget
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
    found = SimpleNamespace(trained=[SimpleNamespace(head="a head")])
    material: Any = SimpleNamespace(
        network=SimpleNamespace(classifier="the network", hardware="the target"), found=found, x=np.zeros((20, 2))
    )
    retarget._rehearse(settings, source, changes, material, Progress(Lines(lambda _: None)))
    assert bool(calls) is tried
    if tried:
        assert calls[0][1:4] == ("the network", "the target", ["a head"]) and len(calls[0][4]) == 8
