#!/usr/bin/env python3
"""Benefit curves of T-RecX's published models, read and run by eeaug, and those of eeaug's exits beside them.

    python benchmarks/trecx.py --data-dir DIR [--only ic ...] [--effort normal]

DIR: see public_models.py; besides, models/trecx/{ic,kws,vww}/model_with_ev_assist (nikhilghanathe/t-recx, MIT).
A curve is what Ghanathe and Wilton report (section 6): one threshold from 0 to 1 in steps of 0.01 on the samples
that also say which threshold keeps a drop: an oracle. Saved are MACs of the unmodified baseline at drops from its
accuracy of 1, 2 and 3 points (the paper's trade-off points); a dash where no threshold keeps the drop. *Held out*:
the threshold for one point from one half of the samples, read on the other, over 50 random halves.

T-RecX trains the whole network again with its exit; eeaug's exits (two at most) stand on the frozen baseline. Both
are read on the samples that eeaug has chosen nothing on (half of CIFAR-10's test images, a fifth of the KWS
speakers, a quarter of VWW), T-RecX also on what its authors read it on, or what is here of it: the 10,000 test
images, all KWS windows (which it was trained on, as the baseline was), all of VWW.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from public_models import prepare

TASKS = {"ic": "resnet8", "kws": "dscnn", "vww": "mobilenetv1"}
ALL = {"ic": ("val", "test"), "kws": ("train", "val", "test"), "vww": ("train", "val", "test")}
DROPS = (0.01, 0.02, 0.03)
HALVES = 50
STEPS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Curve:
    """Of m exits and a final classifier on n samples: what each threshold of STEPS saves and gets right.

    saved (101, n): share of the baseline's MACs that each sample saves; right (101, n); given (n,): the baseline's.
    """

    saved: np.ndarray
    right: np.ndarray
    given: np.ndarray

    @classmethod
    def of(cls, confidence: np.ndarray, right: np.ndarray, path: np.ndarray, given: np.ndarray) -> Curve:
        """confidence (m, n), right (m + 1, n); path (m + 1,): MACs up to each classifier, the baseline's are 1."""
        open_ = np.concatenate([confidence >= np.float32(0), np.ones((1, len(given)), bool)])
        saved, hits = [], []
        for step in STEPS:
            open_[:-1] = confidence >= step
            at = open_.argmax(axis=0)
            saved.append(1 - path[at])
            hits.append(right[at, np.arange(len(given))])
        return cls(np.array(saved), np.array(hits), given)

    def at(self, drop: float, rows: np.ndarray) -> int | None:
        """The step that saves most on these samples within a drop."""
        lost = self.given[rows].mean() - self.right[:, rows].mean(axis=1)
        saved = np.where(lost <= drop + 1e-9, self.saved[:, rows].mean(axis=1), -np.inf)
        return None if np.isinf(saved).all() else int(saved.argmax())

    def oracle(self, drop: float) -> float | None:
        """What the best threshold for all of these samples saves within a drop."""
        step = self.at(drop, np.arange(len(self.given)))
        return None if step is None else float(self.saved[step].mean())

    def held_out(self, drop: float) -> tuple[list[float], int]:
        """Of HALVES, the threshold for a drop from one half, read on the other: what it saves where there is one,
        in how many of them it loses more."""
        rng, saved, over = np.random.default_rng(0), [], 0
        for _ in range(HALVES):
            a, b = np.array_split(rng.permutation(len(self.given)), 2)
            step = self.at(drop, a)
            if step is not None:
                saved.append(float(self.saved[step, b].mean()))
                over += bool(self.given[b].mean() - self.right[step, b].mean() > drop + 1e-9)
        return saved, over


@dataclass(frozen=True)
class Alone:
    """Of classifiers by themselves, the final one last: accuracy on all samples; parameters of all together."""

    accuracies: tuple[float, ...]
    parameters: int


def published(path: Path, x: np.ndarray, y: np.ndarray, given: np.ndarray, base: float) -> tuple[Curve, Alone]:
    """A model with an exit and a final output; the one of fewer MACs is the exit."""
    from eeaug.backbone import keras_files

    cost = [macs_by_layer(path, str(i)) for i in range(2)]
    early, late = sorted(range(2), key=lambda i: sum(cost[i].values()))
    both = sum({**cost[0], **cost[1]}.values())
    net = keras_files.load(path)
    said = predicted(net, x)
    right = np.array([said[early].argmax(1) == y, said[late].argmax(1) == y])
    path_ = np.array([sum(cost[early].values()), both]) / base
    alone = Alone(tuple(float(part) for part in right.mean(axis=1)), int(net.count_params()))
    return Curve.of(said[early].max(1)[None], right, path_, given), alone


