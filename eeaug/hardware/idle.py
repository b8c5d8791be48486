"""Processors that designs leave idle because of the description itself.

A link is missing, the order does not serve, or another processor is better in everything. Stages run on processors
in the order of the file, and a link hands over from each to the next (``search/placing.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from eeaug.hardware.target import KINDS, Hardware, Processor

__all__ = ["against_order", "apart", "better", "outclassed", "unreached", "warnings"]


def warnings(hardware: Hardware) -> tuple[str, ...]:
    """A line each, with its path in the description."""
    idle = {name: f"no design can use it: {why}" for name, why in unreached(hardware).items()}
    idle |= outclassed(hardware)
    lines = [
        f"processors[{i}]: {p.name}: {idle[p.name]}" for i, p in enumerate(hardware.processors) if p.name in idle
    ]
    return (*lines, *(f"links[{i}]: {why}" for i, why in against_order(hardware)))


def unreached(hardware: Hardware) -> dict[str, str]:
    """By processor that no design can use: why, without a full stop."""
    names = [p.name for p in hardware.processors]
    reached = {name for name in names if name == hardware.input_at or hardware.link(hardware.input_at, name)}
    for i, receiver in enumerate(names):  # in order: whatever comes before is settled
        if any(sender in reached and hardware.link(sender, receiver) for sender in names[:i]):
            reached.add(receiver)
    reasons = {}
    for i, name in enumerate(names):
        if name in reached:
            continue
        senders = [k.sender for k in hardware.links if k.receiver == name]
        later = [s for s in senders if names.index(s) > i]
        if not senders:
            why = f"no link leads to {name}: it needs one from {hardware.input_at}, where samples arrive"
        elif later == senders:
            why = f"the link to {name} comes from {' and '.join(later)}, which must stand before it in processors"
        else:
            why = f"{' and '.join(senders)}, which would hand over to {name}, gets nothing itself"
        reasons[name] = why
    return reasons


def against_order(hardware: Hardware) -> Iterator[tuple[int, str]]:
    """Links that go against the order of processors: their number, and what that means."""
    names = [p.name for p in hardware.processors]
    for i, link in enumerate(hardware.links):
        sender, receiver = names.index(link.sender), names.index(link.receiver)
        if sender > receiver and hardware.link(link.receiver, link.sender) is None:
            what = "only samples go" if link.sender == hardware.input_at else "nothing goes"
            yield (
                i,
                (
                    f"{what} from {link.sender} to {link.receiver}, which stands before it in processors: stages "
                    f"run in that order; put {link.sender} first to hand over from it"
                ),
            )


def apart(hardware: Hardware) -> str | None:
    """Why no design can use two processors, without a full stop; None: one can, or there is but one."""
    names = [p.name for p in hardware.processors]
    idle = unreached(hardware)
    usable = [name for name in names if name not in idle]
    pairs = [(a, b) for i, a in enumerate(usable) for b in usable[i + 1 :]]
    if len(names) == 1 or any(hardware.link(*pair) for pair in pairs):
        return None
    if idle:
        return "; ".join(idle.values())
    reversed_ = [why for _, why in against_order(hardware)]
    return reversed_[0] if reversed_ else f"no link leads from {names[0]} to {names[1]}"


def better(hardware: Hardware, one: Processor, other: Processor) -> tuple[float, float | None] | None:
    """How many times as fast ``one`` is as ``other``, and how much of its energy it takes: at least, at most.

    Over all types of operations, per MAC; others sleep while one works. None: rates are unknown, or powers.
    """
    rates = [(one.rate(kind), other.rate(kind)) for kind in KINDS]
    speeds = [a / b for a, b in rates if a is not None and b is not None]
    if len(speeds) < len(rates):
        return None
    power, other_power = _power_w(hardware, one), _power_w(hardware, other)
    if power is None or other_power is None:
        return min(speeds), None
    return min(speeds), power / other_power / min(speeds)


def outclassed(hardware: Hardware) -> dict[str, str]:
    """By processor that another one outclasses, as far as handing over costs nothing: why, without a full stop.

    One that hands over must be slower and take more energy for each MAC; one that would be handed over to, which is
    more work still, is outclassed where it is no better.
    """
    idle = unreached(hardware)
    usable = [p for p in hardware.processors if p.name not in idle]
    reasons: dict[str, str] = {}
    for i, p in enumerate(usable):
        for k, q in enumerate(usable):
            pair = (p.name, q.name) if i < k else (q.name, p.name)
            ratios = better(hardware, q, p) if i != k and hardware.link(*pair) else None
            if ratios is None or q.name in reasons:
                continue
            faster, energy = ratios
            if energy is None:
                if i > k and faster >= 1:
                    reasons[p.name] = (
                        f"it is no faster than {q.name}: handing over to it saves no time (energies are unknown)"
                    ) + _unless(p, q, hands_over=False)
            elif faster > 1 and energy < 1:
                reasons[p.name] = (
                    f"{q.name} is at least {faster:.3g} times as fast and takes at most {100 * energy:.0f} % of "
                    f"its energy per MAC: placing anything on {p.name} saves neither"
                ) + _unless(p, q, hands_over=i < k)
            elif i > k and faster >= 1 and energy <= 1:
                reasons[p.name] = (
                    f"it is no faster than {q.name} and takes no less energy per MAC: handing over to it "
                    "saves neither"
                ) + _unless(p, q, hands_over=False)
    return reasons


def _unless(idle: Processor, other: Processor, *, hands_over: bool) -> str:
    """What may speak for it all the same."""
    cases = []
    if hands_over:
        known = "" if other.wakeup_s is not None else " (wakeup_s is null and counts as 0)"
        cases = [f"waking {other.name}{known} or handing over to it costs more"]
    if (idle.ram, idle.flash) != (other.ram, other.flash):
        cases.append(f"the memory of {other.name} is too small")
    return f", unless {' or '.join(cases)}" if cases else ""


def _power_w(hardware: Hardware, works: Processor) -> float | None:
    """Drawn by all processors while one works, as in network/costs.py; None: unknown."""
    asleep = sum(p.sleep_power_w or 0.0 for p in hardware.processors if p.name != works.name)
    return None if works.active_power_w is None else works.active_power_w + asleep
