"""Zip and HDF5 files, and the JSON in them, looked through before they are read.

What a file unpacks to is known before memory is taken, and nothing in it leads to another file.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from eeaug.support import json_file, zip_file
from eeaug.support.printable import quoted
from eeaug.support.regular import Unreadable

__all__ = ["LARGEST_JSON", "hdf5_elements", "joined", "member", "opened_zip", "room", "stored_json", "unpacked"]

LARGEST_JSON = 16 << 20  # bytes; the configuration of NASNetLarge takes 1 MiB
LONGEST_NUMBER = 40  # characters
MOST_OBJECTS = 200_000  # groups and datasets of an HDF5 file
SMALL = 64 << 20  # bytes that any file may unpack to
EXPANSION = 20  # times its size that a larger one may; trained weights hardly compress, sparse ones ten times
LARGEST_ATTRIBUTE = 32 << 20  # bytes
FILTERS = (1, 2, 3, 32000)  # deflate, shuffle, fletcher32, lzf: HDF5 loads others from elsewhere


def room(size: int) -> int:
    """Bytes that a file of ``size`` bytes may unpack to."""
    return max(SMALL, EXPANSION * size)


# -- JSON ---------------------------------------------------------------------------------------------


def stored_json(text: str | bytes) -> Any:
    """What a JSON text says; Python may write NaN and Infinity into configurations.

    Raises
    ------
    ValueError : it is damaged, too large, too deep, or has numbers that are too long
    """
    if len(text) > LARGEST_JSON:
        raise Unreadable(f"its configuration has {len(text):,} bytes, more than {LARGEST_JSON:,}")
    try:
        return json_file.strict(text, digits=LONGEST_NUMBER, constants=True)
    except Unreadable as error:
        raise Unreadable(f"its configuration {error}") from None


# -- zip ----------------------------------------------------------------------------------------------


def opened_zip(path: Path) -> AbstractContextManager[zipfile.ZipFile]:
    """The archive; raises as :func:`zip_file.opened`."""
    return zip_file.opened(
        path, room(path.stat().st_size), backslashes=True, advice=", which no trained weights do"
    )


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
        raise Unreadable(f"{name} has {size:,} bytes, more than {LARGEST_JSON:,}")
    return archive.read(name)


# -- HDF5 ---------------------------------------------------------------------------------------------


def hdf5_elements(file: Any, size: int) -> Mapping[str, int]:
    """How many numbers the datasets below each top-level group hold; each dataset counts once.

    Only the description of a dataset is read here. ``file`` is an open ``h5py.File`` of ``size`` bytes.

    Raises
    ------
    Unreadable : something in it leads out of the file, runs a filter of elsewhere, or unpacks to too much
    """
    import h5py

    elements: dict[str, int] = {}
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
                raise Unreadable(f"{quoted(place)} is a link to elsewhere")
            child = group[name]
            if not isinstance(child, h5py.Group | h5py.Dataset):
                raise Unreadable(f"{quoted(place)} is a stored type, not a group or a dataset")
            address = h5py.h5o.get_info(child.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MOST_OBJECTS:
                raise Unreadable(f"more than {MOST_OBJECTS:,} groups and datasets")
            _check_attributes(child, size)
            if isinstance(child, h5py.Group):
                pending.append((child, f"{place}/"))
                continue
            unpacked_bytes += _dataset_bytes(child, place)
            if unpacked_bytes > allowed:
                raise Unreadable(f"its datasets unpack to more than {allowed:,} bytes, which no trained weights do")
            top = place.split("/")[1]
            elements[top] = elements.get(top, 0) + math.prod(child.shape or (0,))
    return elements


def joined(file: Any) -> None:
    """Make groups ``a`` in ``b`` of those that Keras on Windows called ``a\\b``; ``file`` is open for writing.

    Raises
    ------
    Unreadable : two of them get the same name
    """
    pending = [file]
    while pending:
        group = pending.pop()
        for name in list(group):
            plain = name.replace("\\", "/").strip("/")
            if plain != name:
                if not plain or plain in group:
                    raise Unreadable(f"the group {quoted(name)} has no name of its own")
                group.move(name, plain)
        pending += [child for child in group.values() if hasattr(child, "keys")]


def _dataset_bytes(dataset: Any, place: str) -> int:
    """What memory a dataset takes when it is read."""
    if dataset.is_virtual or dataset.external:
        raise Unreadable(f"the dataset {quoted(place)} has its values in other files")
    if dataset.dtype.kind not in "fiubcSV" or (dataset.dtype.kind == "V" and dataset.dtype.fields):
        raise Unreadable(f"the dataset {quoted(place)} holds no numbers")
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if not set(filters) <= set(FILTERS):
        raise Unreadable(f"the dataset {quoted(place)} is packed by an unknown filter")
    chunk = math.prod(dataset.chunks) if dataset.chunks else 0
    return int(dataset.dtype.itemsize) * max(math.prod(dataset.shape or (0,)), chunk)


def _check_attributes(holder: Any, size: int) -> None:
    import h5py

    for i in range(h5py.h5a.get_num_attrs(holder.id)):
        attribute = h5py.h5a.open(holder.id, index=i)
        count, kind = math.prod(attribute.shape or ()), attribute.get_type()
        large = count * kind.get_size() > min(LARGEST_ATTRIBUTE, size)
        if large or count > MOST_OBJECTS:  # names of variable length lie elsewhere in the file
            raise Unreadable(f"the attribute {quoted(attribute.name.decode(errors='replace'))} is too large")
