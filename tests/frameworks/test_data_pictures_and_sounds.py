"""Directories of images and of sounds as sources."""

from __future__ import annotations

import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sources import Shape, pictures, png, read, refusal

from eeaug.backbone.keras_files import import_keras
from eeaug.data import split, store
from eeaug.errors import InputError


@pytest.fixture(autouse=True)
def back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # undone at the end, wherever read() has gone


def wav(path: Path, values: np.ndarray, rate: int = 16000, width: int = 2, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(values.astype(f"<i{width}").tobytes())


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    pictures(tmp_path / "set")
    (tmp_path / "set/a/notes.txt").write_text("")
    (tmp_path / "set/a/.hidden.png").write_text("")
    (tmp_path / "set/.git").mkdir()
    data = read(tmp_path)
    assert data.train is not None and data.train.y is not None and data.val is data.test is None
    assert data.train.y.tolist() == [0, 0, 1, 1] and data.class_names == ("a", "b")
    assert isinstance(data.train.x, np.memmap) and data.train.x.dtype == np.uint8
    assert data.train.x[:, 0, 0, 0].tolist() == [20, 10, 0, 30] and data.train.x.shape == (4, 4, 4, 3)
    assert data.source == "set"
    assert data.notes == ("1 files that are neither images nor wavs (or lie in no class) are left out",)


def test_directories_of_parts(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("validation", 2), ("test", 1)):
        for i in range(count):
            for name in "xy":
                png(tmp_path / f"set/{part}/{name}/{i}.png", i)
    data = read(tmp_path)
    assert [(part.name, len(part)) for part in data.parts()] == [("x_train", 6), ("x_val", 4), ("x_test", 2)]
    assert split(data, seed=0).notes == ()


def test_train_may_be_a_class(tmp_path: Path) -> None:
    for name in ("train", "plane"):
        png(tmp_path / f"set/{name}/1.png")
    assert read(tmp_path).class_names == ("plane", "train")


def test_the_cache_follows_the_files_and_the_hash_their_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path / "one/set")
    pictures(tmp_path / "two/set")
    os.utime(tmp_path / "two/set/a/0.png", (1, 1))
    first, second = read(tmp_path / "one"), read(tmp_path / "two")
    assert first.sha256 == second.sha256
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_rows", None)
        assert read(tmp_path / "one").sha256 == first.sha256, "the second run writes nothing"
    png(tmp_path / "one/set/a/0.png", 99)
    assert read(tmp_path / "one").sha256 != first.sha256


@pytest.mark.parametrize(("shape", "channels"), [((4, 4, 1), 1), ((4, 4), 1), ((4, 4, 4), 4), ((None, None, 3), 3)])
def test_the_model_says_which_channels(tmp_path: Path, shape: Shape, channels: int) -> None:
    pictures(tmp_path / "set", channels=channels)
    data = read(tmp_path, shape=shape)
    data.check(shape, 2)
    assert data.train is not None and data.train.x.reshape(4, -1)[2, :3].tolist() == [0, 1, 2]


def test_resizing_is_that_of_keras_and_is_told(tmp_path: Path) -> None:
    pictures(tmp_path / "set")
    png(tmp_path / "set/b/1.png", 3, size=(7, 5))
    data = read(tmp_path)
    assert len(data.notes) == 1
    assert "x_train: images are resized to 4×4 (bilinear, " in data.notes[0]
    assert data.notes[0].endswith("b/1.png has 7×5")
    assert read(tmp_path).notes == data.notes, "told again from the cache"
    want = import_keras().utils.image_dataset_from_directory(
        "set", image_size=(4, 4), shuffle=False, batch_size=None, verbose=False
    )
    assert data.train is not None and data.train.x.dtype == np.float32
    by_sum = sorted(np.asarray(x).sum() for x, _ in want)
    np.testing.assert_array_equal(sorted(x.sum() for x in data.train.x), by_sum)


def not_alike(root: Path) -> None:
    png(root / "train/a/1.png")
    png(root / "test/a/1.png")
    png(root / "test/b/1.png")


def beside(root: Path) -> None:
    png(root / "train/a/1.png")
    png(root / "extra/1.png")


def twice(root: Path) -> None:
    png(root / "val/a/1.png")
    png(root / "valid/a/1.png")


def broken(root: Path) -> None:
    pictures(root)
    (root / "a/7.jpg").write_bytes(b"no picture")


def mixed(root: Path) -> None:
    pictures(root)
    wav(root / "a/7.wav", np.zeros(4))


