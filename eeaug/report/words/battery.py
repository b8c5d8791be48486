"""How long a battery lasts, from the energy of an inference and what the processors draw while they sleep."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eeaug.errors import InputError
from eeaug.report.units import UNKNOWN, duration, joules, relative, seconds
from eeaug.report.words.facts import Report, Row, estimated, shown

__all__ = ["Use", "capacity_j", "life_s", "life_text", "note", "row"]

_UNITS = {"J": 1.0, "kJ": 1e3, "mWh": 3.6, "Wh": 3600.0}
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"


@dataclass(frozen=True)
class Use:
    """One inference every ``period_s`` seconds, from a battery of ``battery_j`` joules."""

    period_s: float
    battery_j: float


def capacity_j(text: str) -> float:
    """Joules of a battery: "2430J", "0.675Wh", or charge and voltage, "225mAh@3V".

    Raises
    ------
    InputError : it is none of these, or not above 0
    """
    packed = text.replace(" ", "")
    energy = re.fullmatch(rf"{_NUMBER}(J|kJ|mWh|Wh)", packed)
    charge = re.fullmatch(rf"{_NUMBER}(mAh|Ah)@{_NUMBER}V", packed)
    if energy:
        value = float(energy[1]) * _UNITS[energy[2]]
    elif charge:
        value = float(charge[1]) * (3.6 if charge[2] == "mAh" else 3600.0) * float(charge[3])
    else:
        value = 0.0
    if not value:
        raise InputError(
            f"--battery {text}: a battery has a capacity with a unit, J, kJ, mWh or Wh, or a charge at a voltage: "
            "0.675Wh, 225mAh@3V"
        )
    return value


def life_s(report: Report, metrics: Report, use: Use) -> float | None:
    """Seconds that the battery lasts; None where the energy is not known, 0 where inferences take too long.

    battery / ((E + P · (T − t)) / T): E and t are the means of an inference, T is the period, P what all
    processors draw asleep, as far as that is known. Nothing but inference and sleep draws. Where a design was
    made for a period, its energies have the sleep of that one in them, which is taken off first.
    """
    energy, latency = metrics["mean_energy_j"], metrics["mean_latency_s"]
    if energy is None or latency is None:
        return None
    if latency > use.period_s:
        return 0.0
    asleep = sum(power or 0.0 for power in report["hardware"]["sleep_power_w"].values())
    made_for = report["settings"].get("period_s")
    inference = energy if made_for is None else energy - asleep * (made_for - latency)
    mean_power_w = (inference + asleep * (use.period_s - latency)) / use.period_s
    return use.battery_j / mean_power_w if mean_power_w else None


def life_text(value: float | None) -> str:
    return "cannot keep up" if value == 0 else duration(value)


def row(report: Report, use: Use) -> Row:
    """The comparison's line of battery life."""
    before, after = (life_s(report, metrics, use) for metrics in shown(report))
    change = relative(before, after) if before and after else UNKNOWN
    name = "battery life, estimated" if estimated(report) else "battery life"
    better = {"+": True, "−": False}.get(change[0])
    return Row(name, life_text(before), life_text(after), change, better, "battery_life_s")


def note(report: Report, use: Use) -> str:
    """What the battery life rests on, in a sentence or two."""
    _, result = shown(report)
    unknown = [name for name, power in report["hardware"]["sleep_power_w"].items() if power is None]
    text = (
        f"Battery: {joules(use.battery_j)}, one inference every {seconds(use.period_s)}, nothing else running; "
        "no self-discharge."
    )
    if unknown:
        text += f" Sleep power of {', '.join(unknown)} is {UNKNOWN} and counted as 0: it will last shorter."
    worst = result["worst_latency_s"]
    if worst is not None and worst > use.period_s:
        text += f" The longest path takes {seconds(worst)}, more than the period."
    return text
