"""The output directory: written beside its place, moved there when it is whole; what is not its own never goes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from eeaug.bundle.manifest import SCHEMA_VERSION, check_files, read_manifest
from eeaug.errors import InputError
from eeaug.support import leftovers, outputs, regular
from eeaug.support.printable import shown

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
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
NAMED = 3  # foreign files that a message names; the rest is counted


def dump_json(value: Any) -> str:
    """JSON as all files of a bundle hold it; NaN is an error, unknown is null."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    # a lone surrogate, which stands for a byte of a path that is no UTF-8, becomes JSON's own escape of it
    return text.encode("utf-8", "backslashreplace").decode()


def check_place(place: Path, *, force: bool, inputs: Mapping[str, Path | str | None] | None = None) -> None:
    """Refuse before any work what could not be written at the end, or would take with it what is not the bundle's.

    What a killed run has moved aside and not replaced comes back first.

    Parameters
    ----------
    force : whether a bundle that is there is replaced
    inputs : what the run reads → its path

    Raises
    ------
    InputError : something is there and ``force`` does not say to replace it, it is no bundle, or holds anything
        that eeaug has not written there or that this run reads
    """
    try:
        _check_place(place, force, inputs or {})
    except OSError as error:  # a name too long, a loop of links, a directory without permission
        raise InputError(f"-o {place}: {error.strerror or error}") from error


def _check_place(place: Path, force: bool, inputs: Mapping[str, Path | str | None]) -> None:
    where = Path(os.path.realpath(place))
    parent = where.parent
    try:
        str(where).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"-o {place}: ONNX Runtime opens no path that is not UTF-8; name another place") from error
    if place.is_symlink() and not place.exists():
        raise InputError(
            f"-o {place} is a link to {place.readlink()}, which does not exist: remove it, or name that"
        )
    if not parent.is_dir():
        raise InputError(f"-o {place}: the directory {parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise InputError(f"-o {place}: cannot write to {parent}")
    outer = outputs.bundle_around(where)
    if outer is not None:
        raise InputError(f"-o {place} lies in the bundle {outer}, which is to stay as it is: name another place")
    _bring_back(where)
    try:
        facts = where.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(facts.st_mode):
        raise InputError(f"-o {place} exists and is not a directory; name another place")
    if where in (Path.cwd(), *Path.cwd().parents) or where.is_mount():
        raise InputError(f"-o {place}: cannot be replaced as a whole; name a directory inside it")
    if not any(where.iterdir()):
        return
    files = _files(place)
    if not force:
        raise InputError(f"-o {place} exists; --force replaces it, -o DIR names another place")
    for what, path in inputs.items():
        if path is not None and _lies_in(Path(path), where):
            raise InputError(f"-o {place} holds {what} of this run, {path}: name another place")
    strange = _strange(where, files)
    if strange:
        named = ", ".join(strange[:NAMED]) + (f" and {len(strange) - NAMED} more" if len(strange) > NAMED else "")
        raise InputError(
            f"-o {place} holds what eeaug has not written there: {named}; move it, or name another place"
        )


def _files(place: Path) -> set[str]:
    """Relative paths of all that eeaug has written at ``place``.

    Raises
    ------
    InputError : it is no bundle, or cannot be known to be one of this version
    """
    manifest = outputs.read_manifest(place)
    if manifest is None and outputs.is_bundle(place):
        what = "its manifest.json is damaged, so what else is in there is not known"
    elif manifest is not None and outputs.is_bundle(place) and manifest.get("schema_version") != SCHEMA_VERSION:
        version = shown(str(manifest.get("schema_version")), 20)
        what = f"another version of eeaug has written it (schema_version {version})"
    elif manifest is not None and outputs.is_bundle(place) and _are_hashes(manifest.get("files")):
        return {*manifest["files"], *UNHASHED}
    else:
        raise InputError(f"-o {place} exists and is not a bundle of eeaug; name another place")
    raise InputError(f"-o {place}: {what}; delete it yourself, or name another place")


def _are_hashes(files: Any) -> bool:
    return isinstance(files, dict) and bool(files) and all(
        isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) for digest in files.values()
    )  # fmt: skip


