"""What models of sound were trained on: numbers made of one second of sound, by a front end that has parameters.

- ``mfcc``: as MLPerf Tiny's reference for keyword spotting makes them (mlcommons/tiny, benchmark/training/
  keyword_spotting/get_dataset.py): sounds divided by their largest value, a periodic Hann window, magnitudes of the
  Fourier transform, mel bands (HTK), logarithm, the first coefficients of the cosine transform. By ``tf.signal``.
- ``micro_speech``: as TensorFlow Lite Micro's example of that name makes them: the operation
  ``AudioMicrofrontend`` of TensorFlow, fixed-point as the C library of the device, times 10 / 256.

Both are parts of TensorFlow, which is imported where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eeaug.errors import InputError
from eeaug.settings.vocabulary import FRONT_ENDS as KINDS

__all__ = ["KINDS", "FrontEnd"]

_WHOLE = ("sample_rate_hz", "bands", "coefficients", "smoothing_bits", "gain_bits", "scale_shift")
_FULL_SCALE = 32768


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """``kind``: a key of KINDS; ``parameters``: all that it has, in ms, Hz, bands, bits."""

    kind: str
    parameters: Mapping[str, float]

    @classmethod
    def of(cls, kind: str, changed: Mapping[str, float] | None = None) -> FrontEnd:
        """The front end with its reference's parameters, but for some.

        Raises
        ------
        InputError : no such front end or parameter, or a value that cannot be
        """
        if kind not in KINDS:
            raise InputError(f"must be one of {', '.join(KINDS)}, given {kind!r}"[:200])
        for name, value in (changed or {}).items():
            if name not in KINDS[kind]:
                raise InputError(f"{kind} has no {name!r}; it has {', '.join(KINDS[kind])}"[:290])
            right = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
            if not right or (name in _WHOLE and value != int(value)):
                raise InputError(f"{name} must be a {'whole ' if name in _WHOLE else ''}number above 0"[:200])
        front_end = cls(kind, {**KINDS[kind], **{k: float(v) for k, v in (changed or {}).items()}})
        front_end._check()
        return front_end

    def _check(self) -> None:
        p = self.parameters
        if p["window_ms"] > p["length_ms"] or p["length_ms"] > 60_000:
            raise InputError("window_ms must be within length_ms, which is 60000 at most")
        if not p["lower_hz"] < p["upper_hz"] <= p["sample_rate_hz"] / 2:
            raise InputError("lower_hz must be below upper_hz, which is half of sample_rate_hz at most")
        if p.get("coefficients", 1) > p["bands"] or p["bands"] > 1024:
            raise InputError("coefficients must be as many as bands at most, which are 1024 at most")

    @property
    def samples(self) -> int:
        """How many values of a sound it takes."""
        return self._values("length_ms")

    @property
    def shape(self) -> tuple[int, int]:
        """Frames, and numbers of each."""
        window, step = self._values("window_ms"), self._values("step_ms")
        return 1 + (self.samples - window) // step, int(
            self.parameters.get("coefficients", self.parameters["bands"])
        )

    def _values(self, name: str) -> int:
        return max(1, round(self.parameters["sample_rate_hz"] * self.parameters[name] / 1000))

    def fitted(self, shape: tuple[int | None, ...] | None) -> tuple[int, ...]:
        """Its numbers in the shape of a model's input: (frames, numbers), with axes of 1, or flat.

        Raises
        ------
        InputError : the model takes something else
        """
        if shape is None:
            return self.shape
        frames, numbers = self.shape
        if None in shape:  # a model of open size has two axes, and one of channels perhaps
            shape = (frames, numbers, 1)[: len(shape)]
        axes = tuple(n for n in shape if n is not None)
        if [n for n in axes if n != 1] in ([frames, numbers], [frames * numbers]):
            return axes
        raise InputError(
            f"the front end {self.kind} gives {frames}×{numbers} numbers, the model takes {tuple(shape)}: other "
            "parameters, or another front end"
        )

    def __call__(self, sounds: np.ndarray) -> np.ndarray:
        """Sounds int16 (n, samples) → float32 (n, frames, numbers)."""
        from eeaug.backbone.keras_files import import_keras

        import_keras()  # without TensorFlow's log lines
        return _mfcc(sounds, self) if self.kind == "mfcc" else _micro_speech(sounds, self)

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.parameters}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrontEnd:
        """What ``as_dict`` gave."""
        return cls.of(str(values["kind"]), {k: v for k, v in values.items() if k != "kind"})

    @property
    def words(self) -> str:
        """Its name and parameters in one line."""
        return f"{self.kind} ({', '.join(f'{name} {value:g}' for name, value in self.parameters.items())})"


def _mfcc(sounds: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    import tensorflow as tf

    p = front_end.parameters
    largest = np.maximum(sounds.max(axis=1, keepdims=True), 1)  # of silence, which stays 0
    x = tf.constant(sounds.astype(np.float32) / largest.astype(np.float32))
    window, step = front_end._values("window_ms"), front_end._values("step_ms")
    magnitudes = tf.abs(tf.signal.stft(x, window, step, window_fn=tf.signal.hann_window))
    bands = tf.signal.linear_to_mel_weight_matrix(
        int(p["bands"]), magnitudes.shape[-1], p["sample_rate_hz"], p["lower_hz"], p["upper_hz"]
    )
    logarithms = tf.math.log(tf.tensordot(magnitudes, bands, 1) + p["offset"])
    return np.asarray(tf.signal.mfccs_from_log_mel_spectrograms(logarithms)[..., : int(p["coefficients"])])


def _micro_speech(sounds: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    import tensorflow as tf

    try:
        from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op
    except (ImportError, tf.errors.NotFoundError) as error:
        raise InputError(f"this TensorFlow has no AudioMicrofrontend, which micro_speech needs: {error}") from error
    p = front_end.parameters
    rows = [
        audio_microfrontend_op.audio_microfrontend(
            tf.constant(sound, tf.int16), int(p["sample_rate_hz"]), p["window_ms"], p["step_ms"], int(p["bands"]),
            p["upper_hz"], p["lower_hz"], int(p["smoothing_bits"]), p["even_smoothing"], p["odd_smoothing"],
            p["least_signal"], True, p["pcan_strength"], p["pcan_offset"], int(p["gain_bits"]), True,
            int(p["scale_shift"]), out_scale=1, out_type=tf.float32,
        )
        for sound in sounds
    ]  # fmt: skip
    return np.stack([np.asarray(row) for row in rows]) * np.float32(p["scale"])
