"""The first sentences of a report: what the design saves, what it loses, what is promised of it, what got worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eeaug.design.design import Chosen, Decided
from eeaug.design.promise import Promise
from eeaug.report import units
from eeaug.report.content import promise
from eeaug.schema.figures import FIGURES
from eeaug.search.space import LATENCY
from eeaug.settings import Goal
from eeaug.stages.partition import Stage
from eeaug.support.quantities import apart

__all__ = ["dearer", "in_int8", "obstacle", "sentence"]

Metrics = Mapping[str, Any]

LEAST_MORE = 1e-3  # relative: less is rounding
_SAVED = ("mean_macs", "mean_latency_s", "mean_energy_j")
_MORE = ("worst_latency_s", "storage_bytes", "peak_activation_bytes")
SEVERAL = 2.0  # from here on "3.1 times the storage" is read more easily than "210% more"


def sentence(
    chosen: Chosen, stages: Sequence[Stage], labels: str, baseline: Metrics, design: Metrics, promised: Promise,
    *, without_exits: str | None = None,
) -> str:  # fmt: skip
    """The answer in a sentence or two; ``baseline`` and ``design`` are metrics of the same part.

    ``without_exits``: what no exit does, and why, where that is known.
    """
    where = "on the test set" if design["split"] == "test" else "on the calibration set (no test data)"
    blank = chosen.decision.kind == "blank"
    kept = "of the non-empty samples kept" if blank else "accuracy"
    if not chosen.design.exits:
        words = {"proven": "could be proven to keep the budget", "expected": "is expected to keep the budget"}
        why = words[promised.kind] if promised.tested else "pays off within the limits"
        why = f"{why}:" if without_exits is None else f"{without_exits};"
        return (
            f"No early exit {why} the whole model runs on {stages[0].processor}, "
            f"{units.macs(design['mean_macs'])} MACs, {units.share(design['accuracy'])} {kept} {where}."
        )
    exits = ", ".join(str(stage.end) for stage in stages[:-1])
    drop = baseline["accuracy"] - design["accuracy"]
    if labels == "none":
        change = f"another answer than the given model on {units.share(drop)} of samples"
    elif blank:
        change = f"{units.share(drop)} of the non-empty samples lost"
    else:
        change = f"{_change(drop, mark=True)} than the given model"
    sure = promise.clause(promised)
    leave = "leave early as empty" if blank else "leave early"
    return (
        f"{_early(design)} of samples {leave} (at {exits}): {_saved(baseline, design)}, {change} {where}"
        + (f"; {sure}." if sure else ".")
        + _more(baseline, design)
    )


def _early(design: Metrics) -> str:
    early = 1 - design["leave_rates"][-1]
    whole = f"{early:.0%}"
    if early < 1 and whole == "100%":
        return "More than 99%"
    if early > 0 and whole == "0%":
        return "Less than 1%"
    return whole


def _saved(baseline: Metrics, design: Metrics) -> str:
    """Shares of the means that are saved, those that are equal together."""
    by_share: dict[str, list[str]] = {}
    for key in _SAVED:
        given, mine = baseline[key], design[key]
        # MACs always; what costs more was said before
        if key == "mean_macs" or (given and mine is not None and mine <= given * (1 + LEAST_MORE)):
            by_share.setdefault(units.saved(1 - mine / given), []).append(FIGURES[key].words)
    parts = [f"{share} of the {_listed(words)}" for share, words in by_share.items()]
    return f"{_listed(parts)} saved"


def _more(baseline: Metrics, design: Metrics) -> str:
    """What the design needs more of, though its means are lower: sentences of their own."""
    parts = []
    for key in _MORE:
        given, mine = baseline[key], design[key]
        if given and mine is not None and mine > given * (1 + LEAST_MORE):
            times, words = mine / given, FIGURES[key].words
            parts.append(f"{times:.1f} times the {words}" if times >= SEVERAL else f"{times - 1:.1%} more {words}")
    return f" It needs {_listed(parts)}." if parts else ""


def _listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def in_int8(baseline: Metrics, int8: Metrics | None) -> str:
    """What the int8 cascade saves and loses, where it is what devices run; ``baseline``: of the given model."""
    if int8 is None:
        return ""
    metrics = int8["measured"] or int8["predicted"]
    saved = units.saved(1 - metrics["mean_macs"] / baseline["mean_macs"])
    return f" In int8: {saved} of the mean MACs saved, {_change(baseline['accuracy'] - metrics['accuracy'])}."


def _change(drop: float, *, mark: bool = False) -> str:
    amount = units.in_words(abs(drop), mark=True) if mark else units.points(abs(drop), signed=False)
    return f"{amount} {'less' if drop > 0 else 'more'} accuracy"


def dearer(baseline: Metrics, design: Metrics) -> str:
    """First of all: that the design is slower than the given model, or costs more energy; else nothing."""
    words = []
    for key, more, text in (
        ("mean_latency_s", "is slower", units.seconds),
        ("mean_energy_j", "costs more energy", units.joules),
    ):
        given, mine = baseline[key], design[key]
        if given and mine is not None and mine > given * (1 + LEAST_MORE):
            words.append(f"{more} than the given model ({text(mine)} against {text(given)} a sample on average)")
    return f"This design {' and '.join(words)}. " if words else ""


def obstacle(decided: Decided, goal: Goal) -> str | None:
    """What no exit does: the limit or budget in its way, with the nearest miss; None: that is not known."""
    result, problem = decided.result, decided.searched
    if decided.chosen.design.exits or decided.promise.tested or not problem.max_exits:
        return None
    settled = result.settled
    if settled.rejected and not any(design.exits for front in result.fronts.values() for design, *_ in front):
        missed = {limit: over for limit, over in settled.nearest.items() if settled.rejected.get(limit)}
        if missed:
            return _limited(missed, problem.limits, problem.latency_option)
    return _dropping(decided, goal)


def _limited(missed: Mapping[str, float], limits: Mapping[str, float], option: str) -> str:
    """A limit that every design with exits misses, and by how much the nearest does."""
    limit = min(missed, key=lambda name: missed[name] / limits[name])
    need = limits[limit] + missed[limit]
    if limit == LATENCY:
        short, long = apart(units.seconds, limits[limit], need)
        return (
            f"keeps {option} {short}: the nearest design has a worst latency of {long}, which {option} "
            f"{need * 1.001:.4g} would allow"
        )
    short, long = apart(units.size, limits[limit], need)
    return f"fits into memory {limit.removeprefix('memory:')!r} ({short}): the nearest design needs {long}"


def _dropping(decided: Decided, goal: Goal) -> str | None:
    """The smallest accuracy drop at which an exit saves MACs, if the budget is smaller."""
    budget, front = goal.max_accuracy_drop, decided.result.fronts.get("macs", ())
    none = [(accuracy, cost) for design, accuracy, cost in front if not design.exits]
    if budget is None or not none:
        return None
    given, base = none[0]
    nearer = [
        (given - accuracy, 1 - cost / base, design)
        for design, accuracy, cost in front
        if design.exits and cost < base and given - accuracy > budget
    ]
    if not nearer:
        return None
    drop, saved, design = min(nearer, key=lambda each: each[0])
    place = ", ".join(decided.searched.costs.exits[e].location for e in design.exits)
    option = "--max-accuracy-drop" if goal.max_blank_loss is None else "--max-blank-loss"
    return (
        f"saves MACs and loses at most {units.in_words(budget, mark=True)}: the nearest design (exits at {place}) "
        f"saves {units.saved(saved)} and loses {units.points(drop, signed=False)} on the samples that compare "
        f"designs, which {option} {100 * drop + 0.05:.1f}pp would allow"
    )
