"""What a segment of the network costs on a processor: MACs, seconds, joules, bytes.

A segment runs from one boundary (0: the input, b: after b blocks) to the next decision, head included. All
costs are sums over blocks, so tables of prefix sums answer every segment of every placement at once. Unknown
figures are NaN and stay NaN: an unknown rate gives an unknown latency, never a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eeaug.hardware import KINDS, Hardware, modes
from eeaug.hardware.fields import BYTES_PER_ELEMENT
from eeaug.network import times
from eeaug.network.graph import Block
from eeaug.network.kernels import Kernels
from eeaug.network.macs import Macs
from eeaug.network.segments import Segments
from eeaug.settings import Contradiction

__all__ = ["Costs", "ExitCosts", "require_energies", "require_rates"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ExitCosts:
    """A head at a location, as far as costs go; ``after`` blocks of the backbone run before it.

    ``peak_elements``: the most tensor elements alive at once while it runs, without the tensor at its
    location, which may be handed over afterwards and is counted besides. ``operations``, ``results``,
    ``kernels``: as in graph.Block.
    """

    location: str
    after: int
    head: str
    macs: Macs
    parameters: int
    peak_elements: int
    operations: int = 0
    results: int = 0
    kernels: Mapping[str, Kernels] = field(default_factory=dict, repr=False)


class Costs:
    """Tables of one backbone, its candidate exits and one target, whose modes stages are placed in.

    Parameters
    ----------
    blocks : B blocks, input to output
    exits : C candidate exits
    input_elements : number of elements of one sample
    format : whose kernels and widths decide (times.decisive); None: rates and arithmetic of the description
    period_s : one inference that often, sleep between; None: not known
    """

    def __init__(
        self, hardware: Hardware, blocks: Sequence[Block], exits: Sequence[ExitCosts], input_elements: int,
        format: str | None = None, period_s: float | None = None,
    ) -> None:  # fmt: skip
        self.hardware, self.blocks, self.exits = hardware, tuple(blocks), tuple(exits)
        self.modes = modes(hardware)
        processors = [mode.processor for mode in self.modes]
        self.after = np.array([e.after for e in exits], dtype=np.intp)
        self.elements = np.array([input_elements, *(b.elements + b.carried for b in blocks)], dtype=np.float64)
        tensors = np.array([input_elements, *(b.elements for b in blocks)], dtype=np.float64)
        block_macs = np.array([_by_kind(b.macs) for b in blocks]).reshape(-1, len(KINDS))
        head_macs = np.array([_by_kind(e.macs) for e in exits]).reshape(-1, len(KINDS))
        self.block_macs = _prefix(block_macs.sum(axis=1))
        self.head_macs = head_macs.sum(axis=1)
        self.block_parameters = _prefix([b.parameters for b in blocks])
        self.head_parameters = np.array([e.parameters for e in exits], dtype=np.float64)
        self.head_peak = np.array([e.peak_elements for e in exits], dtype=np.float64)
        self.peak = _range_maxima([b.peak_elements for b in blocks])
        self.bases = tuple(
            times.basis(p, format, [*(b.kernels for b in blocks), *(e.kernels for e in exits)]) for p in processors
        )
        self.format = format
        self.width = np.array([times.width(p, format) for p in processors], dtype=np.float64)
        block_time_s = np.array([self._seconds(p, block_macs, blocks) for p in range(len(processors))])
        # no block is faster than its weights, its input and its output come and go
        parameters = np.array([b.parameters for b in blocks], dtype=np.float64)
        block_time_s = self._with_memory(block_time_s, parameters, tensors[:-1] + tensors[1:])
        # unknown times are counted apart: a NaN in a prefix sum would spoil all segments behind it
        self.block_time_s = np.array([_prefix(np.nan_to_num(row)) for row in block_time_s])
        self.block_unknown = np.array([_prefix(np.isnan(row)) for row in block_time_s])
        head_time_s = np.array([self._seconds(p, head_macs, exits) for p in range(len(processors))])
        self.head_time_s = self._with_memory(head_time_s, self.head_parameters, tensors[self.after])
        self.part_time_s = np.nan_to_num(np.concatenate([block_time_s, self.head_time_s], axis=1))
        self.wakeup_s = np.array([p.wakeup_s or 0.0 for p in processors])
        asleep = np.array([p.sleep_power_w or 0.0 for p in processors])
        active = np.array([np.nan if p.active_power_w is None else p.active_power_w for p in processors])
        all_asleep = sum(p.sleep_power_w or 0.0 for p in hardware.processors)
        self.power_w = active + all_asleep - asleep  # this one works, the others sleep
        self.period_s = period_s
        self.sleep_w = 0.0 if period_s is None else all_asleep
        self.sleep_j = self.sleep_w * (period_s or 0.0)
        self.source = next(  # where samples arrive
            i for i, mode in enumerate(self.modes) if mode.nominal and mode.processor.name == hardware.input_at
        )

    def _with_memory(self, time_s: Floats, parameters: Floats, elements: Floats) -> Floats:
        """Times of N parts in every mode, (P, N), but at least what their bytes need.

        Memories work at the same time; what shares one goes one after the other. Weights are read once at least.
        """
        speed = {memory.name: memory.bandwidth_bytes_per_s or np.inf for memory in self.hardware.memories}
        rows = []
        for mode, row, width in zip(self.modes, time_s, self.width, strict=True):
            flash, ram = mode.processor.flash, mode.processor.ram
            weights_s, tensors_s = parameters * width / speed[flash], elements * width / speed[ram]
            waits = weights_s + tensors_s if flash == ram else np.maximum(weights_s, tensors_s)
            rows.append(np.maximum(row, waits))
        return np.array(rows)

    @property
    def total_macs(self) -> float:
        return float(self.block_macs[-1])

    @property
    def basis(self) -> str:
        """Of all times: one for all processors, or both where it differs."""
        return " and ".join(sorted({basis.kind for basis in self.bases}))

    def _seconds(self, mode: int, macs: Floats, parts: Sequence[Block] | Sequence[ExitCosts]) -> Floats:
        """Of every part, (N,), in a mode; macs (N, KINDS). NaN where a rate is unknown."""
        p = self.modes[mode].processor
        if self.format is not None and self.bases[mode].counted:
            return np.array([times.seconds(p, self.format, part.kernels) for part in parts])
        rates = [p.rate(kind) for kind in KINDS]
        besides = np.array([p.overhead_s(part.operations, part.results) for part in parts])
        return np.asarray(_times(macs, np.array([np.nan if r is None else 1.0 / r for r in rates])) + besides)

    def by_profile(self) -> Costs:
        """The same by the rates of the description, in bytes of its arithmetic."""
        if self.format is None:
            return self
        return Costs(self.hardware, self.blocks, self.exits, int(self.elements[0]), None, self.period_s)

    def connected(self, sender: int, receiver: int) -> bool:
        """Whether a stage in one mode can hand over to one in another."""
        here, there = self.modes[sender].processor.name, self.modes[receiver].processor.name
        return here == there or self.hardware.link(here, there) is not None

    def segments(self, architectures: NDArray[np.intp], modes: Sequence[int], carried: int = 0) -> Segments:
        """Costs of architectures (A, m) of exit indices, all in the same m + 1 modes.

        ``carried``: elements that a hand-over has besides the tensor for every exit before it.
        """
        count, m = architectures.shape
        start = np.zeros(count, dtype=np.intp)
        sender, stages = None, []
        for k, mode in enumerate(modes):
            head = architectures[:, k] if k < m else None
            stages.append(self.stage(start, head, sender, mode, k * carried))
            start = self.after[head] if head is not None else start
            sender = mode
        macs, time, energy, weights, tensors, sent = (np.stack(c, axis=1) for c in zip(*stages, strict=True))
        late = None
        if any(link.late_s is not None for link in self.hardware.links):
            pairs = zip((None, *modes), modes, strict=False)
            late = np.stack([self.late(sent[:, k], *pair) for k, pair in enumerate(pairs)], axis=1)
        return Segments(macs, time, energy, weights, tensors, sent, tuple(modes), self.sleep_w, self.sleep_j, late)

    def stage(
        self, start: NDArray[np.intp], head: NDArray[np.intp] | None, sender: int | None, mode: int,
        carried: int = 0,
    ) -> tuple[Floats, ...]:  # fmt: skip
        """Costs of single segments, each (N,), in the order of the fields of :class:`Segments`.

        start (N,): boundaries where they begin, after the tensor there came from the mode ``sender``, None: from
        where samples arrive; head (N,): the exits where they end, None for the final classifier.
        """
        end = np.full_like(start, len(self.blocks)) if head is None else self.after[head]
        macs, time, energy, weights, tensors = self.body(start, end, mode)
        if head is not None:
            more = self.branch(head, mode)
            macs, time, energy, weights = macs + more[0], time + more[1], energy + more[2], weights + more[3]
            tensors = np.maximum(tensors, more[4])
        seconds, joules, sent = self.handover(start, sender, mode, carried)
        return macs, time + seconds, energy + joules, weights, tensors, sent

    def body(self, start: NDArray[np.intp], end: NDArray[np.intp], mode: int) -> tuple[Floats, ...]:
        """MACs, seconds, joules, bytes of weights and of tensors of the blocks from start to end, each (N,)."""
        macs = self.block_macs[end] - self.block_macs[start]
        time = self.block_time_s[mode, end] - self.block_time_s[mode, start]
        unknown = self.block_unknown[mode, end] > self.block_unknown[mode, start]
        time = np.where(unknown, np.nan, time)
        weights = self.block_parameters[end] - self.block_parameters[start]
        width = self.width[mode]
        return macs, time, time * self.power_w[mode], weights * width, self.peak[start, end] * width

    def branch(self, head: NDArray[np.intp], mode: int) -> tuple[Floats, ...]:
        """The same of the heads at exits (N,)."""
        time, width = self.head_time_s[mode, head], self.width[mode]
        # the tensor that may be handed over stays alive while the head runs
        tensors = self.elements[self.after[head]] + self.head_peak[head]
        weights = self.head_parameters[head]
        return self.head_macs[head], time, time * self.power_w[mode], weights * width, tensors * width

    def handover(
        self, at: NDArray[np.intp], sender: int | None, receiver: int, carried: int = 0
    ) -> tuple[Floats, Floats, Floats]:
        """Seconds and joules until a stage can begin with the tensors at ``at`` (N,), and their bytes.

        From the mode of the stage before, None: from where samples arrive, to that of the stage. ``carried``:
        elements that go with each tensor.
        """
        here = self.source if sender is None else sender
        link = self.hardware.link(self.modes[here].processor.name, self.modes[receiver].processor.name)
        encoding = None if link is None or sender is None else link.encoding
        width = self.width[here] if encoding is None else BYTES_PER_ELEMENT[encoding]
        return self.transfer((self.elements[at] + carried) * width, sender, receiver)

    def transfer(self, sent: Floats, sender: int | None, receiver: int) -> tuple[Floats, Floats, Floats]:
        """The same for so many bytes, (N,); none are sent where the processor is the same."""
        arrives, nothing = sender is None, np.zeros(len(sent))
        sender = self.source if sender is None else sender
        here, there = self.modes[sender], self.modes[receiver]
        wakeup = 0.0 if arrives else there.switch_s(here)
        if here.index == there.index:
            return nothing + wakeup, nothing + wakeup * self.power_w[receiver], nothing
        link = self.hardware.link(here.processor.name, there.processor.name)
        if link is None or link.bandwidth_bytes_per_s is None:
            return np.full_like(sent, np.nan), np.full_like(sent, np.nan), sent
        seconds = link.latency_s + sent / link.bandwidth_bytes_per_s
        # during the transfer the sender is active, all others sleep
        joules = seconds * self.power_w[sender] + sent * (link.energy_j_per_byte or 0.0)
        wakeup += self.wakeup_s[receiver]
        return seconds + wakeup, joules + wakeup * self.power_w[receiver], sent

    def late(self, sent: Floats, sender: int | None, receiver: int) -> Floats:
        """Seconds that one transfer in twenty of so many bytes, (N,), takes at least besides its mean."""
        here, there = (
            self.modes[self.source if sender is None else sender].processor,
            self.modes[receiver].processor,
        )
        link = self.hardware.link(here.name, there.name)
        known = link is not None and link.bandwidth_bytes_per_s is not None and here.name != there.name
        if not known or link is None or link.late_s is None:
            return np.zeros(len(sent))
        slow, usual = link.bandwidth_p5_bytes_per_s, link.bandwidth_bytes_per_s
        more = 0.0 if slow is None or usual is None else 1 / slow - 1 / usual
        return np.asarray(link.late_s + sent * more)

    def useful(self, most_exits: int) -> tuple[int, ...]:
        """The modes less those that another one of the same processor and level can stand in for everywhere.

        That is no slower in any block or head, and its memories are those of the other or have room for all that
        any design with so many exits could put there.
        """
        room, every = self._with_room(most_exits), range(len(self.modes))

        def stands_in(i: int, j: int) -> bool:
            one, other = self.modes[i], self.modes[j]
            if i == j or (one.index, one.level) != (other.index, other.level):
                return False
            if self.power_w[i] < self.sleep_w:  # what draws less than sleep gains by being slow
                return False
            mine, its = one.processor, other.processor
            for here, there in ((mine.flash, its.flash), (mine.ram, its.ram)):
                if here != there and here not in room:
                    return False
            times, others = self.part_time_s[i], self.part_time_s[j]
            return bool((times <= others).all() and (i < j or (times < others).any()))

        return tuple(j for j in every if not any(stands_in(i, j) for i in every))

    def _with_room(self, most_exits: int) -> set[str]:
        """Memories that no design with so many exits can fill."""
        heads = np.sort(self.head_parameters)[::-1][:most_exits].sum()
        widest = self.width.max()
        weights = (self.block_parameters[-1] + heads) * widest
        tensors = max([self.peak[0, -1], *(self.elements[self.after] + self.head_peak)]) * widest
        processors, room = self.hardware.processors, set()
        for memory in self.hardware.memories:
            users = sum(memory.name in p.rams for p in processors)
            most = tensors * (min(users, 1) if self.hardware.exclusive else users)
            if any(memory.name in p.flashes for p in processors):
                most += weights
            if most <= memory.bytes:
                room.add(memory.name)
        return room

    def memory_bytes(self, segments: Segments) -> dict[str, Floats]:
        """Bytes used of every memory, (A,) each: weights of all segments, and working memory.

        One processor's stages run one after the other and reuse its working memory. Processors that share
        a memory add up, unless the target is ``exclusive``: then only one works at a time.
        """
        used = {memory.name: np.zeros(len(segments.macs)) for memory in self.hardware.memories}
        arenas: dict[str, dict[int, Floats]] = {name: {} for name in used}  # by memory and processor
        for k, m in enumerate(segments.modes):
            mode, tensors = self.modes[m], segments.activation_bytes[:, k]
            used[mode.processor.flash] += segments.parameters_bytes[:, k]
            here = arenas[mode.processor.ram]
            here[mode.index] = np.maximum(here.get(mode.index, 0.0), tensors)
        for name, here in arenas.items():
            if here:
                every = list(here.values())
                used[name] += np.max(every, axis=0) if self.hardware.exclusive else np.sum(every, axis=0)
        return used


def require_rates(costs: Costs, kinds: Sequence[str], key: str, value: str | None = None) -> None:
    """Refuse a target whose latency cannot be estimated, as the option ``key`` (of that value) needs it.

    Where kernels are counted no rates are asked for.

    Raises
    ------
    Contradiction : naming every rate or bandwidth that is null and needed
    """
    missing: list[str] = []
    hardware = costs.hardware
    counted = {mode.index for mode, basis in zip(costs.modes, costs.bases, strict=True) if basis.counted}
    for i, p in enumerate(hardware.processors):
        if i in counted:
            continue
        unknown = [k for k in kinds if p.rate(k) is None]
        if unknown:
            one_for_all = p.rates_macs_per_s.get("default") is None and len(unknown) == len(kinds)
            fields = ["default"] if one_for_all else unknown
            missing += [f"processors[{i}].rates_macs_per_s.{field} ({p.name})" for field in fields]
    for i, link in enumerate(hardware.links):
        if link.bandwidth_bytes_per_s is None:
            missing.append(f"links[{i}].bandwidth_bytes_per_s ({link.sender} → {link.receiver})")
    _refuse(hardware, missing, key, value)


def require_energies(hardware: Hardware, key: str, value: str | None = None) -> None:
    """The same for energies: the active power of every processor must be known, at one level at least."""
    known = {mode.index for mode in modes(hardware) if mode.processor.active_power_w is not None}
    missing = [
        f"processors[{i}].active_power_w ({p.name})" for i, p in enumerate(hardware.processors) if i not in known
    ]
    _refuse(hardware, missing, key, value)


def _refuse(hardware: Hardware, missing: Sequence[str], key: str, value: str | None) -> None:
    if missing:
        raise Contradiction(
            f"hardware {{0}}: {{{key}}} needs figures that are null: {{1}}",
            repr(hardware.name), ", ".join(missing), **{key: value},
        )  # fmt: skip


def _by_kind(macs: Macs) -> list[float]:
    return [float(macs.get(kind, 0)) for kind in KINDS]


def _prefix(values: Sequence[float] | Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])


def _range_maxima(values: Sequence[float]) -> Floats:
    """table[a, b] is the largest of values[a:b], 0 if there are none."""
    table = np.zeros((len(values) + 1, len(values) + 1))
    for a in range(len(values)):
        table[a, a + 1 :] = np.maximum.accumulate(np.asarray(values[a:], dtype=np.float64))
    return table


def _times(macs: Floats, seconds_per_mac: Floats) -> Floats:
    # an unknown rate does not matter for an operation type that does not occur
    return np.asarray(np.where(macs > 0, macs * seconds_per_mac, 0.0).sum(axis=1))
