"""What is promised of a design, in figures and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eeaug.design.operating_points import Point, together
from eeaug.design.promise import Promise
from eeaug.report import units

__all__ = ["block", "clause", "together_of"]

BLANK = "share of non-empty samples that is lost"
FEW_GROUPS = 30  # fewer make a cluster-robust error far too small


def block(promise: Promise, labels: str, *, asked: bool, given_last: bool = True) -> dict[str, Any]:
    """The block ``promise`` of a cascade or operating point.

    ``asked``: this kind was asked for by name; ``given_last``: the last classifier is the given model.
    """
    return {
        "promise": promise.kind,
        "max_accuracy_drop": promise.budget,
        "max_class_drop": promise.class_drop,
        **({} if promise.missed is None else {"max_missed": promise.missed}),
        "kept": promise.kept,
        "risk": promise.risk,
        "unit": "group" if promise.grouped else "sample",
        "units": promise.units,
        "part": promise.part,
        "samples": promise.samples,
        "compared": promise.compared,
        "labelled": promise.labelled,
        "steps_tested": promise.tested,
        "p_value": promise.p_value,
        "drop": promise.drop,
        "standard_error": promise.error,
        "units_for_proof": promise.needed,
        "smallest_provable_drop": promise.smallest_drop,
        "smallest_provable_class_drop": promise.smallest_class_drop,
        "statement": _statement(promise, labels, asked=asked, given_last=given_last),
    }


def clause(promise: Promise) -> str:
    """The same, short, to end the first line of a report with; empty where nothing leaves early."""
    if promise.kind == "none":
        return "nothing is promised about new data"
    if not promise.kept or promise.budget is None:
        return ""
    budget = units.points(promise.budget, signed=False)
    if promise.risk is not None:
        return f"proven: at most {budget} on new data, with probability {1 - promise.risk:.4g}"
    unit = _units(promise)
    needed = "" if promise.needed is None else f" (about {promise.needed:,} {unit} would prove it)"
    return f"expected, not proven, to be at most {budget} on new data{needed}"


def together_of(points: Sequence[Point]) -> float | None:
    """The probability with which all that is proven of operating points holds at once, at least."""
    return together([point.promise for point in points])


def _statement(promise: Promise, labels: str, *, asked: bool, given_last: bool) -> str:
    what = "disagreement with the given model" if labels == "none" else "accuracy drop"
    what = BLANK if promise.blank else what
    if promise.kind == "none":
        if promise.budget is None:
            return f"Nothing is promised about the {what}: there is no budget for it."
        return (
            f"Nothing is promised: the {what} is within {units.in_words(promise.budget)} on the calibration "
            "samples, on which the thresholds were chosen, and often larger on new data."
        )
    assert promise.budget is not None
    budget = units.in_words(promise.budget, mark=not promise.kept)
    if promise.class_drop is not None:
        budget += f", and {units.points(promise.class_drop, signed=False)} in any single class"
    if promise.missed is not None:
        budget += f", and {units.share(promise.missed)} of the events more are missed than by the given model"
    part = units.data_part(promise.part)
    drawn = f"{promise.samples:,} {_kind(promise)}{part} samples"
    if promise.grouped:
        alike = ", every group weighted equally" if promise.kind == "proven" else ""
        drawn = f"{promise.units:,} groups of {promise.samples:,} {_kind(promise)}{part} samples{alike}"
    others = (
        f" Another {promise.compared:,} {part} samples were used to compare designs." if promise.compared else ""
    )
    if promise.kind == "proven":
        return _proven(promise, what, budget, drawn, given_last=given_last) + _labels(promise) + others
    return _expected(promise, what, budget, drawn, asked=asked, given_last=given_last) + others


def _proven(promise: Promise, what: str, budget: str, drawn: str, *, given_last: bool) -> str:
    assert promise.risk is not None
    sure = f"{1 - promise.risk:.4g}"
    if promise.kept:
        sentence = (
            f"Proven: with probability {sure} over the draw of the {drawn}, the true {what} is at most {budget}."
        )
        if promise.grouped and promise.drop is not None and promise.error is not None:
            drop, error = (units.points(value, signed=False) for value in (promise.drop, promise.error))
            sentence += f" Counted by sample instead, it is {drop} on them, with a standard error of {error}."
        return sentence
    if not promise.tested:
        return _nothing_leaves(what, given_last)
    strictest = "the strictest thresholds" if given_last else "nothing leaving early"
    sentence = f"No early exit could be proven to keep the true {what} within {budget} with probability {sure}"
    if not given_last:
        sentence = f"A true {what} within {budget} could not be proven with probability {sure}"
    if promise.smallest_drop is not None:
        smallest = units.at_most(promise.smallest_drop)
        sentence += f": with {strictest}, the smallest drop that {drawn} prove is {smallest}"
    if promise.smallest_class_drop is not None:
        shown = units.at_most(promise.smallest_class_drop)
        sentence += f": with {strictest}, the smallest drop of a class that its samples prove is {shown}"
    if promise.needed is not None and promise.needed > promise.units:
        sentence += f"; about {promise.needed:,} {_units(promise)} without a loss would prove the budget"
    return f"{sentence}. {_nothing_leaves(what, given_last)}"


def _expected(
    promise: Promise, what: str, budget: str, drawn: str, *, asked: bool, given_last: bool
) -> str:  # fmt: skip
    if not promise.kept:
        return (
            f"No early exit is expected to keep the {what} within {budget}: on the {drawn} it is larger, alone or "
            f"with its standard error added. {_nothing_leaves(what, given_last)}"
        )
    assert promise.drop is not None and promise.error is not None
    sentences = (
        f"Expected, not proven: on the {drawn} the {what} is {units.points(promise.drop, signed=False)} with a "
        f"standard error of {units.points(promise.error, signed=False)}; the sum of both is at most {budget}. "
        "About one such choice in six loses more on new data."
    )
    if not asked:
        sentences += " A proof on these samples would save less than half as much."
    if promise.needed is not None:
        sentences += f" About {promise.needed:,} {_units(promise)} with the same share of losses would prove it."
    if promise.grouped and promise.units < FEW_GROUPS:
        sentences += f" With {promise.units:,} groups only, both of these figures are uncertain themselves."
    return sentences


def _nothing_leaves(what: str, given_last: bool) -> str:
    return f"Nothing leaves early, so the {what} is 0." if given_last else "Nothing leaves early."


def _labels(promise: Promise) -> str:
    if promise.labelled is None:
        return ""
    return (
        f" {promise.labelled:,} of these samples have a label. None is needed where cascade and given model give "
        "the same answer; where they differ and there is no label, the cascade counts as wrong."
    )


def _units(promise: Promise) -> str:
    return "groups" if promise.grouped else f"{_kind(promise)}{units.data_part(promise.part)} samples"


def _kind(promise: Promise) -> str:
    return "non-empty " if promise.blank else ""