def _strange(place: Path, files: set[str]) -> list[str]:
    """Relative paths of what is not among ``files`` or is no regular file, sorted; no link is followed.

    What ``make`` of the C files leaves in its own folder ``build`` is theirs.
    """
    built = {f"{folder}/build" for folder in ("c", "c-int8") if f"{folder}/Makefile" in files}
    folders = {str(parent) for name in files for parent in Path(name).parents}
    strange, pending = [], [place]
    while pending:
        for entry in os.scandir(pending.pop()):
            name = Path(entry.path).relative_to(place).as_posix()
            if name in built and entry.is_dir(follow_symlinks=False):
                continue
            if entry.is_dir(follow_symlinks=False) and name in folders:
                pending.append(Path(entry.path))
            elif name not in files or not entry.is_file(follow_symlinks=False):
                strange.append(name)
    return sorted(strange)


def _lies_in(path: Path, place: Path) -> bool:
    """Whether a file or directory that is there is in ``place``, links resolved."""
    with contextlib.suppress(OSError, ValueError):
        return path.exists() and path.resolve().is_relative_to(place)
    return False


def _bring_back(where: Path) -> None:
    """The bundle that a killed run has moved aside, unless another one has taken its place; takes away the rest."""
    for left in leftovers.abandoned(where, "old"):
        if not where.exists():
            left.rename(where)
        elif _is_later(where, left):  # the run was killed right after the exchange
            leftovers.remove(left)
    for kind in ("partial", "replaced"):
        for left in leftovers.abandoned(where, kind):
            leftovers.remove(left)


def _is_later(place: Path, old: Path) -> bool:
    """Whether what is at ``place`` is a bundle written after ``old``, a bundle with nothing else in it."""
    try:
        for directory in (place, old):
            if _strange(directory, _files(directory)):
                return False
        return (place / "manifest.json").stat().st_mtime_ns >= (old / "manifest.json").stat().st_mtime_ns
    except (InputError, OSError):
        return False


@contextmanager
def being_written(place: Path, *, force: bool) -> Iterator[Path]:
    """A hidden sibling of ``place`` to write into; takes its place if the block ends without error.

    What was at ``place`` stays until then, and comes back if the exchange fails; if the process is killed in the
    middle of it, :func:`check_place` brings it back.
    """
    place = place.resolve()
    partial = _fresh(place)
    try:
        with leftovers.hold(partial):
            yield partial
            check_place(place, force=force)  # another run may have written there meanwhile
            _exchange(partial, place)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise OSError(error.errno, error.strerror, str(place)) from error  # some errors of writing name no place
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        leftovers.remove(leftovers.hidden(place, "replaced"))


def _fresh(place: Path) -> Path:
    """An empty directory for this process."""
    partial = leftovers.hidden(place, "partial")
    if partial.exists() and not leftovers.is_held(partial):  # left by an earlier process with the same number
        leftovers.remove(partial)
    try:
        partial.mkdir()
    except FileExistsError as error:
        raise InputError(f"-o {place}: another run is writing there") from error
    return partial


def _exchange(partial: Path, place: Path) -> None:
    """``partial`` takes the place; what was there goes, or comes back if it cannot."""
    if not place.exists():
        partial.rename(place)
        return
    old, replaced = leftovers.hidden(place, "old"), leftovers.hidden(place, "replaced")
    with ExitStack() as held:
        held.enter_context(leftovers.hold(place))
        place.rename(old)
        try:
            partial.rename(place)
        except BaseException:
            old.rename(place)
            raise
        old.rename(replaced)  # from here on it is not put back
    leftovers.remove(replaced)


def hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle but the manifest and timing.json, by relative path."""
    files = sorted(p for p in directory.rglob("*") if p.is_file())
    names = [p.relative_to(directory).as_posix() for p in files]
    return {name: regular.digest(path) for name, path in zip(names, files, strict=True) if name not in UNHASHED}
