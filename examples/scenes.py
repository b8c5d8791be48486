#!/usr/bin/env python3
"""Streams made of the example's images: a camera that sees one thing for a while, then another.

    python examples/scenes.py examples/fashion_resnet.npz scenes.npz

Every image is seen for 20 frames, moved by up to a pixel from one to the next, with a sensor's noise; eight make a
recording. Part by part the recordings have images of their own; ``groups_*`` number them.
"""

from __future__ import annotations

import argparse

import numpy as np

FRAMES, SCENES, NOISE = 20, 8, 3.0  # frames of a scene, scenes of a recording, noise of 255
IMAGES = {"train": 400, "val": 320, "test": 320}


def recordings(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Frames, labels and the recording of each, in order of time."""
    frames = []
    for image in images:
        shift = np.zeros(2, int)
        for _ in range(FRAMES):
            shift = np.clip(shift + rng.integers(-1, 2, 2), -2, 2)
            frame = np.roll(image, shift, (0, 1)) + rng.normal(0, NOISE, image.shape)
            frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return {
        "x": np.stack(frames),
        "y": np.repeat(labels, FRAMES),
        "groups": np.arange(len(frames)) // (FRAMES * SCENES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="a .npz with x_train, y_train and so on")
    parser.add_argument("output")
    asked = parser.parse_args()
    given, rng, arrays = np.load(asked.images), np.random.default_rng(0), {}
    for part, count in IMAGES.items():
        made = recordings(given[f"x_{part}"][:count], given[f"y_{part}"][:count], rng)
        arrays |= {f"{name}_{part}": array for name, array in made.items()}
    np.savez_compressed(asked.output, **arrays, class_names=given["class_names"])


if __name__ == "__main__":
    main()
