"""Whether the parts of the data are of one kind, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from eeaug.report.units import data_part, share
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
        more = f", and {others} more like that" if others else ""
        new, reference = data_part(pair["part"]), data_part(pair["reference"])
        yield (
            f"{DOUBT}the {new} set is not like the {reference} set: {_in_words(worst, pair)}{more}: {_why(pair)}"
        )


def _set(name: str) -> str:
    return f"the {data_part(name)} set"


def _why(pair: Report) -> str:
    if pair["learnt"]:
        if pair["statistics"][0]["statistic"] == "class_share":
            return "model and exits were trained on other shares of classes; --priors says which shares are to come"
        return (
            "a model is no better on samples that it was not trained on, so these are easier, prepared in another "
            "way or from elsewhere: prepare all parts alike"
        )
    return (
        "one of the two is prepared in another way or comes from elsewhere (other people, devices, places, shares "
        "of classes); take both from the field, or promises may not hold"
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
        what = f"{_set(pair['part'])} ({new:,} {unit}) with {_set(pair['reference'])} ({old:,})"
        outside = [_in_words(one, pair) for one in pair["statistics"] if one["outside"]]
        if outside:
            sentences.append(f"{what}: {'; '.join(outside)}")
        elif pair["learnt"]:
            sentences.append(f"{what}, on which the model was trained: no better than there{_seen(pair)}")
        else:
            sentences.append(f"{what}: no difference")
    chance = f"at most {share(facts['level'])} of runs show a difference by chance"
    return "; ".join([*sentences, f"{facts['tests']:,} tests, {chance}"])


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
    name, of = one["statistic"], one["of"]
    at_most = pair["learnt"] and name != "class_share"
    if name in SHARES:
        observed = share(one["observed"])
        limits = f"{share(high)} at most" if at_most else f"{100 * low:.2f} to {share(high)}"
        what = {
            "accuracy": f"the given model is right on {observed} of its samples",
            "class_share": f"{observed} of its samples are {of}",
            "leave_rate": f"{observed} of its samples leave at {of}",
            "left_by": f"{observed} of its samples leave at {of} or before",
        }[name]
    else:
        limits = f"{high:.4f} at most" if at_most else f"{low:.4f} to {high:.4f}"
        who = {
            "left_confidence": "its samples that leave at",
            "reached_confidence": "its samples that get to",
        }.get(name, "all its samples at")
        what = f"the mean confidence of {who} {of} is {one['observed']:.4f}"
    over = ", counted by groups" if pair["unit"] == "group" else ""
    return f"{what} ({limits} expected{over})"
