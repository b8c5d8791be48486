"""A directory: a folder for each class with images or wavs, or saved data sets; whole, or in train, val, test."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from eeaug.backbone.keras_files import import_keras
from eeaug.data import images, sound, tensors
from eeaug.data.samples import PARTS
from eeaug.data.store import Raw, SampleNeeds, kept, key_of_files, write_rows
from eeaug.errors import InputError
from eeaug.support import places
from eeaug.support.progress import counted
from eeaug.support.progress import parts as in_parts

__all__ = ["read"]

PART_OF = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")  # what Keras reads
SOUNDS = (".wav",)
MOST_FILES = 500_000  # every run looks at the date of each
MOST_BYTES = 1 << 28  # of a picture
CHANNELS = {1: "grayscale", 3: "RGB", 4: "RGBA"}


def read(given: str, cache: Path, wanted: SampleNeeds) -> Raw:
    """The samples below a directory, written to ``cache`` unless names, sizes and dates are those of before."""
    root = Path(given)
    parts = _parts(root)
    files = [f for folder in parts.values() for f in _files(folder)]
    for file in files:
        places.regular(file)  # opening a pipe would block
    key = key_of_files(root, files, wanted)
    saved = any(tensors.is_saved(folder) for folder in parts.values())
    if wanted.front_end is not None and (saved or not any(f.suffix.lower() in SOUNDS for f in files)):
        raise InputError(f"{root}: the front end {wanted.front_end.kind} is for wavs, of which it holds none")
    if saved:
        return kept(given, cache, key, lambda target: tensors.write_saved(given, parts, target, wanted))
    return kept(given, cache, key, lambda target: _write(root, parts, target, wanted))


def _parts(root: Path) -> dict[str, Path]:
    """The folder of every part that is there; a directory without such folders is all training data."""
    below = _folders(root)
    named = [folder for folder in below if folder.name.lower() in PART_OF]
    # "train" may be a class of vehicles: a part holds folders, or stands among parts only
    if tensors.is_saved(root) or not any(len(named) == len(below) or _folders(f) for f in named):
        return {"train": root}
    folders: dict[str, Path] = {}
    for folder in below:
        part = PART_OF.get(folder.name.lower())
        if part is None:
            raise InputError(f"{root}: beside {named[0].name}/ stands {folder.name}/, which is no part of the data")
        if part in folders:
            raise InputError(f"{root}: {folders[part].name}/ and {folder.name}/ are the same part")
        folders[part] = folder
    return {part: folders[part] for part in PARTS if part in folders}


def _folders(root: Path) -> list[Path]:
    try:
        with os.scandir(root) as entries:
            return sorted(Path(e) for e in entries if not e.name.startswith(".") and e.is_dir())
    except OSError as error:
        raise InputError(f"{root}: cannot be read: {places.why(error)}") from error


def _files(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones, sorted; links to folders are not followed."""
    paths: list[Path] = []

    def refuse(error: OSError) -> None:
        raise InputError(f"{os.fsdecode(error.filename)}: cannot be read: {places.why(error)}")

    for where, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(paths) + len(files) > MOST_FILES:  # checked before any file is read: a million take long
            raise InputError(
                f"{folder}: holds more than {MOST_FILES:,} files; give a .npz, or a saved tf.data.Dataset"
            )
        paths += [Path(where) / name for name in sorted(files) if not name.startswith(".")]
    return paths


