"""What a bundle says of itself, and whether its files are still those that were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eeaug.errors import ConversionError, InputError

__all__ = ["SCHEMA_VERSION", "check_files", "read_manifest"]

SCHEMA_VERSION = 1


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a bundle, after a look at every file's hash.

    Raises
    ------
    InputError : there is no bundle of this schema at ``directory``
    ConversionError : a file is missing or its hash has changed
    """
    path = directory / "manifest.json"
    if not path.is_file():
        raise InputError(f"{directory} is not a bundle: it has no manifest.json")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["schema_version"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if version != SCHEMA_VERSION:
        raise InputError(f"{path}: schema_version {version}, this eeaug reads {SCHEMA_VERSION}")
    missing = [key for key in ("files", "stages", "classes", "decision", "preprocessing") if not manifest.get(key)]
    if missing:
        raise InputError(f"{path} is damaged: it has no {', '.join(missing)}")
    check_files(directory, manifest["files"])
    return dict(manifest)


def check_files(directory: Path, files: Mapping[str, str]) -> None:
    """Compare a bundle's files with the SHA-256 that its manifest gives them.

    Raises
    ------
    ConversionError : one is missing or has changed
    """
    for name, digest in files.items():
        file = directory / name
        if not file.is_file():
            raise ConversionError(f"{directory}: {name} is missing")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise ConversionError(f"{directory}: {name} has changed since it was written (sha256)")
