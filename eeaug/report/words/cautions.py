"""What a user must know before believing a report's figures."""

from __future__ import annotations

from collections.abc import Iterator

from eeaug.cascade.output import STEP
from eeaug.design.refine import LEAST_SAVING
from eeaug.report.units import data_part, in_words, share
from eeaug.report.words.facts import Report, accuracy_name, is_blank
from eeaug.settings import COSTS
from eeaug.support.progress import UNEQUAL
from eeaug.support.quantities import apart

__all__ = ["sentences", "unequal"]

NAMED = 3  # classes in one warning
FEW_SAMPLES = 200  # on choose: a budget of one point is then two of them


def _savings(report: Report) -> Iterator[str]:
    """Exits that save nothing, and why they are there all the same."""
    design, base, settings = report["design"], report["baseline"]["choose"], report["settings"]
    if not design["exits"] or design["target"] is not None:
        return
    cost = COSTS[settings["objective"]]
    key, what = cost.metric, cost.words
    spent, given = design["predicted"]["exact"][key], base[key]
    if spent is None or not given:
        return
    if spent > (1 - LEAST_SAVING) * given:
        why = "no design without exits meets the limits; with larger ones, such as --max-latency, none are needed"
        if settings["exit_at"]:
            why = "--exit-at asks for them; without it the search decides"
        more = f"{spent / given - 1:+.1%} of the given model's {what}"
        yield f"the exits save nothing on the calibration samples ({more}): they are there because {why}"
        return
    for name, measured in (("", design["measured"]), ("int8: ", (report["int8"] or {}).get("measured"))):
        whole = (report["baseline"]["measured"] or {}).get(key)
        if measured is not None and whole and (measured[key] or 0.0) > (1 - LEAST_SAVING) * whole:
            yield (
                f"{name}the exits save nothing on the test set: {measured[key] / whole - 1:+.1%} of the given "
                f"model's {what}; if that set is like the field, use the given model"
            )


def unequal(report: Report) -> Iterator[str]:
    """Classes that pay for the others, in the float cascade and in the int8 one: first lines of the report."""
    settings = report["settings"]
    limit, kind = settings["max_class_drop"], "label" if report["model"]["decision"] == "multilabel" else "class"
    for name, block in {"": report, "int8: ": report["int8"]}.items():
        losing = [] if block is None else block["classes_that_lose"]
        if not losing:
            continue
        verb, falls = "falls ", []
        for row in losing[:NAMED]:
            before, after = share(row["baseline_accuracy"]), share(row["accuracy"])
            falls.append(f"{row['name']} {verb}from {before} to {after} ({row['samples']:,} samples)")
            verb = ""
        if len(losing) > NAMED:
            falls.append(f"{len(losing) - NAMED:,} more")
        if limit is None:
            average = in_words(settings["max_accuracy_drop"])
            allowed = f"three times the {average} that all may lose on average"
            refused = (
                "--recipe trecx" if settings["recipe"] == "trecx" else "--finetune" * bool(settings["finetune"])
            )
            remedy = "; --max-class-drop limits what every class may lose"
            remedy += f" (without {refused})" if refused else ""
        else:
            allowed = f"the {in_words(limit)} of --max-class-drop"
            proven = block["promise"]["promise"] == "proven"
            remedy = "; a smaller --max-class-drop" if proven else "; --promise proven proves that limit, too"
        yield (
            f"{UNEQUAL}{name}on the {data_part(losing[0]['split'])} set {kind} {', '.join(falls)}: more than "
            f"{allowed}, and more than chance explains{remedy}"
        )


def sentences(report: Report) -> Iterator[str]:
    """The warnings that follow from what the report says."""
    design, base, settings = report["design"], report["baseline"], report["settings"]
    budget, samples = settings["max_accuracy_drop"], base["choose"]["samples"]
    if is_blank(report) and report["promise"]["promise"] != "none":
        samples = report["promise"]["samples"]  # with something
    if samples < FEW_SAMPLES:
        of = accuracy_name(report)
        yield (
            f"thresholds were decided on {samples} samples only: one of them is {100 / samples:.1f} percentage "
            f"points of {of}; give more in x_val"
        )
    if settings["correction"] < 1:
        yield (
            f"--correction {settings['correction']:g} lowers the thresholds that were found: more samples leave "
            "than the budget allows; leave it out to keep the budget"
        )
    if "triton" in settings["formats"] and "remote" not in design:
        yield (
            "--format triton: no stage of this design runs on a server, so there are no files for one; "
            "--mapping one-each puts one there, and so does --objective latency where the server is faster"
        )
    yield from _savings(report)
    for block in (report, report["int8"] or {}):
        yield from (block.get("c") or {}).get("warnings", ())
    cascades = {"": (design["measured"], report["promise"])}
    if report["int8"] is not None:
        yield from _closed(report)
        cascades["int8: "] = report["int8"]["measured"], report["int8"]["promise"]
    for name, (measured, promise) in cascades.items():
        if measured is None:
            continue
        yield from _class_over(report, name, measured, promise)
        if budget is None:
            continue
        drop = base["measured"]["accuracy"] - measured["accuracy"]
        if drop > budget + 1e-9:
            lost, asked = apart(lambda value: f"{100 * value:.2f} percentage points", drop, budget)
            yield (
                f"{name}the drop on the test set is {lost}, more than the {asked.partition(' ')[0]} "
                f"asked for: {_why(promise, measured['samples'])}"
            )


def _class_over(report: Report, name: str, measured: Report, promise: Report) -> Iterator[str]:
    """A class that is over --max-class-drop on test, where chance may explain it: else it is in the first lines."""
    limit, block = report["settings"].get("max_class_drop"), report["int8"] if name else report
    if limit is None or block["classes_that_lose"]:
        return
    worst = measured["worst_class"]
    if worst["drop"] <= limit + 1e-9:
        return
    lost, asked = apart(lambda value: f"{100 * value:.2f} percentage points", worst["drop"], limit)
    yield (
        f"{name}class {worst['name']} loses {lost} on the test set, more than the {asked.partition(' ')[0]} "
        f"of --max-class-drop: {_why(promise, measured['samples'])}"
    )


def _closed(report: Report) -> Iterator[str]:
    """Thresholds that were given, and that no int8 confidence can reach."""
    for exit_, int8_exit in zip(report["design"]["exits"], report["int8"]["exits"], strict=True):
        if int8_exit["threshold"] is None and exit_["threshold"] is not None and exit_["threshold"] > 1 - STEP:
            yield (
                f"int8: nothing leaves at {exit_['location']}: no int8 confidence is above 255/256; give a lower "
                "threshold"
            )


def _why(promise: Report, samples: int) -> str:
    if promise["promise"] == "proven":
        return (
            f"the proof is about the true drop, which {samples:,} test samples show only roughly; it fails with "
            f"probability {promise['risk']:g} at most; a smaller budget leaves room"
        )
    more = f"about one such choice in six loses more, and {samples:,} test samples show the true drop only roughly"
    if promise["promise"] == "none":
        more = (
            "the thresholds just keep the budget on the calibration samples, and such ones often exceed it on "
            "others"
        )
    return f"{more} (--promise proven proves the budget)"
