"""``eeaug completion`` and ``eeaug help``: what a shell and a person ask about the commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion", "help_"]

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete eeaug's commands and options on the tab key.

    Shells read it when they start: bash and zsh evaluate it in ~/.bashrc or ~/.zshrc, after compinit; fish
    sources it in ~/.config/fish/config.fish.

    \b
    Example:
      eeaug completion bash > ~/.local/share/bash-completion/completions/eeaug
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "eeaug", "_EEAUG_COMPLETE").source(), nl=False)


@click.command("help")
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, as its --help does.

    \b
    Example:
      eeaug help hw check
    """
    inner = context.find_root()
    left = list(words)
    while left:
        if not isinstance(inner.command, click.Group):
            raise click.UsageError(f"{inner.command_path} has no command {left[0]!r}", inner)
        name, command, left = inner.command.resolve_command(inner, left)
        assert command is not None
        inner = click.Context(command, parent=inner, info_name=name)
    click.echo(inner.get_help())
