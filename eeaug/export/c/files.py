"""The C files of a bundle: written, compiled and run on this machine, measured for the target."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eeaug
from eeaug.bundle.entries import Added, CProcessor, StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.passage import Passage
from eeaug.errors import ConversionError
from eeaug.export import names
from eeaug.export.c import cascade_source, onnx_source, readme, stage_source, toolchain
from eeaug.export.c.cascade_source import Facts, PlannedProcessor, filled
from eeaug.export.c.onnx_source import StageCode
from eeaug.export.c.plan import PlannedStage, plan
from eeaug.export.formats import Checked, Work
from eeaug.export.verify import TOLERANCE, Reference
from eeaug.runtime import DEFAULT, Cascade, heard
from eeaug.support import leftovers

__all__ = ["FOLDER", "check", "write"]

FOLDER = "c"
SAMPLES = 100  # recorded ones, at most
SAMPLE_FLOATS = 1_000_000  # of all recorded samples: some MB of text
MACS = 30_000_000_000  # the most to verify on this machine, where convolutions are plain loops
FEW = 8  # samples that are verified in any case, however large the model
EXAMPLE = ("mps2/startup.c", "mps2/mps2.ld")


def write(work: Work) -> Added:
    """Write ``c/``, with a file for every stage; what each processor needs is ``c`` of the manifest."""
    folder = work.directory / FOLDER
    for inner in ("mps2", "test", "zephyr"):
        (folder / inner).mkdir(parents=True)
    stages = work.manifest.stages
    sources = [
        onnx_source.generated(onnx_source.simplified(work.directory / stage.files["onnx"]), f"stage_{k}")
        for k, stage in enumerate(stages)
    ]
    facts = _facts(work)
    facts = replace(facts, build=_build(facts, sources))
    processors = _processors(facts, sources)
    for processor in processors:
        for k in processor.stages:
            _write_stage(folder, facts, k, sources[k], processor)
    weights = [sum(sum(sources[k].weight_bytes.values()) for k in p.stages) for p in processors]
    for name, text in {**_texts(facts, processors, weights), **_samples(work, facts)}.items():
        (folder / name).write_text(text, encoding="utf-8")
    needed = tuple(
        CProcessor(
            name=processor.name,
            function=f"{facts.prefix}_{processor.stem}",
            stages=tuple(processor.stages),
            arena_bytes=processor.plan.bytes,
            arena_lower_bound_bytes=processor.plan.least,
            weights_bytes=weight_bytes,
        )
        for processor, weight_bytes in zip(processors, weights, strict=True)
    )
    return Added(
        [f"{FOLDER}/{facts.prefix}_stage_{k}.c" for k in range(len(stages))],
        whole={"c": needed},
        versions={"emx-onnx-cgen": version("emx-onnx-cgen")},
    )


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
                f"the C files were written and not run: this machine has no compiler ({', '.join(toolchain.HOSTS)})"
            )
        else:
            facts = _facts(work)
            program = filled(
                "run_samples.c",
                facts.prefix,
                run=cascade_source.run(_stems(work), "input", facts.prefix),
                default_point=_default(facts),
            )
            decided = toolchain.decisions(compiler, folder, program, work.x[:count], place)
            checked = _first(reference, count).check_outcomes("c", _outcomes(*decided, len(facts.stages)))
            samples = count
        processors = _memory(work, folder, place)
    figures = {
        "samples": samples,
        "compiler": None if compiler is None else toolchain.version(compiler),
        "warnings": [*warnings, *_too_large(work, processors)],
        "processors": processors,
    }
    return replace(checked, figures=figures)


def _stems(work: Work) -> list[str]:
    return [p.function.removeprefix(f"{names.prefix(work.manifest)}_") for p in _planned(work)]


def _planned(work: Work) -> tuple[CProcessor, ...]:
    assert work.manifest.c is not None
    return work.manifest.c


def _facts(work: Work) -> Facts:
    manifest = work.manifest
    steps = manifest.preprocessing.as_dict()
    mean, std = ("none" if steps[key] is None else _brief(steps[key]) for key in ("mean", "std"))
    name = manifest.inputs[0]["name"]
    return Facts(
        title=f"{len(manifest.stages)} stages of {_plain(name)}, written by eeaug {eeaug.__version__}.",
        preparation=f"((x * {steps['scale']:.9g} + {steps['offset']:.9g}) - mean) / std, mean: {mean}, std: {std}",
        decision=manifest.decision,
        classes=manifest.classes,
        stages=manifest.stages,
        points=manifest.points,
        reuse=any(stage.reuse for stage in manifest.stages),
        prefix=names.prefix(manifest),
        version=eeaug.__version__,
    )


def _build(facts: Facts, sources: Sequence[StageCode]) -> int:
    """32 bits of all that shapes an answer or a hand-over."""
    said = repr((facts.decision, facts.classes, dict(facts.points), facts.preparation, facts.reuse, facts.prefix))
    parts = [said, *(repr((s.processor, s.handover, s.reuse)) for s in facts.stages)]
    parts += [text for source in sources for text in (*source.functions.values(), *source.weights.values())]
    return int.from_bytes(sha256("\0".join(parts).encode()).digest()[:4], "big")


def _texts(facts: Facts, processors: Sequence[PlannedProcessor], weights: Sequence[int]) -> dict[str, str]:
    """All files but the stages' and the samples, by name."""
    prefix, stems = facts.prefix, [p.stem for p in processors]
    stages = [f"{prefix}_stage_{k}" for k in range(len(facts.stages))]
    sources, headers = [f"{name}.c" for name in stages], [f"{name}.h" for name in stages]
    return {
        f"{prefix}.h": cascade_source.interface(facts, processors),
        f"{prefix}.c": cascade_source.implementation(facts, processors),
        "test/test_cascade.c": filled(
            "test/test_cascade.c",
            prefix,
            point_names=",\n".join(f'    "{name}"' for name in facts.points),
            run=cascade_source.run(stems, "sample", prefix),
            default_point=_default(facts),
        ),
        **{
            name: filled(name, prefix, stage_sources=" ".join(sources), stage_headers=" ".join(headers))
            for name in ("Makefile", "CMakeLists.txt")
        },
        "README.md": readme.readme(facts, processors, weights),
        f"eeaug.{prefix}.pdsc": readme.pack(facts, headers, [f"{prefix}.c", *sources]),
        **readme.zephyr(facts, [f"{prefix}.c", *sources]),
        **{name: filled(name, prefix) for name in EXAMPLE},
    }


