"""What else could be had: the operating points of the design, and what other accuracy drops would buy."""

from __future__ import annotations

from eeaug.report.units import macs, points, quantity, relative, threshold
from eeaug.report.words.facts import Report, drop_name, estimated, shown
from eeaug.settings import COSTS, Cost

__all__ = [
    "benefits",
    "benefits_note",
    "benefits_title",
    "operating_points",
    "operating_points_title",
    "point_notes",
]

_USABLE_DROP = 0.05
_CURVE_ROWS = 10


def operating_points_title(report: Report) -> str:
    """What `operating_points` lists, and whether its latencies and energies are estimates."""
    note = "; latency and energy estimated" if estimated(report) else ""
    return f"Operating points (← the design above{note})"


def operating_points(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows, one column per operating point; empty where there is only the design itself."""
    every = report["operating_points"]
    if len(every) < 2:
        return ()
    baseline = shown(report)[0]
    known = [point["measured"] or point["predicted"] for point in every]

    def drops(split: str, metrics: str) -> list[str]:
        given = report["baseline"][split]
        return [points(given["accuracy"] - point[metrics]["accuracy"], signed=False) for point in every]

    budgets = [point["max_accuracy_drop"] for point in every]
    rows = [
        ("", *(f"{point['name']} ←" if point["name"] == "default" else point["name"] for point in every)),
        ("budget", *("none" if budget is None else points(budget, signed=False) for budget in budgets)),
    ]
    for position, exit_ in enumerate(report["design"]["exits"]):
        limits = (threshold(point["thresholds"][position]) for point in every)
        rows.append((f"threshold at {exit_['location']}", *limits))
    rows += [
        ("predicted drop", *drops("choose", "predicted")),
        ("predicted mean MACs", *(macs(point["predicted"]["mean_macs"]) for point in every)),
    ]
    if report["design"]["measured"] is not None:
        rows += [
            ("measured drop", *drops("measured", "measured")),
            ("measured mean MACs", *(macs(metrics["mean_macs"]) for metrics in known)),
        ]
    return (
        *rows,
        (
            "MACs against given model",
            *(relative(baseline["mean_macs"], metrics["mean_macs"]) for metrics in known),
        ),
        *(
            (cost.words, *(quantity(cost.unit)(metrics[cost.metric]) for metrics in known))
            for cost in COSTS.values()
            if cost.needs
        ),
        ("promise", *(promise_word(point["promise"]) for point in every)),
        *([("note", *notes)] if any(notes := point_notes(report)) else []),
    )


def promise_word(promise: Report) -> str:
    """Of one operating point, in a word or two."""
    if promise["promise"] == "none" or promise["kept"]:
        return str(promise["promise"])
    return f"not {promise['promise']}"


def together(report: Report) -> str:
    """What the proofs of all operating points are worth at once; empty where fewer than two are proven."""
    proven = [p for p in report["operating_points"] if p["promise"]["promise"] == "proven" and p["promise"]["kept"]]
    if len(proven) < 2:
        return ""
    risk, all_of_them = proven[0]["promise"]["risk"], report["proven_together"]
    return (
        f"Each proof holds by itself with probability {1 - risk:.4g}; all {len(proven)} of them at once with "
        f"{all_of_them:.4g} at least."
    )


def point_notes(report: Report) -> list[str]:
    """What must be said of every operating point, by the calibration samples: another's double, or dear."""
    cost = COSTS[report["settings"]["objective"]]
    key, given, notes = cost.metric, report["baseline"]["choose"][cost.metric], []
    every = report["operating_points"]
    by_preference = sorted(every, key=lambda point: point["name"] != "default")
    for point in every:
        mine = point["predicted"]
        double = next(
            (p["name"] for p in by_preference if p["predicted"] == mine and p["name"] != point["name"]), None
        )
        remarks = [] if double is None or point["name"] == "default" else [f"same as {double}"]
        if mine[key] is not None and given is not None and mine[key] > given * (1 + 1e-9):
            remarks.append(f"more {cost.words} than the given model")
        notes.append(", ".join(remarks))
    return notes


def benefits_title(report: Report) -> str:
    """What `benefits` lists, and whether its latencies and energies are estimates."""
    note = "" if shown(report)[1]["basis"] == "timed" else " (latency and energy estimated)"
    return f"What each {drop_name(report)} would save, on the calibration set{note}"


def benefits(report: Report) -> tuple[tuple[str, ...], ...]:
    """Header and rows: what other accuracy drops buy, the chosen one marked; report.json holds all of it.

    Drops that nobody would take are left out, and the rest is thinned to a table that can be read.
    """
    rows: list[tuple[str, ...]] = [(drop_name(report), *(cost.words for cost in COSTS.values()), "exits")]
    usable = [e for e in report["benefit_curve"] if e["chosen"] or e["drop"] <= _USABLE_DROP]
    every = max(1, -(-len(usable) // _CURVE_ROWS))
    for index, entry in enumerate(usable):
        if index % every and not entry["chosen"]:
            continue
        exits = ", ".join(entry["exits"]) or "none"
        rows.append(
            (
                points(entry["drop"], signed=False),
                *(_on_front(entry, cost) for cost in COSTS.values()),
                f"{exits} ← chosen" if entry["chosen"] else exits,
            )
        )
    return tuple(rows)


def _on_front(entry: Report, cost: Cost) -> str:
    value = entry[cost.metric]
    words = quantity(cost.unit)(value)
    return words if value is None or cost.metric in entry["fronts"] else f"({words})"


def benefits_note(report: Report) -> str:
    """How to read `benefits`, and what is not in it."""
    if any("(" in cell for row in benefits(report)[1:] for cell in row[1:4]):
        return "In brackets: another design has a lower figure there and loses no more accuracy."
    return ""
