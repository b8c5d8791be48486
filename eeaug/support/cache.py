"""Where results of earlier runs are kept, and the room that they may take.

::

    <directory>/data/<key>/                 samples, unpacked once; *.part: unfinished
    <directory>/networks/<key>/about.json   which models, and data that they ran on: base names
    <directory>/networks/<key>/features/    tensors of the frozen backbone, a file each; *.part: unfinished passes
    <directory>/networks/<key>/heads/       trained heads, a file per location and family, and their answers
    <directory>/counted/<key>.json          instructions of C files, by their content
    <directory>/runs/<key>.json             what a run took, and what of the cache it used
    <directory>/once-<random>/              a whole cache for one run that wants none, gone when it ends

Whatever is dropped is computed again when it is asked for: the cache changes how long a run takes, nothing else.
All files have checksums, which are looked at before they are used: what is damaged is dropped, and said once.
Only names of this layout are looked at, and no symbolic link is followed below the directory: it may hold files
of somebody else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from eeaug.errors import InputError
from eeaug.support import checksums, leftovers, places

__all__ = [
    "PARTIAL", "Cache", "CachedModel", "Item", "clear_way", "damaged", "discard", "is_there", "key",
    "publishing", "telling", "touch", "writing",
]  # fmt: skip

PARTIAL = ".part"
STALE_S = 24 * 3600.0  # unfinished work older than this is not resumed
ABOUT = "about.json"
NETWORKS, FACTS = ("networks", r"[0-9a-f]{32}"), r"[0-9a-f]{32}\.json"
PLACES = {  # kind → names on the way to its items
    "data": ("data", rf"[0-9a-f]{{64}}(\.\w+\{PARTIAL})?"),
    "features": (*NETWORKS, "features", r".+"),
    "heads": (*NETWORKS, "heads", r".+"),
    "counted": ("counted", FACTS),
    "runs": ("runs", FACTS),
    "once": (r"once-[0-9a-f]{16}",),
}


@dataclass(frozen=True)
class Item:
    """A file or directory that is kept or dropped as one; ``used_s`` is the time of its last use (Unix time)."""

    path: Path
    kind: str
    bytes: int
    used_s: float

    @property
    def unfinished(self) -> bool:
        """A run is at work on it, or was killed."""
        return self.path.suffix == PARTIAL or self.kind == "once"

    def drop(self) -> bool:
        """Delete it; False if that is not allowed."""
        try:
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path)
            else:
                self.path.unlink()
        except FileNotFoundError:  # another run has deleted it
            pass
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class CachedModel:
    """What is kept of a model, on whatever data: base names (several if it was given by several), and items."""

    folder: Path
    models: tuple[str, ...]
    data: tuple[str, ...]
    opened_s: float
    items: tuple[Item, ...]

    @property
    def used_s(self) -> float:
        return max((self.opened_s, *(item.used_s for item in self.items)))

    def tidy(self) -> None:
        """Delete its folder if nothing is kept there any more."""
        folders = [self.folder / kind for kind in ("features", "heads")]
        with contextlib.suppress(OSError):  # the folder is not empty, or holds files of others
            if {path.name for path in self.folder.iterdir()} <= {ABOUT, *(f.name for f in folders)}:
                for folder in folders:
                    with contextlib.suppress(FileNotFoundError):
                        folder.rmdir()
                (self.folder / ABOUT).unlink(missing_ok=True)
                self.folder.rmdir()


@dataclass(frozen=True)
class Cache:
    """A directory, and how many bytes it may take (None: as many as the disk has)."""

    directory: Path
    limit_bytes: int | None = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def counted(self) -> Path:
        return self.directory / "counted"

    def network(self, model: str, model_sha256: str, data: str) -> Path:
        """The folder of a model, made if it is not there; names are base names, for people.

        Items in it are named by the content of the samples that they come from: parts that two data sets share
        are kept once.
        """
        folder = self.directory / "networks" / key({"model": model_sha256})
        about = folder / ABOUT
        with writing(self.directory):
            for kind in ("features", "heads"):
                clear_way(folder)
                clear_way(folder / kind)
                (folder / kind).mkdir(parents=True, exist_ok=True)
        if is_there(about) and checksums.read_json(about) is None:
            damaged("names of models and data", about)
        names = _about(folder)
        if model not in names["models"] or data not in names["data"]:
            more = {"models": {*names["models"], model}, "data": {*names["data"], data}}
            with publishing(about) as partial:
                checksums.write_json(partial, about, {kind: sorted(of) for kind, of in more.items()})
        touch(about)
        return folder

    def networks(self) -> list[CachedModel]:
        """Every network that has a folder, what was used longest ago first."""
        items = self.items()
        networks = []
        for folder in _find(self.directory, *NETWORKS):
            names = _about(folder)
            opened_s = (folder / ABOUT if (folder / ABOUT).is_file() else folder).stat().st_mtime
            mine = tuple(item for item in items if item.path.is_relative_to(folder))
            networks.append(CachedModel(folder, names["models"], names["data"], opened_s, mine))
        return sorted(networks, key=lambda network: (network.used_s, network.folder))

    def items(self) -> list[Item]:
        """Everything in the cache, what was used longest ago first."""
        items = []
        for kind, names in PLACES.items():
            for path in _find(self.directory, *names):
                with contextlib.suppress(FileNotFoundError):  # another run may be tidying up
                    items.append(Item(path, kind, *places.measured(path)))
        return sorted(items, key=lambda item: (item.used_s, item.path))

    def links(self) -> list[Path]:
        """Symbolic links where items would be: not made by eeaug, and left alone."""
        return sorted({path for names in PLACES.values() for path in _find(self.directory, *names, links=True)})

    def check(self) -> None:
        """Raise InputError, before any work, where there can be no such directory; makes none."""
        with self._making():
            places.check_directory(self.directory)

    def make_room(self, need: int, what: str = "features") -> None:
        """Drop what was used longest ago until ``need`` more bytes fit, first of all what killed runs left.

        Raises
        ------
        InputError : they do not fit into the limit, or not onto the disk; or there can be no directory
        """
        if self.limit_bytes is not None and need > self.limit_bytes:
            raise InputError(
                f"{what} need {need / 1e9:.3g} GB in {self.directory}, --max-cache allows "
                f"{self.limit_bytes / 1e9:.3g} GB; allow more, or give fewer training samples"
            )
        self._make()
        self._drop_stale()
        items = self.items()
        total = sum(item.bytes for item in items)
        items = [item for item in items if not item.unfinished]
        free = shutil.disk_usage(self.directory).free
        if free + sum(item.bytes for item in items) < need:  # refused before anything is deleted in vain
            raise self._full(need, what, free)
        for item in items:
            within = self.limit_bytes is None or total + need <= self.limit_bytes
            if within and shutil.disk_usage(self.directory).free >= need:
                break
            if item.drop():
                total -= item.bytes
        free = shutil.disk_usage(self.directory).free
        if free < need:
            raise self._full(need, what, free)

    @contextlib.contextmanager
    def once(self) -> Iterator[Path]:
        """An empty directory for a cache of one run, on the same disk; gone at the end, whatever happens.

        Raises
        ------
        InputError : there can be no directory
        """
        self._make()
        self._drop_stale()
        place = self.directory / f"once-{leftovers.machine()}{os.urandom(4).hex()}"
        try:
            place.mkdir()
            with leftovers.hold(place):
                yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _make(self) -> None:
        with self._making():
            self.directory.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"{error.strerror}; name another place with --cache-dir"
            raise InputError(f"the cache {self.directory} cannot be made: {reason}") from error

    def _drop_stale(self) -> None:
        before_s = time.time() - STALE_S
        for item in self.items():
            # the next run resumes an unfinished pass over the data; a lock tells whether the rest is in use
            left = item.kind in ("data", "once") and item.unfinished and leftovers.is_left(item.path)
            if left or (item.unfinished and item.used_s < before_s):
                item.drop()
        for network in self.networks():
            if not network.items and network.used_s < before_s:
                network.tidy()

    def _full(self, need: int, what: str, free: int) -> InputError:
        return InputError(
            f"{what} need {need / 1e9:.3g} GB, {self.directory} has {free / 1e9:.3g} GB free; name another "
            "place with --cache-dir"
        )


def key(facts: object) -> str:
    """Name of what is determined by these facts (anything that JSON can say)."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def touch(path: Path) -> None:
    """Set the time of its last use to now: what was used longest ago is deleted first."""
    with contextlib.suppress(OSError):  # it is gone or another user's: it counts as older, no more
        os.utime(path)


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """A place to write a file that appears under its name only when it is whole.

    Raises
    ------
    InputError : it cannot be written
    """
    partial = path.with_name(f"{path.name}.{leftovers.machine()}-{os.getpid()}{PARTIAL}")
    with writing(path):
        try:
            for left in path.parent.glob(f"{path.name}.*{PARTIAL}"):  # unfinished files of killed runs
                if left == partial or leftovers.is_left(left) or left.lstat().st_mtime < time.time() - STALE_S:
                    discard(left)
            partial.touch()
            with leftovers.hold(partial):
                yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """An OSError within becomes an InputError that names this place and what to do."""
    try:
        yield
    except OSError as error:
        why = f"{path}: {error.strerror or error}"
        raise InputError(f"the cache cannot be written: {why}; name another place with --cache-dir") from error


