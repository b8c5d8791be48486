"""Whether a change of the code leaves bundles as they were, byte by byte.

    python benchmarks/same_bundles.py --data-dir DIR --write before.json
    python benchmarks/same_bundles.py --data-dir DIR --compare before.json [--only example ...]

Three bundles with little effort, each with an empty cache: the example, a keyword spotter in every format, the
example with exits for a target class. For each the SHA-256 of its files, manifest.json and those that it names.
--compare ends with 1 and names the files that differ. --data-dir has models/dscnn_kws.h5 and kws_mfcc_train.npz
(public_models.py); without it the keyword spotter is left out. Bytes are the same only on one machine, with the
same versions and threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from public_models import prepare

EXAMPLE = Path(__file__).parent.parent / "examples" / "fashion_resnet.h5"
BUNDLES = {
    "example": (),
    "keywords": ("--format", "keras,onnx,tflite-int8,tflm,c"),
    "target-class": ("--target-class", "Trouser,Bag"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", choices=BUNDLES, default=list(BUNDLES))
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--write", type=Path, metavar="FILE")
    end.add_argument("--compare", type=Path, metavar="FILE")
    options = parser.parse_args()
    found: dict[str, dict[str, str]] = {}
    for name in options.only:
        if name == "keywords" and options.data_dir is None:
            print(f"{name:<14} left out: no --data-dir")
            continue
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="same-bundles-") as folder:
            found[name] = made(name, options.data_dir, Path(folder))
        whole = hashlib.sha256(json.dumps(found[name], sort_keys=True).encode()).hexdigest()
        print(f"{name:<14} {whole}  {len(found[name])} files, {time.perf_counter() - began:.1f} s", flush=True)
    if options.write:
        options.write.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if options.compare:
        earlier = json.loads(options.compare.read_text(encoding="utf-8"))
        differ = [
            f"{name}: {file}"
            for name, files in found.items()
            for file in sorted({*files, *earlier.get(name, {})})
            if files.get(file) != earlier.get(name, {}).get(file)
        ]
        print("\n".join(differ) or "the same")
        sys.exit(bool(differ))


def made(name: str, data: Path | None, folder: Path) -> dict[str, str]:
    """The bundle's files and their SHA-256, manifest.json first."""
    arguments: list[Any] = [EXAMPLE]
    if name == "keywords":
        assert data is not None
        model, arrays, limits = prepare("dscnn", data, folder)
        arguments = [model, "--data", arrays, *limits]
    command = [
        sys.executable, "-m", "eeaug", "augment", *arguments,
        "--hw", "psoc6", "--effort", "quick", "--threads", "2",
        *BUNDLES[name], "--cache-dir", folder / "cache", "-o", folder / "bundle",
    ]  # fmt: skip
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: exit {done.returncode}: {done.stderr[-2000:]}")
    text = (folder / "bundle" / "manifest.json").read_bytes()
    return {"manifest.json": hashlib.sha256(text).hexdigest(), **json.loads(text)["files"]}


if __name__ == "__main__":
    main()
