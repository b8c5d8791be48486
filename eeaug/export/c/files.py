"""The C files of a bundle: written, compiled and run on this machine, measured for the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import eeaug
from eeaug.bundle.entries import Added, CProcessor
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.export import feeds
from eeaug.export.c import cascade_source, linked, onnx_source, stage_source, stream_check, toolchain
from eeaug.export.c.cascade_source import Facts, PlannedProcessor
from eeaug.export.c.common_files import (
    build_number,
    default_point,
    facts_of,
    first_of,
    groups,
    needed,
    numbers_handed_over,
    outcomes_of,
    plain,
    stems_of,
    table,
    texts,
    watch_of,
)  # fmt: skip
from eeaug.export.c.onnx_source import StageCode
from eeaug.export.c.plan import PlannedStage, plan
from eeaug.export.c.stage_code import kernel_files, kernels, stage_code
from eeaug.export.formats import Checked, Work
from eeaug.export.verify import TOLERANCE, Reference
from eeaug.runtime import Cascade, heard
from eeaug.support import leftovers

__all__ = ["FOLDER", "check", "write"]

FOLDER = "c"
SAMPLES = 100  # recorded ones, at most
SAMPLE_FLOATS = 1_000_000  # of all recorded samples: some MB of text
MACS = 30_000_000_000  # the most to verify on this machine, where convolutions are plain loops
FEW = 8  # samples that are verified in any case, however large the model


def write(work: Work) -> Added:
    """Write ``c/``, with a file for every stage; what each processor needs is ``c`` of the manifest."""
    folder = work.directory / FOLDER
    for inner in ("mps2", "test", "zephyr"):
        (folder / inner).mkdir(parents=True)
    stages = work.manifest.stages
    sources = [
        stage_code(onnx_source.simplified(work.directory / stage.files["onnx"]), f"stage_{k}")
        for k, stage in enumerate(stages)
    ]
    facts = facts_of(work)
    facts = replace(facts, build=build_number(facts, sources))
    processors = _processors(facts, sources)
    for processor in processors:
        for k in processor.stages:
            _write_stage(folder, facts, k, sources[k], processor)
    weights = [sum(sum(sources[k].weight_bytes.values()) for k in p.stages) for p in processors]
    shared = {**kernel_files(facts.prefix, kernels(sources)), **watch_of(facts, None)}
    others = texts(facts, processors, weights, tuple(shared))
    for name, text in {**shared, **others, **_samples(work, facts)}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Added(
        [f"{FOLDER}/{facts.prefix}_stage_{k}.c" for k in range(len(stages))],
        whole={"c": needed(facts.prefix, processors, weights)},
        versions={"emx-onnx-cgen": version("emx-onnx-cgen")},
    )


def complete(work: Work) -> None:
    """Give the counters on the device the reference of the manifest."""
    for name, text in watch_of(facts_of(work), work.manifest.reference).items():
        (work.directory / FOLDER / name).write_text(text, encoding="utf-8")


def check(work: Work, reference: Reference) -> Checked:
    """Compile the files and run them on prepared samples; compare decisions, and measure what the target needs.

    Counts of decisions are None where no compiler is here.
    """
    folder = work.directory / FOLDER
    macs = sum(stage.macs for stage in work.manifest.stages)
    count = min(len(work.x), max(FEW, MACS // max(macs, 1)))
    checked, samples, compiler = Checked(None, None), 0, toolchain.host()
    warnings: list[str] = []
    with leftovers.scratch() as place:
        if compiler is None:
            warnings.append(
                "the C files were written and not run: this machine has no compiler "
                f"({', '.join(toolchain.HOSTS)}); run make -C {FOLDER} test where there is one"
            )
        else:
            facts = facts_of(work)
            program = facts.filled(
                "run_samples.c",
                run=cascade_source.run(stems_of(work, _planned(work)), "input", facts.prefix),
                default_point=default_point(facts),
            )
            decided = toolchain.decisions(compiler, folder, program, work.x[:count], place)
            checked = first_of(reference, count).check_outcomes("c", outcomes_of(*decided, len(facts.stages)))
            samples = count
            if facts.stream is not None:
                _check_stream(work, facts, work.x[:count], compiler, folder, place)
        linked_figures = linked.figures(work, _planned(work), folder, place, _given(work))
    figures = {
        "samples": samples,
        "compiler": None if compiler is None else toolchain.version(compiler),
        "warnings": warnings,
        **linked_figures,
    }
    return replace(checked, figures=figures)


def _check_stream(
    work: Work, facts: Facts, x: NDArray[np.float32], compiler: str, folder: Path, place: Path
) -> None:
    """Push the samples as those of one stream; compare with the walk along what ONNX Runtime says of them."""
    assert facts.stream is not None
    program = facts.filled(
        "run_samples.c",
        run=cascade_source.run(stems_of(work, _planned(work)), "input", facts.prefix, push=True),
        default_point=default_point(facts),
    )
    decided = toolchain.decisions(compiler, folder, program, x, place)
    cascade = Cascade.load(work.directory, work.manifest, work.threads)
    stream_check.of_files(cascade, facts.stream, x, *decided, TOLERANCE)


def _given(work: Work) -> list[NDArray[np.float32]]:
    """What every stage is given of the first sample: the sample, then what is handed over, inputs of it last."""
    handed = Cascade.load(work.directory, work.manifest, work.threads).through(work.x[:1])
    return [work.x[:1], *(np.concatenate([t.ravel() for t in tensors]) for _, tensors in handed if tensors)]


def _planned(work: Work) -> tuple[CProcessor, ...]:
    assert work.manifest.c is not None
    return work.manifest.c


def _processors(facts: Facts, sources: Sequence[StageCode]) -> list[PlannedProcessor]:
    processors: list[PlannedProcessor] = []
    runs = groups(facts.stages)
    stems = cascade_source.stems([name for name, _ in runs])
    for (name, mine), stem in zip(runs, stems, strict=True):
        made = plan([_stage(facts, sources[k], k, mine) for k in mine])
        processors.append(PlannedProcessor(name, stem, mine, made))
    return processors


def _stage(facts: Facts, source: StageCode, k: int, mine: range) -> PlannedStage:
    """The stage as its processor's plan sees it: what comes from elsewhere, or goes there, is not in the arena."""
    entry = facts.stages[k]
    handover = numbers_handed_over(entry)
    return PlannedStage(
        source=source,
        received=k == mine[0],
        sent=k == mine[-1] and handover is not None,
        input_bytes=4 * feeds.feeds(facts.stages)[k].input,
        probabilities_bytes=4 * facts.decision.outputs,
        handover_bytes=4 * (handover or 0),
        hears=k - mine[0] if facts.reuse else 0,
        combines=bool(entry.reuse),
    )


