"""Streams made of data that has none: scenes of images, keywords of one speaker in silence.

    scenes      images of VWW as recordings of scenes: a camera that trembles by a pixel, sensor noise, and now and
                then another scene that slides in over a few frames
    keywords    windows of Speech Commands as recordings of one speaker: words with silence between, in windows that
                move on by a fifth of their length; one that has a part of a word is _unknown_

Every part has images (words and speakers) of its own. Heart beats are in order of time as Kachuee et al. have them.

    python benchmarks/stream_data.py --data-dir DIR --kind scenes --seed 0 -o scenes.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

PARTS = {"train": 0.4, "val": 0.3, "test": 0.3}
FRAMES, SCENES, SLIDE, NOISE = 20, 8, 3, 3.0  # frames of a scene, scenes, frames that one slides in; of 255
# MFCC frames: of a step, of a window; a word counts while no more is missing, or as _unknown_
HOP, WORD, MISSING, PARTLY = 10, 49, 15, 40
SILENCE = 0.9  # share of the windows
WORDS = {"train": 400, "val": 300, "test": 300}


def divided(items: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The items in parts, drawn at random."""
    mixed = rng.permutation(items)
    ends = np.round(np.cumsum(list(PARTS.values())) * len(items)).astype(int)
    return dict(zip(PARTS, np.split(mixed, ends[:-1]), strict=True))


def scenes(images: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Recordings of SCENES scenes each, of FRAMES frames: uint8 as the images."""
    rng, arrays = np.random.default_rng(seed), {}
    for part, chosen in divided(np.arange(len(images)), rng).items():
        x, y, groups = [], [], []
        for recording in range(len(chosen) // SCENES):
            before: np.ndarray | None = None
            for k in range(SCENES):
                i = chosen[recording * SCENES + k]
                shift = np.zeros(2, int)
                for t in range(FRAMES):
                    shift = np.clip(shift + rng.integers(-1, 2, 2), -2, 2)
                    frame, label = np.roll(images[i], shift, (0, 1)), labels[i]
                    if before is not None and t < SLIDE:
                        covered = frame.shape[1] * (t + 1) // (SLIDE + 1)
                        old, old_label = before
                        frame = np.concatenate([frame[:, -covered:], old[:, : frame.shape[1] - covered]], axis=1)
                        label = labels[i] if 2 * covered >= frame.shape[1] else old_label
                    noisy = frame + rng.normal(0, NOISE, frame.shape)
                    x.append(np.clip(noisy, 0, 255).astype(np.uint8))
                    y.append(label)
                    groups.append(recording)
                before = np.roll(images[i], shift, (0, 1)), labels[i]
        arrays |= {f"x_{part}": np.stack(x), f"y_{part}": np.array(y), f"groups_{part}": np.array(groups)}
    return arrays


def keywords(
    windows: np.ndarray, labels: np.ndarray, speakers: np.ndarray, silence: int, unknown: int, seed: int
) -> dict[str, np.ndarray]:
    """Recordings of one speaker each: words in silence, SILENCE of the windows; float16 as the windows."""
    rng, arrays = np.random.default_rng(seed), {}
    quiet = divided(np.flatnonzero(labels == silence), rng)
    people = divided(np.unique(speakers[labels != silence]), rng)
    between = round((2 * PARTLY + 1) / (1 - SILENCE)) - WORD
    for part in PARTS:
        x, y, groups = [], [], []
        words = 0
        for speaker in people[part]:
            spoken = np.flatnonzero((speakers == speaker) & (labels != silence))
            if words >= WORDS[part]:
                break
            track, at = [_silence(windows, quiet[part], between // 2, rng)], []
            for word in rng.permutation(spoken):
                at.append((sum(map(len, track)), labels[word]))
                track += [windows[word], _silence(windows, quiet[part], between, rng)]
            frames = np.concatenate(track)
            for start in range(0, len(frames) - WORD + 1, HOP):
                far, label = min((abs(place - start), label) for place, label in at)
                x.append(frames[start : start + WORD])
                y.append(label if far <= MISSING else unknown if far <= PARTLY else silence)
                groups.append(speaker)
            words += len(spoken)
        arrays |= {f"x_{part}": np.stack(x), f"y_{part}": np.array(y), f"groups_{part}": np.array(groups)}
    return arrays


def _silence(windows: np.ndarray, quiet: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Frames of silent windows, one after the other."""
    chosen = rng.choice(quiet, -(-length // WORD) + 1)
    start = int(rng.integers(0, WORD))
    return np.concatenate(windows[chosen])[start : start + length]


def made(kind: str, folder: Path, seed: int) -> dict[str, np.ndarray]:
    """The arrays of one kind of streams, of the files in ``folder``."""
    if kind == "scenes":
        given = np.load(folder / "vww_eembc_1000.npz")
        arrays = scenes(given["x_test"], given["y_test"], seed)
    else:
        given = np.load(folder / "kws_mfcc_train.npz")
        silence, unknown = (list(given["class_names"]).index(name) for name in ("_silence_", "_unknown_"))
        arrays = keywords(given["x_train"], given["y_train"], given["groups_train"], silence, unknown, seed)
    return {**arrays, "class_names": given["class_names"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--kind", choices=["scenes", "keywords"], required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", type=Path, required=True)
    asked = parser.parse_args()
    np.savez(asked.o, **made(asked.kind, asked.data_dir, asked.seed))


if __name__ == "__main__":
    main()
