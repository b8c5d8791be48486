#!/usr/bin/env python3
"""What exits save on this machine: seconds of a bundle's cascade against the unmodified model, beside MACs saved.

    python benchmarks/runtime.py --data-dir DIR [--only resnet8 ...] [--bundles DIR] [--threads 1]

DIR: see public_models.py. Bundles are DIR/<model> of --bundles, else `eeaug augment --max-exits 3` makes them, in
minutes. The given model is converted as stages are, and both run in ONNX Runtime in one process with the same
threads on the same prepared test images, in turns of 64 images. Every figure is the median of --turns, a share that
of both of a turn. With one thread this is the time of the processor, which neighbours on the machine take no part
of. *A call each*: `predict` is called for each sample. *Stages alone*: what the stages would save if no decision
had to be made and no batch put together, Σ P(reach k) · seconds of stage k. What lies between this and MACs saved
is how fast the runtime is on the layers that remain, and on layouts at hand-overs; what lies between this and the
cascade is ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from public_models import MODELS, prepare

from eeaug.backbone import model
from eeaug.data.preprocessing import read_sidecar
from eeaug.flow import prepare as preparation
from eeaug.frameworks import keras_to_onnx, onnx_session
from eeaug.runtime import BATCH, Cascade
from eeaug.stages import partition

PIECE = 64  # images of a turn, more of larger batches


def made(name: str, given: tuple[Path, Path, list[str]], work: Path) -> Path:
    file, spec, options = given
    out = work / name
    command = [sys.executable, "-m", "eeaug", "augment", str(file), "--hw", "psoc6", "--data", str(spec),
               "-o", str(out), "--max-exits", "3", "-q", *options]  # fmt: skip
    subprocess.run(command, check=True, cwd=work, stdout=subprocess.DEVNULL)
    return out


def unmodified(file: Path, threads: int) -> Callable[[np.ndarray], object]:
    """The given model as one stage without an exit."""
    classifier = model.load(file)
    (stage,) = partition.stages(classifier, (), (), [("host", 4)], [0])
    inputs, outputs = partition.stage_graph(classifier, stage)
    proto = keras_to_onnx.to_onnx(inputs, outputs, input_name=stage.input_name)
    session = onnx_session.session(proto.SerializeToString(), threads)
    return lambda x: session.run([partition.PROBABILITIES], {stage.input_name: x})


def clock(threads: int) -> Callable[[], float]:
    """Seconds of this process: of its processor, where it has one thread."""
    return time.process_time if threads == 1 else time.perf_counter


def seconds(run: Callable[[np.ndarray], object], x: np.ndarray, batch: int, now: Callable[[], float]) -> float:
    start = now()
    for i in range(0, len(x), batch):
        run(x[i : i + batch])
    return now() - start


def tensors(cascade: Cascade, x: np.ndarray) -> list[np.ndarray]:
    """What every stage takes if no sample leaves."""
    found = [x]
    for k in range(len(cascade.stages) - 1):
        parts = [cascade.stage(k, found[k][i : i + BATCH])[1][0] for i in range(0, len(x), BATCH)]
        found.append(np.concatenate([part for part in parts if part is not None]))
    return found


def rows(
    name: str, bundle: Path, given: tuple[Path, Path, list[str]], samples: int, batches: list[int], turns: int,
    threads: int,
) -> Iterator[str]:  # fmt: skip
    file, spec, _ = given
    whole, cascade = unmodified(file, threads), Cascade.load(bundle, threads=threads)
    sidecar = read_sidecar(spec)
    with np.load(spec.parent / str(sidecar.source)) as data:
        x = cascade.preprocessing(data["x_test"][:samples])
    exits = cascade.predict(x, prepared=True).exits
    reach = [float((exits >= k).mean()) for k in range(len(cascade.stages))]
    mine = float(np.dot(reach, [stage.macs for stage in cascade.stages]))
    saved = 1 - mine / json.loads((bundle / "report.json").read_bytes())["model"]["macs"]
    inputs, now = tensors(cascade, x), clock(threads)
    ways = [(str(batch), batch, len(x)) for batch in batches]
    ways += [("1, a call each", 1, 1)] if 1 in batches else []
    for label, batch, at_once in ways:
        took, size = [], max(PIECE, 8 * batch)
        for _ in range(turns):
            base = own = stages = 0.0
            for i in range(0, len(x), size):
                piece = slice(i, i + size)
                before = seconds(whole, x[piece], batch, now)
                own += seconds(partial(cascade.predict, prepared=True, batch=batch), x[piece], at_once, now)
                base += (before + seconds(whole, x[piece], batch, now)) / 2
                alone = [seconds(partial(cascade.stage, k), t[piece], batch, now) for k, t in enumerate(inputs)]
                stages += float(np.dot(reach, alone))
            took.append((base, own, own / base, stages / base))
        base, own, share, alone_share = np.median(took, axis=0)
        yield (
            f"| {name} | {label} | {1e6 * base / len(x):.0f} | {1e6 * own / len(x):.0f} | {1 / share:.2f} | "
            f"**{1 - share:.1%}** | {1 - alone_share:.1%} | {saved:.1%} | {(1 - share) / saved:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=MODELS, default=["resnet8", "resnet32", "resnet110"])
    parser.add_argument("--bundles", type=Path, help="where bundles of these names are already")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, BATCH])
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    known = parser.parse_args()
    preparation.start_frameworks(known.threads, 0)
    columns = (
        "model",
        "batch",
        "µs, model",
        "µs, cascade",
        "times as fast",
        "time saved",
        "stages alone",
        "MACs saved",
    )
    print(f"| {' | '.join((*columns, 'of these'))} |")
    print(f"|{'---|' * (len(columns) + 1)}", flush=True)
    for name in known.only:
        with tempfile.TemporaryDirectory(prefix="eeaug-benchmark-") as scratch:
            work = Path(scratch)
            given = prepare(name, known.data_dir.resolve(), work)
            bundle = known.bundles / name if known.bundles else made(name, given, work)
            for row in rows(name, bundle, given, known.samples, known.batches, known.turns, known.threads):
                print(row, flush=True)


if __name__ == "__main__":
    main()
