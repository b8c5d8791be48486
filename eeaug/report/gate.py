"""Limits on what a report says, for continuous integration: one row each, and JUnit's XML of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from xml.etree import ElementTree

from eeaug.errors import InputError
from eeaug.report import needs, units
from eeaug.report.needs import DeviceFiles
from eeaug.support.printable import printable
from eeaug.support.quantities import apart

__all__ = ["LIMITS", "CheckedLimit", "Limit", "PairedMetrics", "check", "junit", "part"]

COUNTED = "counted"  # the basis of times of instructions
ROUNDING = 1e-9  # of differences of shares, and relative of other figures


@dataclass(frozen=True)
class PairedMetrics:
    """Metrics of the given model and of the design on the same samples (see report.metrics).

    ``int8``: those of the int8 C files, where these were counted beside float ones. ``files`` of formats for
    devices, and the target's ``memories``.
    """

    name: str
    point: str
    baseline: Mapping[str, Any]
    design: Mapping[str, Any]
    promise: Mapping[str, Any]
    int8: Mapping[str, Any] | None = None
    files: tuple[DeviceFiles, ...] = ()
    memories: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Limit:
    """One quantity that can be limited.

    ``read`` gives it, None where the report does not know it, for want of ``needs``; ``text`` puts it into words.
    ``least``: it must not be smaller than the limit, else not larger. ``basis``: what it rests on, samples, the
    promise, the hardware description, or shapes alone. ``linked``: the same of written files for devices, which are
    then what is compared.
    """

    name: str
    quantity: str
    read: Callable[[PairedMetrics], float | None]
    text: Callable[[float | None], str]
    needs: str = ""
    least: bool = False
    basis: Literal["samples", "promise", "hardware", "shapes"] = "samples"
    linked: Callable[[DeviceFiles, PairedMetrics], float] | None = None


def _metric(key: str) -> Callable[[PairedMetrics], float | None]:
    return lambda part: part.design[key]


def _share_of_macs(part: PairedMetrics) -> float:
    return float(1 - part.design["mean_macs"] / part.baseline["mean_macs"])


def _points(value: float | None) -> str:
    return units.points(value, signed=False)


def _proven(part: PairedMetrics) -> float:
    """The largest drop that new data may have, as far as that is proven: 1, all of it, where nothing is."""
    if len(part.design["leave_rates"]) == 1:  # the given model itself
        return 0.0
    proven = part.promise["promise"] == "proven" and part.promise["kept"]
    return float(part.promise["max_accuracy_drop"]) if proven else 1.0


def _flash(files: DeviceFiles, part: PairedMetrics) -> float:
    return files.flash


def _ram(files: DeviceFiles, part: PairedMetrics) -> float:
    return files.ram(part.memories)


_RATES = "every rate and bandwidth in its hardware description"
_POWERS = "every rate, bandwidth and active power in its hardware description"
_LIMITS = (
    Limit("max-accuracy-drop", "accuracy drop", lambda p: p.baseline["accuracy"] - p.design["accuracy"], _points),
    Limit("max-proven-drop", "accuracy drop that is proven for new data", _proven, _points, basis="promise"),
    Limit("max-class-drop", "worst class's drop", lambda p: p.design["worst_class"]["drop"], _points),
    Limit("min-macs-saved", "mean MACs saved", _share_of_macs, units.share, least=True),
    Limit("max-latency", "worst latency", _metric("worst_latency_s"), units.seconds, _RATES, basis="hardware"),
    Limit("max-p95-latency", "p95 latency", _metric("p95_latency_s"), units.seconds, _RATES, basis="hardware"),
    Limit("max-mean-latency", "mean latency", _metric("mean_latency_s"), units.seconds, _RATES, basis="hardware"),
    Limit("max-energy", "mean energy", _metric("mean_energy_j"), units.joules, _POWERS, basis="hardware"),
    Limit("max-flash", "storage of weights", _metric("storage_bytes"), units.size, basis="shapes", linked=_flash),
    Limit("max-ram", "peak of tensors", _metric("peak_activation_bytes"), units.size, basis="shapes", linked=_ram),
)
LIMITS: Mapping[str, Limit] = {limit.name: limit for limit in _LIMITS}


@dataclass(frozen=True)
class CheckedLimit:
    """A limit as ``given`` and the design's ``value``; ``margin`` is what is left of it, negative where it failed.

    ``basis`` of the value: measured (on test samples), counted (on choose, or instructions), proven, estimated
    (latencies, energies), computed (from shapes), linked (as for the device). ``format``: whose files it is of.
    """

    limit: Limit
    given: float
    value: float
    basis: str
    format: str | None = None

    @property
    def quantity(self) -> str:
        """What is limited."""
        if self.limit.linked is not None and self.format is not None:
            return f"{self.limit.name.removeprefix('max-').replace('ram', 'RAM')} of the {self.format} files"
        return self.limit.quantity + ("" if self.format is None else f" of the {self.format} files")

    @property
    def name(self) -> str:
        """The limit's, with the format where there is a row for each."""
        return self.limit.name + ("" if self.format is None else f" {self.format}")

    @property
    def margin(self) -> float:
        return self.value - self.given if self.limit.least else self.given - self.value

    @property
    def ok(self) -> bool:
        return self.margin >= -ROUNDING * (1.0 if self.limit.text in (_points, units.share) else self.given)

    @property
    def words(self) -> tuple[str, str, str]:
        """What was found, what was given and the margin; with more digits where what failed would look the same."""
        if self.ok:
            shown, given = self.limit.text(self.value), self.limit.text(self.given)
        else:
            shown, given = apart(self.limit.text, self.value, self.given)
        margin = (
            apart(self.limit.text, abs(self.margin), 0.0)[0] if not self.ok else self.limit.text(abs(self.margin))
        )
        return shown, given, f"{'−' if self.margin < 0 else ''}{margin}"

    @property
    def sentence(self) -> str:
        """What is asked for and what was found, in words."""
        bound = "at least" if self.limit.least else "at most"
        value, given, _ = self.words
        value, given = (text.replace(" pp", " percentage points") for text in (value, given))
        return f"{self.quantity} {value} ({self.basis}), {bound} {given} asked for"

    def as_dict(self) -> dict[str, Any]:
        return {
            "limit": self.limit.name,
            "quantity": self.quantity,
            "format": self.format,
            "given": self.given,
            "found": self.value,
            "basis": self.basis,
            "margin": self.margin,
            "ok": self.ok,
        }


