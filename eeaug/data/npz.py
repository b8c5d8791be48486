"""A ``.npz``: its members are unpacked once, because they cannot be mapped into memory where they are.

Arrays that another archive has, too, are links to the same file: a new calibration set takes its own room only.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from eeaug.backbone.model_files import sha256
from eeaug.data.input_groups import is_member
from eeaug.data.meanings import Header, likeliest
from eeaug.data.samples import PARTS
from eeaug.data.store import Raw, SampleNeeds
from eeaug.errors import InputError
from eeaug.support import checksums, npy_file, places, zip_file
from eeaug.support.cache import Cache, clear_way, damaged, is_there, publishing, touch
from eeaug.support.printable import one_line, quoted
from eeaug.support.progress import counting
from eeaug.support.regular import Unreadable
from eeaug.support.spelling import nearest

__all__ = ["KEYS", "check", "check_key", "read"]

SMALL = 1 << 28  # bytes that any file may unpack to
CONTENTS = "contents.json"  # hashes of arrays: of what they hold, and of how they are packed
EXPANSION = 100  # times its size that a larger one may: pictures of digits come to ten, padded spectra to fifty
ADVICE = f", {EXPANSION} times its size; if that is right, save it without compression (numpy.savez)"
KEYS = (*(f"{kind}_{part}" for part in PARTS for kind in ("x", "y", "groups", "sequence")), "class_names")


def read(given: str, cache: Path, wanted: SampleNeeds) -> Raw:
    """The arrays of a ``.npz``, unpacked to ``cache`` (the folder ``data`` of a Cache) under the file's hash."""
    path = Path(given)
    _check_zip(path)
    digest = sha256(path)
    folder = cache / digest
    arrays: dict[str, np.ndarray] = {}
    touch(folder)  # before room is made, so that its own files are not deleted
    try:
        with zip_file.opened(path, _most(path), advice=ADVICE) as archive:
            members = _members(path, archive)
            lacking = _lacking(folder, members)
            packed = {key: zip_file.packed(path, members[key]) for key in lacking}
            shared = _shared(cache, folder, members, packed)
            if need := sum(members[key].file_size for key in lacking - shared.keys()):
                Cache(cache.parent).make_room(need, f"{path}: unpacked arrays")
            contents = _contents(archive, path, members, folder, packed, shared)
            for key in members:
                arrays[key] = _mapped(path, key, folder)
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from error
    except zip_file.DAMAGE as error:
        raise InputError(f"{path}: damaged: {one_line(str(error), 150)}") from error
    return Raw(arrays, digest, contents)


def check(given: str) -> None:
    """Look at the names and headers of its arrays, without unpacking any; raises InputError as :func:`read`."""
    path = Path(given)
    _check_zip(path)
    try:
        with zip_file.opened(path, _most(path), advice=ADVICE) as archive:
            _members(path, archive)
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from error
    except zip_file.DAMAGE as error:
        raise InputError(f"{path}: damaged: {one_line(str(error), 150)}") from error


def _most(path: Path) -> int:
    return max(SMALL, EXPANSION * path.stat().st_size)