_tell: ContextVar[Callable[[str, str], None]] = ContextVar("_tell", default=lambda kind, text: None)


@contextlib.contextmanager
def telling(tell: Callable[[str], object]) -> Iterator[None]:
    """Within, ``tell`` gets a line for what is dropped because it is damaged, one for each kind."""
    told: set[str] = set()

    def once(kind: str, text: str) -> None:
        if kind not in told:
            told.add(kind)
            tell(text)

    token = _tell.set(once)
    try:
        yield
    finally:
        _tell.reset(token)


def damaged(kind: str, path: Path) -> None:
    """Delete what does not agree with its checksum, or has none, and say so; it will be made anew.

    Raises
    ------
    InputError : that is not allowed
    """
    discard(path)
    where = "/".join(path.parts[-3:])
    reason = f"{where} does not agree with its checksum"
    _tell.get()(kind, f"cached {kind} are damaged, or of another version: they are made anew ({reason})")


def clear_way(folder: Path) -> None:
    """Make room for a directory where there is none: an empty file or a link of that name is deleted.

    Raises
    ------
    InputError : a file is in the way, which eeaug has not made
    """
    if is_there(folder) and not folder.is_dir():
        facts = folder.lstat()
        if stat.S_ISREG(facts.st_mode) and facts.st_size:
            raise InputError(
                f"{folder} is in the way of the cache: move it, or name another place with --cache-dir"
            )
        damaged("directories", folder)


def discard(path: Path) -> None:
    """Delete it, whatever it is; no link is followed.

    Raises
    ------
    InputError : that is not allowed
    """
    try:
        if stat.S_ISDIR(path.lstat().st_mode):
            with contextlib.suppress(OSError):
                path.chmod(0o700)
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:  # another run has deleted it
        pass
    except OSError as error:
        raise InputError(
            f"{path} in the cache is damaged and cannot be deleted: {error.strerror}; see who owns it, or name "
            "another place with --cache-dir"
        ) from error


def is_there(path: Path) -> bool:
    """Whether the name is taken: also by a broken link, or by what may not be looked at."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _find(folder: Path, name: str, *below: str, links: bool = False) -> Iterator[Path]:
    """What has such names (patterns) on its way from ``folder``; with ``links`` the symbolic links on that way."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if re.fullmatch(name, entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_symlink():
            if links:
                yield entry
        elif below:
            yield from _find(entry, *below, links=links)
        elif not links:
            yield entry


def _about(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names of a network's models and data; none where the file is missing or damaged."""
    stored = checksums.read_json(folder / ABOUT) or {"models": (), "data": ()}
    return {kind: tuple(map(str, stored[kind])) for kind in ("models", "data")}
