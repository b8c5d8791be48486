"""The output directory: written beside its place, moved there when it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eeaug.errors import InputError
from eeaug.manifest import SCHEMA_VERSION, check_files, read_manifest

__all__ = [
    "SCHEMA_VERSION",
    "being_written",
    "check_files",
    "check_place",
    "dump_json",
    "hashes",
    "read_manifest",
]

UNHASHED = {"manifest.json", "timing.json"}


def dump_json(value: Any) -> str:
    """JSON as all files of a bundle hold it; NaN is an error, unknown is null."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def check_place(place: Path, *, force: bool) -> None:
    """Refuse before any work what could not be written at the end.

    Raises
    ------
    InputError : something is there and ``force`` does not say to replace it, or it is no bundle
    """
    where = place.resolve()
    parent = where.parent
    if not parent.is_dir():
        raise InputError(f"-o {place}: the directory {parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise InputError(f"-o {place}: cannot write to {parent}")
    if not where.exists():
        return
    if not where.is_dir():
        raise InputError(f"-o {place} exists and is not a directory; name another place")
    if where in (Path.cwd(), *Path.cwd().parents) or where.is_mount():
        raise InputError(f"-o {place}: cannot be replaced as a whole; name a directory inside it")
    empty = not any(place.iterdir())
    if not empty and not (place / "manifest.json").is_file():
        raise InputError(f"-o {place} exists and is not a bundle of eeaug; name another place")
    if not empty and not force:
        raise InputError(f"-o {place} exists; --force replaces it, -o DIR names another place")


@contextmanager
def being_written(place: Path, *, force: bool) -> Iterator[Path]:
    """A hidden sibling of ``place`` to write into; takes its place if the block ends without error.

    What was at ``place`` stays until then, and comes back if the exchange fails.
    """
    place = place.resolve()
    partial = place.with_name(f".{place.name}.partial-{os.getpid()}")
    old = place.with_name(f".{place.name}.old-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        check_place(place, force=force)  # another run may have written there meanwhile
        if place.exists():
            place.rename(old)
        try:
            partial.rename(place)
        except BaseException:
            if old.exists():
                old.rename(place)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)


def hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle but the manifest and timing.json, by relative path."""
    files = sorted(p for p in directory.rglob("*") if p.is_file())
    names = [p.relative_to(directory).as_posix() for p in files]
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in zip(names, files, strict=True)
        if name not in UNHASHED
    }