def macs_by_layer(path: Path, output: str | None = None) -> dict[str, int]:
    """Of a model up to one of its outputs, by the name of the layer."""
    from eeaug.backbone import keras_files, model
    from eeaug.network import macs

    keras = keras_files.import_keras()
    classifier = model.from_keras(keras, keras_files.load(path), path, output)
    return {call.name: macs.total(macs.count(call)) for call in classifier.calls}


def predicted(net: Any, x: np.ndarray) -> list[np.ndarray]:
    """Every output of a Keras model, (n, classes) each."""
    import keras

    made = [keras.tree.flatten(net(x[i : i + 250], training=False)) for i in range(0, len(x), 250)]
    return [np.concatenate([np.asarray(part[k]) for part in made]) for k in range(len(made[0]))]


def ours(bundle: Path, x: np.ndarray, y: np.ndarray, threads: int = 2) -> tuple[Curve, Alone, float]:
    """The exits of a bundle; also the baseline's MACs."""
    from eeaug.runtime import Cascade

    manifest, report = (json.loads((bundle / f"{name}.json").read_bytes()) for name in ("manifest", "report"))
    cascade = Cascade.load(bundle, manifest, threads)
    outcomes = cascade.outcomes((x[i : i + 64] for i in range(0, len(x), 64)), y)
    base = float(report["model"]["macs"])
    path = np.cumsum([stage["macs"] for stage in manifest["stages"]]) / base
    given = outcomes.baseline == outcomes.labels
    alone = Alone(tuple(outcomes.correct.mean(axis=1).tolist()), int(report["model"]["parameters"]))
    return Curve.of(outcomes.confidence[:-1], outcomes.correct, path, given), alone, base


def row(name: str, curve: Curve) -> str:
    cells = ["–" if (saved := curve.oracle(drop)) is None else f"{saved:.1%}" for drop in DROPS]
    halves, over = curve.held_out(DROPS[0])
    held = f"{np.mean(halves):.1%} ± {np.std(halves):.1%} | {over} of {len(halves)}" if halves else "– | –"
    return f"| {name} | {len(curve.given):,} | {' | '.join(cells)} | {held} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=TASKS, default=list(TASKS))
    known, more = parser.parse_known_args()
    from eeaug.backbone import keras_files
    from eeaug.data.preprocessing import Preprocessing

    rows = []
    with tempfile.TemporaryDirectory(prefix="eeaug-benchmark-") as scratch:
        for task in known.only:
            model, spec, _ = prepare(TASKS[task], known.data_dir.resolve(), Path(scratch))
            bundle = Path(scratch) / task
            command = [
                sys.executable, "-m", "eeaug", "augment", str(model), "--hw", "psoc6", "--data", str(spec), "-q",
                "--max-exits", "2", "--cache-dir", str(Path(scratch) / "cache"), "-o", str(bundle), *more,
            ]  # fmt: skip
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            parts = np.load(Path(scratch) / json.loads(spec.read_text())["source"])
            manifest = json.loads((bundle / "manifest.json").read_bytes())
            ready = Preprocessing.from_dict(manifest["preprocessing"])
            print(task, flush=True)
            mine, _, base = ours(bundle, ready(parts["x_test"]), parts["y_test"].ravel())
            path = known.data_dir / "models" / "trecx" / task / "model_with_ev_assist"
            for name, of in ((f"{task}, T-RecX", ("test",)), (f"{task}, T-RecX, all", ALL[task])):
                x = ready(np.concatenate([parts[f"x_{part}"] for part in of]))
                y = np.concatenate([parts[f"y_{part}"].ravel() for part in of])
                (said,) = predicted(keras_files.load(model), x)
                curve, alone = published(path, x, y, said.argmax(1) == y, base)
                exit_, final = alone.accuracies
                print(f"  exit {exit_:.2%}, final {final:.2%}, baseline {curve.given.mean():.2%} right", flush=True)
                rows.append(row(name, curve))
            rows.append(row(f"{task}, eeaug on the frozen {TASKS[task]}", mine))
    print(
        "| exits | samples | 1 point (oracle) | 2 points (oracle) | 3 points (oracle) | 1 point, held out | over |"
    )
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