def _brief(value: Any) -> str:
    flat = np.ravel(value)
    return ", ".join(f"{v:.9g}" for v in flat) if flat.size <= 4 else "see manifest.json"


def _plain(text: str) -> str:
    """Text that can stand in a comment of C: no end or beginning of one, no line continued, no trigraph."""
    return re.sub(r"[^ -~]|[*\\?]", "_", text)


def _groups(stages: Sequence[StageEntry]) -> list[tuple[str, range]]:
    """Processors in order, each with the numbers of its stages."""
    numbered = groupby(enumerate(stages), key=lambda pair: pair[1].processor)
    stages_of = [(name, [k for k, _ in pairs]) for name, pairs in numbered]
    return [(name, range(mine[0], mine[-1] + 1)) for name, mine in stages_of]


def _processors(facts: Facts, sources: Sequence[StageCode]) -> list[PlannedProcessor]:
    processors: list[PlannedProcessor] = []
    groups = _groups(facts.stages)
    stems = cascade_source.stems([name for name, _ in groups])
    for (name, mine), stem in zip(groups, stems, strict=True):
        made = plan([_stage(facts, sources[k], k, mine) for k in mine])
        processors.append(PlannedProcessor(name, stem, mine, made))
    return processors


def _stage(facts: Facts, source: StageCode, k: int, mine: range) -> PlannedStage:
    """The stage as its processor's plan sees it: what comes from elsewhere, or goes there, is not in the arena."""
    entry = facts.stages[k]
    handover = _handover(entry)
    return PlannedStage(
        source=source,
        received=k == mine[0],
        sent=k == mine[-1] and handover is not None,
        input_bytes=4 * prod(entry.input_shape),
        probabilities_bytes=4 * facts.decision.outputs,
        handover_bytes=4 * (handover or 0),
        hears=k - mine[0] if facts.reuse else 0,
        combines=bool(entry.reuse),
    )


def _handover(entry: StageEntry) -> int | None:
    """Floats that the stage hands over; None in the last."""
    return None if entry.handover is None else prod(entry.handover.shape)


