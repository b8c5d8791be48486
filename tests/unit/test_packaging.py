"""setup.cfg names every package and every profile; the version stands in one place."""

from __future__ import annotations

import configparser
import importlib
import importlib.util
import shutil
from importlib.metadata import version
from pathlib import Path

import eeaug

main = importlib.import_module("eeaug.cli.main")  # the package has a function of the module's name
REPOSITORY = Path(__file__).parents[2]


def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    return parser


def test_list_of_packages_is_complete() -> None:
    below = {
        "eeaug" + "".join(f".{part}" for part in path.parent.relative_to(REPOSITORY / "eeaug").parts)
        for path in (REPOSITORY / "eeaug").rglob("*.py")
    }
    listed = configuration()["options"]["packages"]
    names = {line.strip() for line in listed.splitlines() if line.strip() and not line.strip().startswith("#")}
    assert names == below | {"eeaug.cli", "eeaug.hardware_profiles"}


def test_constraints_pin_every_dependency() -> None:
    def names(text: str) -> set[str]:
        lines = (line.split("#")[0].strip() for line in text.splitlines())
        return {line.replace("=", " ").replace(">", " ").split()[0].lower() for line in lines if line}

    pinned = names((REPOSITORY / "constraints.txt").read_text(encoding="utf-8"))
    needed = names(configuration()["options"]["install_requires"])
    assert needed <= pinned, f"not pinned: {needed - pinned}"


def test_the_light_distribution_leaves_out_what_its_error_names(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("build_both", REPOSITORY / "packaging" / "build.py")
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    shutil.copy(REPOSITORY / "setup.cfg", tmp_path)
    build.light(tmp_path / "setup.cfg")
    parser = configparser.ConfigParser()
    parser.read(tmp_path / "setup.cfg", encoding="utf-8")

    def names(text: str) -> set[str]:
        return {line.split()[0] for line in text.splitlines() if line.strip() and not line.strip().startswith("#")}

    whole = names(configuration()["options"]["install_requires"])
    light = names(parser["options"]["install_requires"])
    assert parser["metadata"]["name"] == "eeaug-runtime" and light == set(build.LIGHT) < whole
    modules = {"tf-keras": "tf_keras", "protobuf": "google", "ai-edge-litert": "ai_edge_litert"}
    left_out = {modules.get(name, name) for name in whole - light}
    assert left_out == main._OF_THE_WHOLE_TOOL | main._OF_PAGES
    assert not [package for package in parser["options.package_data"] if package.startswith("eeaug.export")]


def test_installed_version() -> None:
    assert version("eeaug") == eeaug.__version__
