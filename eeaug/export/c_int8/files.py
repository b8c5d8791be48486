"""``c-int8/`` of a bundle: written, compiled and run on this machine, measured for the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eeaug
from eeaug.bundle.entries import Added, CProcessor, Int8Stage, StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.cascade.output import Decision, Quantised
from eeaug.cascade.passage import Passage
from eeaug.errors import ConversionError
from eeaug.export import feeds, names
from eeaug.export.c import cascade_source, common_files, linked, stream_check, toolchain
from eeaug.export.c.cascade_source import Facts, PlannedProcessor
from eeaug.export.c.plan import PlannedStage, plan
from eeaug.export.c_int8 import decisions, kernels, operators, stage_source, third_party
from eeaug.export.c_int8.constants import numbers
from eeaug.export.c_int8.stage_builder import Lowered, narrowed
from eeaug.export.formats import Checked, Work
from eeaug.export.int8 import int8_cascade, int8_rows
from eeaug.export.verify import Reference
from eeaug.frameworks.runners import Int8
from eeaug.runtime import heard
from eeaug.streams.rules import Rule
from eeaug.support import leftovers

__all__ = ["FOLDER", "NAME", "check", "complete", "refuse_decision", "write"]

NAME = FOLDER = "c-int8"
SAMPLES = 100  # recorded ones, at most
SAMPLE_NUMBERS = 1_000_000  # of all recorded samples: some MB of text
MACS = 30_000_000_000  # the most to verify on this machine
FEW = 8  # samples that are verified in any case, however large the model


def refuse_decision(decision: Decision) -> None:
    """Raises ConversionError where sums of exponentials may be too large for LiteRT's int8 softmax."""
    if decision.kind == "softmax" and decision.outputs > MOST_CLASSES:
        raise ConversionError(
            f"--format {NAME}: LiteRT's int8 softmax is not defined where {MOST_CLASSES + 1} or more classes are "
            f"about equally probable, and the model has {decision.outputs:,}; leave {NAME} out of --format"
        )


MOST_CLASSES = 4095  # whose exponentials, in Q12.19, sum to an int32 where all are equally probable


def write(work: Work) -> Added:
    """Write ``c-int8/``, with a file for every stage; what each processor needs is ``c_int8`` of the manifest.

    Raises
    ------
    ConversionError : there is no C for an operator of a stage
    """
    folder = work.directory / FOLDER
    facts = _facts(work)
    stages = [_lowered(work, k) for k in range(len(facts.stages))]
    used = {kernel for stage in stages for call in stage.calls for kernel in call.kernels}
    by_vectors = third_party.ROOTS.keys() & used
    if not by_vectors:
        stages = [narrowed(stage) for stage in stages]
    facts = replace(facts, build=_build(facts, stages))
    processors = _processors(facts, stages)
    prefix = facts.prefix
    texts = third_party.files(used)
    texts |= {
        f"{prefix}_kernels.h": kernels.header(prefix, used),
        f"{prefix}_kernels.c": kernels.implementation(prefix, used),
    }
    shared = [f"{prefix}_kernels.h", f"{prefix}_kernels.c"]
    if by_vectors:
        texts["cmsis_nn.c"] = third_party.unit(prefix, used)
        shared.append("cmsis_nn.c")
    watch = common_files.watch_of(facts, None)
    texts |= watch
    shared += watch
    for processor in processors:
        for k in processor.stages:
            texts |= _stage_texts(facts, k, stages[k], processor)
    weights = [sum(c.bytes for k in p.stages for c in stages[k].constants) for p in processors]
    texts |= common_files.texts(facts, processors, weights, shared, decisions.FOLDERS)
    texts |= _samples(work, facts)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Added(
        [f"{FOLDER}/{prefix}_stage_{k}.c" for k in range(len(stages))],
        whole={"c_int8": common_files.needed(prefix, processors, weights)},
    )


def complete(work: Work) -> None:
    """Give the counters on the device the reference of the int8 cascade."""
    assert work.manifest.int8 is not None
    for name, text in common_files.watch_of(_facts(work), work.manifest.int8.reference).items():
        (work.directory / FOLDER / name).write_text(text, encoding="utf-8")


