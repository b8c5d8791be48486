"""Help: every option in one group of purpose, examples that the command line takes, the environment's names."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from eeaug.cli.augment import augment
from eeaug.cli.grouped import GROUPS, Grouped, flag
from eeaug.cli.retarget import retarget

group: Any = importlib.import_module("eeaug.cli.main").group  # the package has a function of the module's name
TARGETS = {"augment": ("model.h5", "--hw", "psoc6"), "retarget": ("bundle", "-o", "other")}


def commands(within: click.Group, path: tuple[str, ...] = ("eeaug",)) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, itself included, with the words that it is called by."""
    yield " ".join(path), within
    for name in within.list_commands(click.Context(within)):
        command = within.get_command(click.Context(within), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def help_of(name: str) -> str:
    done = CliRunner().invoke(group, [name, "--help"], prog_name="eeaug", terminal_width=80)
    assert done.exit_code == 0
    return done.output


def parsed(line: list[str]) -> None:
    """Raises click's UsageError for a command line (without ``eeaug``) that cannot be; runs nothing."""
    command: click.Command = group
    context = click.Context(group, info_name="eeaug")
    while isinstance(command, click.Group):
        _, command, line = command.resolve_command(context, line)  # type: ignore[assignment]
        assert command is not None
    command.make_context("", line, parent=context)


def test_every_option_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    of_augment, of_retarget = (
        {flag(p) for p in command.get_params(click.Context(command)) if isinstance(p, click.Option)}
        for command in (augment, retarget)
    )
    assert of_augment | of_retarget == set(grouped)  # none is missing, and none is there that no command has
    assert of_retarget - of_augment == {"--manifest-sha256"}  # of the bundle that it reads


@pytest.mark.parametrize("command", [augment, retarget])
def test_help_shows_every_option_once_below_its_group(command: Grouped) -> None:
    sections = dict(re.findall(r"^(\S[^\n]*):\n((?:  [^\n]*\n|\n)+)", help_of(str(command.name)), re.M))
    for option in command.get_params(click.Context(command)):
        if isinstance(option, click.Option):
            titles = [t for t, text in sections.items() if re.search(rf"^  (-\w, )?{flag(option)}\b", text, re.M)]
            assert titles == [next(title for title, names in GROUPS.items() if flag(option) in names)]
    assert "Options" not in sections


@pytest.mark.parametrize("command", [augment, retarget])
def test_every_group_has_an_example_of_its_own_options(command: Grouped) -> None:
    name = str(command.name)
    for title, example in command.examples.items():
        words = shlex.split(example)
        assert {word for word in words if word.startswith("-")} <= set(GROUPS[title])
        parsed([name, *TARGETS[name], *words])


@pytest.mark.parametrize(("called", "command"), [*commands(group)], ids=[called for called, _ in commands(group)])
def test_every_command_has_examples_that_are_right(called: str, command: click.Command) -> None:
    text = f"{command.help}\n{command.epilog or ''}".partition("Example")[2]
    lines = re.findall(r"\b(eeaug [^&>\n]*)", text)
    assert any(line.startswith(called) for line in lines), text
    for line in lines:
        parsed(shlex.split(line)[1:])


def test_a_wrong_example_would_be_found() -> None:
    for line in ("augment m.h5 --hw psoc6 --max-latenzy 2", "retarget x --points 2", "hw chek psoc6", "hw check"):
        with pytest.raises(click.UsageError):
            parsed(line.split())


def test_options_from_the_environment_have_their_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HW", "psoc6"), ("O", "place"), ("OUTPUT", "second"), ("REUSE", "false")):
        monkeypatch.setenv(f"EEAUG_AUGMENT_{name}", value)
    given = augment.make_context("augment", ["model.h5"]).params
    assert (given["hardware"], given["output"], given["output_name"]) == ("psoc6", Path("place"), "second")
    assert given["reuse"] is False
    names = [str(p.envvar) for p in augment.params if isinstance(p, click.Option)]
    assert len(names) == len(set(names))
