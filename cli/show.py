"""Progress on a terminal: a bar and a time per step; off it, and in CI, plain lines. Everything on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from eeaug.progress import Lines, title
from eeaug.streams import live

__all__ = ["observer"]


@contextmanager
def observer(*, quiet: bool, verbose: bool) -> Iterator[Any]:
    """What the command shows while it works."""
    if not quiet and live():
        with _Bars(verbose) as bars:
            yield bars
    else:
        yield Lines(partial(click.echo, err=True), quiet=quiet, verbose=verbose)


class _Bars:
    """A live bar for the step at work, its time when it is done."""

    def __init__(self, verbose: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.console = Console(stderr=True)
        self.verbose = verbose
        self.live = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description:<40}"), BarColumn(30),
            TimeElapsedColumn(), console=self.console, transient=False,
        )  # fmt: skip
        self.current: Any = None

    def __enter__(self) -> _Bars:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def step(self, name: str, detail: str) -> None:
        self.current = self.live.add_task(title(name, detail), total=None)

    def advance(self, done: int, of: int) -> None:
        self.live.update(self.current, completed=done, total=of)

    def finished(self, name: str, detail: str, seconds: float) -> None:
        self.live.update(self.current, completed=1, total=1)
        self.live.stop_task(self.current)

    def note(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def detail(self, text: str) -> None:
        if self.verbose:
            self.console.print(f"  {text}", style="dim", markup=False, highlight=False)

    def warning(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow", markup=False, highlight=False)
