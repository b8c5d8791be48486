"""How a run tells what it is doing; the library itself never prints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["DOUBT", "FIRST", "OTHERWISE", "TITLES", "UNEQUAL", "Lines", "Observer", "Progress", "title"]

# beginnings of warnings that are shown before all others: figures are not what they seem; some classes pay for all;
# the description of the hardware says something else than what was counted
FIRST = DOUBT, UNEQUAL, OTHERWISE = "Doubtful: ", "Unequal: ", "Counted: "

# steps, as timing.json names them, in words
TITLES = {
    "import": "start TensorFlow",
    "load": "read",
    "graph": "take the model apart",
    "convert": "write the model as ONNX",
    "features": "one pass of the frozen model",
    "heads": "train",
    "answers": "run heads of an earlier run",
    "finetune": "train exits and backbone together",
    "forecast": "time a small batch",
    "search": "choose exits, thresholds and processors",
    "export": "write the stages",
    "quantise": "find int8 thresholds",
    "handover": "find thresholds for what links carry",
    "verify": "read the stages back and measure",
}


class Observer(Protocol):
    """Receives what a run tells; the command line shows it."""

    def step(self, name: str, detail: str) -> None: ...
    def advance(self, done: int, of: int) -> None: ...
    def finished(self, name: str, detail: str, seconds: float) -> None: ...
    def note(self, text: str) -> None: ...
    def detail(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...


def title(name: str, detail: str) -> str:
    """A step in words."""
    return f"{TITLES[name]}: {detail}" if detail else TITLES[name]


class Lines:
    """Writes one line per finished step; no cursor movement."""

    def __init__(self, write: Callable[[str], object], *, quiet: bool = False, verbose: bool = False) -> None:
        self.write, self.quiet, self.verbose = write, quiet, verbose

    def step(self, name: str, detail: str) -> None: ...

    def advance(self, done: int, of: int) -> None: ...

    def finished(self, name: str, detail: str, seconds: float) -> None:
        if not self.quiet:
            self.write(f"{title(name, detail)}: {seconds:.1f} s")

    def note(self, text: str) -> None:
        if not self.quiet:
            self.write(text)

    def detail(self, text: str) -> None:
        if self.verbose:
            self.write(f"  {text}")

    def warning(self, text: str) -> None:
        self.write(f"warning: {text}")


class Progress:
    """Times the steps of a run for timing.json and passes everything on to an observer."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self._first = 0  # how many of the warnings begin with one of FIRST
        self._start = time.perf_counter()

    @contextmanager
    def step(self, name: str, detail: str = "") -> Iterator[None]:
        """Time a step; a step that is entered twice, with another detail, adds up."""
        start = time.perf_counter()
        self.observer.step(name, detail)
        yield
        took = time.perf_counter() - start
        self.seconds[name] = self.seconds.get(name, 0.0) + took
        self.observer.finished(name, detail, took)

    def advance(self, done: int, of: int) -> None:
        self.observer.advance(done, of)

    def note(self, text: str) -> None:
        self.observer.note(text)

    def detail(self, text: str) -> None:
        """Told only to those who ask for more."""
        self.observer.detail(text)

    def caution(self, text: str) -> None:
        """Shown like a warning; the report has it elsewhere (notes on the data)."""
        self.observer.warning(text)

    def warn(self, text: str) -> None:
        """A warning is shown at once and stands in the report."""
        self.warnings.append(text)
        self.observer.warning(text)

    def warn_first(self, text: str) -> None:
        """A warning that comes before all others in the report, in the order of those told so."""
        self.warnings.insert(self._first, text)
        self._first += 1
        self.observer.warning(text)

    @property
    def total_s(self) -> float:
        return time.perf_counter() - self._start
