"""Published results of MLPerf Tiny on Cortex-M cores, as cycles per counted instruction.

    ln cycles of a network = ln instructions of the submission's kernels + ln cycles per instruction of the board

by least squares. Where a submission ran kernels of CMSIS-NN (microTVM's), these are counted, which makes the scale;
others are unknown, and equal for the boards on which a submitter ran the same ones. A core has the geometric mean
of its boards. Cores that such chains do not reach: Arm's tables of cycles, of counted instructions by kind, in
memory without wait states.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "BOARDS",
    "CMSIS_NN",
    "CORES",
    "Counts",
    "Results",
    "Run",
    "boards",
    "fitted",
    "left_out",
    "ratios",
    "runs",
]

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
# Most channels of vww's second half give the same for every image (100 of 128, of 60 images). These submitters seem
# to leave them out: vww takes half of what it took them before, ic and kws as long as before.
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
    """Of a board or core: cycles per instruction, their relative error, and its core or where they come from."""

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


def boards(results: Results, counts: Counts) -> dict[str, Fitted]:
    """Of all boards that such chains reach; error: root of the mean square of what the fit leaves of logarithms.

    ``source`` is the board's core.
    """
    rows = [(run, task) for run in runs(results) if run.core != "cortex-m0plus" for task in run.milliseconds]
    names = sorted({run.board for run, _ in rows})
    kernels = sorted({(run.kernels, task) for run, task in rows if not _is_counted(run, task, counts)})
    work = np.zeros((len(rows), len(names) + len(kernels)))
    logs = np.zeros(len(rows))
    for i, (run, task) in enumerate(rows):
        work[i, names.index(run.board)] = 1
        logs[i] = np.log(run.cycles(task))
        if _is_counted(run, task, counts):
            logs[i] -= np.log(counts["cmsis-nn"][task][run.core])
        else:
            work[i, len(names) + kernels.index((run.kernels, task))] = 1
    solved, *_ = np.linalg.lstsq(work, logs, rcond=None)
    left = logs - work @ solved
    linked = _linked(rows, counts)
    by_board = {}
    for k, name in enumerate(names):
        mine = [i for i, (run, task) in enumerate(rows) if run.board == name and (run.kernels, task) in linked]
        if mine:
            cycles, error = float(np.exp(solved[k])), _root_mean_square(left[mine])
            by_board[name] = Fitted(cycles, error, BOARDS[name][0])
    return by_board


def fitted(results: Results, counts: Counts) -> dict[str, Fitted]:
    """Of all cores that there are figures for."""
    by_board = boards(results, counts)
    cores: dict[str, Fitted] = {}
    for core in ("cortex-m4", "cortex-m7", "cortex-m33"):
        mine = {name: board for name, board in by_board.items() if board.source == core}
        logs = np.log([board.cycles for board in mine.values()])
        apart = float(np.std(logs, ddof=1))
        error = float(np.hypot(apart, _root_mean_square([board.error for board in mine.values()])))
        cores[core] = Fitted(float(np.exp(np.mean(logs))), error, f"MLPerf Tiny on {', '.join(mine)}")
    tables = counts["cycles_per_instruction_by_tables"]
    means = {core: float(np.exp(np.mean([np.log(t[core]) for t in tables.values()]))) for core in tables["ic"]}
    # what Arm's tables leave out, the memory, where both are known
    memory = abs(float(np.log(cores["cortex-m4"].cycles / means["cortex-m4"])))
    for core in ("cortex-m0plus", "cortex-m3"):
        cores[core] = Fitted(means[core], memory, "Arm's tables of cycles, without wait states of the memory")
    return dict(sorted(cores.items()))


def _is_counted(run: Run, task: str, counts: Counts) -> bool:
    return bool(CMSIS_NN.search(run.name)) and task in counts["cmsis-nn"]


def _linked(rows: list[tuple[Run, str]], counts: Counts) -> set[tuple[tuple[str, ...], str]]:
    """Kernels and networks that are counted, or ran on two boards: others say nothing of a board."""
    places = defaultdict(set)
    for run, task in rows:
        places[run.kernels, task].add(run.board)
    counted = {(run.kernels, task) for run, task in rows if _is_counted(run, task, counts)}
    return {key for key, names in places.items() if len(names) > 1} | counted


def _root_mean_square(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