def _write_stage(folder: Path, facts: Facts, k: int, source: StageCode, processor: PlannedProcessor) -> None:
    entry, memory, i = facts.stages[k], processor.plan, k - processor.stages[0]
    what = (
        f"Stage {k}, on {_plain(processor.name)}: {entry.macs} MACs. Written by eeaug {eeaug.__version__}; the\n"
        f"   functions of nodes are those of emx-onnx-cgen {version('emx-onnx-cgen')}."
    )
    stem = f"{facts.prefix}_stage_{k}"
    sizes = (memory.bytes, prod(entry.input_shape), facts.decision.outputs, _handover(entry))
    (folder / f"{stem}.h").write_text(stage_source.header(facts.prefix, k, what, *sizes), encoding="utf-8")
    parts = (memory.calls[i], memory.offsets[i], memory.scratch[i])
    code = stage_source.implementation(facts.prefix, k, what, source, *parts)
    (folder / f"{stem}.c").write_text(code, encoding="utf-8")


def _default(facts: Facts) -> str:
    return cascade_source.point(DEFAULT, facts.prefix)


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
        "test/samples.h": filled(
            "test/samples.h", facts.prefix, count=len(chosen), predicted_type=facts.predicted_type
        ),
        "test/samples.c": filled(
            "test/samples.c",
            facts.prefix,
            samples=rows,
            exits=_table(exits),
            classes=_table(classes),
            predicted_type=facts.predicted_type,
        ),
    }


def _table(rows: NDArray[np.integer]) -> str:
    return ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in rows)


def _outcomes(exits: NDArray[np.int64], predicted: NDArray[np.int64], classifiers: int) -> Outcomes:
    """Decisions as outcomes that lead to them: sure of the class where the sample left, and nowhere else."""
    at = np.arange(classifiers)[:, None] == exits
    confidence = np.where(at, np.inf, -np.inf).astype(np.float32)
    return Outcomes(confidence, np.where(at, predicted, -1), np.zeros(len(exits), np.int64))


def _first(reference: Reference, count: int) -> Reference:
    """The reference for the first samples only."""
    rows = reference.outcomes
    fewer = Outcomes(rows.confidence[:, :count], rows.predicted[:, :count], rows.labels[:count])
    return replace(reference, outcomes=fewer, margins=reference.margins[:, :count])


def _memory(work: Work, folder: Path, place: Path) -> list[dict[str, Any]]:
    """What every processor's part of the cascade takes; measured where its compiler is here."""
    entries, stems = [], _stems(work)
    for i, processor in enumerate(_planned(work)):
        entry: dict[str, Any] = {
            "processor": processor.name,
            "arena_bytes": processor.arena_bytes,
            "weights_bytes": processor.weights_bytes,
            "cpu": work.hardware.processor(processor.name).cpu,
            "not_measured": None,
            "measured": None,
        }
        try:
            program = cascade_source.alone(stems, i, names.prefix(work.manifest))
            entry["measured"] = _measured(folder, place, entry, processor.function, program)
        except ConversionError as error:
            entry["not_measured"] = str(error)
        entries.append(entry)
    return entries


def _measured(folder: Path, place: Path, entry: Mapping[str, Any], function: str, program: str) -> dict[str, Any]:
    """Sizes of a linked program. ConversionError: there is no compiler, no CPU to link for, or it does not link."""
    compiler, cpu = toolchain.arm(), entry["cpu"]
    if cpu is None:
        raise ConversionError(f"the hardware description names no cpu for {entry['processor']}")
    if compiler is None:
        raise ConversionError(f"{toolchain.ARM} with its C library is not on this machine")
    size = toolchain.measured(compiler, folder, function, program, cpu, place)
    return {
        "compiler": toolchain.version(compiler), "text_bytes": size.text, "data_bytes": size.data,
        "bss_bytes": size.bss, "stack_bytes": size.stack, "flash_bytes": size.flash, "ram_bytes": size.ram,
    }  # fmt: skip


def _too_large(work: Work, memory: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for every memory of the target that is smaller than what the C files need of it.

    They are float32, whatever the processor's arithmetic is. Arenas are static: those of processors that share a
    memory add up. What was not measured counts by its weights and its arena.
    """
    needed: dict[str, int] = {}
    for entry in memory:
        processor = work.hardware.processor(entry["processor"])
        measured = entry["measured"] or {"flash_bytes": entry["weights_bytes"], "ram_bytes": entry["arena_bytes"]}
        for name, key in ((processor.flash, "flash_bytes"), (processor.ram, "ram_bytes")):
            needed[name] = needed.get(name, 0) + measured[key]
    return [
        f"the C files (float32) need {size:,} bytes of {name}, which has {work.hardware.memory(name).bytes:,}"
        for name, size in needed.items()
        if size > work.hardware.memory(name).bytes
    ]
