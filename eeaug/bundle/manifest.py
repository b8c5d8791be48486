"""A bundle that is there, read: its manifest, its report, and whether its files are still those that were written.

manifest.json names every file with its hash; report.json is one of them and repeats what the manifest says. So
whoever changes one of them must change them all, and then the manifest has another SHA-256 than ``eeaug augment``
printed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eeaug.bundle import manifest_rules
from eeaug.errors import ConversionError, InputError
from eeaug.schema import manifest as manifest_schema
from eeaug.support import json_file, regular
from eeaug.support.printable import shown

if TYPE_CHECKING:
    from eeaug.bundle.entries import Manifest

__all__ = [
    "SCHEMA_VERSION",
    "Bundle",
    "check_classifies",
    "check_files",
    "check_no_stream",
    "read",
    "read_manifest",
    "shown_whole",
    "times",
]

SCHEMA_VERSION = manifest_schema.VERSION
MANIFEST, REPORT, TIMES = "manifest.json", "report.json", "timing.json"
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Bundle:
    """What :func:`read` has read, all of it compared with each other.

    Parameters
    ----------
    manifest, report : manifest.json and report.json, as they stand there
    raw : report.json as stored
    sha256 : of manifest.json
    """

    directory: Path
    manifest: dict[str, Any]
    report: dict[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)
    sha256: str

    @cached_property
    def entries(self) -> Manifest:
        """What manifest.json says, as data classes."""
        from eeaug.bundle.entries import Manifest  # with NumPy, which a report's text starts without

        return Manifest.from_dict(self.manifest)

    def has(self, name: str) -> bool:
        """Whether it has this file: one that its manifest does not list is none of it."""
        return name in self.manifest["files"]

    def file(self, name: str) -> Path:
        """A file of it, by its name relative to the bundle.

        Raises
        ------
        ConversionError : the manifest does not list it
        """
        if not self.has(name):
            raise ConversionError(f"{self.directory / MANIFEST}: files: {shown(name)} missing")
        return self.directory / name


def read(directory: Path, sha256: str | None = None) -> Bundle:
    """The bundle at ``directory``, after a look at every file's hash.

    Parameters
    ----------
    sha256 : that manifest.json must have, 64 hexadecimal digits; None: any

    Raises
    ------
    InputError : there is no bundle of this schema at ``directory``, or no SHA-256 was given
    ConversionError : a file is missing or has changed, or what the bundle says contradicts itself
    """
    if sha256 is not None and not SHA256.fullmatch(sha256.lower()):
        raise InputError(f"--manifest-sha256 {shown(sha256)}: must be the 64 hexadecimal digits that a run prints")
    if not directory.is_dir():
        if directory.is_file():
            raise InputError(f"{directory} is a file: give the directory of the bundle")
        raise InputError(f"no directory {directory}: give the directory that `eeaug augment` wrote")
    path = directory / MANIFEST
    if not path.exists() and not path.is_symlink():
        raise InputError(f"{directory} is no bundle, it has no {MANIFEST}: give what `eeaug augment` wrote")
    content = json_file.raw(regular.below(directory, MANIFEST))
    actual = hashlib.sha256(content).hexdigest()
    if sha256 is not None and sha256.lower() != actual:
        raise ConversionError(f"{path}: its SHA-256 is {actual}, --manifest-sha256 says {sha256.lower()}")
    manifest = _document(path, content, SCHEMA_VERSION, manifest_schema.schema())
    manifest_rules.check(path, manifest)
    check_files(directory, manifest["files"])
    from eeaug.schema import report as report_schema  # not needed where a manifest is wrong

    raw = json_file.raw(regular.below(directory, REPORT))
    if hashlib.sha256(raw).hexdigest() != manifest["files"][REPORT]:
        raise ConversionError(f"{directory}: {REPORT} has changed since it was written (sha256)")
    report = _document(directory / REPORT, raw, report_schema.VERSION, report_schema.schema())
    manifest_rules.compare(path, manifest, report)
    return Bundle(directory, manifest, report, raw, actual)


def check_classifies(bundle: Bundle) -> None:
    """Raise InputError for a bundle whose last stage gives the outputs of a model that may be any."""
    if bundle.manifest["decision"]["kind"] == "blank":
        raise InputError(
            f"{bundle.directory} was made with --blank: what its model gives is no class; for another budget or "
            "target run eeaug augment --blank again (features and heads are kept)"
        )


def check_no_stream(bundle: Bundle) -> None:
    """Raise InputError for a bundle made for streams: search/ does not say which samples follow which.

    Also where its design has no exits, and decides none: another budget may give it some.
    """
    if "stream" in bundle.manifest or bundle.manifest["settings"].get("stream"):
        raise InputError(
            f"{bundle.directory} was made with --stream: that needs samples in order, which a bundle does not "
            "keep; for another budget or target run eeaug augment --stream again (heads are kept); eeaug evaluate "
            "says what other recordings lose"
        )


def read_manifest(directory: Path, sha256: str | None = None) -> dict[str, Any]:
    """The manifest alone, after all that :func:`read` looks at."""
    return read(directory, sha256).manifest


@contextmanager
def shown_whole(*places: Path) -> Iterator[None]:
    """While reports that were read are shown: figures that do not fit together are a mistake in report.json.

    The schema has let each of them through; which lists must be as long as which, and what must be known where what
    else is, shows when they are used.
    """
    try:
        yield
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        where = ", ".join(str(place / REPORT) for place in places)
        what = shown(" ".join(str(error).split()), 100)
        raise ConversionError(f"{where}: figures do not fit together ({type(error).__name__}: {what})") from error


def check_files(directory: Path, files: Mapping[str, str]) -> None:
    """Compare a bundle's files with the SHA-256 that its manifest gives them.

    Raises
    ------
    ConversionError : one is missing, no regular file below ``directory``, too large, or has changed
    """
    paths = {name: regular.below(directory, name) for name in files}  # all of them, before any is read
    for name, digest in files.items():
        try:
            actual = regular.digest(paths[name])
        except regular.Unreadable as error:
            raise ConversionError(f"{directory}: {shown(name)} {error}") from error
        except OSError as error:
            raise ConversionError(f"{directory}: {shown(name)} cannot be read: {error.strerror}") from error
        if actual != digest:
            raise ConversionError(f"{directory}: {shown(name)} has changed since it was written (sha256)")


def times(directory: Path) -> dict[str, float]:
    """timing.json, which nothing vouches for: empty if it is not there or not what eeaug writes."""
    try:
        path = regular.below(directory, TIMES)
        content = json_file.parsed(path, json_file.raw(path, most=1 << 20))
        seconds = {str(name): float(value) for name, value in content.items() if type(value) in (int, float)}
    except (ConversionError, InputError, AttributeError):
        return {}
    return seconds if len(seconds) == len(content) else {}


def _document(path: Path, content: bytes, version: int, schema: Mapping[str, Any]) -> dict[str, Any]:
    document = json_file.parsed(path, content)
    stored = document.get("schema_version") if isinstance(document, dict) else None
    if type(stored) is not int or stored != version:
        text = json_file.value(stored)
        raise InputError(f"{path} has schema_version {text}: this eeaug reads {version}; make the bundle anew")
    json_file.check(path, document, schema)
    return dict(document)