def check(work: Work, reference: Reference) -> Checked:
    """Compile the files and run them on prepared samples; compare all that leaves a stage, and the decisions.

    Counts of decisions are None where no compiler is here.

    Raises
    ------
    ConversionError : a stage gives another number than LiteRT's reference kernels, where these run the int8 stages,
        or the cascade decides otherwise
    """
    folder = work.directory / FOLDER
    planned = _planned(work)
    macs = sum(stage.macs for stage in work.manifest.stages)
    x = work.x[: max(FEW, MACS // max(macs, 1))]
    checked, samples, compiler = Checked(None, None), 0, toolchain.host()
    warnings: list[str] = []
    with leftovers.scratch() as place:
        if compiler is None:
            hosts = ", ".join(toolchain.HOSTS)
            warnings.append(
                f"the int8 C files were written and not run: this machine has no compiler ({hosts}); "
                f"run make -C {FOLDER} test where there is one"
            )
        else:
            _check_stages(work, compiler, folder, x, place)
            facts = _facts(work)
            stems = common_files.stems_of(work, planned)
            program = facts.filled(
                "run_samples.c",
                run=cascade_source.run(stems, "input", facts.prefix),
                default_point=common_files.default_point(facts),
            )
            decided = toolchain.decisions(compiler, folder, program, x, place)
            outcomes = common_files.outcomes_of(*decided, len(facts.stages))
            checked = common_files.first_of(reference, len(x)).check_outcomes(NAME, outcomes)
            samples = len(x)
            if facts.stream is not None:
                program = facts.filled(
                    "run_samples.c",
                    run=cascade_source.run(stems, "input", facts.prefix, push=True),
                    default_point=common_files.default_point(facts),
                )
                pushed = toolchain.decisions(compiler, folder, program, x, place)
                stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
                stream_check.of_files(stages, facts.stream, x, *pushed, int8_cascade.TOLERANCE)
        linked_figures = linked.figures(work, planned, folder, place, _given(work), "int8_t")
    figures = {
        "samples": samples,
        "compiler": None if compiler is None else toolchain.version(compiler),
        "warnings": warnings,
        **linked_figures,
    }
    return replace(checked, samples=samples, figures=figures)


def _planned(work: Work) -> tuple[CProcessor, ...]:
    assert work.manifest.c_int8 is not None
    return work.manifest.c_int8


def _int8(entry: StageEntry) -> Int8Stage:
    assert entry.int8 is not None
    return entry.int8


def _facts(work: Work) -> Facts:
    """Those of the int8 cascade: its thresholds, its decisions."""
    facts = common_files.facts_of(work)
    row, takes = facts.stages[0].row, int8_rows.scales(facts.stages)
    return replace(
        facts,
        decision=Quantised(**facts.decision.as_dict()),
        points=work.manifest.int8_points,
        stream=_stream(work),
        arithmetic=decisions.int8(facts.prefix, [takes[name] for name in row.names], row),
    )


def _stream(work: Work) -> Rule | None:
    entry = work.manifest.stream
    return None if entry is None or entry.int8 is None else entry.int8.rule


def _lowered(work: Work, k: int) -> Lowered:
    entry = work.manifest.stages[k]
    content = (work.directory / entry.files[int8_cascade.FORMAT]).read_bytes()
    ends = [*zip(_given_names(entry), entry.inputs, strict=True)]
    ends += zip(stage_source.OUTSIDE[1:], entry.outputs, strict=False)
    handed = entry.input_name if k else None
    cpu = work.hardware.processor(entry.processor).cpu
    vectors = cpu is None or toolchain.has_vectors(cpu)
    try:
        names_in_c = {name: ours for ours, name in ends}
        return operators.lowered(content, names_in_c, _taken(entry), vectors=vectors, handed=handed)
    except ConversionError as error:
        raise ConversionError(f"stage {entry.name} cannot be written as int8 C: {error}") from error


def _given_names(entry: StageEntry) -> list[str]:
    """What the inputs of a stage are called in C before it is known where they lie, the first one ``input``."""
    return [stage_source.OUTSIDE[0], *(f"given_{i}" for i in range(1, len(entry.inputs)))]


def _taken(entry: StageEntry) -> NDArray[np.int8] | None:
    """What each number that is handed to the stage becomes as it takes it; None: itself."""
    comes = _int8(entry).requantised_from
    if comes is None:
        return None
    takes = _int8(entry).inputs[entry.input_name]
    return takes.quantised(comes.real(np.arange(-128, 128).astype(np.int8)))


def _build(facts: Facts, stages: Sequence[Lowered]) -> int:
    """32 bits of all that shapes an answer or a hand-over."""
    said = repr((facts.decision, facts.classes, dict(facts.points), facts.preparation, facts.reuse, facts.prefix))
    digest = sha256("".join([said, *common_files.rules_of(facts)]).encode())
    for entry, stage in zip(facts.stages, stages, strict=True):
        digest.update(repr((entry.processor, entry.handover, entry.reuse, _int8(entry).inputs)).encode())
        digest.update(repr((entry.row, entry.inputs)).encode() if entry.row.several else b"")
        for call in stage.calls:
            digest.update(call.code.encode())
        for constant in stage.constants:
            digest.update(constant.text.encode() if constant.values is None else constant.values.tobytes())
    return int.from_bytes(digest.digest()[:4], "big")


def _processors(facts: Facts, stages: Sequence[Lowered]) -> list[PlannedProcessor]:
    runs = common_files.groups(facts.stages)
    stems = cascade_source.stems([name for name, _ in runs])
    return [
        PlannedProcessor(name, stem, mine, plan([_stage(facts, stages[k], k, mine) for k in mine]))
        for (name, mine), stem in zip(runs, stems, strict=True)
    ]


def _stage(facts: Facts, stage: Lowered, k: int, mine: range) -> PlannedStage:
    """The stage as its processor's plan sees it: what comes from elsewhere, or goes there, is not in the arena."""
    entry = facts.stages[k]
    handed = common_files.numbers_handed_over(entry)
    return PlannedStage(
        source=stage_source.planned(stage, last=handed is None, besides=_given_names(entry)[1:]),
        received=k == mine[0],
        sent=k == mine[-1] and handed is not None,
        input_bytes=feeds.feeds(facts.stages)[k].input,
        probabilities_bytes=facts.decision.outputs,
        handover_bytes=handed or 0,
        hears=k - mine[0] if facts.reuse else 0,
        combines=True,
        heard_bytes=decisions.PER_ANSWER * facts.decision.outputs,
    )


def _stage_texts(facts: Facts, k: int, stage: Lowered, processor: PlannedProcessor) -> dict[str, str]:
    entry, memory, i = facts.stages[k], processor.plan, k - processor.stages[0]
    handed = common_files.numbers_handed_over(entry)
    what = (
        f"Stage {k}, on {common_files.plain(processor.name)}: {entry.macs} MACs in int8. "
        f"Written by eeaug {eeaug.__version__}."
    )
    fed = feeds.feeds(facts.stages)[k]
    views = dict(zip(_given_names(entry), fed.views, strict=True))
    sizes = (memory.bytes, fed.input, facts.decision.outputs, handed, fed.carried)
    parts = (memory.calls[i], handed is None, memory.offsets[i], memory.scratch[i], views)
    stem = f"{facts.prefix}_stage_{k}"
    return {
        f"{stem}.h": stage_source.header(k, what, facts.prefix, *sizes),
        f"{stem}.c": stage_source.implementation(k, what, facts.prefix, stage, *parts),
    }


def _samples(work: Work, facts: Facts) -> dict[str, str]:
    """samples.h and .c: prepared samples, and what LiteRT's int8 stages decide on them at every operating point.

    Where decisions are not the same numbers in C (exits hear others, entropy, LiteRT's other kernels run), those
    that are near a tie are left out.
    """
    x = work.x
    stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
    combined = heard(facts.decision, facts.stages, stages.answers(x))
    answers = [facts.decision.answers(p) for p in combined]
    rows = Outcomes(np.array([c for c, _ in answers]), np.array([p for _, p in answers]), np.zeros(len(x), int))
    near = np.zeros(len(x), bool)
    if not _exact(facts, work):
        near = np.any([facts.decision.margins(p) < int8_cascade.TOLERANCE for p in combined], axis=0)
        for row in facts.points.values():
            for sure, threshold in zip(rows.confidence, row, strict=False):
                if threshold is not None:
                    near |= np.abs(sure - np.float32(threshold)) < int8_cascade.TOLERANCE
    chosen = np.flatnonzero(~near)[: min(SAMPLES, max(1, SAMPLE_NUMBERS // prod(x.shape[1:])))]
    exits = np.array([Passage(rows, row).at[chosen] for row in facts.points.values()])
    classes = np.array([rows.predicted[row, chosen] for row in exits])
    taken = int8_rows.joined(facts.stages[0].row, int8_rows.of_sample(facts.stages, x[chosen]))
    known = {
        "count": len(chosen),
        "predicted_type": facts.predicted_type,
        "samples": ",\n".join(f"{{\n{_numbers(sample)}\n}}" for sample in taken),
        "exits": common_files.table(exits),
        "classes": common_files.table(classes),
    }
    return {name: facts.filled(name, **known) for name in ("test/samples.h", "test/samples.c")}


def _exact(facts: Facts, work: Work) -> bool:
    """Whether C decides by the same numbers as LiteRT does."""
    reference = work.manifest.int8 is not None and work.manifest.int8.kernels == "reference"
    return reference and not facts.reuse and facts.decision.measure != "entropy"


def _numbers(sample: NDArray[np.int8]) -> str:
    return numbers(map(str, sample.ravel().tolist()))


def _given(work: Work) -> list[NDArray[Any]]:
    """What every stage is given of the first sample."""
    stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
    first = int8_rows.joined(stages.stages[0].row, int8_rows.of_sample(stages.stages, work.x[:1]))
    given: list[NDArray[Any]] = [first]
    for k, (_, tensors) in enumerate(stages.through(work.x[:1])):
        layout = stages.stages[k].handed
        if layout is not None:
            given.append(int8_rows.joined(layout, int8_rows.handed(stages.stages, k, tensors)))
    return given


def _check_stages(work: Work, compiler: str, folder: Path, x: NDArray[np.float32], place: Path) -> None:
    """Every stage by itself, on what LiteRT gives it: all that leaves it must be the same, bit for bit.

    Not where LiteRT lacks reference kernels: its other ones round differently.
    """
    if work.manifest.int8 is None or work.manifest.int8.kernels != "reference":
        return
    stages = int8_cascade.cascade(work.directory, work.manifest, work.threads)
    prefix, fed = names.prefix(work.manifest), feeds.feeds(stages.stages)
    sample = int8_rows.of_sample(stages.stages, x)
    tensors = dict(sample)
    for k, (entry, session) in enumerate(zip(stages.stages, stages.sessions, strict=True)):
        assert isinstance(session, Int8)
        taken = {n: tensors[n] if n in sample else session.taken(n, tensors[n]) for n in entry.inputs}
        results = session.session.run(entry.outputs, taken)
        first, here = entry.row.only(entry.row.names[:1]) if k else entry.row, fed[k].here
        given = int8_rows.joined(first, tensors)
        if fed[k].sample and here is not None:
            given = np.concatenate([given, int8_rows.joined(here, sample)], axis=1)
        handed = prod(entry.handover.shape) if entry.handover is not None else 0
        program = kernels.filled(
            "run_stage.c",
            prefix=prefix,
            stage=k,
            arena=max(processor.arena_bytes for processor in _planned(work)) // 8 + 1,
            inputs=fed[k].input,
            sample=f"static int8_t sample[{fed[k].carried}];\n" if fed[k].sample else "",
            read=" && fread(sample, sizeof sample, 1, stdin) == 1" if fed[k].sample else "",
            besides=", sample" if fed[k].sample else "",
            outputs=stages.decision.outputs,
            handover=f"static int8_t handover[{handed}];" if handed else "",
            handed=", handover" if handed else "",
            written=" + fwrite(handover, 1, sizeof handover, stdout)" if handed else "",
        )
        said = toolchain.output(compiler, folder, program, given.tobytes(), place)
        wanted = np.concatenate([result.reshape(len(x), -1) for result in results], axis=1)
        if said != wanted.astype(np.int8).tobytes():
            raise ConversionError(
                f"stage {entry.name} gives other numbers in int8 C than in LiteRT; nothing was written"
            )
        if entry.handover is not None:
            tensors = {entry.handover.name: results[1], **{name: sample[name] for name in sample}}
