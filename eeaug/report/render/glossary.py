"""The glossary of a page: definitions of docs/glossary.md, of the terms that the page links to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

from markupsafe import Markup, escape

__all__ = ["Glossary", "Term", "terms"]

# other words for the same; the heading is the term
_ALSO = {
    "worst latency": "worst case", "calibration sample": "calibration set", "test set": "test",
    "test sample": "test", "training set": "fit", "validation set": "validation",
}  # fmt: skip


class Term(NamedTuple):
    """A heading of the glossary, the name in its address, and the definition."""

    title: str
    slug: str
    text: Markup


@cache
def terms() -> dict[str, Term]:
    """All of them, by heading, in their order; pages/glossary.md is a copy of docs/glossary.md."""
    pages = resources.files("eeaug.report.render") / "pages"
    parts = (pages / "glossary.md").read_text(encoding="utf-8").split("\n### ")[1:]
    return {term.title.lower(): term for term in map(_term, parts)}


def _term(part: str) -> Term:
    title, _, text = part.partition("\n")
    text = " ".join(re.split(r"\n#+ ", text)[0].split())
    # what only leads to another page is left out
    here = [sentence for sentence in re.split(r"(?<=\.) ", text) if ".md" not in sentence] or [text]
    return Term("MACs" if title == "macs" else title, title.replace(" ", "-"), _html(" ".join(here)))


def _html(text: str) -> Markup:
    """Markdown's emphasis and code; links to other pages become their words."""
    words = str(escape(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", re.sub(r"\*([^*]+)\*", r"<em>\1</em>", words)))


class Glossary:
    """Links words of one page to their definitions, and knows which are needed."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def linked(self, words: str, *names: str) -> Markup:
        """The words as HTML, where each of the terms ``names`` first occurs with a link to its definition."""
        left = {name.lower(): terms()[_ALSO.get(name.lower(), name.lower())] for name in names}
        either = "|".join(re.escape(name) for name in sorted(left, key=len, reverse=True))

        def link(match: re.Match[str]) -> str:
            name = (match[1] or "").lower()
            term = left.pop(name, left.pop(name.removesuffix("s"), None))
            if term is None:
                return match[0]
            self._used.add(term.slug)
            return f'<a class="term" href="#term-{term.slug}">{match[0]}</a>'

        return Markup(re.sub(rf"<[^>]*>|&\w+;|\b((?:{either})s?)\b", link, str(escape(words)), flags=re.IGNORECASE))

    def used(self) -> Iterator[Term]:
        """The terms that were linked so far, in the order of the glossary."""
        return (term for term in terms().values() if term.slug in self._used)
