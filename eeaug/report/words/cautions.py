"""What a user must know before believing a report's figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eeaug.cascade.output import STEP
from eeaug.design.refine import LEAST_SAVING
from eeaug.report.units import data_part, in_words, share
from eeaug.report.words.facts import Report, accuracy_name, decided, is_blank
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
    stream = report.get("stream")
    if stream is not None:
        spent = (1 - stream["saved_on_choose"]["memory" if stream["remembers"] else "alone"]) * given
    if spent > (1 - LEAST_SAVING) * given:
        why = "no design without exits meets the limits; with larger ones, such as --max-latency, none are needed"
        if settings["exit_at"]:
            why = "--exit-at asks for them; without it the search decides"
        more = f"{spent / given - 1:+.1%} of the given model's {what}"
        yield f"the exits save nothing on the calibration samples ({more}): they are there because {why}"
        return
    whole = (report["baseline"]["measured"] or {}).get(key)
    for name, (measured, _) in _cascades(report).items():
        if measured is not None and whole and (measured.get(key) or 0.0) > (1 - LEAST_SAVING) * whole:
            yield (
                f"{name}the exits save nothing on the test set: {measured[key] / whole - 1:+.1%} of the given "
                f"model's {what}; if that set is like the field, use the given model"
            )


def unequal(report: Report) -> Iterator[str]:
    """Classes that pay for the others, in the float cascade and in the int8 one: first lines of the report."""
    settings = report["settings"]
    limit, kind = settings["max_class_drop"], "label" if report["model"]["decision"] == "multilabel" else "class"
    # of streams the float files stand for both: which classes the int8 ones lose is known of single samples alone
    blocks: dict[str, Any] = {"": report, "int8: ": None if "stream" in report else report["int8"]}
    for name, block in blocks.items():
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
    yield from _missed(report)
    for block in (report, report["int8"] or {}):
        yield from (block.get("c") or {}).get("warnings", ())
    if report["int8"] is not None:
        yield from _closed(report)
    for name, (measured, promise) in _cascades(report).items():
        if measured is None:
            continue
        yield from _class_over(report, name, measured, promise)
        if budget is None:
            continue
        drop = decided(report)[0]["accuracy"] - measured["accuracy"]
        if drop > budget + 1e-9:
            lost, asked = apart(lambda value: f"{100 * value:.2f} percentage points", drop, budget)
            yield (
                f"{name}the drop on the test set is {lost}, more than the {asked.partition(' ')[0]} "
                f"asked for: {_why(promise, measured['samples'])}"
            )


def _cascades(report: Report) -> dict[str, tuple[Report | None, Report]]:
    """By words: what the float and the int8 files come to on test (None: not measured), and what is promised."""
    if "stream" not in report:
        cascades = {"": (report["design"]["measured"], report["promise"])}
        if report["int8"] is not None:
            cascades["int8: "] = report["int8"]["measured"], report["int8"]["promise"]
        return cascades
    stream = report["stream"]
    cascades = {"on streams: ": (decided(report)[1], stream["promise"])}
    if "int8" in stream:
        files = stream["int8"]
        figures = files["figures"]["memory" if files["remembers"] else "alone"]
        cascades["int8, on streams: "] = {**figures, "samples": stream["samples"]}, files["promise"]
    return cascades if stream["split"] == "test" else {name: (None, kept) for name, (_, kept) in cascades.items()}


def _class_over(report: Report, name: str, measured: Report, promise: Report) -> Iterator[str]:
    """A class that is over --max-class-drop on test, where chance may explain it: else it is in the first lines."""
    limit = report["settings"].get("max_class_drop")
    block = report["int8"] if name.startswith("int8") else report
    if limit is None or block["classes_that_lose"] or "worst_class" not in measured:
        return
    worst = measured["worst_class"]
    if worst["drop"] <= limit + 1e-9:
        return
    lost, asked = apart(lambda value: f"{100 * value:.2f} percentage points", worst["drop"], limit)
    yield (
        f"{name}class {worst['name']} loses {lost} on the test set, more than the {asked.partition(' ')[0]} "
        f"of --max-class-drop: {_why(promise, measured['samples'])}"
    )


def _missed(report: Report) -> Iterator[str]:
    """Events that streams miss on test beyond --max-missed, where that counts what is missed in the end."""
    stream, limit = report.get("stream"), report["settings"].get("max_missed", "/")
    if stream is None or "/" in limit or stream["split"] != "test":
        return
    given, used = (
        stream["figures"][way]["events"] for way in ("given", "memory" if stream["remembers"] else "alone")
    )
    most = stream["promise"].get("max_missed")
    if most is None or used["missed"] - given["missed"] <= most * given["events"] + 1e-9:
        return
    proven = stream["promise"]["promise"] == "proven"
    remedy = "a smaller --max-missed leaves room" if proven else "--promise proven proves the limit"
    yield (
        f"of {given['events']:,} events of the test set {used['missed']:,} are missed, by the given model "
        f"{given['missed']:,}: more than the {share(most)} of --max-missed, as far as few events can tell; {remedy}"
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
