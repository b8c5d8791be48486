"""Zip and HDF5 files, and the JSON in them, looked through before they are read.

What a file unpacks to is known before memory is taken, and nothing in it leads to another file.
"""

from __future__ import annotations

import json
import math
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Unpackable", "hdf5_elements", "member", "opened_zip", "regular", "room", "stored_json", "unpacked"]

LARGEST_JSON = 16 << 20  # bytes; the configuration of NASNetLarge takes 1 MiB
DEEPEST_JSON = 100  # brackets; a nested model takes about ten
LONGEST_NUMBER = 40  # characters
MOST_MEMBERS = 10_000  # of a zip file
MOST_OBJECTS = 200_000  # groups and datasets of an HDF5 file
LARGEST_DIRECTORY = 1 << 20  # bytes of a zip file's list of members
SMALL = 64 << 20  # bytes that any file may unpack to
EXPANSION = 20  # times its size that a larger one may; trained weights hardly compress, sparse ones ten times
LARGEST_ATTRIBUTE = 32 << 20  # bytes
FILTERS = (1, 2, 3, 32000)  # deflate, shuffle, fletcher32, lzf: HDF5 loads others from elsewhere
NESTED = (dict, list)
END_OF_ZIP = b"PK\x05\x06"


class Unpackable(ValueError):
    """Why a file is not read, as a phrase."""


def regular(path: Path) -> bool:
    """Whether it is a plain file; a named pipe waits for ever, a device has no end."""
    return stat.S_ISREG(path.stat().st_mode)


def room(size: int) -> int:
    """Bytes that a file of ``size`` bytes may unpack to."""
    return max(SMALL, EXPANSION * size)


# -- JSON ---------------------------------------------------------------------------------------------


def stored_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises
    ------
    ValueError : it is damaged, too large, too deep, or has numbers that are too long
    """
    if len(text) > LARGEST_JSON:
        raise Unpackable(f"its configuration has {len(text):,} bytes, more than {LARGEST_JSON:,}")
    try:
        found = json.loads(text, parse_int=_integer)
    except RecursionError:
        raise Unpackable(_too_deep()) from None
    level, depth = [found], 0
    while level:  # breadth first: a deep text must not exhaust Python's stack here or later
        depth += 1
        if depth > DEEPEST_JSON:
            raise Unpackable(_too_deep())
        inner = [
            value.values() if isinstance(value, dict) else value for value in level if value.__class__ in NESTED
        ]
        level = [child for values in inner for child in values if child.__class__ in NESTED]
    return found


def _too_deep() -> str:
    return f"its configuration has more than {DEEPEST_JSON} brackets within each other"


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise Unpackable(f"its configuration has a number of {len(digits):,} digits")
    return int(digits)


# -- zip ----------------------------------------------------------------------------------------------


def opened_zip(path: Path) -> zipfile.ZipFile:
    """The archive, of which every member has its own plain name and a bearable size.

    Raises
    ------
    Unpackable, zipfile.BadZipFile, OSError
    """
    _refuse_large_directory(path)
    archive = zipfile.ZipFile(path)
    try:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise Unpackable(f"{len(members):,} members, more than {MOST_MEMBERS:,}")
        names: set[str] = set()
        for member in members:
            name = member.filename
            if name in names:
                raise Unpackable(f"two members are called {name!r}")
            if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
                raise Unpackable(f"the member {name!r} is a path out of the file")
            names.add(name)
        size, allowed = sum(member.file_size for member in members), room(path.stat().st_size)
        if size > allowed:
            raise Unpackable(f"unpacks to {size:,} bytes, more than {allowed:,}, which no trained weights do")
    except BaseException:
        archive.close()
        raise
    return archive


def _refuse_large_directory(path: Path) -> None:
    """Python reads the list of members whole, however long it is said to be."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 22 - 0xFFFF))
        tail = file.read()
    at = tail.rfind(END_OF_ZIP)
    if 0 <= at <= len(tail) - 22:
        size = struct.unpack_from("<L", tail, at + 12)[0]
        if LARGEST_DIRECTORY < size < 0xFFFFFFFF:
            raise Unpackable(f"its list of members has {size:,} bytes")


