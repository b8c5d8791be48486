"""Sphinx' settings for this folder: ``python -m sphinx -W -b html docs build/site``.

The site loads nothing from a network and needs no server: build/site/index.html opens in a browser, with search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

import eeaug

project = "eeaug"
version = release = eeaug.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns: list[str] = []
# links to sections go by the same names as where the files themselves are shown
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"eeaug {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# without a server a browser lets no script read the pages that it has found
html_show_search_summary = False
html_static_path: list[str] = []
maximum_signature_line_length = 80
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "__init__, __new__"}

SECTIONS = {"Parameters": "param", "Raises": "raises", "Returns": "returns"}


def _fields(lines: list[str]) -> Iterator[str]:
    """``name : what it is`` below a section of a docstring, as the fields that autodoc knows."""
    kind = None
    for i, line in enumerate(lines):
        if set(line.strip()) == {"-"} and i and lines[i - 1].strip() in SECTIONS:
            continue
        if line.strip() in SECTIONS and i + 1 < len(lines) and set(lines[i + 1].strip()) == {"-"}:
            kind = SECTIONS[line.strip()]
        elif kind is None or not line.strip() or line.startswith(" "):
            yield line
        elif kind == "returns":
            yield f":returns: {line}"
        elif field := re.match(r"([\w., ]+?) : (.*)", line):
            yield f":{kind} {field[1]}: {field[2]}"
        else:
            kind = None
            yield line


def _docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    # a star is a star, as in *args, but in what is typed
    plain = [line if line.startswith(">>>") else _stars(line) for line in _fields(list(lines))]
    lines[:] = plain


def _stars(line: str) -> str:
    return "".join(
        part.replace("*", r"\*") if i % 2 == 0 else part for i, part in enumerate(re.split("(``.*?``)", line))
    )


def _optional(app: Any, page: str, source: list[str]) -> None:
    """A chapter of index.md that is not there is left out: ``blank?``."""
    if page == "index":
        source[0] = re.sub(
            r"^([\w-]+)\?\n",
            lambda m: f"{m[1]}\n" if Path(app.srcdir, f"{m[1]}.md").exists() else "",
            source[0],
            flags=re.M,
        )


def setup(app: Any) -> None:
    app.add_lexer("csv", TextLexer)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("source-read", _optional)
