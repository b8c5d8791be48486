"""setup.cfg names every package and every profile; the version stands in one place."""

from __future__ import annotations

import configparser
from importlib.metadata import version
from pathlib import Path

import eeaug

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


def test_installed_version() -> None:
    assert version("eeaug") == eeaug.__version__