def unpacked(archive: zipfile.ZipFile, name: str, target: Path) -> Path:
    """A member written to ``target``."""
    with archive.open(name) as source, target.open("wb") as file:
        while piece := source.read(1 << 20):
            file.write(piece)
    return target


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member that holds JSON."""
    size = archive.getinfo(name).file_size
    if size > LARGEST_JSON:
        raise Unpackable(f"{name} has {size:,} bytes, more than {LARGEST_JSON:,}")
    return archive.read(name)


# -- HDF5 ---------------------------------------------------------------------------------------------


def hdf5_elements(file: Any, size: int) -> Mapping[str, int]:
    """How many numbers the datasets below each top-level group hold; each dataset counts once.

    Only the description of a dataset is read here. ``file`` is an open ``h5py.File`` of ``size`` bytes.

    Raises
    ------
    Unpackable : something in it leads out of the file, runs a filter of elsewhere, or unpacks to too much
    """
    import h5py

    found: dict[str, int] = {}
    seen = {h5py.h5o.get_info(file.id).addr}
    unpacked_bytes, allowed = 0, room(size)
    _check_attributes(file, size)
    pending = [(file, "/")]
    while pending:
        group, where = pending.pop()
        for name in group:
            place = f"{where}{name}"
            # what a link leads to is looked at only if it is in this very file
            if type(group.get(name, getlink=True)) is not h5py.HardLink:
                raise Unpackable(f"{_short(place)} is a link to elsewhere")
            child = group[name]
            if not isinstance(child, h5py.Group | h5py.Dataset):
                raise Unpackable(f"{_short(place)} is a stored type, not a group or a dataset")
            address = h5py.h5o.get_info(child.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MOST_OBJECTS:
                raise Unpackable(f"more than {MOST_OBJECTS:,} groups and datasets")
            _check_attributes(child, size)
            if isinstance(child, h5py.Group):
                pending.append((child, f"{place}/"))
                continue
            unpacked_bytes += _dataset_bytes(child, place)
            if unpacked_bytes > allowed:
                raise Unpackable(f"its datasets unpack to more than {allowed:,} bytes, which no trained weights do")
            top = place.split("/")[1]
            found[top] = found.get(top, 0) + math.prod(child.shape or (0,))
    return found


def _dataset_bytes(dataset: Any, place: str) -> int:
    """What memory a dataset takes when it is read."""
    if dataset.is_virtual or dataset.external:
        raise Unpackable(f"the dataset {_short(place)} has its values in other files")
    if dataset.dtype.kind not in "fiubcSV" or (dataset.dtype.kind == "V" and dataset.dtype.fields):
        raise Unpackable(f"the dataset {_short(place)} holds no numbers")
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if not set(filters) <= set(FILTERS):
        raise Unpackable(f"the dataset {_short(place)} is packed by an unknown filter")
    chunk = math.prod(dataset.chunks) if dataset.chunks else 0
    return int(dataset.dtype.itemsize) * max(math.prod(dataset.shape or (0,)), chunk)


def _check_attributes(holder: Any, size: int) -> None:
    import h5py

    for i in range(h5py.h5a.get_num_attrs(holder.id)):
        attribute = h5py.h5a.open(holder.id, index=i)
        count, kind = math.prod(attribute.shape or ()), attribute.get_type()
        large = count * kind.get_size() > min(LARGEST_ATTRIBUTE, size)
        if large or count > MOST_OBJECTS:  # names of variable length lie elsewhere in the file
            raise Unpackable(f"the attribute {_short(attribute.name.decode(errors='replace'))} is too large")


def _short(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:77]}...")
