"""Files that results go to: nothing is overwritten that was not to be, and what is written is whole or not there.

What exists is replaced only with ``force``, and never if it is read by the same run, lies in a bundle, or is a
directory. What is no regular file, as a terminal, a pipe or /dev/stdout, is written into.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eeaug.errors import InputError
from eeaug.support import json_file, leftovers, regular

__all__ = ["Output", "bundle_around", "is_bundle", "read_manifest"]

MANIFEST = "manifest.json"
MANIFEST_BYTES = 1 << 26  # no manifest of a bundle is larger
DESCRIPTOR = re.compile(r"/dev/std(in|out|err)|/(?:dev|proc/self|proc/thread-self)/fd/(\d+)")  # open files by name


@dataclass(frozen=True)
class Output:
    """A file that an option names.

    Parameters
    ----------
    place : the file; None: there is none to write
    force : whether a file that is there is replaced
    inputs : what the run reads → its path: these are never replaced
    option : its name, for what is said
    """

    place: Path | None
    force: bool = False
    inputs: Mapping[str, Path | str | None] = field(default_factory=dict)
    option: str = "-o"

    def check(self) -> None:
        """Refuse, before any work, what could not or should not be written.

        Raises
        ------
        InputError : a directory, a file that is there (without force), is read, is protected or lies in a bundle;
            a link to nothing; a place where nothing can be written
        """
        if self.place is not None:
            try:
                self._check(self.place)
            except OSError as error:  # a name too long, a loop of links, a directory without permission
                raise InputError(f"{self.option} {self.place}: {error.strerror or error}") from error

    def write(self, content: bytes) -> None:
        """Write it, as a whole; looks again whether it may.

        Raises
        ------
        InputError : as :meth:`check` does
        OSError : the disk is full; names the file
        """
        if self.place is None:
            return
        self.check()
        try:
            if _is_stream(self.place):
                _write_into(self.place, content)
            else:
                _replace(Path(os.path.realpath(self.place)), content)
        except OSError as error:
            raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(self.place)) from error

    def _check(self, place: Path) -> None:
        given = f"{self.option} {place}"
        real = Path(os.path.realpath(place))
        if not _is_there(place):
            if not place.parent.is_dir():
                raise InputError(f"{given}: the directory {place.parent} does not exist")
        elif not place.exists():
            raise InputError(
                f"{given} is a link to {place.readlink()}, which does not exist: remove it, or name that file"
            )
        elif place.is_dir():
            raise InputError(f"{given} is a directory: name a file in it")
        elif _is_stream(place):
            self._check_stream(place)
            return
        outer = bundle_around(real)
        if outer is not None:
            raise InputError(f"{given} lies in the bundle {outer}, which is to stay as it is: name another place")
        if real.exists():
            self._check_replaced(place, real)
        if not os.access(real.parent, os.W_OK):
            raise InputError(f"{given}: cannot write to {place.parent}")

    def _check_stream(self, place: Path) -> None:
        if stat.S_ISBLK(place.stat().st_mode):
            raise InputError(f"{self.option} {place} is a disk: name a file")
        if not os.access(place, os.W_OK):
            raise InputError(f"{self.option} {place}: cannot be written to")

    def _check_replaced(self, place: Path, real: Path) -> None:
        for what, path in self.inputs.items():
            if path is not None and _is_of(real, Path(path)):
                raise InputError(f"{self.option} {place} is {what}, which is read: name another file")
        if not self.force:
            raise InputError(f"{self.option} {place} exists; --force replaces it, {self.option} FILE names another")
        if not os.access(real, os.W_OK):
            raise InputError(f"{self.option} {place} is write-protected; name another file")


def is_bundle(directory: Path) -> bool:
    """Whether eeaug has written this directory, in whatever version, and even if its manifest is damaged."""
    file = directory / MANIFEST
    if not file.is_file():
        return False
    manifest = read_manifest(directory)
    if manifest is not None and isinstance(manifest.get("tool"), dict) and "eeaug" in manifest["tool"]:
        return True
    return (directory / "report.json").is_file() and (directory / "stages").is_dir()


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """What manifest.json says, whoever wrote it; None: it is no regular file, too large, or damaged."""
    try:
        document = json_file.strict(regular.content(directory / MANIFEST, MANIFEST_BYTES))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def bundle_around(path: Path) -> Path | None:
    """The bundle that a path lies in, links resolved; None: in none."""
    return next((folder for folder in Path(os.path.realpath(path)).parents if is_bundle(folder)), None)


def _is_of(real: Path, read: Path) -> bool:
    """Whether a file is the one that is read, under whatever name, or one in the directory that is read."""
    with contextlib.suppress(OSError, ValueError):
        if real.samefile(read):
            return True
        return read.is_dir() and real.is_relative_to(os.path.realpath(read)) and not Path.cwd().samefile(read)
    return False


def _is_there(path: Path) -> bool:
    """Also a link to nothing; an OSError if that cannot be known."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_stream(place: Path) -> bool:
    """Whether it is to be written into: no regular file, or an open file by name."""
    return place.exists() and (not place.is_file() or DESCRIPTOR.fullmatch(str(place.absolute())) is not None)


def _opened(place: Path) -> int:
    """A descriptor of what is written into; one that is open already goes on where it is."""
    open_file = DESCRIPTOR.fullmatch(str(place.absolute()))
    if open_file is not None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        name, number = open_file.groups()
        return os.dup(int(number) if number else ("in", "out", "err").index(name))
    try:
        opened = os.open(place, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads from it") from error
        raise
    os.set_blocking(opened, True)
    return opened


def _write_into(place: Path, content: bytes) -> None:
    with open(_opened(place), "wb") as stream:
        stream.write(content)


def _replace(real: Path, content: bytes) -> None:
    """Write a hidden sibling, which then replaces the file that is there and takes its mode."""
    for left in leftovers.abandoned(real, "partial"):
        leftovers.remove(left)
    partial = leftovers.hidden(real, "partial")
    if partial.is_file():  # left by an earlier process with the same number
        partial.unlink()
    try:
        with partial.open("xb") as stream, leftovers.hold(partial):
            stream.write(content)
            stream.flush()
            if real.exists():
                shutil.copymode(real, partial)
            partial.replace(real)
    finally:
        partial.unlink(missing_ok=True)
