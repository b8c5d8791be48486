"""Reports of all kinds, made of the sample report, and a reader of the page that is made of one."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from eeaug.report import units
from eeaug.report.render import page

Report = dict[str, Any]


def plain(report: Report) -> None: ...


def untested(report: Report) -> None:
    report["design"]["measured"] = report["baseline"]["measured"] = None
    report["accuracy_drop_bound_95"], report["accuracy_drop_bound_95_missing"] = None, "there are no test samples"
    report["worst_class_drop_bound_95"] = None
    report["worst_class_drop_bound_95_missing"] = report["accuracy_drop_bound_95_missing"]
    report["data"]["parts"]["test"] = report["shift"] = None
    for point in report["operating_points"]:
        point["measured"] = point["accuracy_drop_bound_95"] = None
    for part in ("confidences", "classes"):
        report["design"][part] |= {"split": "choose"}


def every_metrics(report: Report) -> list[Report]:
    design, base = report["design"], report["baseline"]
    points = [point[key] for point in report["operating_points"] for key in ("predicted", "measured")]
    found = [base["choose"], base["measured"], *design["predicted"].values(), design["measured"], *points]
    return [metrics for metrics in found if metrics is not None]


def without_energy(report: Report) -> None:
    for metrics in every_metrics(report):
        metrics["mean_energy_j"] = None
    for part in (*report["design"]["segments"], *report["benefit_curve"]):
        part["energy_j" if "stage" in part else "mean_energy_j"] = None


def without_latency(report: Report) -> None:
    without_energy(report)
    for metrics in every_metrics(report):
        metrics |= {"mean_latency_s": None, "p95_latency_s": None, "worst_latency_s": None}
    for segment in report["design"]["segments"]:
        segment |= {"latency_s": None, "received_latency_s": None, "head_latency_s": None}
    for point in report["benefit_curve"]:
        point["mean_latency_s"] = None
        point["fronts"] = [name for name in point["fronts"] if name == "mean_macs"]


def without_exits(report: Report) -> None:
    design = report["design"]
    last = design["segments"][-1] | {"from": None, "stage": "0-cm4f", "macs": report["model"]["macs"]}
    design |= {"segments": [last], "exits": [], "summary": "No early exit pays off."}
    for metrics in every_metrics(report):
        metrics["leave_rates"] = [1.0]
    design["confidences"]["exits"] = design["confidences"]["exits"][:1]
    for row in design["classes"]["rows"]:
        row |= {"leave_rates": [1.0], "accuracies": [row["accuracy"]]}
    report["operating_points"] = []


def four_exits(report: Report) -> None:
    design, rates = report["design"], [0.2, 0.1, 0.02, 0.18, 0.5]
    first, last = design["segments"]
    names = ["a", "b", "c", "d"]
    design["segments"] = [first | {"to": name, "stage": f"{k}-cm0p"} for k, name in enumerate(names)] + [last]
    design["exits"] = [
        design["exits"][0]
        | {
            "location": name,
            "threshold": None if name == "c" else 0.7,
            "macs": (k + 1) * design["exits"][0]["macs"],
        }
        for k, name in enumerate(names)
    ]
    for metrics in every_metrics(report):
        metrics["leave_rates"] = rates if len(metrics["leave_rates"]) > 1 else [1.0]
    design["confidences"]["exits"] = [design["confidences"]["exits"][0]] * 5
    for row in design["classes"]["rows"]:
        row |= {"leave_rates": rates, "accuracies": [0.9, 0.8, None, 0.7, 0.6]}
    for point in report["operating_points"]:
        point["thresholds"] = [0.7, 0.7, None, 0.7]


def hundred_classes(report: Report) -> None:
    row = report["design"]["classes"]["rows"][0]
    report["design"]["classes"]["rows"] = [row | {"name": f"class {k}", "accuracy": k / 100} for k in range(100)]
    report["model"]["classes"] = [f"class {k}" for k in range(100)]


def proven_and_heard(report: Report) -> None:
    promise = report["promise"] | {
        "promise": "proven", "kept": True, "risk": 0.05, "samples": 3333, "units": 3333, "steps_tested": 3,
        "p_value": 0.04, "drop": 0.004, "standard_error": 0.001, "statement": "Proven. It is so.",
    }  # fmt: skip
    report["promise"] = report["operating_points"][0]["promise"] = promise
    report["settings"] |= {"promise": "proven", "risk": 0.05}
    report["design"]["reuse"] = {"weights": [[1.0], [0.4, 1.0]]}
    report["design"]["finetune"] = {
        "recipe": "frozen", "epochs": 3, "kept": True,
        "before": {"mean_macs": 11e6, "accuracy": 0.86}, "after": None,
        "early_view_channels": None, "exit_weights": [],
    }  # fmt: skip


EVIL = "<script>alert('1')</script> & \"$x$\" {{7*7}} _x"


def evil(report: Report) -> None:
    report["model"] |= {"name": EVIL, "file": EVIL + ".h5"}
    report["hardware"] |= {"name": EVIL, "source": EVIL}
    report["design"]["exits"][0] |= {"location": EVIL, "head": EVIL}
    report["design"]["segments"][0]["to"] = report["design"]["segments"][1]["from"] = EVIL
    report["design"]["classes"]["rows"][0]["name"] = report["design"]["measured"]["worst_class"]["name"] = EVIL
    report["operating_points"][0]["name"] = EVIL
    report["warnings"] = [EVIL]
    report["data"]["source"] = EVIL


KINDS = [
    plain, untested, without_energy, without_latency, without_exits, four_exits, hundred_classes, proven_and_heard,
    evil,
]  # fmt: skip


class Reader(HTMLParser):
    """Figures as (attributes, text), and everything else that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.figures: list[tuple[dict[str, str], str]] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}  # rows of cells, of the last table of every section
        self._open: list[str] = []
        self._joint = " "  # between the words of a cell: none around a link
        self._section = ""
        self.feed(html)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {k: v or "" for k, v in attrs}
        self.tags.append((tag, attributes))
        if tag not in ("meta", "br"):
            self._open.append(tag)
        if tag == "section":
            self._section = attributes.get("id", "")
        if tag == "table":
            self.tables[self._section] = []
        if tag == "tr":
            self.tables[self._section].append([])
        if tag in ("th", "td"):
            self.tables[self._section][-1].append("")
        if tag == "data":
            self.figures.append((attributes, ""))
        if tag == "a":
            self._joint = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "a":
            self._joint = ""
        if tag in ("th", "td"):
            row = self.tables[self._section][-1]
            row[-1] = " ".join(row[-1].split())

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "data":
            self.figures[-1] = (self.figures[-1][0], self.figures[-1][1] + data)
        if not {"style", "script"} & set(self._open):
            self.words.append(data)
        if "td" in self._open or "th" in self._open:
            row = self.tables[self._section][-1]
            row[-1] += self._joint + data
            self._joint = " "


