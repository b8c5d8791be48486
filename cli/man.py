"""All commands and options as a manual page, from what click knows: ``python -m eeaug.cli.man > docs/eeaug.1``."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from eeaug.cli.grouped import Grouped, grouped
from eeaug.cli.main import group
from eeaug.cli.reference import commands, described, paragraphs, usage

__all__ = ["render"]

_CODES = (
    (0, "all is well"), (1, "eeaug failed, or the disk or memory is full"), (2, "something given is wrong"),
    (3, "no design meets the limits, or a limit is not kept"),
    (4, "the model is not supported, or a written file disagrees with it or has changed"), (130, "interrupted"),
)  # fmt: skip


def render() -> str:
    """eeaug.1, in the macros of man."""
    summary = " ".join((group.help or "").split())
    lines = ['.TH EEAUG 1 "" "eeaug" "User Commands"', ".SH NAME", rf"eeaug \- {_plain(summary)}", ".SH SYNOPSIS"]
    lines += [".B eeaug", r"\fICOMMAND\fR [\fIOPTIONS\fR]", ".SH COMMANDS"]
    with click.Context(group, info_name="eeaug") as context:
        for command, inner in commands(group, context):
            lines += _section(command, inner)
    lines += [".SH EXIT STATUS"]
    for code, words in _CODES:
        lines += [".TP", f".B {code}", _plain(words)]
    return "\n".join(lines) + "\n"


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    words, *examples = (command.help or "").split("\b\n")
    yield f'.SS "{_plain(usage(command, context))}"'
    for i, part in enumerate(paragraphs(words)):
        yield from ([".PP"] if i else [])
        yield _plain(part)
    for example in examples:
        yield from (".PP", ".nf", *(_plain(line) for line in example.rstrip().splitlines()), ".fi")
    if isinstance(command, Grouped):
        for title, options in grouped(command.params):
            yield from (".PP", rf"\fI{_plain(title)}\fR")
            for option in options:
                yield from _option(option)
    else:
        for param in command.params:
            if isinstance(param, click.Option):
                yield from _option(param)


def _option(option: click.Option) -> Iterator[str]:
    if option.hidden:
        return
    value, words = described(option)
    yield ".TP"
    yield rf"\fB{_plain(', '.join((*option.opts, *option.secondary_opts)))}\fR{_plain(value)}"
    yield _plain(words)


def _plain(text: str) -> str:
    """Text that has no meaning for troff: hyphens stay what a user types, no line begins with a full stop."""
    text = re.sub(r"^([.'])", r"\\&\1", text.replace("\\", r"\e").replace("-", r"\-"))
    return re.sub(r"[^\x00-\x7f]", lambda match: rf"\[u{ord(match[0]):04X}]", text)


if __name__ == "__main__":
    print(render(), end="")
