"""Wavs: 16-bit PCM as float32 from -1 to 1, as TensorFlow and Keras read them, or what a front end makes of them.

Nothing is resampled; only a front end, which takes sounds of one length, cuts and fills.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from eeaug.data.front_ends import KINDS, FrontEnd
from eeaug.data.store import write_rows
from eeaug.errors import InputError
from eeaug.support import places
from eeaug.support.progress import counted, parts

__all__ = ["write", "write_features"]

MOST_BYTES = 1 << 28  # of a sound
AT_ONCE = 64  # sounds that a front end takes together
FULL_SCALE = np.float32(32768)


def write(
    where: str,
    root: Path,
    samples: Mapping[str, Sequence[Path]],
    target: Path,
    shape: tuple[int | None, ...] | None,
) -> Iterator[str]:
    """Write x of every part, float32 (n, length), or (n, length, channels) for such a model; gives the note.

    Raises
    ------
    InputError
        No 16-bit PCM, or a sample rate, a length or channels unlike the others' or the model's.
    """
    if shape is not None and len(shape) not in (1, 2):
        raise InputError(
            f"{where}: holds wavs, the model takes samples of shape {tuple(shape)}: name the front end that makes "
            f"them (preprocessing: {' or '.join(KINDS)}, in a .data.yaml), or give what it takes in a .npz"
        )
    first = next(iter(samples.values()))[0]
    rate, _ = _read(first)

    def rows(files: Sequence[Path]) -> Iterator[np.ndarray]:
        length = shape[0] if shape else None
        channels = shape[1] if shape and len(shape) == 2 else None if shape is None else 1
        for file in counted(files, len(files)):
            file_rate, sound = _read(file)
            name = file.relative_to(root)
            if file_rate != rate:
                raise InputError(f"{where}: {name} has {file_rate} Hz, {first.relative_to(root)} has {rate} Hz")
            length = length or len(sound)
            channels = channels or sound.shape[1]
            if sound.shape != (length, channels):
                raise InputError(
                    f"{where}: {name} has {len(sound)} samples at {file_rate} Hz, {sound.shape[1]} channel(s); "
                    f"wanted are {length} samples, {channels} channel(s)"
                )
            flat = channels == 1 and (shape is None or len(shape) == 1)
            yield sound.reshape(1, *(sound.shape[:1] if flat else sound.shape))

    for part, files in parts(list(samples.items()), lambda one: len(one[1])):
        write_rows(where, target / f"x_{part}.npy", rows(files))
    yield f"wavs of {rate} Hz; their 16-bit values are divided by 32768, as Keras does, before any preprocessing"


def write_features(
    front_end: FrontEnd,
    where: str,
    root: Path,
    samples: Mapping[str, Sequence[Path]],
    target: Path,
    shape: tuple[int | None, ...] | None,
) -> Iterator[str]:
    """Write what a front end makes of every sound, float32 in the shape that the model takes; gives the notes.

    Shorter sounds get zeros at their end, longer ones are cut, as both references have them.

    Raises
    ------
    InputError
        No 16-bit PCM of one channel and the front end's sample rate, or the model takes other numbers.
    """
    try:
        fitted = front_end.fitted(shape)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    rate, length = int(front_end.parameters["sample_rate_hz"]), front_end.samples
    changed = {"shorter": 0, "longer": 0}

    def whole(file: Path) -> np.ndarray:
        file_rate, sound = _values(file)
        if file_rate != rate or sound.shape[1] != 1:
            raise InputError(
                f"{where}: {file.relative_to(root)} has {file_rate} Hz and {sound.shape[1]} channel(s); the "
                f"front end {front_end.kind} takes {rate} Hz and one"
            )
        changed["shorter"] += len(sound) < length
        changed["longer"] += len(sound) > length
        return np.pad(sound[:length, 0], (0, max(0, length - len(sound))))

    def rows(files: Sequence[Path]) -> Iterator[np.ndarray]:
        for start in counted(range(0, len(files), AT_ONCE), len(files), lambda start: AT_ONCE):
            features = front_end(np.stack([whole(file) for file in files[start : start + AT_ONCE]]))
            yield features.astype(np.float32).reshape(-1, *fitted)

    for part, files in parts(list(samples.items()), lambda one: len(one[1])):
        write_rows(where, target / f"x_{part}.npy", rows(files))
    yield f"wavs through the front end {front_end.kind}, {front_end.shape[0]}×{front_end.shape[1]} numbers each"
    if any(changed.values()):
        yield (
            f"{changed['shorter']} wavs are shorter than {length / rate:g} s and get silence at their end, "
            f"{changed['longer']} are longer and cut"
        )


def _read(file: Path) -> tuple[int, np.ndarray]:
    """Sample rate, and float32 (length, channels)."""
    rate, values = _values(file)
    return rate, values / FULL_SCALE


def _values(file: Path) -> tuple[int, np.ndarray]:
    """Sample rate, and int16 (length, channels)."""
    size = places.regular(file).st_size
    if size > MOST_BYTES:
        raise InputError(f"{file}: has {size:,} bytes, at most {MOST_BYTES:,} are read: cut it into samples")
    try:
        with file.open("rb") as content, wave.open(content) as opened:
            rate, width, channels = opened.getframerate(), opened.getsampwidth(), opened.getnchannels()
            # no more than the file has, whatever the header says: so much memory is taken
            frames = opened.readframes(min(opened.getnframes(), size // max(1, width * channels)))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {places.why(error)}") from error
    except (wave.Error, EOFError, RuntimeError, ValueError, ZeroDivisionError) as error:
        raise InputError(f"{file}: not a PCM wav: {str(error) or 'truncated'}") from error
    if width != 2:
        raise InputError(f"{file}: has {8 * width} bits per value, eeaug reads 16-bit PCM")
    whole = len(frames) // (2 * channels) * 2 * channels
    return rate, np.frombuffer(frames[:whole], "<i2").reshape(-1, channels)