def one_class(root: Path) -> None:
    png(root / "a/1.png")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (not_alike, "set: test/ has the class b, train/ has not"),
        (beside, "set: beside train/ stands extra/, which is no part of the data"),
        (twice, "set: val/ and valid/ are the same part"),
        (broken, "7.jpg: cannot be read as a RGB image: "),
        (mixed, "set: holds images and wavs (a/0.png, a/7.wav)"),
        (lambda root: (root / "a").mkdir(parents=True), "set: holds no image (.bmp, "),
        (lambda root: png(root / "1.png"), "set: holds no folder for each class"),
    ],
)
def test_directories_that_are_refused(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "set")
    assert message in refusal(tmp_path)


def test_one_class_and_a_model_without_pictures(tmp_path: Path) -> None:
    one_class(tmp_path / "set")
    assert "holds images, the model takes samples of shape (49, 10, 7)" in refusal(tmp_path, shape=(49, 10, 7))
    with pytest.raises(InputError, match="set: y_train holds one class only"):
        read(tmp_path)


def test_without_labels_no_class_folders_are_needed(tmp_path: Path) -> None:
    png(tmp_path / "set/train/1.png")
    png(tmp_path / "set/test/1.png")
    data = read(tmp_path, labelled=False)
    assert [(part.name, len(part), part.y) for part in data.parts()] == [("x_train", 1, None), ("x_test", 1, None)]


@pytest.mark.parametrize("shape", [(8,), (8, 1), (None, 1), None])
def test_wavs_are_read_as_keras_reads_them(tmp_path: Path, shape: Shape | None) -> None:
    values = np.arange(8) * 4000 - 16000
    for name, factor in (("no", 1), ("yes", -1)):
        wav(tmp_path / f"set/{name}/1.wav", values * factor)
    data = read(tmp_path, shape=shape)
    assert data.train is not None and data.train.x.dtype == np.float32
    np.testing.assert_array_equal(data.train.x.reshape(2, 8), np.array([values, -values]) / 32768)
    assert data.notes[0].startswith("wavs of 16000 Hz; ")
    if shape:
        data.check(shape, 2)
    import tensorflow as tf

    import_keras()
    decoded = tf.audio.decode_wav(Path("set/yes/1.wav").read_bytes()).audio
    np.testing.assert_array_equal(np.asarray(decoded)[:, 0], data.train.x[1].reshape(8))


def test_two_channels(tmp_path: Path) -> None:
    for name in ("no", "yes"):
        wav(tmp_path / f"set/{name}/1.wav", np.arange(8), channels=2)
    data = read(tmp_path, shape=(4, 2))
    assert data.train is not None and (data.train.x[0, :, 1] * 32768).tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 8000}, "yes/1.wav has 8000 Hz, no/1.wav has 16000 Hz"),
        ({"values": np.zeros(7)}, "yes/1.wav has 7 samples at 16000 Hz, 1 channel(s); wanted are 8 samples"),
        ({"channels": 2}, "yes/1.wav has 4 samples at 16000 Hz, 2 channel(s); wanted are 8 samples, 1 channel(s)"),
        ({"width": 4}, "yes/1.wav: has 32 bits per value, eeaug reads 16-bit PCM"),
    ],
)
def test_wavs_that_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    wav(tmp_path / "set/no/1.wav", np.zeros(8))
    wav(tmp_path / "set/yes/1.wav", **({"values": np.zeros(8)} | change))
    assert message in refusal(tmp_path, shape=(8,))


def test_wavs_without_a_fitting_model_or_content(tmp_path: Path) -> None:
    wav(tmp_path / "set/no/1.wav", np.zeros(8))
    assert "holds wavs, the model takes samples of shape (49, 10, 1)" in refusal(tmp_path, shape=(49, 10, 1))
    (tmp_path / "set/no/1.wav").write_bytes(b"RIFF")
    assert "1.wav: not a PCM wav: " in refusal(tmp_path, shape=(8,))


