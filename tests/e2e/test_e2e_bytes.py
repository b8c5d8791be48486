"""Bytes of the small example: what manifest.json is, and that the order of options does not change them."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import golden
import pytest
from conftest import AS_BUNDLE, Bundle, Run, hashes

MASKS = {"^[0-9a-f]{64}$": "<sha256>", r"^handover_\w+": "handover_<location>", "cm0p|cm4f": "<processor>"}


def masked(value: Any, path: tuple[str, ...] = ()) -> Any:
    """Without hashes, versions and threads, and without what another rounding could choose: figures and places."""
    if isinstance(value, dict):
        return {re.sub("cm0p|cm4f", "<processor>", k): masked(inner, (*path, k)) for k, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, path) for inner in value]
    if path[0] in ("tool", "versions"):
        return "<version>"
    if path == ("settings", "threads"):
        return "<threads>"
    if isinstance(value, float) or (type(value) is int and path[0] == "stages"):
        return "<number>"
    if isinstance(value, str):
        for pattern, mask in MASKS.items():
            value = re.sub(pattern, mask, value)
    return value


@pytest.mark.e2e
def test_every_name_of_the_manifest_in_its_order(bundle: Bundle) -> None:
    text = json.dumps(masked(bundle.manifest), indent=1, ensure_ascii=False)
    golden.compare("manifest.json", text + "\n")


@pytest.mark.e2e
def test_the_order_of_options_changes_no_byte(bundle: Bundle, work: Path, run: Run) -> None:
    options = AS_BUNDLE[2:]  # behind the command and the model
    named = {name: value for name, value in pairwise(options) if name.startswith("--")}
    words = []
    for name, value in reversed(named.items()):
        words += [name] if value.startswith("--") else [name, value]
    assert sorted(words) == sorted(options) and words != [*options]
    done = run("augment", *words, "model.h5", "-o", "shuffled", "-q", cwd=work)
    assert done.code == 0, done.stderr
    assert hashes(work / "shuffled") == hashes(bundle.path)
