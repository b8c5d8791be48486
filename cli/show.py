"""Progress on a terminal: a bar and a time per step; off it, and in CI, plain lines. Everything on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from eeaug.cli import out
from eeaug.support.printable import printable
from eeaug.support.progress import Lines, title
from eeaug.support.streams import live

__all__ = ["observer"]


@contextmanager
def observer(*, quiet: bool, verbose: bool) -> Iterator[Any]:
    """What the command shows while it works."""
    if not quiet and live():
        with _Bars(verbose) as bars:
            yield bars
    else:
        yield Lines(partial(out.say, err=True), quiet=quiet, verbose=verbose)


class _Bars:
    """A live bar for the step at work, its time when it is done."""

    def __init__(self, verbose: bool) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.console = out.console(stderr=True)
        self.verbose = verbose
        self.live = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description:<40}", markup=False),
            BarColumn(30), TimeElapsedColumn(), console=self.console, transient=False,
        )  # fmt: skip
        self.current: Any = None

    def __enter__(self) -> _Bars:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def step(self, name: str, detail: str) -> None:
        self.current = self.live.add_task(printable(title(name, detail)), total=None)

    def advance(self, done: int, of: int) -> None:
        self.live.update(self.current, completed=done, total=of)

    def finished(self, name: str, detail: str, seconds: float) -> None:
        self.live.update(self.current, completed=1, total=1)
        self.live.stop_task(self.current)

    def note(self, text: str) -> None:
        self.console.print(text)

    def detail(self, text: str) -> None:
        if self.verbose:
            self.console.print(f"  {text}", style="dim")

    def warning(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow")
