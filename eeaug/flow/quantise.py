"""int8 stages of a bundle that is being written: their thresholds sought, then measured as the files they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eeaug.cascade.outcomes import Outcomes
from eeaug.design.design import Chosen
from eeaug.design.material import Measure
from eeaug.design.problem import Rules
from eeaug.export import formats, verify
from eeaug.export.formats import Work
from eeaug.export.int8 import int8_cascade
from eeaug.export.int8.int8_cascade import Integer
from eeaug.report.content import int8
from eeaug.search.space import Problem
from eeaug.settings import Settings

__all__ = ["report", "settle"]


def settle(
    settings: Settings, work: Work, task: Problem, rules: Rules, chosen: Chosen, held: Mapping[str, Measure],
    floats: Mapping[str, Outcomes | None],
) -> Integer:  # fmt: skip
    """Thresholds for the int8 stages that were just written.

    ``held`` measures, ``floats`` has the outcomes of the float cascade: on choose, and certify if there is one.

    Raises
    ------
    InfeasibleError : no thresholds keep the budget
    """
    stages = int8_cascade.cascade(work.directory, work.manifest, settings.running.threads)
    own = {
        name: int8_cascade.compared(measure(stages), given)
        for name, measure in held.items()
        if (given := floats[name]) is not None
    }
    return int8_cascade.sought(
        settings.goal, settings.running.seed, task, rules, chosen.design, own["choose"], own.get("certify")
    )


def report(
    settings: Settings, work: Work, found: Integer, chosen: Chosen, choose: Outcomes, test: Outcomes | None,
    measure: Measure | None,
) -> dict[str, Any]:  # fmt: skip
    """The int8 cascade as its files are: measured on test, compared with other runtimes.

    ``choose`` and ``test`` are the float cascade's.
    """
    stages = int8_cascade.cascade(work.directory, work.manifest, settings.running.threads)
    own = None if test is None or measure is None else int8_cascade.compared(measure(stages), test)
    like = verify.Reference.of(stages.decision, stages.stages, stages.answers(work.x), int8_cascade.TOLERANCE)
    asked = formats.like("int8", formats.named(settings.running.formats))
    checks = {name: kind.check(work, like) for name, kind in asked.items()}
    floats = choose if test is None else test
    return int8.build(
        chosen, work, found,
        floats=floats, test=own, checks=checks, labels=settings.input.labels, seed=settings.running.seed,
    )  # fmt: skip
