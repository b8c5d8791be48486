"""int8 stages of a bundle that is being written: their thresholds sought, then measured as the files they are."""

from __future__ import annotations

from typing import Any

from eeaug.cascade.outcomes import Outcomes
from eeaug.design import streamed_again
from eeaug.design.again import Again
from eeaug.design.design import Decided
from eeaug.design.material import Material
from eeaug.design.promise import Terms
from eeaug.design.streamed import Streamed
from eeaug.export import formats, verify
from eeaug.export.formats import Work
from eeaug.export.int8 import int8_cascade
from eeaug.report.content import int8
from eeaug.report.content.streams import of_int8
from eeaug.settings import Settings
from eeaug.support.progress import parts

__all__ = ["measured", "report", "settle"]


def settle(settings: Settings, work: Work, material: Material, decided: Decided) -> tuple[Again, Streamed | None]:
    """Thresholds for the int8 stages that were just written, and what of them decides streams.

    Raises
    ------
    InfeasibleError : no thresholds keep the budget
    """
    running = settings.running
    stages = int8_cascade.cascade(work.directory, work.manifest, running.threads)
    tasks = {"choose": decided.task}
    if decided.screened is not None:
        tasks["screen"] = decided.screened.task
    by_part = {
        part: int8_cascade.compared(material.parts[part](stages), task.outcomes)
        for part, task in parts(list(tasks.items()), lambda one: one[1].outcomes.samples)
    }  # fmt: skip
    chosen, terms = decided.chosen, Terms.of(settings, unseen=material.unseen)
    asked = settings.goal, terms, running.seed, tasks, material.network.rules, chosen.design, chosen.decision
    streams = None
    if decided.streamed is not None:
        streams = streamed_again.sought(*asked, by_part, material.sequences)
    return int8_cascade.sought(*asked, by_part, decided.proves), streams


def measured(settings: Settings, work: Work, material: Material, test: Outcomes | None) -> Outcomes | None:
    """What the int8 files say of test, of which ``test`` are the float outcomes; None: there is no such part."""
    if test is None or material.test is None:
        return None
    stages = int8_cascade.cascade(work.directory, work.manifest, settings.running.threads)
    return int8_cascade.compared(material.test(stages), test)


def report(
    settings: Settings, work: Work, decided: Decided, integer: Again, test: Outcomes | None,
    on_test: Outcomes | None,
) -> dict[str, Any]:  # fmt: skip
    """The int8 cascade as its files are: measured on test, compared with other runtimes.

    ``integer`` is what :func:`settle` gave, ``on_test`` what :func:`measured`; ``test`` are the float cascade's
    outcomes.
    """
    running = settings.running
    stages = int8_cascade.cascade(work.directory, work.manifest, running.threads)
    like = verify.Reference.of(stages.decision, stages.stages, stages.answers(work.x), int8_cascade.TOLERANCE)
    asked = formats.like("int8", formats.named(running.formats))
    checks = {name: kind.check(work, like) for name, kind in asked.items()}
    floats = decided.rows if test is None else test
    return int8.build(
        decided.chosen, decided.searched.costs, work, integer,
        floats=floats, test=on_test, checks=checks, settings=settings,
    )  # fmt: skip


def streams(
    settings: Settings, work: Work, material: Material, decided: Decided, streamed: Streamed,
    on_test: Outcomes | None,
) -> dict[str, Any]:  # fmt: skip
    """What int8 files come to on streams; ``on_test`` is what :func:`measured` gave."""
    return of_int8(settings, decided.chosen, streamed, material.sequences, on_test)
