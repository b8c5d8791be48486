"""Progress: on a terminal one live line, elsewhere and in CI plain lines. Everything on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from eeaug.cli import out
from eeaug.support.printable import printable
from eeaug.support.progress import Lines, Share, title
from eeaug.support.streams import live

__all__ = ["observer"]

WIDTH = 20  # of the bar


@contextmanager
def observer(*, quiet: bool, verbose: bool, brief: bool = False) -> Iterator[Any]:
    """What the command shows while it works; ``brief``: nothing of steps that take a few seconds."""
    if not quiet and live():
        with _Bar(verbose, brief) as bar:
            yield bar
    else:
        lines = Lines(partial(out.say, err=True), quiet=quiet, verbose=verbose, brief=brief)
        with lines.beating():
            yield lines


class _Bar:
    """A live line for the step at work; above it a line for every step that is done, with its time."""

    def __init__(self, verbose: bool, brief: bool) -> None:
        from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn
        from rich.text import Text

        class Words(ProgressColumn):
            """How much is done, and how long the rest takes."""

            def render(self, task: Any) -> Text:
                share: Share = task.fields["share"]
                return Text(share.words(time.monotonic()), "dim")

        self.console = out.console(stderr=True)
        self.verbose, self.brief = verbose, brief
        self.live = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(WIDTH), Words(),
            console=self.console, transient=True,
        )  # fmt: skip
        self.current: Any = None

    def __enter__(self) -> _Bar:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def step(self, name: str, detail: str) -> None:
        share = Share(name, detail, time.monotonic())
        self.current = self.live.add_task(printable(share.title), total=None, share=share)

    def advance(self, done: int, of: int) -> None:
        if self.current is not None and of:
            task = self.live.tasks[-1]
            task.fields["share"].pace.tell(done / of, time.monotonic())
            self.live.update(self.current, completed=done, total=of)

    def finished(self, name: str, detail: str, seconds: float) -> None:
        if self.current is not None:
            self.live.remove_task(self.current)
            self.current = None
        if not self.brief:
            self.console.print(f"{printable(title(name, detail))}: {seconds:.1f} s", style="green", soft_wrap=True)

    def note(self, text: str) -> None:
        self.console.print(text)

    def detail(self, text: str) -> None:
        if self.verbose:
            self.console.print(f"  {text}", style="dim")

    def warning(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow")
