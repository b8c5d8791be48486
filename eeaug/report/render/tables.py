"""The one style of tables on a terminal, whatever command prints them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

__all__ = ["table"]

Cell = str | Text


def table(
    titles: Sequence[Cell], rows: Iterable[Sequence[Cell]] = (), *, title: str | None = None,
    left: Collection[int] = (0,), header: bool = True,
) -> Table:  # fmt: skip
    """A line below the titles and no other; figures stand right, words of the columns ``left`` left.

    ``title`` : above it; ``header`` : whether titles are shown. Cells are no markup where the console reads none.
    """
    made = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD if header else None,
        show_edge=False, pad_edge=False, show_header=header, header_style="bold",
    )  # fmt: skip
    for position, name in enumerate(titles):
        made.add_column(name, justify="left" if position in left else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
