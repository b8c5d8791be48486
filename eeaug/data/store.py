"""Arrays on disk: written once, in pieces, under a key; then mapped into memory, whatever their size."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eeaug.data.front_ends import FrontEnd
from eeaug.errors import InputError
from eeaug.support import checksums, leftovers
from eeaug.support.cache import PARTIAL, clear_way, damaged, is_there, touch
from eeaug.support.sample_layout import SampleLayout

__all__ = ["Raw", "SampleNeeds", "content", "digest", "kept", "key_of_files", "pieces", "write_rows"]

FORMAT = 2  # part of every key: raise it when the same source would be written differently
FACTS = "facts.json"
PIECE_BYTES = 1 << 22


@dataclass(frozen=True)
class SampleNeeds:
    """What a model asks of its samples: ``input_shape`` without the batch dimension (None: unknown).

    ``layout``: its inputs, where it has several. ``front_end``: what its x is made by, of sounds; None: x
    is the sound.
    """

    input_shape: tuple[int | None, ...] | None
    labelled: bool
    layout: SampleLayout | None = None
    front_end: FrontEnd | None = None


@dataclass(frozen=True, eq=False)
class Raw:
    """Arrays as stored, by key (``x_train``, ...), and a hash of their contents, whatever dates files bear.

    ``contents``: of arrays of samples, a hash of each one's content.
    """

    arrays: Mapping[str, np.ndarray]
    sha256: str
    contents: Mapping[str, str]
    notes: tuple[str, ...] = ()


def kept(where: str, cache: Path, key: str, write: Callable[[Path], Iterable[str]]) -> Raw:
    """What ``write`` has put into ``cache / key`` now or in an earlier run: ``.npy`` files, and notes.

    ``cache`` is the folder ``data`` of a :class:`eeaug.support.cache.Cache`, which bounds what lies there.

    Raises
    ------
    InputError
        The files cannot be written; and what ``write`` raises. Nothing is left behind then.
    """
    folder = cache / key
    try:
        facts = _sound(folder)
        if facts is None:
            clear_way(folder)
            if is_there(folder):
                damaged("unpacked data", folder)
            cache.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=cache, prefix=f"{key}.{leftovers.machine()}_", suffix=PARTIAL))
            with ExitStack() as held:
                held.callback(shutil.rmtree, partial, ignore_errors=True)
                held.enter_context(leftovers.hold(partial))
                notes = list(write(partial))
                names = sorted(file.name for file in partial.glob("*.npy"))
                digests = {key: digest(array) for key, array in _mapped(partial, names).items()}
                facts = {
                    "sha256": content(digests),
                    "contents": digests,
                    "notes": notes,
                    "files": {name: checksums.measured(partial / name) for name in names},
                }
                checksums.write_json(partial / FACTS, folder / FACTS, facts)
                _publish(partial, folder)
        touch(folder)
        arrays = _mapped(folder, facts["files"])
    except OSError as error:
        raise InputError(f"{where}: {error.filename or folder}: {error.strerror or error}") from error
    return Raw(arrays, facts["sha256"], facts["contents"], tuple(facts["notes"]))


def _sound(folder: Path) -> dict[str, Any] | None:
    """The facts of a folder whose files are all as they were written; None: it is missing, or damaged."""
    facts = checksums.read_json(folder / FACTS)
    if facts is None or not {"files", "contents"} <= facts.keys():
        return None
    agree = all(checksums.measured(folder / name) == tuple(written) for name, written in facts["files"].items())
    return facts if agree else None


def _publish(partial: Path, folder: Path) -> None:
    """Rename; where another run has just written the same, its folder stays."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _mapped(folder: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    return {Path(name).stem: np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in names}


def write_rows(where: str, path: Path, rows: Iterable[np.ndarray]) -> None:
    """Write arrays (m, ...) of one type and shape one after another as one ``.npy``.

    How many will come need not be known. Plain writes, not a memory map: a full disk is then an error, and
    not the end of the process.
    """
    count, like = 0, None
    with path.open("wb") as file:
        for piece in rows:
            if like is None:
                like = piece[:0]
                _write_header(file, like.dtype, (0, *like.shape[1:]))
            if (piece.dtype, piece.shape[1:]) != (like.dtype, like.shape[1:]):
                raise InputError(
                    f"{where}: {path.stem}: sample {count} is {piece.dtype} {piece.shape[1:]}, those before are "
                    f"{like.dtype} {like.shape[1:]}; all must be alike"
                )
            file.write(piece.tobytes())
            count += len(piece)
        if like is None:
            raise InputError(f"{where}: {path.stem} is empty")
        file.seek(0)
        _write_header(
            file, like.dtype, (count, *like.shape[1:])
        )  # as long as before: numpy pads headers for a longer shape


def _write_header(file: object, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]


def pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array (n, ...) in pieces of some megabytes."""
    step = max(1, PIECE_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        yield array[start : start + step]


def digest(array: np.ndarray) -> str:
    """Hash of type, shape and values."""
    array = np.atleast_1d(array)
    hashed = hashlib.sha256(f"{array.dtype.str} {array.shape}\n".encode())
    for piece in pieces(array):
        hashed.update(piece.tobytes())
    return hashed.hexdigest()


def content(digests: Mapping[str, str]) -> str:
    """Hash of several arrays, of their names and digests."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def key_of_files(root: Path, files: Iterable[Path], wanted: SampleNeeds) -> str:
    """Key of files by place, names, sizes and dates: reading them all would take as long as writing them."""
    front_end = () if wanted.front_end is None else (wanted.front_end.as_dict(),)
    several = [] if wanted.layout is None else [wanted.layout.names, wanted.layout.shapes]
    needs = [FORMAT, str(root.resolve()), wanted.input_shape, wanted.labelled, *several, *front_end]
    digest = hashlib.sha256(json.dumps(needs).encode())
    for file in files:
        status = file.stat()
        digest.update(f"{file.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()
