"""Whether the parts of the data are of one kind, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from eeaug.report.units import share
from eeaug.report.words.facts import Report
from eeaug.support.progress import DOUBT

__all__ = ["compared", "doubts"]

SHARES = ("accuracy", "class_share", "leave_rate", "left_by")


def doubts(report: Report) -> Iterator[str]:
    """What is outside, a line for each two parts: the first lines of the report."""
    for pair in (report["shift"] or {"comparisons": ()})["comparisons"]:
        if not pair["outside"]:
            continue
        worst, others = pair["statistics"][0], pair["outside"] - 1
        more = f", and {others} more" if others else ""
        yield f"{DOUBT}{pair['part']} is not like {pair['reference']}: {_in_words(worst, pair)}{more}: {_why(pair)}"


def _why(pair: Report) -> str:
    if pair["learnt"]:
        if pair["statistics"][0]["statistic"] == "class_share":
            return (
                "model and exits were trained on other shares of classes; --priors weighs samples by those to come"
            )
        return (
            "a model does no better on samples that it has not learnt, so these are easier, prepared otherwise or "
            "from elsewhere"
        )
    return (
        "one of the two is prepared otherwise or comes from elsewhere (other people, devices, places, shares of "
        "classes), and what was chosen or proven on one need not hold on the other"
    )


def compared(report: Report) -> str | None:
    """What was compared and what came of it; None: there is no test part."""
    facts = report["shift"]
    if facts is None:
        return None
    sentences = []
    for pair in facts["comparisons"]:
        unit = "groups" if pair["unit"] == "group" else "samples"
        new, old = reversed(pair["units"])
        what = f"{pair['part']} ({new:,} {unit}) with {pair['reference']} ({old:,})"
        outside = [_in_words(one, pair) for one in pair["statistics"] if one["outside"]]
        if outside:
            sentences.append(f"{what}: {'; '.join(outside)}")
        elif pair["learnt"]:
            sentences.append(f"{what}, which the model has learnt: no better than there{_seen(pair)}")
        else:
            sentences.append(f"{what}: alike")
    chance = f"chance is outside in {share(facts['level'])} of runs"
    return "; ".join([*sentences, f"{facts['tests']:,} tests, {chance} at most"])


def _seen(pair: Report) -> str:
    """The figures of both sides: how much of it is learnt by heart is no test's business."""
    known = {(one["statistic"], one["of"]): one for one in pair["statistics"]}
    told = [
        f"{words} {share(one['expected'])} there, {share(one['observed'])} here"
        for key, words in ((("accuracy", None), "right on"),)
        if (one := known.get(key)) is not None
    ]
    told += [
        f"leave by {where} {share(one['expected'])} there, {share(one['observed'])} here"
        for (name, where), one in known.items()
        if name == "left_by"
    ]
    return f" ({'; '.join(told)})" if told else ""


def _in_words(one: Report, pair: Report) -> str:
    low, high = one["interval"]
    name, of, part = one["statistic"], one["of"], pair["part"]
    at_most = pair["learnt"] and name != "class_share"
    if name in SHARES:
        observed = share(one["observed"])
        limits = f"{share(high)} at most" if at_most else f"{100 * low:.2f} to {share(high)}"
        what = {
            "accuracy": f"the given model is right on {observed} of {part}",
            "class_share": f"{observed} of {part} are {of}",
            "leave_rate": f"{observed} of {part} leave at {of}",
            "left_by": f"{observed} of {part} leave at {of} or before",
        }[name]
    else:
        limits = f"{high:.4f} at most" if at_most else f"{low:.4f} to {high:.4f}"
        who = {"left_confidence": f" of {part} that leave", "reached_confidence": f" of {part} there"}.get(
            name, f" of all {part}"
        )
        what = f"the mean confidence{who} at {of} is {one['observed']:.4f}"
    over = ", by groups" if pair["unit"] == "group" else ""
    return f"{what} ({limits} expected{over})"
