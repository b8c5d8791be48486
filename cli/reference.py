"""All commands and options as Markdown, from what click knows: ``python -m eeaug.cli.reference > docs/cli.md``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import click

from eeaug.cli.grouped import Grouped, grouped
from eeaug.cli.main import group

__all__ = ["commands", "described", "paragraphs", "render", "usage"]


def render() -> str:
    """docs/cli.md."""
    title = "# Commands and options\n\nMade from the code by `python -m eeaug.cli.reference`.\n"
    with click.Context(group, info_name="eeaug") as context:
        return title + "".join(_section(command, inner) for command, inner in commands(group, context))


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Those that do something, with contexts that know their full names."""
    if not isinstance(command, click.Group):
        yield command, context
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from commands(inner, click.Context(inner, parent=context, info_name=name))


def _section(command: click.Command, context: click.Context) -> str:
    words, *examples = (command.help or "").split("\b\n")
    lines = [
        f"\n## {context.command_path}\n",
        f"```\n{usage(command, context)}\n```\n",
        "\n\n".join(paragraphs(words)) + "\n",
    ]
    lines += [f"```sh\n{_shell(example)}\n```\n" for example in examples]
    if isinstance(command, Grouped):
        for title, options in grouped(command.params):
            lines += [f"### {title}\n", *_table(options), f"Example: `{command.examples[title]}`\n"]
    else:
        lines += _table(option for option in command.params if isinstance(option, click.Option))
    return "\n".join(lines)


def _table(options: Iterable[click.Option]) -> list[str]:
    rows = [_option(option) for option in options if not option.hidden]
    return ["| option | |\n|---|---|", *rows, ""] if rows else []


def usage(command: click.Command, context: click.Context) -> str:
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _shell(example: str) -> str:
    lines = (line.strip() for line in example.splitlines())
    return "\n".join(line for line in lines if line and not re.fullmatch(r"Examples?:", line))


def _option(option: click.Option) -> str:
    flags = " / ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    value, words = described(option)
    return f"| {flags}{_escaped(value)} | {_escaped(words)} |"


def described(option: click.Option) -> tuple[str, str]:
    """What stands behind its name, if anything, and what it means, with its default."""
    value = "" if option.is_flag or option.count else f" {option.make_metavar(click.Context(group))}"
    default = option.default
    shown = option.show_default and default not in (None, (), False) and not callable(default)
    return value, f"{' '.join((option.help or '').split())}{f' [default: {default}]' if shown else ''}"


def _escaped(text: str) -> str:
    return re.sub(r"[|<*_\[\]]", r"\\\g<0>", text)


if __name__ == "__main__":
    print(render(), end="")
