"""What ``eeaug evaluate`` shows, and what it says of it in a sentence."""

from __future__ import annotations

from typing import Any

from eeaug.cli import out

__all__ = ["show", "verdict"]

NAMES = {
    "leave_rate": "leave at {}",
    "left_confidence": "  mean confidence of these",
    "reached_confidence": "  mean confidence of all there",
}


def verdict(facts: dict[str, Any], *, promise: dict[str, Any]) -> str:
    """Whether the data is of the kind that thresholds were found on, in plain words."""
    from eeaug.report.units import data_part

    reference = facts["reference"]
    sentences = []
    if "stream" in facts:
        from eeaug.report.words import streams

        labelled = facts["accuracy"] is not None
        sentences.append(streams.kept(facts["stream"]["promise"], facts["baseline"]["drop"], labelled=labelled))
    served = reference["samples_served_as"]
    if served:
        sets = " and ".join(f"the {data_part(name)} set" for name in served)
        sentences.append(f"{facts['part']} is no new data: it was {sets} when the bundle was made.")
    part = f"the {data_part(reference['part'])} set"
    one_by_one = "Samples one by one: " if "stream" in facts else ""
    if reference["part"] == "choose":
        part += ", on which thresholds were found, so the intervals are optimistic"
    outside = [s for s in reference["statistics"] if s["outside"]]
    if outside:
        # a leave rate says most to a user, then whatever is least likely
        worst = min(outside, key=lambda s: (s["statistic"] != "leave_rate", s["p_value"]))
        more = f", and {len(outside) - 1} more like that" if len(outside) > 1 else ""
        what = "The thresholds and their promise" if promise["kept"] else "The thresholds"
        so = f"{what} are for other data."
        if one_by_one:
            so = "That may be chance, as intervals are for samples by themselves, and those of a stream are alike."
        sentences.append(f"{one_by_one}Shift from {part}: {_in_words(worst, facts)}{more}. {so}")
    else:
        sentences.append(f"{one_by_one}Leave rates and confidences are as on {part}.")
    if reference["weighted"]:
        sentences.append("The expected values are weighted by --priors, this data is not.")
    return " ".join(sentences)


def _in_words(test: dict[str, Any], facts: dict[str, Any]) -> str:
    from eeaug.report import units

    stage, (low, high) = test["stage"], test["interval"]
    if test["statistic"] == "leave_rate":
        verb = "reach" if stage == facts["stages"][-1]["name"] else "leave at"
        return f"{units.share(test['observed'])} {verb} {stage}, {100 * low:.2f} to {units.share(high)} expected"
    who = "leave at" if test["statistic"] == "left_confidence" else "reach"
    mean = f"the mean confidence of samples that {who} {stage} is {test['observed']:.4f}"
    return f"{mean}, {low:.4f} to {high:.4f} expected"


def show(facts: dict[str, Any], source: str) -> None:
    """Print the result on stdout."""
    from eeaug.report import units
    from eeaug.report.render.tables import table
    from eeaug.report.words import streams

    at = "" if facts["point"] == "default" else f", operating point {facts['point']}"
    title = f"{facts['samples']:,} samples of {source} ({facts['part']}){at}"
    stream = facts.get("stream")
    remembered = [*stream["decided_by"]["remembered"], None] if stream else [None] * len(facts["stages"])
    rows = [
        (
            stage["name"],
            units.share(rate),
            *([] if stream is None else ["–" if memory is None else units.share(memory)]),
            "–" if stage["accuracy"] is None else units.share(stage["accuracy"]),
            "–" if stage["mean_confidence"] is None else f"{stage['mean_confidence']:.4f}",
            units.macs(stage["macs"]),
        )
        for stage, rate, memory in zip(facts["stages"], facts["leave_rates"], remembered, strict=True)
    ]
    memory_title = () if stream is None else ("from memory",)
    titles = ("left at stage", "share", *memory_title, "right of these", "mean confidence", "MACs so far")
    console = out.console()
    if stream is not None:
        header, *ways = streams.rows(facts)
        console.print(table(header, ways, title=f"{title} in {stream['sequences']:,} sequences"))
        console.print()
        title = "Where they leave"
    console.print(table(titles, rows, title=title))
    console.print()
    console.print(_comparison(facts))
    console.print()
    right = "" if facts["accuracy"] is None else f"accuracy {units.share(facts['accuracy'])}, "
    lines = [f"{right}mean MACs {units.macs(facts['mean_macs'])}"]
    if facts["baseline"] is not None:
        lines.append(_drop(facts["baseline"]))
    if facts.get("fallback"):
        share = units.share(facts["fallback"] / facts["samples"])
        lines.append(
            f"No answer came from the server in time for {share} of the samples ({facts['fallback']:,}; "
            f"{facts['unanswered']}): the last classifier before it decided."
        )
    elif "fallback" in facts:
        lines.append("The server answered for every sample in time.")
    for line in [*lines, *(() if stream is None else streams.again(stream)), facts["verdict"]]:
        console.print(line, soft_wrap=True)


def _comparison(facts: dict[str, Any]) -> Any:
    from eeaug.report import units
    from eeaug.report.render.tables import table

    reference = facts["reference"]
    title = f"Compared with the {units.data_part(reference['part'])} set ({reference['samples']:,} samples)"
    if "stream" in facts:
        title += ", samples one by one"
    rows = []
    for test in reference["statistics"]:
        shares = test["statistic"] == "leave_rate"
        name = NAMES[test["statistic"]]
        if shares and test["stage"] == facts["stages"][-1]["name"]:
            name = "reach {}"
        if shares:
            low, high = test["interval"]
            here, expected = units.share(test["observed"]), f"{100 * low:.2f} to {units.share(high)}"
        else:
            here = "–" if test["observed"] is None else f"{test['observed']:.4f}"
            expected = "–" if test["interval"] is None else "{:.4f} to {:.4f}".format(*test["interval"])
        rows.append((name.format(test["stage"]), here, expected, "outside" if test["outside"] else ""))
    titles = ("", "here", f"expected ({1 - reference['level']:.0%} for all)", "")
    return table(titles, rows, title=title, left=(0, 3))


def _drop(baseline: dict[str, Any]) -> str:
    from eeaug.report import units

    drop, bound = units.in_words(baseline["drop"]), baseline["drop_bound_95"]
    if baseline["accuracy"] is None:
        figures = f"another answer than the given model on {units.share(baseline['drop'])} of samples"
    else:
        figures = f"the given model is right on {units.share(baseline['accuracy'])}: a drop of {drop}"
    if bound is None:
        return f"{figures}; no bound: {baseline['drop_bound_95_missing']}"
    groups = ", every group weighted equally" if baseline["bounds_unit"] == "group" else ""
    return f"{figures}, with 95 % confidence at most {units.in_words(bound)}{groups}"
