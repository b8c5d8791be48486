"""What earlier runs have left of the one pass, what is missing, and the files that it is kept in.

A tensor of a part of the data is one ``.npy`` file. A pass fills the files that are missing, shard by shard, in a
directory of its own that every run wanting the same shares: killed, it goes on after its last finished shard.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeaug.backbone.model import Classifier
from eeaug.data import Preprocessing, View
from eeaug.errors import InputError
from eeaug.features import shards
from eeaug.features.cluster import Cluster
from eeaug.features.columns import Layout, Rows
from eeaug.features.extractor import Wanted, extractor, halved
from eeaug.support import cache, checksums
from eeaug.support.cache import PARTIAL, Cache

__all__ = ["Extraction", "Features"]

FORMAT = 5  # of the cached files; part of their key
SUMS = "sums.npy"  # CRC-32 by shard and file, in the order of names; UNKNOWN: not finished
UNKNOWN = -1
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Features:
    """Tensors of one part of the data, memory-mapped, n samples in the order of the part's indices.

    Parameters
    ----------
    tensors : key of a Wanted → (n, *shape)
    probabilities : float32 (n, outputs), of the given model; of one that may be any the labels, as certain
    labels : int64 (n,); (0,) for data that was read without labels
    """

    tensors: Mapping[str, NDArray[Any]]
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Extraction:
    """The frozen backbone over the data, with a memory.

    Parameters
    ----------
    folder : of this model, as ``Cache.network`` gives it
    workers : compute shards elsewhere; None: here, with ``threads``
    sound : files that agree with their checksums, as far as this run has looked
    looks : features that are there are read and compared with their checksums before they are used
    """

    classifier: Classifier
    preprocessing: Preprocessing
    cache: Cache
    folder: Path
    threads: int
    workers: Cluster | None = None
    sound: set[Path] = field(default_factory=set, compare=False, repr=False)
    looks: bool = True

    def missing(self, views: Mapping[View, type], wanted: Sequence[Wanted]) -> list[Wanted]:
        """What at least one of the views lacks; views come with the precision that they are kept in."""
        lacking = [self._lacking(view, wanted, precision) for view, precision in views.items()]
        return [w for w in self._all(wanted) if any(w in of for of in lacking)]

    def need_bytes(self, views: Mapping[View, type], wanted: Sequence[Wanted]) -> int:
        """Disk that the missing files of these views will take; what an unfinished pass holds is there already."""
        need = 0
        for view, precision in views.items():
            lacking = self._lacking(view, wanted, precision)
            if not self._partial(lacking).is_dir():
                sizes = (prod(w.shape) * np.dtype(_precision(w, precision)).itemsize for w in lacking)
                need += len(view) * sum(sizes)
        return need

    def convert(self, missing: Sequence[Wanted]) -> bytes:
        """The extractor of :func:`extractor.extractor` for what is missing."""
        return extractor(self.classifier, missing)

    def extract(
        self,
        view: View,
        wanted: Sequence[Wanted],
        given: tuple[Sequence[Wanted], bytes] = ((), b""),
        *,
        precision: type = np.float32,
        progress: Progress = lambda done, of: None,
    ) -> Features:
        """Open what is there of a part of the data; run the backbone once over it for what is not.

        ``given``: what an extractor extracts, at least what is missing, and the extractor. With half precision,
        values beyond its range are clipped: only heads are trained on them.

        Raises
        ------
        InputError : a sample or an answer that is not finite, or no room for the files
        """
        lacking = self._lacking(view, wanted, precision)
        # open files stay readable, even if they are deleted to make room
        tensors = {w: _open(self.file(view, w, precision)) for w in self._all(wanted) if w not in lacking}
        if lacking:
            self.cache.make_room(self.need_bytes({view: precision}, wanted))
            if not lacking.keys() <= set(given[0]):  # another run has made room for itself since `given` was made
                given = (list(lacking), self.convert(list(lacking)))
            self._fill(lacking, view, precision, *given, progress)
            tensors |= {w: _open(file) for w, file in lacking.items()}
        progress(len(view), len(view))
        return Features(
            tensors={w.key: array for w, array in tensors.items() if w.location is not None},
            probabilities=next((array for w, array in tensors.items() if w.location is None), _labels(view)),
            labels=np.zeros(0, np.int64) if view.part.y is None else view.y,
        )

    def file(self, view: View, want: Wanted, precision: type) -> Path:
        """Where a tensor of a view is kept once it is there: by what the samples are, wherever they come from."""
        facts = [
            self._common,
            _fingerprint(view),
            want.key,
            np.dtype(_precision(want, precision)).name,
        ]
        return self.folder / "features" / f"{cache.key(facts)}.npy"

    @cached_property
    def _common(self) -> str:
        """What all keys share, once: a mean per pixel and the versions of packages take a millisecond to tell."""
        versions = [version("onnxruntime"), version("tf2onnx")]
        # an output of several, with or without something added: their probabilities are not the same
        answers: dict[str, object] = {"output": self.classifier.output, "added": self.classifier.added}
        if self.classifier.layout.several:  # of which the others may be left out where another output is picked
            answers["inputs"] = self.classifier.layout.names
        return cache.key(
            {**answers, "format": FORMAT, "preprocessing": self.preprocessing.as_dict(), "versions": versions}
        )

    def _lacking(self, view: View, wanted: Sequence[Wanted], precision: type) -> dict[Wanted, Path]:
        files = {w: self.file(view, w, precision) for w in self._all(wanted)}
        return {w: file for w, file in files.items() if not self._is_kept(view, w, precision)}

    def _is_kept(self, view: View, want: Wanted, precision: type) -> bool:
        """Whether its file is there, as it was written; what is damaged is dropped, and told."""
        file = self.file(view, want, precision)
        return self.trusted(file, "features") if self.looks else file.is_file()

    def trusted(self, file: Path, kind: str) -> bool:
        """Whether a file of the cache is there, as it was written; it is read for that once in a run."""
        if file in self.sound:
            return file.is_file()
        if not cache.is_there(file):
            return False
        if not checksums.agrees(file):
            cache.damaged(kind, file)
            return False
        self.sound.add(file)
        return True

    def _all(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Each once, and the given model's probabilities, unless it may be any and has none."""
        answers = [] if self.classifier.answers else [Wanted(None, outputs=self.classifier.decision.outputs)]
        return list(dict.fromkeys([*wanted, *answers]))

    def _fill(
        self, files: Mapping[Wanted, Path], view: View, precision: type, given: Sequence[Wanted], model: bytes,
        progress: Progress,
    ) -> None:  # fmt: skip
        """Fill files and give them their names once they are whole.

        Another run may do the same meanwhile: both write the same bytes to the same places, and each leaves out
        shards that the other has finished.
        """
        partial = self._started(files, view, precision)
        names = [want for want in given if want in files]
        outputs = [i for i, want in enumerate(given) if want in files]
        large = [i for i, want in enumerate(given) if want.location is not None and want.window is None]
        if precision is np.float16 and large:
            model = halved(model, large)
        order = sorted(file.name for file in files.values())
        columns = [Rows(partial / files[want].name, _like(view, want, precision)) for want in names]
        numbers_of = [order.index(files[want].name) for want in names]
        sums = np.load(partial / SUMS, mmap_mode="r+", allow_pickle=False)
        starts = [i * shards.SHARD for i in range(len(sums))]

        def task(i: int) -> tuple[Any, ...]:
            numbers = view.indices[starts[i] : starts[i] + shards.SHARD]
            rows = np.asarray(view.part.x[numbers])
            part, layout = view.part.name, self.classifier.layout
            return model, self.threads, outputs, rows, numbers, part, self.preprocessing, layout

        def write(start: int, tensors: Sequence[NDArray[np.floating]], *, first: bool) -> None:
            for want, column, tensor in zip(names, columns, tensors, strict=True):
                if want.location is None and not np.isfinite(tensor).all():
                    raise InputError(f"the given model gives NaN or infinite probabilities on {view.part.name}")
                column.write(start, tensor, first=first)

        def finish(i: int) -> None:
            sums[i, numbers_of] = [column.sum for column in columns]
            cache.touch(partial)

        for i in range(len(sums)):
            if _is_done(sums[i]) and any(
                c.stored(starts[i]) != sums[i, k] for c, k in zip(columns, numbers_of, strict=True)
            ):
                sums[i] = UNKNOWN
        left = [i for i in range(len(sums)) if not _is_done(sums[i])]
        samples = len(view) - sum(min(shards.SHARD, len(view) - starts[i]) for i in left)
        progress(samples, len(view))
        try:
            if self.workers is not None:
                for i, tensors in self.workers.shards((i, task(i)) for i in left):
                    write(starts[i], tensors, first=True)
                    finish(i)
                    samples += len(tensors[0])
                    progress(samples, len(view))
                left = []
            for i in left:
                if _is_done(sums[i]):  # another run has done it meanwhile
                    continue
                for rows, tensors in shards.run(*task(i)):
                    write(starts[i] + rows.start, tensors, first=rows.start == 0)
                    samples += len(tensors[0])
                    progress(samples, len(view))
                finish(i)
            for want, column, k in zip(names, columns, numbers_of, strict=True):
                column.end(files[want], [int(one) for one in sums[:, k]])
        except InputError:  # bad samples: a later run could not resume this
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            for column in columns:
                column.file.close()
        with cache.writing(self.folder):
            for file in files.values():
                try:
                    (partial / file.name).rename(file)
                except FileNotFoundError:
                    if not file.is_file():  # unless another run was faster
                        raise
                self.sound.add(file)
        shutil.rmtree(partial, ignore_errors=True)

    def _partial(self, files: Mapping[Wanted, Path]) -> Path:
        """The directory of an unfinished pass for exactly these files."""
        names = sorted(file.name for file in files.values())
        return self.folder / "features" / (cache.key(names) + PARTIAL)

    def _started(self, files: Mapping[Wanted, Path], view: View, precision: type) -> Path:
        """That directory, made if it is not there; one of no use is dropped."""
        partial = self._partial(files)
        kept = {file.name: _like(view, want, precision) for want, file in files.items()}
        kept[SUMS] = Layout((-(-len(view) // shards.SHARD), len(files)), np.dtype(np.int64), 0)
        if cache.is_there(partial):
            if all(like.is_of(partial / name) for name, like in kept.items()):
                return partial
            gone = [name for name in kept if not cache.is_there(partial / name)]
            if not partial.is_dir() or not gone:
                cache.damaged("unfinished features", partial)
        with cache.writing(self.folder):
            fresh = Path(tempfile.mkdtemp(dir=partial.parent, suffix=PARTIAL))
            try:
                for name, like in kept.items():
                    like.create(fresh / name)
                np.load(fresh / SUMS, mmap_mode="r+", allow_pickle=False)[:] = UNKNOWN
                if cache.is_there(partial):  # another run is renaming its files just now
                    return fresh
                fresh.rename(partial)
            except BaseException as error:
                shutil.rmtree(fresh, ignore_errors=True)
                if not (isinstance(error, OSError) and partial.is_dir()):  # unless another run has just made it
                    raise
        return partial


def _like(view: View, want: Wanted, precision: type) -> Layout:
    """The file of a tensor of a view; behind the array is room for the checksums, one for each shard."""
    bare = Layout((len(view), *want.shape), np.dtype(_precision(want, precision)), 0)
    piece = shards.SHARD * bare.row_bytes
    return replace(bare, more=checksums.footer_bytes(len(bare.header), piece, bare.content))


def _labels(view: View) -> NDArray[np.float32]:
    """What stands for the answers of a model that may be any: it is right by definition, (n, 1)."""
    return np.zeros((0, 1), np.float32) if view.part.y is None else np.asarray(view.y[:, None], np.float32)


def _is_done(sums: NDArray[np.int64]) -> bool:
    return bool((sums != UNKNOWN).all())


@lru_cache(maxsize=8)  # hundreds of tensors are of the same few views
def _fingerprint(view: View) -> str:
    hashed = hashlib.sha256(view.part.digest.encode())
    hashed.update(np.ascontiguousarray(view.indices).tobytes())
    return hashed.hexdigest()


def _precision(want: Wanted, precision: type) -> type:
    """Answers are kept as they are, whatever serves to train heads; so is the input, which no layer has scaled."""
    return np.float32 if want.location is None or want.location.at_input else precision


def _open(file: Path) -> NDArray[Any]:
    cache.touch(file)
    mapped: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return mapped