def _check_zip(path: Path) -> None:
    places.regular(path)
    try:
        with path.open("rb") as file:
            zip_file.check_list(file)  # first: which lists are of no zip file differs between versions of Python
            whole = zipfile.is_zipfile(file)
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {places.why(error)}") from error
    if not whole:
        raise InputError(f"{path}: not a .npz file, or truncated")


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays by key, after a look at all of their headers: nothing is unpacked for what is wrong.

    Raises
    ------
    InputError : a member that is no array that belongs here
    """
    members = {_key(path, archive, member.filename): member for member in archive.infolist()}
    for key, member in members.items():
        try:
            with archive.open(member) as file:
                npy_file.check_samples(f"{path}: the array {key}", file, member.file_size)
        except zip_file.DAMAGE as error:
            raise InputError(f"{path}: the array {key} is damaged: {one_line(str(error), 150)}") from error
    return members


def _key(path: Path, archive: zipfile.ZipFile, name: str) -> str:
    """The name of an array, of the file that it is in a ``.npz``."""
    key = name.removesuffix(".npy")
    if key == name:
        raise InputError(f"{path}: {quoted(name)} is no array: a .npz holds .npy files")
    if key not in KEYS:
        check_key(str(path), key, _headers(archive))
    return key


def _headers(archive: zipfile.ZipFile) -> dict[str, Header]:
    """Shapes and types of the arrays that can be read."""
    headers: dict[str, Header] = {}
    for member in archive.infolist():
        with suppress(Unreadable, *zip_file.DAMAGE), archive.open(member) as file:
            headers[member.filename.removesuffix(".npy")] = npy_file.header(file, member.file_size)
    return headers


def check_key(where: str, key: str, arrays: Mapping[str, Header] | None = None) -> None:
    """Raise InputError for an array that means nothing here; ``arrays``: what is known of all of them."""
    if key in KEYS or is_member(key):
        return
    likely, nearby = likeliest(key, arrays or {}), nearest(key, KEYS)
    hint = nearby or f"; known arrays: {', '.join(KEYS)}"
    if likely is not None and likely.split()[0] not in nearby:
        shape, dtype = (arrays or {}).get(key, ((), None))
        facts = "" if dtype is None else f" ({dtype}, {'×'.join(map(str, shape)) or 'one number'})"
        hint = f"{facts}: most likely {likely}; give it that name, or leave it out"
    raise InputError(f"{where}: unknown array {quoted(key)}{hint}")


def _lacking(folder: Path, members: Mapping[str, zipfile.ZipInfo]) -> set[str]:
    """Arrays that are still to be unpacked; files that differ from the archive are deleted."""
    clear_way(folder)
    lacking = set()
    for key, member in members.items():
        file = folder / f"{key}.npy"
        if not is_there(file):
            lacking.add(key)
        elif checksums.measured(file) != (member.file_size, member.CRC):
            if folder.is_symlink():  # a link: nothing is deleted outside the cache
                damaged("unpacked data", folder)
                return set(members)
            damaged("unpacked data", file)
            lacking.add(key)
    return lacking


def _shared(
    cache: Path, folder: Path, members: Mapping[str, zipfile.ZipInfo], packed: Mapping[str, str]
) -> dict[str, str]:
    """Link what another archive has unpacked already; gives the hashes of what these arrays hold, by key."""
    shared: dict[str, str] = {}
    for other in sorted(cache.glob(f"*/{CONTENTS}")) if packed else ():
        facts = _remembered(other)
        if facts is None or other.parent.is_symlink():
            continue
        for key in packed.keys() - shared.keys():
            source, target = other.parent / f"{key}.npy", folder / f"{key}.npy"
            if facts["packed"].get(key) != packed[key] or source.is_symlink():
                continue
            with suppress(OSError):  # gone meanwhile, or a disk without links: it is unpacked then
                folder.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(source)
                if checksums.measured(target) == (members[key].file_size, members[key].CRC):
                    shared[key] = facts["content"][key]
                else:
                    target.unlink()
    return shared


def _remembered(file: Path) -> dict[str, dict[str, str]] | None:
    """Hashes of a folder's arrays by key; None where there are none, or not as this version writes them."""
    facts = checksums.read_json(file)
    return facts if facts is not None and facts.keys() == {"content", "packed"} else None


def _contents(
    archive: zipfile.ZipFile, path: Path, members: Mapping[str, zipfile.ZipInfo], folder: Path,
    packed: Mapping[str, str], shared: Mapping[str, str],
) -> dict[str, str]:  # fmt: skip
    """Unpack what is neither there nor shared; gives a hash of every array, which the folder remembers."""
    file = folder / CONTENTS
    known = _remembered(file)
    if known is None:
        known = {"content": {}, "packed": {}}
        if is_there(file):
            damaged("unpacked data", file)
    contents = {**known["content"], **shared}
    copied = counting(sum(members[key].file_size for key in packed.keys() - shared.keys()))
    for key in members:
        if key in packed and key not in shared:
            contents[key] = _unpack(archive, path, key, folder, copied)
        elif key not in contents:
            contents[key] = sha256(folder / f"{key}.npy")
    facts = {"content": contents, "packed": {**known["packed"], **packed}}
    if facts != known:
        with publishing(file) as partial:
            checksums.write_json(partial, file, facts)
    return contents


def _unpack(
    archive: zipfile.ZipFile, path: Path, key: str, folder: Path, copied: Callable[[int], None]
) -> str:  # fmt: skip
    """Copy an array to ``folder`` in pieces, told to ``copied``; gives the hash of what was copied."""
    target = folder / f"{key}.npy"
    with _reading(path, key, folder):
        folder.mkdir(parents=True, exist_ok=True)
        # whoever sees the name sees the whole file
        with publishing(target) as partial, archive.open(f"{key}.npy") as member, partial.open("wb") as copy:
            hashed = _Hashed(copy, copied)
            shutil.copyfileobj(member, hashed, 1 << 20)
    return hashed.digest.hexdigest()


class _Hashed:
    """A file that is written, and hashed on the way: it is not read again for that."""

    def __init__(self, file: IO[bytes], copied: Callable[[int], None]) -> None:
        self.file, self.copied, self.digest = file, copied, hashlib.sha256()

    def write(self, piece: bytes) -> int:
        self.digest.update(piece)
        self.copied(len(piece))
        return self.file.write(piece)


def _mapped(path: Path, key: str, folder: Path) -> np.ndarray:
    with _reading(path, key, folder):
        return npy_file.mapped(f"{path}: the array {key}", folder / f"{key}.npy")


@contextmanager
def _reading(path: Path, key: str, folder: Path) -> Iterator[None]:
    """Says which array it is that cannot be unpacked."""
    try:
        yield
    except InputError:
        raise
    except zip_file.DAMAGE as error:
        raise InputError(f"{path}: the array {key} is damaged: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: the array {key} cannot be unpacked to {folder}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: the array {key} is damaged: {error}") from error