def part(report: Mapping[str, Any], samples: str, point: str) -> PairedMetrics:
    """The figures of an operating point on the ``test`` or ``choose`` part of a report.

    Raises
    ------
    InputError : nothing was measured on test samples, or there is no such operating point; or, of a bundle for
        streams, these figures are not known of them
    """
    if "stream" in report:
        return _streams(report, samples, point)
    points = {entry["name"]: entry for entry in report["operating_points"]}
    if point != "default" and point not in points:
        known = ", ".join(dict.fromkeys(["default", *points]))
        raise InputError(f"the bundle has no operating point '{point}'; it has {known}")
    design = report["design"]
    devices: dict[str, Any] = {
        "int8": _int8(report, samples, point),
        "files": needs.files(report),
        "memories": report["hardware"]["memories"],
    }
    promise = report["promise"] if point == "default" else points[point]["promise"]
    if samples == "choose":
        metrics = design["predicted"]["exact"] if point == "default" else points[point]["predicted"]
        return PairedMetrics("choose", point, report["baseline"]["choose"], metrics, promise, **devices)
    if design["measured"] is None:
        raise InputError(
            "nothing was measured on test samples, so no limit can be checked: make the bundle with test data, or "
            "check the calibration samples with --on choose"
        )
    metrics = design["measured"] if point == "default" else points[point]["measured"]
    return PairedMetrics("test", point, report["baseline"]["measured"], metrics, promise, **devices)


