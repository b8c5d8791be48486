"""What commands write on stdout and stderr: the one place where names from files become harmless to a terminal."""

from __future__ import annotations

import json as standard
from typing import Any

import click

from eeaug.support import places
from eeaug.support.printable import printable

__all__ = ["ask", "console", "json", "say", "write"]


def say(text: str = "", *, err: bool = False) -> None:
    """One line on stdout or stderr; control characters in it, line ends among them, as escapes."""
    with places.naming("standard error" if err else "standard output"):
        click.echo(printable(text), err=err)


def ask(question: str) -> str:
    """The answer to a question, without spaces around it; the question goes to stderr, as stdout may be a file.

    Raises
    ------
    EOFError : there is no further line
    """
    with places.naming("standard error"):
        click.echo(printable(question) + " ", nl=False, err=True)
    return input().strip()


def write(content: bytes) -> None:
    """A result as it is on stdout: JSON, a page, a picture."""
    with places.naming("standard output"):
        click.echo(content, nl=False)


def json(value: Any) -> None:
    """A value as JSON on stdout; a byte of a path that is no UTF-8 as JSON's own escape."""
    text = standard.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write(text.encode("utf-8", "backslashreplace"))


def console(*, stderr: bool = False) -> Any:
    """A rich console that reads no markup in what it prints, and shows control characters as escapes."""
    from eeaug.report.render.console import Console

    return Console(stderr=stderr)
