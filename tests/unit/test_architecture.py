"""The house: a room imports only from rooms above it, its files only from those above them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import eeaug

ROOT = Path(eeaug.__file__).parent
CLI = ROOT.parent / "cli"
LOOSE = {"errors"}  # files beside the rooms
FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "onnx", "onnxruntime", "tf2onnx", "h5py", "ai_edge_litert"}
PURE = ("cascade", "search", "network")  # what importing them must not load: a framework
# what who only wants to classify samples does not load
NOT_TO_RUN = {
    "networkx",
    "scipy",
    *(f"eeaug.{name}" for name in ("network", "search", "heads", "design", "report", "flow")),
}
PUBLIC = [
    "ConversionError", "EeaugError", "Exit", "InfeasibleError", "InputError", "Report", "augment", "certify",
    "compare", "dry_run", "open", "retarget",
]  # fmt: skip


def listed(text: str | None) -> list[str]:
    """The names of an indented list in a docstring, in its order."""
    return re.findall(r"^    (\w+)  +\S", text or "", flags=re.MULTILINE)


ROOMS = listed(eeaug.__doc__)
# of the house and of every package in it: its files and folders, in their order
PACKAGES = {
    path.parent: listed(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False))
    for path in ROOT.rglob("__init__.py")
    if path.parent != ROOT
}


@cache
def modules() -> dict[str, Path]:
    """Every module of the house by its full name."""
    found = {}
    for top, prefix in ((ROOT, "eeaug"), (CLI, "eeaug.cli")):
        for path in top.rglob("*.py"):
            parts = path.relative_to(top).with_suffix("").parts
            found[".".join((prefix, *(p for p in parts if p != "__init__")))] = path
    del found["eeaug"], found["eeaug.__main__"]
    return found


@cache
def imported(path: Path) -> frozenset[str]:
    """Full names of all that a module imports, also inside functions and for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def room(name: str) -> str:
    return name.split(".")[1]


def loaded(*imports: str) -> list[set[str]]:
    """Names of all modules that are loaded after each of these, in a process of its own."""
    code = (
        "import importlib, sys\n"
        "for names in sys.argv[1:]:\n"
        "    for name in names.split(): importlib.import_module(name)\n"
        "    print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *imports], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_every_room_is_listed_once() -> None:
    assert len(ROOMS) == len(set(ROOMS))
    assert set(ROOMS) == {room(name) for name in modules()}
    assert {path.stem for path in ROOT.glob("*.py")} == {*LOOSE, "__init__", "__main__"}


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_room_imports_only_from_rooms_above_it(name: str) -> None:
    for other in imported(modules()[name]):
        if other.startswith("eeaug.") and room(other) in ROOMS:
            assert ROOMS.index(room(other)) <= ROOMS.index(room(name)), f"{name} imports {other}"


@pytest.mark.parametrize("package", sorted(PACKAGES), ids=lambda path: ".".join(path.relative_to(ROOT).parts))
def test_files_of_a_room_import_only_those_above_them(package: Path) -> None:
    order = PACKAGES[package]
    there = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    assert len(order) == len(set(order))
    assert set(order) == there - {"__init__"}, f"the list in {package.name}/__init__.py"
    prefix = ".".join(("eeaug", *package.relative_to(ROOT).parts, ""))
    for name, path in modules().items():
        if name.startswith(prefix):
            own = name.removeprefix(prefix).split(".")[0]
            for other in imported(path):
                above = other.removeprefix(prefix).split(".")[0]
                if other.startswith(prefix) and above in order:
                    assert order.index(above) <= order.index(own), f"{name} imports {other}"
                elif f"{other}.".startswith(prefix) or other.rpartition(".")[0] == prefix[:-1]:
                    pytest.fail(f"{name} imports {other} from its own room: the file that has it is above or below")


def test_what_a_room_loads_is_above_it() -> None:
    """Also what stands behind a call of importlib, and what a room hands on."""
    houses = [" ".join(name for name in sorted(modules()) if room(name) == one) for one in ROOMS if one != "cli"]
    for i, names in enumerate(loaded(*houses)):
        rooms = {room(name) for name in names if name.startswith("eeaug.")}
        assert rooms <= {*ROOMS[: i + 1], "hardware_profiles"}


def test_pure_rooms_load_no_framework() -> None:
    (names,) = loaded(" ".join(name for name in sorted(modules()) if room(name) in PURE))
    assert not names & FRAMEWORKS


@pytest.mark.parametrize("name", sorted(name for name in modules() if room(name) in PURE))
def test_pure_rooms_know_no_framework(name: str) -> None:
    assert not {other.split(".")[0] for other in imported(modules()[name])} & FRAMEWORKS


def test_unit_tests_import_no_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they load while they run is judged after each of them, in conftest.py."""
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", f"{here}{os.pathsep}{here.parent}")
    (names,) = loaded(" ".join(sorted(path.stem for path in here.glob("test_*.py"))))
    assert not names & FRAMEWORKS - {"h5py"}


def test_running_a_bundle_loads_no_search() -> None:
    (names,) = loaded("eeaug.runtime")
    assert not names & {*NOT_TO_RUN, *FRAMEWORKS}


def test_what_needs_no_proof_loads_no_statistics() -> None:
    for names in loaded("eeaug.report", "eeaug.cli.main", "eeaug.cascade.learn_then_test"):
        assert "scipy" not in names


def test_public_names() -> None:
    assert sorted(eeaug.__all__) == PUBLIC
    assert all(hasattr(eeaug, name) for name in PUBLIC)


def test_contributing_shows_the_house() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"^(\w+)(?:/|\.py) +\S", text.split("## The house")[1], flags=re.MULTILINE)
    assert shown == ROOMS


@pytest.mark.parametrize("folder", ["eeaug", "cli", "tests", "benchmarks"])
def test_no_file_has_more_than_400_lines(folder: str) -> None:
    sizes = {path: path.read_bytes().count(b"\n") for path in (ROOT.parent / folder).rglob("*.py")}
    assert not {str(path): lines for path, lines in sizes.items() if lines > 400}


def test_library_never_prints() -> None:
    for name, path in modules().items():
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        prints = [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
        assert room(name) == "cli" or not prints, f"{path}:{prints}"


def test_a_class_name_names_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert not {name: where for name, where in places.items() if len(where) > 1}
