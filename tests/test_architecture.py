"""The house: import order is pipeline order, and the pure stages know no framework."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import eeaug

ROOT = Path(eeaug.__file__).parent
CLI = ROOT.parent / "cli"
ORDER = re.findall(r"^    (\w+)  +\S", eeaug.__doc__ or "", flags=re.MULTILINE)
# what only numpy, networkx and the standard library may be needed for
PURE = {
    "hardware", "graph", "macs", "cost", "locations", "cascade", "bounds", "guarantee", "reference", "thresholds",
    "search",
}  # fmt: skip
FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "onnx", "onnxruntime", "tf2onnx", "h5py"}


def modules() -> list[tuple[str, Path]]:
    """(stage, file) of every module."""
    found = [(path.relative_to(ROOT).parts[0].removesuffix(".py"), path) for path in ROOT.rglob("*.py")]
    found += [("cli", path) for path in CLI.rglob("*.py")]
    return [(stage, path) for stage, path in found if stage not in ("__init__", "__main__")]


def imported(path: Path) -> set[str]:
    """Full names of all that a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_stage_is_listed_once() -> None:
    assert len(ORDER) == len(set(ORDER))
    assert set(ORDER) == {stage for stage, _ in modules()}


@pytest.mark.parametrize(("stage", "path"), modules(), ids=lambda value: getattr(value, "name", value))
def test_imports_only_earlier_stages(stage: str, path: Path) -> None:
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "eeaug" and rest and rest[0] in ORDER and rest[0] != stage:
            assert ORDER.index(rest[0]) < ORDER.index(stage), f"{path.name} imports {name}"


@pytest.mark.parametrize(("stage", "path"), modules(), ids=lambda value: getattr(value, "name", value))
def test_pure_stages_know_no_framework(stage: str, path: Path) -> None:
    if stage in PURE:
        assert not {name.split(".")[0] for name in imported(path)} & FRAMEWORKS


def test_library_never_prints() -> None:
    for stage, path in modules():
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        prints = [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
        assert stage == "cli" or not prints, f"{path}:{prints}"
