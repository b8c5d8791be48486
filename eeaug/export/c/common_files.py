"""What ``c/`` and ``c-int8/`` have in common: facts, files that are no stage's, checks of decisions and sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eeaug
from eeaug.bundle.entries import CProcessor, Manifest, StageEntry
from eeaug.cascade.outcomes import Outcomes
from eeaug.data.preprocessing import Preprocessing
from eeaug.export import names
from eeaug.export.c import cascade_source, emulated, readme, watch
from eeaug.export.c.cascade_source import Facts, PlannedProcessor, filled
from eeaug.export.c.onnx_source import StageCode
from eeaug.export.formats import Work
from eeaug.export.verify import Reference
from eeaug.runtime import DEFAULT
from eeaug.streams.kinds import described

__all__ = [
    "EXAMPLE", "build_number", "default_point", "facts_of", "first_of", "groups", "needed",
    "numbers_handed_over", "outcomes_of", "plain", "rules_of", "stems_of", "table", "texts", "watch_of",
]  # fmt: skip

EXAMPLE = tuple(
    f"mps2/{name}" for name in ("startup.c", "mps2.ld", "mps2-an500.ld", "mps2-an505.ld", "mps3-an547.ld")
)


def needed(prefix: str, processors: Sequence[PlannedProcessor], weights: Sequence[int]) -> tuple[CProcessor, ...]:
    """What every processor needs, whose constants take so many bytes; not yet compiled."""
    return tuple(
        CProcessor(
            name=processor.name,
            function=f"{prefix}_{processor.stem}",
            stages=tuple(processor.stages),
            arena_bytes=processor.plan.bytes,
            arena_lower_bound_bytes=processor.plan.least,
            weights_bytes=size,
        )
        for processor, size in zip(processors, weights, strict=True)
    )


def facts_of(work: Work) -> Facts:
    manifest = work.manifest
    name = manifest.inputs[0]["name"]
    return Facts(
        title=f"{len(manifest.stages)} stages of {plain(name)}, written by eeaug {eeaug.__version__}.",
        preparation=_preparation(manifest),
        decision=manifest.decision,
        classes=manifest.classes,
        stages=manifest.stages,
        points=manifest.points,
        reuse=any(stage.reuse for stage in manifest.stages),
        prefix=names.prefix(manifest),
        version=eeaug.__version__,
        stream=None if manifest.stream is None else manifest.stream.rule,
    )


def _preparation(manifest: Manifest) -> str:
    """What samples need, in one line; of a model with several inputs, what each of them needs."""

    def words(steps: Preprocessing) -> str:
        said = steps.as_dict()
        mean, std = ("none" if said[key] is None else _brief(said[key]) for key in ("mean", "std"))
        first = steps.front_end
        of = "" if first is None else f", of x from a front end that is not in these files: {first.words}"
        return f"((x * {said['scale']:.9g} + {said['offset']:.9g}) - mean) / std, mean: {mean}, std: {std}{of}"

    if not manifest.model_inputs:
        return words(manifest.preprocessing)
    steps = manifest.preprocessing.inputs
    return "; then ".join(
        f"{one.name} ({' x '.join(map(str, one.shape))}): {words(steps.get(one.name, Preprocessing()))}"
        for one in manifest.model_inputs
    )


def _brief(value: Any) -> str:
    flat = np.ravel(value)
    return ", ".join(f"{v:.9g}" for v in flat) if flat.size <= 4 else "see manifest.json"


def plain(text: str) -> str:
    """Text that can stand in a comment of C: no end or beginning of one, no line continued, no trigraph."""
    return re.sub(r"[^ -~]|[*\\?]", "_", text)


def groups(stages: Sequence[StageEntry]) -> list[tuple[str, range]]:
    """Processors in order, each with the numbers of its stages."""
    numbered = groupby(enumerate(stages), key=lambda pair: pair[1].processor)
    stages_of = [(name, [k for k, _ in pairs]) for name, pairs in numbered]
    return [(name, range(mine[0], mine[-1] + 1)) for name, mine in stages_of]


def numbers_handed_over(entry: StageEntry) -> int | None:
    """Floats that the stage hands over; None in the last."""
    return None if entry.handover is None else prod(entry.handover.shape)


def build_number(facts: Facts, sources: Sequence[StageCode]) -> int:
    """32 bits of all that shapes an answer or a hand-over."""
    said = repr((facts.decision, facts.classes, dict(facts.points), facts.preparation, facts.reuse, facts.prefix))
    parts = [said, *rules_of(facts), *(repr((s.processor, s.handover, s.reuse)) for s in facts.stages)]
    parts += [repr((s.row, s.inputs)) for s in facts.stages if s.row.several]
    parts += [text for source in sources for text in (*source.functions.values(), *source.weights.values())]
    parts += [call.code for source in sources for call in source.calls]
    return int.from_bytes(sha256("\0".join(parts).encode()).digest()[:4], "big")


def rules_of(facts: Facts) -> list[str]:
    """What decides streams, in words."""
    return [] if facts.stream is None else [repr(described(facts.stream))]


def default_point(facts: Facts) -> str:
    return cascade_source.point(DEFAULT, facts.prefix)


def texts(
    facts: Facts, processors: Sequence[PlannedProcessor], weights: Sequence[int],
    shared: Sequence[str] = (), folders: Sequence[str] = (),
) -> dict[str, str]:  # fmt: skip
    """All files but the stages' and the samples, by name; ``shared``: further sources and headers, whose includes
    lie in ``folders``."""
    prefix, stems = facts.prefix, [p.stem for p in processors]
    stages = [f"{prefix}_stage_{k}" for k in range(len(facts.stages))]
    listed = [*(f"{name}{end}" for name in stages for end in (".c", ".h")), *shared]
    sources, headers = ([name for name in listed if name.endswith(end)] for end in (".c", ".h"))
    facts = replace(facts, folders=tuple(folders))
    return {
        f"{prefix}.h": cascade_source.interface(facts, processors),
        f"{prefix}.c": cascade_source.implementation(facts, processors),
        "test/test_cascade.c": facts.filled(
            "test/test_cascade.c",
            point_names=",\n".join(f'    "{name}"' for name in facts.points),
            run=cascade_source.run(stems, "sample", prefix),
            default_point=default_point(facts),
        ),
        **{
            name: facts.filled(
                name, stage_sources=" ".join(sources), stage_headers=" ".join(headers), boards=emulated.make("mps2")
            )
            for name in ("Makefile", "CMakeLists.txt")
        },
        "README.md": readme.readme(facts, processors, weights, watched=f"{prefix}_watch.h" in shared),
        f"eeaug.{prefix}.pdsc": readme.pack(facts, headers, [f"{prefix}.c", *sources]),
        **readme.zephyr(facts, [f"{prefix}.c", *sources]),
        **{name: filled(name, prefix) for name in EXAMPLE},
    }


def watch_of(facts: Facts, reference: Mapping[str, Any] | None) -> dict[str, str]:
    """The counters and the alarm, by name; ``reference``: what the cascade decided at each of ``facts.points``."""
    runs = groups(facts.stages)
    stems = cascade_source.stems([name for name, _ in runs])
    return watch.files(facts, [(stem, mine) for stem, (_, mine) in zip(stems, runs, strict=True)], reference)


def table(rows: NDArray[np.integer]) -> str:
    return ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in rows)


def outcomes_of(exits: NDArray[np.int64], predicted: NDArray[np.int64], classifiers: int) -> Outcomes:
    """Decisions as outcomes that lead to them: sure of the class where the sample left, and nowhere else."""
    at = np.arange(classifiers)[:, None] == exits
    confidence = np.where(at, np.inf, -np.inf).astype(np.float32)
    return Outcomes(confidence, np.where(at, predicted, -1), np.zeros(len(exits), np.int64))


def first_of(reference: Reference, count: int) -> Reference:
    """The reference for the first samples only."""
    rows = reference.outcomes
    fewer = Outcomes(rows.confidence[:, :count], rows.predicted[:, :count], rows.labels[:count])
    return replace(reference, outcomes=fewer, margins=reference.margins[:, :count])


def stems_of(work: Work, planned: Sequence[CProcessor]) -> list[str]:
    """Names in C of the processors."""
    return [p.function.removeprefix(f"{names.prefix(work.manifest)}_") for p in planned]
