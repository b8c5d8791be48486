#!/usr/bin/env python3
"""How long commands take that need no model: wall seconds from start to end of the process.

    python benchmarks/startup.py [--bundle DIR] [--repeats 7]

`eeaug report` is timed on the bundle in DIR, and left out without one. `eeaug cache show` gets a cache of ten
networks with a hundred files each. Figures are printed as a Markdown table; the ratio is to a bare
`python -c pass`. Exit code 1 if a best time misses what it should reach.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from eeaug.support.cache import Cache

NETWORKS, FILES = 10, 100


def fill(directory: Path) -> None:
    """A cache as after many runs; what it holds is not looked into."""
    cache = Cache(directory)
    for network in range(NETWORKS):
        folder = cache.network(f"model{network}.h5", str(network), "data.npz", "0")
        for file in range(FILES):
            (folder / "features" / f"{file:032x}.npy").write_bytes(b"\0")


def seconds(command: list[str], work: Path, repeats: int) -> list[float]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EEAUG_")}
    took = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run(command, cwd=work, env=environment, stdout=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - started)
    return took[1:]  # the first one reads the disk, or compiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a directory that `eeaug augment` wrote")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        fill(work / "cache")
        bundle = given.bundle and str(given.bundle.resolve())
        commands: list[tuple[list[str] | None, str, float | None]] = [
            (["-c", "pass"], "python -c pass", None),
            (["-m", "eeaug", "--help"], "eeaug --help", 0.3),
            (["-m", "eeaug", "hw", "list"], "eeaug hw list", 1.0),
            (["-m", "eeaug", "hw", "show", "psoc6"], "eeaug hw show psoc6", 1.0),
            (["-m", "eeaug", "report", bundle] if bundle else None, "eeaug report DIR", 1.0),
            (["-m", "eeaug", "cache", "show", "--cache-dir", "cache"], "eeaug cache show", None),
        ]
        print(f"| command | best of {given.repeats} (s) | median (s) | ratio to python | to reach (s) |")
        print("|---|---|---|---|---|")
        floor, missed = 0.0, False
        for arguments, title, reach in commands:
            wanted = "" if reach is None else f"< {reach:g}"
            if arguments is None:
                print(f"| `{title}` | skipped: no --bundle | | | {wanted} |")
                continue
            took = seconds([sys.executable, *arguments], work, given.repeats)
            best = min(took)
            floor = floor or best
            missed |= reach is not None and best >= reach
            print(f"| `{title}` | {best:.3f} | {statistics.median(took):.3f} | {best / floor:.1f} | {wanted} |")
    sys.exit(missed)


if __name__ == "__main__":
    main()
