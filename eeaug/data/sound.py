"""Wavs: 16-bit PCM as float32 from -1 to 1, as TensorFlow and Keras read them; nothing is resampled or cut."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from eeaug.data.store import write_rows
from eeaug.errors import InputError
from eeaug.support import places

__all__ = ["write"]

MOST_BYTES = 1 << 28  # of a sound
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
            f"{where}: holds wavs, the model takes samples of shape {tuple(shape)}; give what it takes in a .npz"
        )
    first = next(iter(samples.values()))[0]
    rate, _ = _read(first)

    def rows(files: Sequence[Path]) -> Iterator[np.ndarray]:
        length = shape[0] if shape else None
        channels = shape[1] if shape and len(shape) == 2 else None if shape is None else 1
        for file in files:
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

    for part, files in samples.items():
        write_rows(where, target / f"x_{part}.npy", rows(files))
    yield f"wavs of {rate} Hz; their 16-bit values are divided by 32768, as Keras does, before any preprocessing"


def _read(file: Path) -> tuple[int, np.ndarray]:
    """Sample rate, and float32 (length, channels)."""
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
    return rate, np.frombuffer(frames[:whole], "<i2").reshape(-1, channels) / FULL_SCALE
