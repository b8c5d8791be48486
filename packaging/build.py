#!/usr/bin/env python3
"""Builds the two distributions of these sources: eeaug, the whole tool, and eeaug-runtime, without TensorFlow.

    python -m pip install build && python packaging/build.py [--outdir dist] [--only NAME] [OPTIONS OF build]

eeaug-runtime has the same modules and the same command: `eeaug report`, `check`, `evaluate`, `hw` and, from Python,
`eeaug.runtime.Cascade`, for devices and for CI jobs that only look at a bundle. What needs TensorFlow ends in one
line that names the whole tool. Only one of the two can be installed, as both are the package `eeaug`.
"""

from __future__ import annotations

import argparse
import configparser
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# before 1.25 ONNX Runtime brings sympy (80 MB); from 1.27 on it is up to 25 MB larger
LIGHT = {"numpy": "", "onnxruntime": ">=1.25, <1.27", "click": "", "rich": "", "pyyaml": "", "jsonschema": ""}
PAGE = ("jinja2", "markupsafe")  # report --format html
LITERT = ("ai-edge-litert",)  # the .tflite files of a bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outdir", type=Path, default=Path("dist"))
    parser.add_argument("--only", choices=DISTRIBUTIONS, help="one of the two")
    asked, options = parser.parse_known_args()
    out = asked.outdir.resolve()
    for change in (None, light) if asked.only is None else (DISTRIBUTIONS[asked.only],):
        with tempfile.TemporaryDirectory(prefix="eeaug-build-") as scratch:
            tree = Path(scratch) / "eeaug"
            copied(tree)
            if change is not None:
                change(tree / "setup.cfg")
            subprocess.run([sys.executable, "-m", "build", *options, "--outdir", str(out), str(tree)], check=True)


def copied(tree: Path) -> None:
    """What git has of this directory, in its present state: nothing that lies about beside it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, tree / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def light(path: Path) -> None:
    """Name and dependencies of eeaug-runtime in place of the whole tool's; versions as in setup.cfg."""
    config = configparser.ConfigParser()
    config.read(path, encoding="utf-8")
    lines = (line.strip() for line in config["options"]["install_requires"].splitlines())
    whole = {line.split()[0]: line for line in lines if line and not line.startswith("#")}
    config["metadata"]["name"] = "eeaug-runtime"
    config["metadata"]["description"] = "Run, check and report early-exit networks that eeaug has written"
    bounded = [f"{name} {limits}" if limits else whole[name] for name, limits in LIGHT.items()]
    config["options"]["install_requires"] = "".join(f"\n{line}" for line in bounded)
    config["options.extras_require"] = {
        extra: "".join(f"\n{whole[name]}" for name in names)
        for extra, names in (("page", PAGE), ("litert", LITERT))
    }
    for package in [name for name in config["options.package_data"] if name.startswith("eeaug.export")]:
        del config["options.package_data"][package]  # C and C++ sources for bundles, which it does not write
    with path.open("w", encoding="utf-8") as file:
        config.write(file)


DISTRIBUTIONS = {"eeaug": None, "eeaug-runtime": light}

if __name__ == "__main__":
    main()