def _write_stage(folder: Path, facts: Facts, k: int, source: StageCode, processor: PlannedProcessor) -> None:
    entry, memory, i = facts.stages[k], processor.plan, k - processor.stages[0]
    what = f"Stage {k}, on {plain(processor.name)}: {entry.macs} MACs. Written by eeaug {eeaug.__version__}."
    if source.functions:
        what += f"\n   Functions of nodes are those of emx-onnx-cgen {version('emx-onnx-cgen')}."
    stem = f"{facts.prefix}_stage_{k}"
    fed = feeds.feeds(facts.stages)[k]
    sizes = (memory.bytes, fed.input, facts.decision.outputs, numbers_handed_over(entry), fed.carried)
    (folder / f"{stem}.h").write_text(stage_source.header(facts.prefix, k, what, *sizes), encoding="utf-8")
    parts = (memory.calls[i], memory.offsets[i], memory.scratch[i], fed.views)
    code = stage_source.implementation(facts.prefix, k, what, source, *parts)
    (folder / f"{stem}.c").write_text(code, encoding="utf-8")


def _samples(work: Work, facts: Facts) -> dict[str, str]:
    """samples.h and .c: prepared samples and what ONNX Runtime decides on them, at every operating point.

    Those that are near a tie anywhere are left out: there, rounding decides.
    """
    x = work.x
    probabilities = Cascade.load(work.directory, work.manifest, work.threads).answers(x)
    combined = heard(facts.decision, facts.stages, probabilities)
    answers = [facts.decision.answers(p) for p in combined]
    outcomes = Outcomes(np.array([c for c, _ in answers]), np.array([p for _, p in answers]), np.zeros(len(x), int))
    near = np.any([facts.decision.margins(p) < TOLERANCE for p in combined], axis=0)
    for row in facts.points.values():
        for confidence, threshold in zip(outcomes.confidence, row, strict=False):
            if threshold is not None:
                near |= np.abs(confidence - np.float32(threshold)) < TOLERANCE
    chosen = np.flatnonzero(~near)[: min(SAMPLES, max(1, SAMPLE_FLOATS // prod(x.shape[1:])))]
    exits = np.array([Passage(outcomes, row).at[chosen] for row in facts.points.values()])
    classes = np.array([outcomes.predicted[row, chosen] for row in exits])
    rows = ",\n".join(f"{{\n{cascade_source.values(sample)}\n}}" for sample in x[chosen])
    return {
        "test/samples.h": facts.filled("test/samples.h", count=len(chosen), predicted_type=facts.predicted_type),
        "test/samples.c": facts.filled(
            "test/samples.c",
            samples=rows,
            exits=table(exits),
            classes=table(classes),
            predicted_type=facts.predicted_type,
        ),
    }
