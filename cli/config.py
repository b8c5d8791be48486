"""``--config``: options of a command from a YAML file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from eeaug import hardware
from eeaug.cli import shared
from eeaug.cli.grouped import flag
from eeaug.errors import InputError
from eeaug.support import places
from eeaug.support.spelling import nearest
from eeaug.support.strict_yaml import Mistakes, as_number, key_text, parse, quotes, shown

__all__ = ["option", "read"]


def option() -> Callable[[Any], Any]:
    """The option ``--config``: click looks up there what neither the command line nor the environment gives."""
    return click.option(
        "--config",
        type=shared.Place(),
        metavar="FILE",
        is_eager=True,  # before the options that it gives
        expose_value=False,
        callback=_load,
        help="A YAML file of options, such as max-latency: 2.5 or format: [tflite, c]; the command line and the "
        "environment take precedence. Paths in it are relative to it.",
    )


def _load(ctx: click.Context, param: click.Parameter, file: Path | None) -> None:
    if file is not None:
        ctx.default_map = read(file, ctx.command)


def read(file: Path, command: click.Command) -> dict[str, Any]:
    """Parameter of ``command`` → value, of a file that maps names of options to values.

    Raises
    ------
    InputError
        The file cannot be read or has mistakes: all of them, each with its key.
    """
    if not file.exists() and not file.is_symlink():
        names = [path.name for path in file.parent.glob("*.y*ml")]
        raise InputError(f"--config {file}: no such file{nearest(file.name, names)}")
    options = {flag(p).lstrip("-"): p for p in command.params if isinstance(p, click.Option) and p.expose_value}
    mistakes = Mistakes(str(file))
    document = parse(file, mistakes)
    if not isinstance(document, dict):
        raise InputError(f"{file}: must be a mapping of options, such as max-latency: 2.5, given {shown(document)}")
    given: dict[str, Any] = {}
    for key, value in document.items():
        option = options.get(key) if isinstance(key, str) else None
        if option is None or option.name is None:
            name = key_text(key)
            hint = "" if mistakes.enough else nearest(name, options) or f"; see eeaug {command.name} --help"
            mistakes.add(name, f"no such option{hint}")
            continue
        try:
            given[option.name] = _value(option, value, file.parent)
        except click.BadParameter as error:
            mistakes.add(key, error.message.rstrip("."))
    mistakes.raise_if_any()
    return given


def _value(option: click.Option, value: object, folder: Path) -> Any:
    """The value as click takes it; :class:`click.BadParameter` says what is wrong with it."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise click.BadParameter(f"must be true or false, given {shown(value)}")
        return value
    if isinstance(value, list) and value and (option.multiple or option.type is shared.NAMES):
        return [_one(option, item, folder) for item in value]
    if isinstance(value, list) and option.type is shared.SHAPE:
        value = ",".join(map(_text, value))
    one = _one(option, value, folder)
    return [one] if option.multiple else one


def _one(option: click.Option, value: object, folder: Path) -> str:
    """One value as the text that the command line would have."""
    kind = option.type
    if isinstance(kind, shared.Quantity):
        right, wanted = not math.isnan(as_number(value)) or isinstance(value, str), "a number"
    elif isinstance(kind, click.IntRange | click.FloatRange):
        right, wanted = not math.isnan(as_number(value)), "a number"
    elif isinstance(kind, click.Choice):  # of words, or of numbers as words
        right, wanted = type(value) in (str, int), f"one of {', '.join(kind.choices)}"
    else:
        right, wanted = isinstance(value, str) and bool(value.strip()), "text"
    if not right:
        raise click.BadParameter(
            f"must be {wanted}, given {shown(value)}{quotes(value) if wanted == 'text' else ''}"
        )
    text = _text(value)
    kind.convert(text, option, None)
    if isinstance(kind, shared.Place):
        return str(_beside(folder, text))
    return _PLACES.get(flag(option), _as_given)(text, folder)


def _text(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 200:  # more digits than Python writes
        raise click.BadParameter(f"must be smaller, given {shown(value)}")
    return str(value)


def _beside(folder: Path, text: str) -> Path:
    """The path, which is relative to the file; ``~`` is the home of a user who has one."""
    try:
        place = folder / Path(text).expanduser()
        places.check_name(place)
    except RuntimeError as error:  # no such user
        raise click.BadParameter(f"{text}: {error}") from None
    except InputError as error:
        raise click.BadParameter(str(error)) from None
    return place


def _as_given(text: str, folder: Path) -> str:
    return text


def _hardware(text: str, folder: Path) -> str:
    file = _beside(folder, text)
    if file.exists():
        return str(file)
    if text.removesuffix(".yaml") in hardware.shipped():
        return text
    hint = nearest(text, [*hardware.shipped(), *(path.name for path in folder.glob("*.y*ml"))])
    raise click.BadParameter(f"'{text}' is neither a file beside it nor a shipped profile{hint}")


def _data(text: str, folder: Path) -> str:
    if re.fullmatch(r"[\w.]+:[\w./-]*", text) and not text.startswith(("/", "~")) and not (folder / text).exists():
        return text  # keras:NAME, tfds:NAME, module:function
    file = _beside(folder, text)
    named = ":" in text and not file.exists()  # keras:NAME, tfds:NAME, module:function
    return text if named else str(file)


_PLACES = {"--hw": _hardware, "--data": _data}  # what may be a path and may be something else