def test_a_bomb_is_refused_where_it_lies(tmp_path: Path) -> None:
    side = 2**31 - 1
    for folder in ("cat", "dog"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        header = struct.pack(">I4sII", 13, b"IHDR", side, side)
        (tmp_path / "set" / folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"\x08\x02\0\0\0")
    assert "cat/a.png: is 2,147,483,647 × 2,147,483,647 pixels" in refusal(tmp_path)


# -- front ends ---------------------------------------------------------------------------------------


def sounds(root: Path) -> dict[str, np.ndarray]:
    """Two of a second, one shorter, one longer."""
    rng = np.random.default_rng(0)
    made = {
        f"{name}/{length}.wav": (rng.normal(0, 3000, length) + 9000 * np.sin(np.arange(length) * 0.1)).astype("<i2")
        for name, length in (("no", 16000), ("no", 12000), ("yes", 16000), ("yes", 17000))
    }
    for name, values in made.items():
        wav(root / name, values)
    return made


def described(folder: Path, text: str) -> str:
    (folder / "d.data.yaml").write_text(f"source: set\npreprocessing: {text}\n")
    return "d.data.yaml"


def test_mfcc_as_a_second_reading_of_the_reference_has_them(tmp_path: Path) -> None:
    """By numpy and scipy, from the formulas: Hann window, 512 points, HTK mel bands, DCT-II of TensorFlow."""
    from scipy.fft import dct

    made = sounds(tmp_path / "set")
    data = read(tmp_path, described(tmp_path, "mfcc"), (49, 10, 1))
    assert data.train is not None and data.train.x.dtype == np.float32
    assert data.notes[0] == "wavs through the front end mfcc, 49×10 numbers each"
    assert data.notes[1].startswith("1 wavs are shorter than 1 s and get silence at their end, 1 are longer")
    mel = lambda hz: 1127 * np.log(1 + hz / 700)  # noqa: E731
    edges = np.linspace(mel(20), mel(4000), 42)
    place = mel(np.arange(257) * 16000 / 512)[1:, None]
    up, down = (place - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - place) / np.diff(edges)[1:]
    bands = np.concatenate([np.zeros((1, 40)), np.maximum(0, np.minimum(up, down))])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(480) / 480)
    for row, values in zip(data.train.x, (made[name] for name in sorted(made)), strict=True):
        x = np.pad(values[:16000], (0, max(0, 16000 - len(values)))).astype(float)
        x /= x.max()
        frames = np.stack([x[320 * i : 320 * i + 480] for i in range(49)]) * window
        logs = np.log(np.abs(np.fft.rfft(frames, 512)) @ bands + 1e-6)
        np.testing.assert_allclose(row[..., 0], (dct(logs, 2) / np.sqrt(2 * 40))[:, :10], atol=2e-2)


def test_micro_speech_is_the_operation_of_tensorflow(tmp_path: Path) -> None:
    import_keras()
    import tensorflow as tf
    from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

    made = sounds(tmp_path / "set")
    data = read(tmp_path, described(tmp_path, "micro_speech"), (1960,))
    assert data.train is not None
    values = tf.constant(made["no/16000.wav"], tf.int16)
    own = audio_microfrontend_op.audio_microfrontend(
        values, window_size=30, window_step=20, num_channels=40, out_scale=1, out_type=tf.float32
    )
    np.testing.assert_allclose(data.train.x[1], np.asarray(own).reshape(-1) * 10 / 256, rtol=1e-6)
    assert data.train.x.std() > 1


def test_silence_stays_finite(tmp_path: Path) -> None:
    for name in ("no", "yes"):
        wav(tmp_path / f"set/{name}/1.wav", np.zeros(16000))
    for kind, shape in (("mfcc", (49, 10, 1)), ("micro_speech", (49, 40, 1))):
        data = read(tmp_path, described(tmp_path, kind), shape)
        assert data.train is not None and np.isfinite(data.train.x).all()


def test_front_ends_that_do_not_fit(tmp_path: Path) -> None:
    sounds(tmp_path / "set")
    spec = described(tmp_path, "mfcc")
    assert "the front end mfcc gives 49×10 numbers, the model takes (49, 40, 1)" in refusal(
        tmp_path, spec, (49, 40, 1)
    )
    wav(tmp_path / "set/no/8.wav", np.zeros(16000), rate=8000)
    assert "has 8000 Hz and 1 channel(s); the front end mfcc takes 16000 Hz and one" in refusal(
        tmp_path, spec, (49, 10, 1)
    )
    np.savez(tmp_path / "a.npz", x_train=np.zeros((2, 2)), y_train=np.arange(2))
    (tmp_path / "d.data.yaml").write_text("source: a.npz\npreprocessing: mfcc\n")
    assert "the front end mfcc is for a directory of wavs" in refusal(tmp_path, spec, (49, 10, 1))


def test_what_is_kept_depends_on_the_front_end(tmp_path: Path) -> None:
    sounds(tmp_path / "set")
    first = read(tmp_path, described(tmp_path, "mfcc"), (49, 10, 1))
    other = read(tmp_path, described(tmp_path, "{front_end: {kind: mfcc, upper_hz: 8000}}"), (49, 10, 1))
    assert first.sha256 != other.sha256