def _streams(report: Mapping[str, Any], samples: str, point: str) -> PairedMetrics:
    """What a bundle for streams makes of its sequences; operating points are of samples by themselves."""
    stream = report["stream"]
    if point != "default":
        raise InputError(f"--point {point}: streams are decided in one way; operating points are without")
    if stream["split"] != samples:
        known = f"known of the {units.data_part(stream['split'])} sequences alone, --on {stream['split']}"
        raise InputError(f"--on {samples}: figures of streams are {known}")
    figures = stream["figures"]
    design = figures["memory" if stream["remembers"] else "alone"]["metrics"]
    int8 = _int8(report, samples, point)
    if int8 is not None:  # how often int8 files are asked along a stream is not counted in instructions
        int8 = {**int8, "mean_latency_s": None, "p95_latency_s": None, "mean_energy_j": None}
    given, files = figures["given"]["metrics"], needs.files(report)
    memories = report["hardware"]["memories"]
    return PairedMetrics(samples, point, given, design, stream["promise"], int8, files, memories)


def _int8(report: Mapping[str, Any], samples: str, point: str) -> Mapping[str, Any] | None:
    """Metrics of the int8 cascade, where its C files were counted beside float ones; alone, the design has them."""
    block = report["int8"]
    if block is None or report["c"] is None or block["predicted"]["basis"] != COUNTED:
        return None
    key = "predicted" if samples == "choose" else "measured"
    points = {entry["name"]: entry[key] for entry in block["operating_points"]}
    metrics: Mapping[str, Any] | None = block[key] if point == "default" else points.get(point)
    return metrics


def check(part: PairedMetrics, given: Mapping[str, float]) -> list[CheckedLimit]:
    """A row for each limit that was given, by name, in the order of LIMITS.

    Raises
    ------
    InputError : the report does not know a quantity that was limited
    """
    rows = []
    for name, limit in LIMITS.items():
        if name not in given:
            continue
        if limit.linked is not None and part.files:
            for files in part.files:
                basis = "linked" if files.linked else "computed"
                rows.append(CheckedLimit(limit, given[name], limit.linked(files, part), basis, files.format))
            continue
        int8 = part.int8 if limit.basis == "hardware" else None
        value = limit.read(part)
        if value is None:
            raise InputError(f"--{name}: the report has no {limit.quantity}: it needs {limit.needs}")
        both = None if int8 is None else "c"
        rows.append(CheckedLimit(limit, given[name], float(value), _basis(limit, part), both))
        if int8 is not None and (other := limit.read(replace(part, design=int8))) is not None:
            rows.append(CheckedLimit(limit, given[name], float(other), COUNTED, "c-int8"))
    return rows


def _basis(limit: Limit, part: PairedMetrics) -> str:
    if limit.basis == "hardware":
        return "estimated" if part.design["basis"] == "profile" else str(part.design["basis"])
    if limit.basis == "shapes":
        return "computed"
    if limit.basis == "promise":
        return "proven" if limit.read(part) != 1 else "nothing proven"
    return "measured" if part.name == "test" else "counted"


def junit(rows: Sequence[CheckedLimit], bundle: str) -> bytes:
    """JUnit's XML: one test case for each limit.

    What GitLab and Jenkins read of it: the name of a case, which must not change between runs if they are to be
    compared, so figures stand elsewhere; its class name; the text of a failure, and the output of what passed.
    Characters that XML 1.0 does not know are shown as escapes.
    """
    bundle = printable(bundle)
    failed = sum(not row.ok for row in rows)
    counts = {"tests": str(len(rows)), "failures": str(failed), "errors": "0"}
    top = ElementTree.Element("testsuites", {"name": "eeaug check", **counts})
    suite = ElementTree.SubElement(top, "testsuite", {"name": bundle, **counts, "skipped": "0", "time": "0"})
    for row in rows:
        known = {"classname": f"eeaug check {bundle}", "name": row.name, "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", known)
        if row.ok:
            ElementTree.SubElement(case, "system-out").text = row.sentence
        else:
            failure = ElementTree.SubElement(case, "failure", {"message": row.sentence, "type": "limit"})
            failure.text = row.sentence
    ElementTree.indent(top)
    return bytes(ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)) + b"\n"
