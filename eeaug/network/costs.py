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

from eeaug.hardware import KINDS, Hardware
from eeaug.network import times
from eeaug.network.graph import Block
from eeaug.network.kernels import Kernels
from eeaug.network.macs import Macs
from eeaug.settings import COSTS, Contradiction

__all__ = ["Costs", "ExitCosts", "Segments", "require_energies", "require_rates"]

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


@dataclass(frozen=True)
class Segments:
    """Costs of the segments of A architectures with m exits on one sequence of processors.

    Parameters
    ----------
    macs, time_s, energy_j : (A, m + 1); hand-over and wake-up at the start of a segment belong to it
    parameters_bytes, activation_bytes, handover_bytes : (A, m + 1), each in its processor's width
    processors : index of the processor of every segment
    """

    macs: Floats
    time_s: Floats
    energy_j: Floats
    parameters_bytes: Floats
    activation_bytes: Floats
    handover_bytes: Floats
    processors: tuple[int, ...]

    def of(self, cost: str) -> Floats:
        """One of COSTS by its name, (A, m + 1)."""
        return np.asarray(getattr(self, COSTS[cost].field))

    @property
    def worst_latency_s(self) -> Floats:
        """(A,): every segment, head, hand-over and wake-up."""
        return np.asarray(self.time_s.sum(axis=1))


