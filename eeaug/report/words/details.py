"""What went in and how the design was found: a report's lines of small print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eeaug.report.units import UNKNOWN, data_part, macs, points, seconds, share, size
from eeaug.report.words import parts
from eeaug.report.words.facts import Report, drop_name
from eeaug.settings import COSTS

__all__ = ["details", "verified"]


def details(report: Report) -> tuple[tuple[str, str], ...]:
    """Name and words of what went in and how the design was found."""
    model, hardware = report["model"], report["hardware"]
    size_of_model = f"{model['parameters']:,} parameters, {macs(model['macs'])} MACs"
    return (
        ("model", f"{model['file']}, {size_of_model}"),
        ("hardware", _hardware(hardware)),
        *((f"nothing runs on {name}", why) for name, why in hardware.get("idle", {}).items()),
        ("data", _data_used(report)),
        *_compared(report),
        ("asked for", _asked(report)),
        ("searched", _searched(report)),
        *_finetuned(report),
    )


def _hardware(hardware: Report) -> str:
    """The profile, the first sentence of its source, and what its estimates leave out."""
    source = str(hardware["source"] or "").split(". ")[0].rstrip(".")
    words = str(hardware["name"]) + (f" ({source})" if source else "")
    missing = ", ".join(hardware["not_counted"])
    return words + (f"; unknown and counted as 0: {missing}" if missing else "")


def _compared(report: Report) -> tuple[tuple[str, str], ...]:
    sentence = parts.compared(report)
    return () if sentence is None else (("parts compared", sentence),)


def _asked(report: Report) -> str:
    """The settings that shaped the result, in one line."""
    settings = report["settings"]
    cost = COSTS[settings["objective"]].words
    weight = settings["efficiency_weight"]
    parts = [f"least {cost}" if weight is None else f"least weighted cost, {weight:g} on {cost}"]
    if settings["max_accuracy_drop"] is not None:
        parts.append(f"{drop_name(report)} ≤ {points(settings['max_accuracy_drop'], signed=False)}")
    if "blank_when" in settings:
        parts.append(f"nothing where {settings['blank_when']}")
    if settings["promise"] is not None:
        parts.append(f"promise {settings['promise']}")
    if settings["risk"] is not None:
        parts.append(f"risk of a proof {settings['risk']:g}")
    if settings["max_class_drop"] is not None:
        parts.append(f"drop of every class ≤ {points(settings['max_class_drop'], signed=False)}")
    if "max_missed" in settings:
        parts.append(f"events missed beyond the given model's ≤ {settings['max_missed']}")
    if settings["max_latency_s"] is not None:
        parts.append(f"worst latency ≤ {seconds(settings['max_latency_s'])}")
    if settings.get("period_s") is not None:
        parts.append(f"one inference every {seconds(settings['period_s'])}, energies with sleep until the next")
    for name in ("ram", "flash"):
        if settings[f"max_{name}_bytes"] is not None:
            parts.append(f"{name.replace('ram', 'RAM')} ≤ {size(settings[f'max_{name}_bytes'])}")
    parts.append(f"at most {_count(settings['max_exits'], 'exit')}")
    for key, word in (("exit_at", "exit at"), ("threshold", "threshold"), ("forbid", "no exit at")):
        if settings[key]:
            parts.append(f"{word} {', '.join(map(str, settings[key]))}")
    if settings.get("target_class"):
        parts.append(f"largest gain over loss for {', '.join(settings['target_class'])}")
    if settings["confidence"] != "max-softmax":
        parts.append(f"confidence by {settings['confidence']}")
    if settings["unit"] != "group":
        parts.append(f"promises about {settings['unit']}s, not groups")
    if settings["calibrate_on"] != "held":
        parts.append(f"thresholds found on {settings['calibrate_on']}ing data")
    if settings["correction"] != 1:
        parts.append(f"thresholds multiplied by {settings['correction']:g}")
    if settings["priors"] is not None:
        parts.append(f"shares of classes {settings['priors']}")
    parts.append(_count(settings["points"], "operating point"))
    parts += [f"{key} {settings[key]}" for key in ("mapping", "scoring", "effort", "seed")]
    return "; ".join([*parts, _count(settings["threads"], "thread")])


def _searched(report: Report) -> str:
    """What the search looked at, in one line."""
    search = report["search"]
    rejected = [f"{number:,} by {limit}" for limit, number in search["rejected"].items() if number]
    reuse = report["design"].get("reuse")
    heard = []
    if reuse is not None:
        weight = reuse["weights"][-1][0]
        heard = [f"later decisions also use the answers of earlier exits, each with weight {weight:g}"]
    return "; ".join(
        [
            _locations(search),
            f"{_count(search['heads_trained'], 'head')} trained, {search['heads_kept']:,} kept",
            _count(search["architectures"], "architecture"),
            _count(search["placements"], "placement"),
            _count(search["threshold_configurations"], "threshold configuration"),
            f"{report['settings']['scoring']} scoring of architectures: {search['settled']}",
            f"ruled out: {', '.join(rejected) or 'none'}",
            *heard,
        ]
    )


def _locations(search: Mapping[str, Any]) -> str:
    tried, left_out = search["locations"], search.get("locations_left_out", 0)
    return _count(tried, "location") if not left_out else f"{tried:,} of {tried + left_out:,} locations"


def _finetuned(report: Report) -> tuple[tuple[str, str], ...]:
    """What fine-tuning came to, if it was asked for."""
    facts = report["design"].get("finetune")
    if facts is None:
        return ()
    base = report["baseline"]["choose"]["mean_macs"]
    before, after = (
        "no design within the limits" if design is None else f"{1 - design['mean_macs'] / base:.1%}"
        for design in (facts["before"], facts["after"])
    )
    kept = "kept" if facts["kept"] else "not kept"
    epochs = _count(facts["epochs"], "pass", "passes")
    if facts.get("recipe") == "trecx":
        tried = (f"{w['weight']:g}: {share(w['final_accuracy_on_screen'])}" for w in facts["exit_weights"])
        channels = facts["early_view_channels"]
        channels = f"{channels} channels" if channels else "none"
        epochs += (
            f" as T-RecX; channels of the exit that the final classifier uses: {channels}; accuracy of the final "
            f"classifier on the validation set, by weight of the exit's loss: {', '.join(tried)}"
        )
    saved = f"{before} of the mean MACs saved before, {after} after, on the calibration set"
    return (("fine-tuned", f"{epochs}, {kept}: {saved}"),)


def _data_used(report: Report) -> str:
    """Which part of the data served what, in one line."""
    data = report["data"]
    parts = [
        f"{_part(name)} {part['samples']:,} of {part['of']}"
        for name, part in data["parts"].items()
        if part is not None
    ]
    return f"{data['source']}: {'; '.join(parts)}"


def _part(name: str) -> str:
    """ "calibration (choose)": the word, and the name that options and report.json have for it."""
    word = data_part(name)
    return word if word == name else f"{word} ({name})"


def verified(report: Report) -> tuple[str, bool]:
    """Whether the exported files decide as the model does: one line, and True if all of them do."""
    formats = dict(report["verification"]["formats"])
    if "remote" not in report["design"]:  # no stage is on a server, so none has such files: a warning says so
        formats.pop("triton", None)
    if not formats:
        return f"agreement of the exported files: {UNKNOWN}", False
    parts = []
    for name, outcome in formats.items():
        wrong, near = outcome["disagreements"], outcome["near_threshold"]
        if wrong is None:
            parts.append(f"{name} was not run")
            continue
        words = _count(wrong, "decision differs", "decisions differ") if wrong else "agrees"
        words += f" ({near:,} within 1e-4 of a threshold)" if near else ""
        if name == "c" and report["c"]["samples"] < report["verification"]["samples"]:
            words += f" on {report['c']['samples']:,} of them"
        parts.append(f"{name} {words}")
    agree = all(outcome["disagreements"] == 0 for outcome in formats.values())
    samples = _count(report["verification"]["samples"], "sample")
    return f"read back and run as a cascade on {samples}: {', '.join(parts)}", agree


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
