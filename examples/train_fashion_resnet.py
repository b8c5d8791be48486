"""Train the shipped example, a small residual network on Fashion-MNIST, and write its data sidecar.

python examples/train_fashion_resnet.py [--data-dir DIR] [--out DIR] [--epochs N]

writes fashion_resnet.h5 (the model) and fashion_resnet.npz (a stratified sample of the images).
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np
import training

SEED = 7
CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
IMAGES_PER_CLASS = {"train": 220, "val": 100, "test": 100}  # keeps the sidecar below 2 MB
STACKS = {"stack1": 16, "stack2": 32, "stack3": 64}  # channels, as in MLPerf Tiny's ResNet-8
BATCH_SIZE = 128
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-2
INTRA_OP_THREADS = 2

Part = tuple[np.ndarray, np.ndarray]


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped idx file of unsigned bytes: images (n, rows, columns) or labels (n,)."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def load_fashion_mnist(folder: Path | None) -> tuple[Part, Part]:
    """Return the official parts ((x, y) of 60,000, (x, y) of 10,000), x uint8 of shape (n, 28, 28, 1)."""
    if folder is None:
        import keras

        parts = keras.datasets.fashion_mnist.load_data()
    else:
        parts = [
            (read_idx(folder / f"{p}-images-idx3-ubyte.gz"), read_idx(folder / f"{p}-labels-idx1-ubyte.gz"))
            for p in ("train", "t10k")
        ]
    train, test = [(x[..., np.newaxis], y) for x, y in parts]
    return train, test


def stratified(y: np.ndarray, sizes: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Return one index array per size: disjoint, shuffled, with `size` samples of every class."""
    by_class = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    ends = np.cumsum(sizes)
    return [
        rng.permutation(np.concatenate([indices[end - size : end] for indices in by_class]))
        for size, end in zip(sizes, ends, strict=True)
    ]


def sidecar(train: Part, test: Part) -> dict[str, Any]:
    """Return the arrays of the sidecar; x_val and x_test are disjoint and were never trained on."""
    rng = np.random.default_rng(SEED)
    chosen_train = stratified(train[1], [IMAGES_PER_CLASS["train"]], rng)[0]
    chosen_val, chosen_test = stratified(test[1], [IMAGES_PER_CLASS["val"], IMAGES_PER_CLASS["test"]], rng)
    arrays: dict[str, Any] = {}
    for name, (x, y), chosen in (
        ("train", train, chosen_train),
        ("val", test, chosen_val),
        ("test", test, chosen_test),
    ):
        arrays[f"x_{name}"], arrays[f"y_{name}"] = x[chosen], y[chosen]
    return {**arrays, "class_names": np.array(CLASS_NAMES)}


def build_model() -> Any:
    """Return the untrained network: raw images (n, 28, 28, 1) in 0..255 to probabilities (n, 10)."""
    from keras import Input, Model, layers

    def conv_bn(x: Any, channels: int, name: str, number: str = "", stride: int = 1) -> Any:
        x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, name=f"{name}_conv{number}")(x)
        return layers.BatchNormalization(name=f"{name}_bn{number}")(x)

    image = Input((28, 28, 1), name="image")
    x = layers.Rescaling(1 / 255, name="rescale")(image)
    x = layers.ReLU(name="stem_relu")(conv_bn(x, 16, "stem"))
    for name, channels in STACKS.items():
        stride = 1 if channels == x.shape[-1] else 2
        y = layers.ReLU(name=f"{name}_relu1")(conv_bn(x, channels, name, "1", stride))
        y = conv_bn(y, channels, name, "2")
        if stride != 1:
            x = layers.Conv2D(channels, 1, stride, use_bias=False, name=f"{name}_shortcut")(x)
        x = layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    probabilities = layers.Dense(len(CLASS_NAMES), "softmax", name="classifier")(x)
    return Model(image, probabilities, name="fashion_resnet")


def train_model(train: Part, epochs: int) -> Any:
    """Return the network trained on all of `train`."""
    import tensorflow as tf

    training.begin(SEED, INTRA_OP_THREADS)
    batches = (
        tf.data.Dataset.from_tensor_slices(train)
        .shuffle(len(train[0]), seed=SEED)
        .batch(BATCH_SIZE)
        .map(lambda x, y: (tf.image.random_flip_left_right(x), y))  # every image on its own
        .prefetch(2)
    )
    return training.fit(build_model(), batches, epochs, peak=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)


def accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(model.predict(x, batch_size=256, verbose=0).argmax(axis=1) == y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with the four idx .gz files; default: download")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where to write")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the 60,000 training images")
    options = parser.parse_args()
    try:
        train, test = load_fashion_mnist(options.data_dir)
    except FileNotFoundError as error:
        parser.error(f"--data-dir: {error.filename} is missing; it must hold the four idx .gz files")

    started = time.perf_counter()
    model = train_model(train, options.epochs)
    print(f"trained in {time.perf_counter() - started:.0f} s")
    print(f"official test part: accuracy {accuracy(model, *test):.4f}")

    options.out.mkdir(parents=True, exist_ok=True)
    model.save(options.out / "fashion_resnet.h5", include_optimizer=False)
    arrays = sidecar(train, test)
    np.savez_compressed(options.out / "fashion_resnet.npz", **arrays)
    for part in ("train", "val", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        print(f"{part}: {len(x)} images in the sidecar, accuracy {accuracy(model, x, y):.4f}")


if __name__ == "__main__":
    main()