class Costs:
    """Tables of one backbone, its candidate exits and one target.

    Parameters
    ----------
    blocks : B blocks, input to output
    exits : C candidate exits
    input_elements : number of elements of one sample
    format : whose kernels and widths decide (times.decisive); None: rates and arithmetic of the description
    """

    def __init__(
        self, hardware: Hardware, blocks: Sequence[Block], exits: Sequence[ExitCosts], input_elements: int,
        format: str | None = None,
    ) -> None:  # fmt: skip
        self.hardware, self.blocks, self.exits = hardware, tuple(blocks), tuple(exits)
        processors = hardware.processors
        self.after = np.array([e.after for e in exits], dtype=np.intp)
        self.elements = np.array([input_elements, *(b.elements for b in blocks)], dtype=np.float64)
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
        block_time_s = np.array([self._seconds(p, block_macs, blocks) for p in range(len(processors))])
        # unknown times are counted apart: a NaN in a prefix sum would spoil all segments behind it
        self.block_time_s = np.array([_prefix(np.nan_to_num(row)) for row in block_time_s])
        self.block_unknown = np.array([_prefix(np.isnan(row)) for row in block_time_s])
        self.head_time_s = np.array([self._seconds(p, head_macs, exits) for p in range(len(processors))])
        self.width = np.array([times.width(p, format) for p in processors], dtype=np.float64)
        self.wakeup_s = np.array([p.wakeup_s or 0.0 for p in processors])
        asleep = np.array([p.sleep_power_w or 0.0 for p in processors])
        active = np.array([np.nan if p.active_power_w is None else p.active_power_w for p in processors])
        self.power_w = active + asleep.sum() - asleep  # this one works, the others sleep
        self.source = [p.name for p in processors].index(hardware.input_at)

    @property
    def total_macs(self) -> float:
        return float(self.block_macs[-1])

    @property
    def basis(self) -> str:
        """Of all times: one for all processors, or both where it differs."""
        return " and ".join(sorted({basis.kind for basis in self.bases}))

    def _seconds(self, processor: int, macs: Floats, parts: Sequence[Block] | Sequence[ExitCosts]) -> Floats:
        """Of every part, (N,), on a processor; macs (N, KINDS). NaN where a rate is unknown."""
        p = self.hardware.processors[processor]
        if self.format is not None and self.bases[processor].counted:
            return np.array([times.seconds(p, self.format, part.kernels) for part in parts])
        rates = [p.rate(kind) for kind in KINDS]
        besides = np.array([p.overhead_s(part.operations, part.results) for part in parts])
        return np.asarray(_times(macs, np.array([np.nan if r is None else 1.0 / r for r in rates])) + besides)

    def connected(self, sender: int, receiver: int) -> bool:
        names = [p.name for p in self.hardware.processors]
        return sender == receiver or self.hardware.link(names[sender], names[receiver]) is not None

    def segments(self, architectures: NDArray[np.intp], processors: Sequence[int], carried: int = 0) -> Segments:
        """Costs of architectures (A, m) of exit indices, all on the same m + 1 processors.

        ``carried``: elements that a hand-over has besides the tensor for every exit before it.
        """
        count, m = architectures.shape
        start = np.zeros(count, dtype=np.intp)
        sender, stages = self.source, []
        for k, processor in enumerate(processors):
            head = architectures[:, k] if k < m else None
            stages.append(self.stage(start, head, sender, processor, k * carried))
            start = self.after[head] if head is not None else start
            sender = processor
        macs, time, energy, weights, tensors, sent = (np.stack(c, axis=1) for c in zip(*stages, strict=True))
        return Segments(macs, time, energy, weights, tensors, sent, tuple(processors))

    def stage(
        self, start: NDArray[np.intp], head: NDArray[np.intp] | None, sender: int, processor: int, carried: int = 0
    ) -> tuple[Floats, ...]:
        """Costs of single segments, each (N,), in the order of the fields of :class:`Segments`.

        start (N,): boundaries where they begin, after the tensor there came from ``sender``; head (N,): the
        exits where they end, None for the final classifier.
        """
        end = np.full_like(start, len(self.blocks)) if head is None else self.after[head]
        macs, time, energy, weights, tensors = self.body(start, end, processor)
        if head is not None:
            more = self.branch(head, processor)
            macs, time, energy, weights = macs + more[0], time + more[1], energy + more[2], weights + more[3]
            tensors = np.maximum(tensors, more[4])
        seconds, joules, sent = self.handover(start, sender, processor, carried)
        return macs, time + seconds, energy + joules, weights, tensors, sent

    def body(self, start: NDArray[np.intp], end: NDArray[np.intp], processor: int) -> tuple[Floats, ...]:
        """MACs, seconds, joules, bytes of weights and of tensors of the blocks from start to end, each (N,)."""
        macs = self.block_macs[end] - self.block_macs[start]
        time = self.block_time_s[processor, end] - self.block_time_s[processor, start]
        unknown = self.block_unknown[processor, end] > self.block_unknown[processor, start]
        time = np.where(unknown, np.nan, time)
        weights = self.block_parameters[end] - self.block_parameters[start]
        width = self.width[processor]
        return macs, time, time * self.power_w[processor], weights * width, self.peak[start, end] * width

    def branch(self, head: NDArray[np.intp], processor: int) -> tuple[Floats, ...]:
        """The same of the heads at exits (N,)."""
        time, width = self.head_time_s[processor, head], self.width[processor]
        # the tensor that may be handed over stays alive while the head runs
        tensors = self.elements[self.after[head]] + self.head_peak[head]
        weights = self.head_parameters[head]
        return self.head_macs[head], time, time * self.power_w[processor], weights * width, tensors * width

    def handover(
        self, at: NDArray[np.intp], sender: int, receiver: int, carried: int = 0
    ) -> tuple[Floats, Floats, Floats]:
        """Seconds and joules until the receiver is awake and has the tensors at ``at`` (N,), and their bytes.

        ``carried``: elements that go with each of them.
        """
        return self.transfer((self.elements[at] + carried) * self.width[sender], sender, receiver)

    def transfer(self, sent: Floats, sender: int, receiver: int) -> tuple[Floats, Floats, Floats]:
        """The same for so many bytes, (N,)."""
        if sender == receiver:
            return np.zeros(len(sent)), np.zeros(len(sent)), np.zeros(len(sent))
        names = [p.name for p in self.hardware.processors]
        link = self.hardware.link(names[sender], names[receiver])
        if link is None or link.bandwidth_bytes_per_s is None:
            return np.full_like(sent, np.nan), np.full_like(sent, np.nan), sent
        seconds = link.latency_s + sent / link.bandwidth_bytes_per_s
        # during the transfer the sender is active, all others sleep
        joules = seconds * self.power_w[sender] + sent * (link.energy_j_per_byte or 0.0)
        wakeup = self.wakeup_s[receiver]
        return seconds + wakeup, joules + wakeup * self.power_w[receiver], sent

    def memory_bytes(self, segments: Segments) -> dict[str, Floats]:
        """Bytes used of every memory, (A,) each: weights of all segments, and working memory.

        One processor's stages run one after the other and reuse its working memory. Processors that share
        a memory add up, unless the target is ``exclusive``: then only one works at a time.
        """
        count = segments.macs.shape[0]
        used = {memory.name: np.zeros(count) for memory in self.hardware.memories}
        working: dict[str, list[Floats]] = {name: [] for name in used}
        for p in sorted(set(segments.processors)):
            processor = self.hardware.processors[p]
            mine = [k for k, q in enumerate(segments.processors) if q == p]
            used[processor.flash] += segments.parameters_bytes[:, mine].sum(axis=1)
            working[processor.ram].append(segments.activation_bytes[:, mine].max(axis=1))
        for name, arenas in working.items():
            if arenas:
                used[name] += np.max(arenas, axis=0) if self.hardware.exclusive else np.sum(arenas, axis=0)
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
    for i, p in enumerate(hardware.processors):
        if costs.bases[i].counted:
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
    """The same for energies: every active power must be known."""
    missing = [
        f"processors[{i}].active_power_w ({p.name})"
        for i, p in enumerate(hardware.processors)
        if p.active_power_w is None
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