def at(report: Report, place: str) -> Any:
    found: Any = report
    for key in place.split("."):
        found = found[int(key) if isinstance(found, list) else key]
    return found


TEXT: dict[str, Callable[[Any], str]] = {
    "macs": units.macs, "seconds": units.seconds, "joules": units.joules, "size": units.size,
    "share": units.share, "threshold": units.threshold, "points": units.points, "at_most": units.at_most,
    "points1": lambda v: units.points(v, digits=1), "drop": lambda v: units.points(v, signed=False),
    "share1": lambda v: f"{100 * v:.1f} %", "count": lambda v: f"{v:,}", "part": units.data_part,
}  # fmt: skip


def check_figures(report: Report, html: str) -> None:
    figures = Reader(html).figures
    assert len(figures) > 60
    for attributes, shown in figures:
        unit = attributes["data-unit"]
        if "data-from" in attributes:
            before, after = at(report, attributes["data-from"]), at(report, attributes["data-to"])
            value = None if before is None or after is None else after - before
            expected = units.relative(before, after) if unit == "relative" else TEXT[unit](value)
        else:
            plus, less = (
                [at(report, place) for place in attributes.get(key, "").split()] for key in ("data-at", "data-less")
            )
            value = (
                None if None in plus + less else plus[0] if len(plus) == 1 and not less else sum(plus) - sum(less)
            )
            expected = TEXT[unit](value)
        assert shown == expected, attributes
        if "value" in attributes and unit != "part":
            assert float(attributes["value"]) == pytest.approx(value, rel=1e-12, abs=1e-15), attributes
        else:
            assert value is None or unit in ("relative", "part"), attributes


MANIFEST: dict[str, Any] = {
    "versions": {"python": "3.11.7", "keras": "3.15.1"},
    "preprocessing": {"scale": 1.0, "offset": 0.0, "mean": None, "std": None},
    "inputs": [{"name": "resnet8.h5", "sha256": "ab" * 32}, {"name": "cifar10.npz", "sha256": "cd" * 32}],
}


TIMES = {"import": 2.04, "features": 31.26, "finetune": 0.0, "total": 40.3}


def rendered(report: Report, **changes: Any) -> str:
    arguments = {"manifest": MANIFEST, "times": TIMES, "place": "out", "use": None, **changes}
    return page.render(report, **arguments)
