"""A rich console for text that comes from files: no markup is read in it, control characters are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console as _Console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from eeaug.support import places
from eeaug.support.printable import lines, printable

__all__ = ["Console"]


class Console(_Console):
    """Words as they are: ``[red]`` is no colour, and a name cannot move the cursor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does it; where it cannot be written, as to a full disk, the error says what is full."""
        with places.naming("standard error" if self.stderr else "standard output"):
            super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Titles, headers and cells that are plain text, before their width is taken."""
        return super().render_str(printable(text), **{**options, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What comes as Text, too: whatever of a page is no control code of rich itself."""
        for text, style, control in super().render(renderable, options):
            dirty = not control and not text.isprintable() and text != "\n"
            yield Segment(lines(text) if dirty else text, style, control)
