"""Whether choose, test and screen are of one kind: the tests of cascade.between_parts, as report.json has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeaug.cascade import between_parts
from eeaug.cascade.between_parts import Compared, Difference, Pair
from eeaug.cascade.outcomes import Outcomes
from eeaug.design.design import Chosen
from eeaug.design.reuse import heard, known
from eeaug.heads.candidates import Candidates

__all__ = ["figures"]

OUTPUT = "output"  # as a location


def figures(
    chosen: Chosen,
    locations: Sequence[str],
    candidates: Candidates,
    choose: Outcomes,
    test: Outcomes | None,
    *,
    parts: Mapping[str, Any],
    labelled: bool,
) -> dict[str, Any] | None:
    """None where there is no test part: nothing is compared then.

    Parameters
    ----------
    locations : of the design's m exits
    choose, test : the design's m + 1 rows
    parts : as in report.json, "data": what each was taken from
    """
    if test is None:
        return None
    learnt = parts["choose"]["of"] == parts["fit"]["of"]
    pairs = [Pair(("choose", choose), ("test", test), learnt)]
    screen = _screen(candidates, chosen)
    if screen is not None:
        pairs.append(Pair(("screen", screen), ("choose", choose), not learnt))
    compared = between_parts.compare(pairs, chosen.thresholds, chosen.decision, labelled=labelled)
    names = (*locations, OUTPUT)
    return {
        "level": between_parts.ALARM,
        "tests": sum(one.tests for one in compared),
        "comparisons": [_comparison(one, names, chosen.classes) for one in compared],
    }


def _screen(candidates: Candidates, chosen: Chosen) -> Outcomes | None:
    """The design's rows on screen; None: what its exits say together is not known."""
    exits, rows = chosen.design.exits, candidates.screen.rows(chosen.design.exits)
    if chosen.reuse is None:
        return rows
    probabilities = known(candidates.screen_answers, exits)
    return None if probabilities is None else heard(rows, probabilities, chosen.reuse, chosen.decision)


def _comparison(compared: Compared, locations: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    first = compared.outside
    return {
        "reference": compared.reference,
        "part": compared.new,
        "learnt": compared.learnt,
        "unit": "group" if compared.grouped else "sample",
        "units": list(compared.units),
        "outside": len(first),
        "statistics": [
            _statistic(one, locations, classes)
            for one in (*first, *(one for one in compared.differences if not one.outside))
        ],
    }


def _statistic(one: Difference, locations: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    names = classes if one.statistic == "class_share" else locations
    return {
        "statistic": one.statistic,
        "of": None if one.at is None else names[one.at],
        "expected": one.expected,
        "interval": None if one.interval is None else list(one.interval),
        "observed": one.observed,
        "p_value": one.p_value,
        "outside": one.outside,
    }
