"""How a run tells what it is doing; the library itself never prints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

from eeaug.support.pace import Pace, lasting
from eeaug.support.streams import overhearing

__all__ = [
    "DOUBT", "FIRST", "OTHERWISE", "TITLES", "UNEQUAL", "Lines", "Observer", "Progress", "Share", "counted",
    "counting", "part", "parts", "tell", "title", "told_to",
]  # fmt: skip

T = TypeVar("T")
Advance = Callable[[int, int], None]
WHOLE = 10_000  # what the parts of parts of a step are told in
FIRST_S, EVERY_S = 5.0, 10.0  # of a step, until lines tell of it; between such lines
BEAT_S = 1.0  # between looks whether a line is due, while nothing is told

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
    "run": "run the stages",
    "count": "count instructions in the emulator",
    "requests": "time requests to the server",
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


class _Counting:
    """What is done of a step, and of its parts and their parts, as one share."""

    def __init__(self, tell: Advance) -> None:
        self.tell = tell
        self.levels: list[tuple[int, int, int]] = []  # of a part: what was done before it, its size, of how much

    def told(self, done: int, of: int) -> None:
        """So much of the innermost part is done."""
        if not self.levels:
            self.tell(done, of)
            return
        share, width = 0.0, 1.0
        for before, size, whole in (*self.levels, (done, 0, of)):
            share += width * before / max(1, whole)
            width *= size / max(1, whole)
        self.tell(round(WHOLE * share), WHOLE)


_at_work: ContextVar[_Counting | None] = ContextVar("_at_work", default=None)


@contextmanager
def told_to(tell: Advance) -> Iterator[None]:
    """Within, in this thread, ``tell`` gets what is counted of the step at work."""
    token = _at_work.set(_Counting(tell))
    try:
        yield
    finally:
        _at_work.reset(token)


def tell(done: int, of: int) -> None:
    """So much of the part at work is done."""
    at_work = _at_work.get()
    if at_work is not None and of:
        at_work.told(done, of)


def counting(of: int) -> Callable[[int], None]:
    """What takes how much more is done of so much, and tells the step at work."""
    at_work, done = _at_work.get(), 0

    def more(size: int) -> None:
        nonlocal done
        done = min(done + size, of)
        if at_work is not None and of > 0:  # else it is not known how much there is
            at_work.told(done, of)

    more(0)
    return more


def counted(items: Iterable[T], of: int, size: Callable[[T], int] = lambda item: 1) -> Iterator[T]:
    """The items, each told to the step at work when it is done; ``of``: the sum of all their sizes."""
    more = counting(of)
    for item in items:
        yield item
        more(size(item))


@contextmanager
def part(done: int, size: int, of: int) -> Iterator[None]:
    """Within, what is counted is of a part: ``size`` of so much, of which ``done`` was before."""
    at_work = _at_work.get()
    if at_work is None:
        yield
        return
    at_work.told(done, of)
    depth = len(at_work.levels)
    at_work.levels.append((done, size, of))
    try:
        yield
    finally:
        del at_work.levels[depth:]
    at_work.told(done + size, of)


def parts(items: Sequence[T], size: Callable[[T], int] = lambda item: 1) -> Iterator[T]:
    """The items of a ``for`` that is not left early, each a :func:`part` of such a size."""
    done, of = 0, sum(map(size, items))
    for item in items:
        with part(done, size(item), of):
            yield item
        done += size(item)


class Share:
    """A step at work, as observers show it: how much is done and about how long the rest takes."""

    def __init__(self, name: str, detail: str, now_s: float) -> None:
        self.title, self.begun_s, self.pace = title(name, detail), now_s, Pace()

    def words(self, now_s: float) -> str:
        """What is done and what is left: "43 %, 12 s so far, about 16 s left"."""
        share, left = self.pace.share, self.pace.left_s(now_s)
        words = [] if share is None else [f"{int(100 * share)} %"]
        words.append(f"{lasting(now_s - self.begun_s)} so far")
        return ", ".join(words if left is None else [*words, f"about {lasting(left)} left"])


class Lines:
    """Writes a line per finished step, and of one that takes long a line at most every EVERY_S seconds.

    No cursor movement: for files, pipes, and terminals that keep every line. ``brief``: of steps that are done
    before a line has told of them nothing is said.
    """

    def __init__(
        self, write: Callable[[str], object], *, quiet: bool = False, verbose: bool = False, brief: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:  # fmt: skip
        self.write, self.quiet, self.verbose, self.brief = write, quiet, verbose, brief
        self.clock = time.monotonic if clock is None else clock
        self._step: Share | None = None
        self._next_s = 0.0
        self._told = False  # whether a line has told of the step
        self._turn = threading.RLock()

    def step(self, name: str, detail: str) -> None:
        with self._turn:
            now = self.clock()
            self._step, self._told = Share(name, detail, now), False
            self._next_s = max(self._next_s, now + FIRST_S)

    def advance(self, done: int, of: int) -> None:
        with self._turn:
            if self._step is not None and of:
                self._step.pace.tell(done / of, self.clock())
        self.beat()

    def beat(self) -> None:
        """Write a line on the step at work if it is time for one."""
        with self._turn:
            now = self.clock()
            if self.quiet or self._step is None or now < self._next_s or overhearing():
                return
            self._next_s, self._told = now + EVERY_S, True
            self.write(f"  {self._step.title}: {self._step.words(now)}")

    def finished(self, name: str, detail: str, seconds: float) -> None:
        with self._turn:
            self._step = None
            if not self.quiet and (self._told or not self.brief):
                self.write(f"{title(name, detail)}: {seconds:.1f} s")

    def note(self, text: str) -> None:
        if not self.quiet:
            self.write(text)

    def detail(self, text: str) -> None:
        if self.verbose:
            self.write(f"  {text}")

    def warning(self, text: str) -> None:
        self.write(f"warning: {text}")

    @contextmanager
    def beating(self) -> Iterator[Lines]:
        """Within, lines come also while nothing is told."""
        if self.quiet:
            yield self
            return
        end = threading.Event()

        def beat() -> None:
            while not end.wait(BEAT_S):
                self.beat()

        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        try:
            yield self
        finally:
            end.set()
            heart.join()


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
        with told_to(self.advance):
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
