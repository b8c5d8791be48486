"""``--data``, whatever it names, as checked parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eeaug.data import folders, functions, input_groups, labels, npz, tensors
from eeaug.data.preprocessing import Preprocessing, Sidecar, read_sidecar
from eeaug.data.samples import PARTS, Data, Part
from eeaug.data.store import Raw, SampleNeeds
from eeaug.errors import InputError
from eeaug.support import places
from eeaug.support.sample_layout import SampleLayout
from eeaug.support.spelling import nearest

__all__ = ["Located", "load", "locate"]

READERS: Mapping[str, Callable[[str, Path, SampleNeeds], Raw]] = {
    "npz": npz.read,
    "directory": folders.read,
    "keras": tensors.read_keras,
    "tfds": tensors.read_tfds,
    "function": functions.read,
}
MOST_LABEL_BYTES = 1 << 29
FORMS = (
    "a .npz, a directory (a folder for each class, or a saved tf.data.Dataset), a .data.yaml, keras:NAME, "
    "tfds:NAME or package.module:function"
)
FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, eq=False)
class Located:
    """Where samples are: ``kind`` is a key of READERS, ``given`` what it reads, ``name`` without folders."""

    kind: str
    given: str
    preprocessing: Preprocessing
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(self.given).absolute().name if self.kind in ("npz", "directory") else self.given


def locate(spec: str | None, model: Path) -> Located:
    """Find what a ``--data`` option names, or what lies beside the model; reads no sample, but names of arrays.

    Raises
    ------
    InputError
        It does not exist, is of no known form, or its ``.data.yaml`` has mistakes.
    """
    if spec is not None and not spec.strip():  # not the current directory
        raise InputError(f"--data is empty: must be {FORMS}")
    for place in (spec or "", model):
        places.check_name(place)
    beside, default = (model.parent / f"{model.stem}{suffix}" for suffix in (".data.yaml", ".npz"))
    given = spec if spec is not None else str(beside if beside.exists() else default)
    if spec is None and not Path(given).exists():
        raise InputError(f"no data: --data is not given and neither {beside} nor {default} exists")
    sidecar = Sidecar(None, None)
    source, folder = given, Path()
    if Path(given).suffix.lower() in (".yaml", ".yml"):
        sidecar = read_sidecar(Path(given))
        if sidecar.source is None:
            raise InputError(f"{given}: source: missing; it names the samples: {FORMS}")
        source, folder = sidecar.source, Path(given).parent
    kind = _kind(source, folder)
    where = str(folder / source) if kind in ("npz", "directory") else source
    if kind == "npz":
        npz.check(where)
    notes: tuple[str, ...] = ()
    preprocessing = sidecar.preprocessing
    if preprocessing is None and beside.exists() and beside.resolve() != Path(given).resolve():
        preprocessing = read_sidecar(beside).preprocessing
        if preprocessing is not None:
            notes = (f"preprocessing is taken from {beside.name}: it belongs to the model",)
    return Located(kind, where, preprocessing or Preprocessing(), notes)


def _kind(source: str, folder: Path) -> str:
    """The form of a source; paths are relative to ``folder``, and what exists wins."""
    path = folder / source
    if path.is_dir():
        return "directory"
    for prefix in ("keras", "tfds"):
        if source.startswith(f"{prefix}:"):
            return prefix
    if path.suffix.lower() == ".npz":
        if path.exists():
            places.regular(path)
        elif path.is_symlink():
            raise InputError(f"{path}: the link leads nowhere")
        else:
            names = [entry.name for entry in path.parent.glob("*.npz")] if path.parent.is_dir() else []
            raise InputError(f"{path}: no such data file{nearest(path.name, names)}")
        return "npz"
    if FUNCTION.fullmatch(source):
        return "function"
    problem = "is none of these" if path.exists() else "does not exist"
    raise InputError(f"--data {source}: {problem}; must be {FORMS}")


def load(
    spec: str | None,
    model: Path,
    *,
    cache: Path,
    input_shape: tuple[int | None, ...] | None = None,
    labelled: bool = True,
    layout: SampleLayout | None = None,
    unused: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
) -> Data:
    """Read the data that a ``--data`` option names, or that lies beside the model.

    Parameters
    ----------
    spec
        As the option; None looks for ``<model>.data.yaml``, then ``<model>.npz``.
    cache
        Folder into which the arrays are written once, and mapped into memory from.
    input_shape
        What the model takes, without the batch dimension: the size of images, the length of sounds, and
        whether saved elements are batches. Where it is unknown, the first sample says.
    labelled
        False: no labels are needed, and none are read.
    layout
        The inputs of the model, of which samples of several have an array each; None: one, of any name.
    unused
        Further inputs, whose arrays are left out.
    preprocessing
        Instead of what stands beside data or model.

    Raises
    ------
    InputError
        Anything missing, damaged, or not as described; the message names the source and the array.
    """
    located = locate(spec, model)
    where = located.given
    used = located.preprocessing if preprocessing is None else preprocessing
    if used.front_end is not None and located.kind != "directory":
        raise InputError(
            f"{where}: the front end {used.front_end.kind} is for a directory of wavs; eeaug evaluate takes "
            "what it gives with --prepared"
        )
    several = layout if layout is not None and layout.several else None
    raw = READERS[located.kind](where, cache, SampleNeeds(input_shape, labelled, several, used.front_end))
    arrays = dict(raw.arrays)
    _check_sizes(where, arrays)
    names = labels.class_names(where, arrays["class_names"]) if "class_names" in arrays else None
    ys = {key: np.asarray(arrays.pop(key)) for key in [f"y_{part}" for part in PARTS] if key in arrays}
    notes = [*located.notes, *raw.notes]
    if labelled:
        ys, names, label_notes = labels.named(where, ys, names)
        notes += label_notes
    contents = dict(raw.contents)
    for part in PARTS:
        x, contents[f"x_{part}"] = input_groups.gathered(where, part, arrays, raw.contents, layout, unused)
        arrays = {key: array for key, array in arrays.items() if not key.startswith(f"x_{part}")}
        arrays |= {} if x is None else {f"x_{part}": x}
    left_out = [name for name in unused if any(f"x_{part}.{name}" in raw.arrays for part in PARTS)]
    if left_out:
        notes.append(f"{', '.join(left_out)}: left out, as the model's output does not depend on it")
    parts = [_with_channel(_part(where, part, arrays, ys, contents, labelled), input_shape) for part in PARTS]
    if not any(parts):
        raise InputError(f"{where}: holds none of x_train, x_val, x_test")
    return Data(
        source=located.name,
        sha256=raw.sha256,
        train=parts[0],
        val=parts[1],
        test=parts[2],
        class_names=names,
        preprocessing=used if layout is None else used.of_inputs(layout),
        notes=tuple(notes),
    )


def _check_sizes(where: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Labels, groups and names are held in memory, unlike samples."""
    for key, array in arrays.items():
        if not key.startswith("x_") and array.nbytes > MOST_LABEL_BYTES:
            raise InputError(
                f"{where}: {key} takes {array.nbytes:,} bytes, at most {MOST_LABEL_BYTES:,} are read; give numbers"
            )


