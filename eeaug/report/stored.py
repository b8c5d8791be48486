"""What a bundle says of its run: report.json, checked, and what stands beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eeaug.errors import InputError
from eeaug.manifest import SCHEMA_VERSION, check_files
from eeaug.report import facts

__all__ = ["manifest", "read", "times"]


def read(directory: Path) -> tuple[dict[str, Any], bytes]:
    """report.json of a bundle, parsed and as stored, checked against the manifest's sha256.

    Raises
    ------
    InputError
        `directory` is no bundle, a file cannot be read, or it has another schema_version.
    ConversionError
        report.json or another file of the bundle is not what eeaug wrote.
    """
    if not directory.is_dir():
        if directory.is_file():
            raise InputError(f"{directory} is a file: give the directory of the bundle")
        raise InputError(f"no directory {directory}: give the directory that `eeaug augment` wrote")
    files = manifest(directory).get("files")
    if not isinstance(files, dict) or "report.json" not in files:
        raise InputError(f"{directory / 'manifest.json'} lists no sha256 of report.json: not a bundle of eeaug")
    check_files(directory, files)  # a report on files that are no longer those is no report
    return _read(directory / "report.json", facts.SCHEMA_VERSION)


def manifest(directory: Path) -> dict[str, Any]:
    """manifest.json of a bundle; raises InputError like :func:`read`."""
    return _read(directory / "manifest.json", SCHEMA_VERSION)[0]


def times(place: Path) -> dict[str, float]:
    """timing.json, which nothing vouches for: empty if it is not there or not what eeaug writes."""
    try:
        content = json.loads((place / "timing.json").read_bytes())
        return {str(name): float(value) for name, value in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _read(path: Path, reads: int) -> tuple[dict[str, Any], bytes]:
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
    except FileNotFoundError as error:
        message = f"{path.parent} is no bundle, it has no {path.name}: give what `eeaug augment` wrote"
        raise InputError(message) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is broken JSON at line {error.lineno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is broken JSON: not UTF-8 at byte {error.start}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != reads:
        raise InputError(f"{path} has schema_version {version!r}: this eeaug reads {reads}; make the bundle anew")
    return content, raw
