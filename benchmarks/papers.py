#!/usr/bin/env python3
"""The tables of three papers, as far as they can be made here, side by side: runs them, renders docs/papers.md.

    python benchmarks/papers.py --data-dir DIR [--only TABLE|ROW ...] [--work-dir W] [--threads N]
    python benchmarks/papers.py --list
    python benchmarks/papers.py --render

DIR: see public_models.py and trecx.py. What is run stands in papers_rows.py, what the papers say in
papers_published.py. Every row is run in each of its splits; what came of it is put into the result file
(benchmarks/papers.json) with its command, version, commit and date as soon as it is there, and kept in W/rows
with its report.json: the same command goes on where it was stopped. Rows of one model share features and heads
in W; the first one pays for them, and is the one whose search time is told. --render writes docs/papers.md from
the result file and runs nothing; every run does so at its end. A row that has not been run says so there.

--recipe trecx for 200 passes takes a night, and is run where --only names it: trecx/ic-recipe-night."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from papers_page import render
from papers_rows import ROWS, THREADS, Row, asked

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_suffix(".json")
DOCS = ROOT / "docs"
VERSIONED = ("tensorflow", "keras", "onnxruntime", "numpy")  # what figures depend on


def read(path: Path) -> dict[str, Any]:
    """The result file: name of a row → its runs, by split; or one run. Empty if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, text: str) -> None:
    """At once, or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def kept(result: Path, row: Row, seed: int, run: dict[str, Any]) -> None:
    """Put into the result file."""
    rows = read(result)
    rows[row.name] = rows.get(row.name, {}) | {str(seed): run}
    store(result, rows)


def store(result: Path, rows: dict[str, Any]) -> None:
    """In the order of ROWS and of splits; runs of other commands than a row's today go."""
    lines = []
    for name, row in ROWS.items():
        current = {int(key): run for key, run in rows.get(name, {}).items() if row.current(int(key), run)}
        lines += [_lines(name, dict(sorted(current.items())))] if current else []
    write(result, "{\n" + ",\n".join(lines) + "\n}\n")


def _lines(name: str, runs: dict[int, Any]) -> str:
    """As JSON, a run on a line."""
    shown = (f'  "{seed}": {json.dumps(run, ensure_ascii=False)}' for seed, run in runs.items())
    return f" {json.dumps(name)}: {{\n" + ",\n".join(shown) + "\n }"


def commit() -> str:
    """Of the working tree; with a + where what is measured, or how, differs from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True)
    parts = ["eeaug", "cli", "hardware_profiles", "benchmarks/*.py"]
    changed = subprocess.run([*git, "status", "--porcelain", "-uno", "--", *parts], capture_output=True, text=True)
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def provenance(row: Row, seed: int, threads: int) -> dict[str, Any]:
    return {
        "command": row.command(seed, threads),
        "threads": threads,
        "commit": commit(),
        "eeaug": metadata.version("eeaug"),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "versions": {name: metadata.version(name) for name in VERSIONED},
    }


def splits(rows: list[Row]) -> list[tuple[Row, int]]:
    return [(row, seed) for row in rows for seed in range(row.seeds)]


def stored(work: Path, row: Row, seed: int) -> Path:
    return work / "rows" / f"{row.name.replace('/', '_')}-{seed}.json"


def there(work: Path, row: Row, seed: int, threads: int) -> dict[str, Any] | None:
    """What was run of a row in ``work``, or of another row of the same command."""
    same = [other for other in ROWS.values() if other.same(row, seed, threads)]
    runs = [read(stored(work, other, seed)) for other in (row, *same)]
    return next((run for run in runs if run and row.current(seed, run)), None)


def collect(rows: list[Row], work: Path, result: Path, threads: int) -> None:
    """Put all that was run in ``work`` into the result file."""
    for row, seed in splits(rows):
        old = there(work, row, seed, threads)
        if old is not None:
            kept(result, row, seed, old)


def run(rows: list[Row], directory: Path, work: Path, result: Path, threads: int, again: bool) -> list[str]:
    """Every row in each of its splits that is not in ``work`` yet; names of those that failed."""
    failed = []
    (work / "rows").mkdir(parents=True, exist_ok=True)
    for row, seed in splits(rows):
        name = f"{row.name}, split {seed}" if row.seeds > 1 else row.name
        old = None if again else there(work, row, seed, threads)
        if old is not None:
            print(f"{name}: is there, of {old['commit']}", flush=True)
            kept(result, row, seed, old)
            continue
        print(f"{name}: {row.command(seed, threads)}", flush=True)
        from papers_measure import measured

        start, facts = time.monotonic(), provenance(row, seed, threads)
        try:
            figures = measured(row, seed, directory, work, threads)
        except (subprocess.CalledProcessError, OSError) as error:  # a limit, or a file of DIR that is not there
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        facts |= {"seconds": round(time.monotonic() - start, 1), "figures": figures}
        write(stored(work, row, seed), json.dumps(facts, indent=1))
        kept(result, row, seed, facts)
        print(f"{name}: {facts['seconds']} s", flush=True)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="*", default=[], metavar="TABLE|ROW", help="tables or rows; default: all")
    parser.add_argument("--work-dir", type=Path, help="keeps samples, features and heads; default: a new directory")
    parser.add_argument("--result", type=Path, default=RESULT, help="default: %(default)s")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page goes; default: %(default)s")
    parser.add_argument("--threads", type=int, default=THREADS, help="of every run; default: %(default)s")
    parser.add_argument("--again", action="store_true", help="run what is in the work directory already, too")
    parser.add_argument("--list", action="store_true", help="show rows, and which are there")
    parser.add_argument("--render", action="store_true", help="run nothing; with --work-dir, of what was run there")
    known = parser.parse_args()
    try:
        rows = asked(known.only)
    except ValueError as error:
        parser.error(str(error))
    if known.list:
        results = read(known.result)
        for row in rows:
            done = sum(row.current(int(seed), old) for seed, old in results.get(row.name, {}).items())
            print(f"{row.name:40} {done} of {row.seeds}  {row.command(0, known.threads)}")
        return
    failed: list[str] = []
    if known.render and known.work_dir is not None:
        collect(rows, known.work_dir, known.result, known.threads)
    if not known.render:
        if known.data_dir is None:
            parser.error("--data-dir: where models and data are; --list and --render need none")
        os.environ |= {"OMP_NUM_THREADS": str(known.threads), "TF_NUM_INTRAOP_THREADS": str(known.threads)}
        work = (known.work_dir or Path(tempfile.mkdtemp(prefix="eeaug-benchmark-"))).resolve()
        failed = run(rows, known.data_dir.resolve(), work, known.result, known.threads, known.again)
    store(known.result, read(known.result))
    for name, text in render(read(known.result)).items():
        write(known.docs / name, text)
    if failed:
        sys.exit(f"{len(failed)} not done: {', '.join(failed)}")


if __name__ == "__main__":
    main()