def _part(
    where: str, part: str, arrays: dict[str, np.ndarray], ys: dict[str, np.ndarray], contents: Mapping[str, str],
    labelled: bool,
) -> Part | None:  # fmt: skip
    x, y = arrays.get(f"x_{part}"), ys.get(f"y_{part}")
    units = {key: arrays.get(key) for key in (f"groups_{part}", f"sequence_{part}")}
    if x is None:
        present = [key for key, array in ((f"y_{part}", y), *units.items()) if array is not None]
        if present:
            raise InputError(f"{where}: {present[0]} is given without x_{part}")
        return None
    if y is None and labelled:
        raise InputError(f"{where}: x_{part} is given without y_{part}")
    if x.ndim < 2 or x.dtype.kind not in "biuf":
        raise InputError(f"{where}: x_{part} must be numbers of shape (samples, ...), has {x.dtype} {x.shape}")
    if len(x) == 0:
        raise InputError(f"{where}: x_{part} is empty")
    for key, array in ((f"y_{part}", y), *units.items()):
        if array is not None and (array.ndim == 0 or len(array) != len(x)):
            raise InputError(f"{where}: x_{part} has {len(x)} samples, {key} has the shape {array.shape}")
    for key, array in units.items():
        if array is not None and (array.ndim != 1 or array.dtype.kind not in "iuSU"):
            raise InputError(
                f"{where}: {key} must be whole numbers or text of shape (samples,), has {array.dtype} {array.shape}"
            )
    numbered = labels.read(f"{where}: y_{part}", y) if labelled and y is not None else None
    groups, sequence = (None if array is None else np.asarray(array) for array in units.values())
    if groups is None:  # what follows each other is never parted
        groups = sequence
    return Part(f"x_{part}", x, numbered, groups, contents[f"x_{part}"], sequence)


def _with_channel(part: Part | None, input_shape: tuple[int | None, ...] | None) -> Part | None:
    """Samples (28, 28) for a model that takes (28, 28, 1): the same numbers, read with an axis more."""
    if part is None or not input_shape or input_shape[-1] != 1 or part.x.ndim != len(input_shape):
        return part
    return replace(part, x=part.x[..., np.newaxis])
