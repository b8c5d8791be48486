"""Published results of MLPerf Tiny on Cortex-M cores, as cycles per counted instruction.

Three sources give cycles per instruction of a core:

- Submissions that run kernels of CMSIS-NN (microTVM's): cycles over the counted instructions of these same kernels.
- A core without such a submission: a submitter's results on two boards. The kernels are the same, so the ratio of
  cycles is the ratio of cycles per instruction.
- A core without either: Arm's tables of cycles, of counted instructions by kind, in memory without wait states.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["BOARDS", "CMSIS_NN", "CORES", "Counts", "Results", "Run", "fitted", "left_out", "ratios", "runs"]

Results = Mapping[str, Mapping[str, Mapping[str, float]]]
Counts = Mapping[str, Mapping[str, Mapping[str, float]]]
CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33")
# a board's name in submissions → core, MHz (of the submission's description)
BOARDS = {
    "G0B1RE": ("cortex-m0plus", 64), "L4R5ZI": ("cortex-m4", 120), "CY8CPROTO": ("cortex-m4", 150),
    "M467HJ": ("cortex-m4", 200), "H7A3ZI": ("cortex-m7", 280), "F746NG": ("cortex-m7", 216),
    "U575ZI": ("cortex-m33", 160), "U585I": ("cortex-m33", 160), "RA6M4": ("cortex-m33", 200),
    "NRF5340": ("cortex-m33", 128), "U385RG": ("cortex-m33", 96),
}  # fmt: skip
FLOAT_OR_SCALED = ("_float", "_min_ram", "MHz")  # results of something else, or of another clock
# Half of the channels of vww's second half are constant, whatever the image. These compute them no more: vww takes
# half of what it took the same submitter before, and ic and kws as long as before. It is not the network any more.
WITHOUT_CONSTANT_CHANNELS = {"STMicroelectronics", "plumerai", "Skymizer", "Nuvoton"}
WITHOUT_SINCE = "v1.1"
CMSIS_NN = re.compile(r"microtvm[-_]cmsis", re.I)
KERNELS = re.compile(r"microtvm[-_](cmsis|native)|x-cube-ai-[\d.]+|zephyr|mbed", re.I)


@dataclass(frozen=True)
class Run:
    """A closed submission on a board with one of CORES; ``kernels``: equal where the same were used."""

    name: str
    board: str
    kernels: tuple[str, ...]
    milliseconds: Mapping[str, float]

    @property
    def core(self) -> str:
        return BOARDS[self.board][0]

    def cycles(self, task: str) -> float:
        return self.milliseconds[task] * BOARDS[self.board][1] * 1000


@dataclass(frozen=True)
class Fitted:
    """Of a core: cycles per instruction, their relative error, and where both come from."""

    cycles: float
    error: float
    source: str


def runs(results: Results) -> Iterator[Run]:
    for name, tasks in results.items():
        version, division, who, what = name.split("|", 3)
        short = what.lower().replace("-", "")
        board = next((board for board in BOARDS if board.lower() in short), None)
        if division != "closed" or board is None or any(word in what for word in FLOAT_OR_SCALED):
            continue
        pruned = who in WITHOUT_CONSTANT_CHANNELS and version >= WITHOUT_SINCE
        latencies = {
            task: facts["ms"] for task, facts in tasks.items() if facts.get("ms") and not (pruned and task == "vww")
        }
        kernels = KERNELS.search(what)
        yield Run(name, board, (version, who, kernels[0].lower() if kernels else ""), latencies)


def ratios(run: Run, counts: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Cycles per counted instruction, by task."""
    return {task: run.cycles(task) / counts[task][run.core] for task in counts if task in run.milliseconds}


def left_out(by_task: Mapping[str, float]) -> dict[str, float]:
    """Relative errors of cycles by the geometric mean of the other tasks' cycles per instruction."""
    logs = {task: np.log(ratio) for task, ratio in by_task.items()}
    others = {task: (sum(logs.values()) - log) / (len(logs) - 1) for task, log in logs.items()}
    return {task: float(np.exp(others[task] - log) - 1) for task, log in logs.items()}


def fitted(results: Results, counts: Counts) -> dict[str, Fitted]:
    """Of all cores that there are figures for."""
    every = list(runs(results))
    cycles: dict[str, float] = {}
    sources: dict[str, str] = {}
    for core in ("cortex-m4", "cortex-m33"):
        same = [run for run in every if run.core == core and CMSIS_NN.search(run.name)]
        logs = [np.log(ratio) for run in same for ratio in ratios(run, counts["cmsis-nn"]).values()]
        cycles[core] = float(np.exp(np.mean(logs)))
        boards = ", ".join(sorted({run.board for run in same}))
        sources[core] = f"{len(same)} submissions with CMSIS-NN on {boards}"
    pairs = list(_same_kernels(every))
    m7_m4 = ("cortex-m7", "cortex-m4")
    logs = [np.log(a.cycles(task) / b.cycles(task)) for a, b, task in pairs if (a.core, b.core) == m7_m4]
    cycles["cortex-m7"] = cycles["cortex-m4"] * float(np.exp(np.mean(logs)))
    sources["cortex-m7"] = f"{len(logs)} networks of submitters with the same kernels on it and on a Cortex-M4"
    errors = {core: _between_boards(pairs, core, cycles) for core in cycles}
    tables = counts["cycles_per_instruction_by_tables"]
    means = {core: float(np.exp(np.mean([np.log(t[core]) for t in tables.values()]))) for core in tables["ic"]}
    for core in ("cortex-m0plus", "cortex-m3"):
        cycles[core] = means[core]
        # what Arm's tables leave out, the memory, where both are known
        errors[core] = abs(float(np.log(cycles["cortex-m4"] / means["cortex-m4"])))
        sources[core] = "Arm's tables of cycles, without wait states of the memory"
    small = [
        abs(e) for r in every if r.core == "cortex-m0plus" for e in left_out(ratios(r, counts["c-int8"])).values()
    ]
    errors["cortex-m0plus"] = max(errors["cortex-m0plus"], float(np.median(small)))
    return {core: Fitted(cycles[core], errors[core], sources[core]) for core in sorted(cycles)}


def _same_kernels(every: list[Run]) -> Iterator[tuple[Run, Run, str]]:
    """Two boards on which the same kernels ran, and a network that ran on both. Cores without DSP have others."""
    families = defaultdict(list)
    for run in every:
        if run.core != "cortex-m0plus":
            families[run.kernels].append(run)
    for family in families.values():
        for a in family:
            for b in family:
                if a.board != b.board:
                    yield from ((a, b, task) for task in sorted(a.milliseconds.keys() & b.milliseconds.keys()))


def _between_boards(pairs: list[tuple[Run, Run, str]], core: str, cycles: Mapping[str, float]) -> float:
    """Of a time that a board with this core takes, from what the same kernels took on another board: the root of
    the mean square of the logarithm of the error."""
    logs = [
        np.log(a.cycles(task) / cycles[a.core]) - np.log(b.cycles(task) / cycles[b.core])
        for a, b, task in pairs
        if a.core == core
    ]
    return float(np.sqrt(np.mean(np.square(logs))))