def _write(root: Path, parts: dict[str, Path], target: Path, wanted: SampleNeeds) -> Iterator[str]:
    """Write the arrays of every part; gives the notes."""
    names = _class_names(root, parts) if wanted.labelled else None
    samples: dict[str, list[Path]] = {}
    for part, folder in parts.items():
        of_class = [_files(folder / name) for name in names] if names else [_files(folder)]
        of_class = [[f for f in files if f.suffix.lower() in (*IMAGES, *SOUNDS)] for files in of_class]
        samples[part] = [f for files in of_class for f in files]
        if not samples[part]:
            raise InputError(f"{folder}: holds no image ({', '.join(IMAGES)}) and no .wav")
        if names:
            np.save(target / f"y_{part}.npy", np.repeat(np.arange(len(names)), [len(f) for f in of_class]))
    if names:
        np.save(target / "class_names.npy", np.array(names))
    left_out = sum(len(_files(folder)) for folder in parts.values()) - sum(map(len, samples.values()))
    if left_out:
        yield f"{left_out} files that are neither images nor wavs (or lie in no class) are left out"
    every = [f for files in samples.values() for f in files]
    heard = [f for f in every if f.suffix.lower() in SOUNDS]
    if heard and len(heard) < len(every):
        other = next(f for f in every if f.suffix.lower() not in SOUNDS)
        raise InputError(f"{root}: holds images and wavs ({other.relative_to(root)}, {heard[0].relative_to(root)})")
    if heard:
        write = sound.write if wanted.front_end is None else partial(sound.write_features, wanted.front_end)
        yield from write(str(root), root, samples, target, wanted.input_shape)
    else:
        for part, files in in_parts(list(samples.items()), lambda one: len(one[1])):
            yield from _write_images(root, part, files, target, wanted.input_shape)


def _class_names(root: Path, parts: dict[str, Path]) -> list[str]:
    """The names of the class folders, sorted; the same in every part."""
    names: dict[str, list[str]] = {part: [f.name for f in _folders(folder)] for part, folder in parts.items()}
    first, *others = parts
    for part in parts:
        if not names[part]:
            raise InputError(f"{parts[part]}: holds no folder for each class; the folder's name is the class")
    for part in others:
        odd = sorted(set(names[first]) ^ set(names[part]))
        if odd:
            has, lacks = (first, part) if odd[0] in names[first] else (part, first)
            raise InputError(f"{root}: {parts[has].name}/ has the class {odd[0]}, {parts[lacks].name}/ has not")
    return names[first]


def _write_images(
    root: Path, part: str, files: Sequence[Path], target: Path, input_shape: tuple[int | None, ...] | None
) -> Iterator[str]:
    """Images as uint8; as float32, which resizing gives, as soon as one of them has another size."""
    height, width, channels = _image_shape(root, input_shape)
    if height is None or width is None:
        height, width = _decoded(files[0], channels).shape[:2]
    misfit: list[str] = []  # the first that has another size

    def decoded(dtype: type) -> Iterator[np.ndarray]:
        import tensorflow as tf

        for file in counted(files, len(files)):
            image = _decoded(file, channels)
            if image.shape[:2] != (height, width):
                if not misfit:
                    misfit.append(f"{file.relative_to(root)} has {image.shape[0]}×{image.shape[1]}")
                if dtype is np.uint8:
                    return
                image = tf.image.resize(image, (height, width)).numpy()
            yield image.reshape(1, *image.shape[: 2 if flat else 3]).astype(dtype)

    flat = input_shape is not None and len(input_shape) == 2
    path = target / f"x_{part}.npy"
    if next(decoded(np.uint8), None) is not None:  # the first fits: probably all do
        write_rows(str(root), path, decoded(np.uint8))
    if misfit:
        write_rows(str(root), path, decoded(np.float32))
        yield (
            f"x_{part}: images are resized to {height}×{width} (bilinear, their proportions not kept, as "
            f"keras.utils.image_dataset_from_directory does): {misfit[0]}"
        )


def _image_shape(root: Path, input_shape: tuple[int | None, ...] | None) -> tuple[int | None, int | None, int]:
    """Height, width and channels that the model takes; (height, width) alone are grayscale images."""
    height, width, channels = (None, None, None) if input_shape is None else (*input_shape, 1, 1)[:3]
    if input_shape is not None and (len(input_shape) not in (2, 3) or channels not in (None, *CHANNELS)):
        raise InputError(f"{root}: holds images, the model takes samples of shape {tuple(input_shape)}")
    return height, width, channels or 3


def _decoded(file: Path, channels: int) -> np.ndarray:
    """An image, uint8 (height, width, channels), decoded as Keras does."""
    import_keras()  # without its log lines
    import tensorflow as tf

    content = places.read(file, MOST_BYTES)
    images.check(str(file), content)
    try:
        tensor = tf.io.decode_image(content, channels=channels, expand_animations=False)
    except tf.errors.OpError as error:
        raise InputError(f"{file}: cannot be read as a {CHANNELS[channels]} image: {error.message}") from error
    return np.asarray(tensor)
