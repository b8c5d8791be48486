"""How values on the command line are read: types of options, as click has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from eeaug.errors import InputError
from eeaug.settings.vocabulary import MOST_WINDOW
from eeaug.support import places, quantities

__all__ = [
    "DEBOUNCE", "MISSED", "MOST_SECONDS", "NAMES", "NONE", "SECONDS", "SHAPE", "ModelPlace", "OrNone", "Place",
    "Quantity", "Sha256",
]  # fmt: skip

NONE = "none"  # removes the value that the bundle has


class Quantity(click.FloatRange):
    """A finite number, or a value with a unit of this kind, within a range (in SI units, shares, bytes)."""

    def __init__(self, kind: quantities.Kind, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = quantities.parse(value if isinstance(value, str) else repr(value), self.kind)
        except quantities.QuantityError as error:
            self.fail(str(error), param, ctx)
        converted: float = super().convert(number, param, ctx)
        return converted


class Place(click.Path):
    """A path that a file may have, whether one is there or not: not empty, not too long, links that end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():  # it would be the current directory
            self.fail("it is empty: name a file or a directory", param, ctx)
        try:
            places.check_name(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


class ModelPlace(Place):
    """The path of a model: of a SavedModel its directory, also where ``saved_model.pb`` in it is given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from eeaug.backbone.model_files import meant

        return meant(super().convert(value, param, ctx))


class OrNone(click.ParamType):
    """What another type takes, or NONE."""

    def __init__(self, inner: Any) -> None:
        self.inner = click.types.convert_type(inner)
        self.name = self.inner.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == NONE else self.inner.convert(value, param, ctx)


class _Names(click.ParamType):
    """``NAME,NAME`` as names; a list of a configuration file is one."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else tuple(value)


class _Shape(click.ParamType):
    """``96,96,3`` or ``96x96x3`` as sizes; a list of a configuration file is one."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        sizes = re.split("[,x×]", value) if isinstance(value, str) else list(value)
        if not all(re.fullmatch(" *[1-9][0-9]{0,8} *", str(size)) for size in sizes):
            self.fail(f"{value!r} is no shape of a sample: sizes above 0, as 96,96,3", param, ctx)
        return tuple(int(size) for size in sizes)


class Sha256(click.ParamType):
    """64 hexadecimal digits, in lower case."""

    name = "sha256"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch("[0-9a-f]{64}", value.lower()):
            self.fail(f"{value!r} is not 64 hexadecimal digits, as a run prints them", param, ctx)
        return str(value.lower())


class _Debounce(click.ParamType):
    """``2/3`` as a pair; 1 ≤ M ≤ N ≤ MOST_WINDOW."""

    name = "m/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        pair = re.fullmatch("([0-9]{1,2})/([0-9]{1,2})", value) if isinstance(value, str) else None
        wanted, window = map(int, pair.groups() if pair else value if isinstance(value, tuple) else (0, 0))
        if not 1 <= wanted <= window <= MOST_WINDOW:
            self.fail(f"{value!r} is not M/N with 1 ≤ M ≤ N ≤ {MOST_WINDOW}, as 2/3", param, ctx)
        return wanted, window


class _Missed(click.ParamType):
    """``1%`` or ``1%/3``: a share of the events, and with how many of its samples one must be answered."""

    name = "share[/n]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, int | None]:
        if isinstance(value, tuple):
            return value[0], value[1]
        share, slash, within = str(value).partition("/")
        if slash and not re.fullmatch("[1-9][0-9]{0,8}", within):
            self.fail(f"{value!r} is no share of the events, perhaps with / and samples, as 1% or 1%/3", param, ctx)
        return Quantity(quantities.SHARE, 0, 1).convert(share, param, ctx), int(within) if slash else None


DEBOUNCE = _Debounce()
MISSED = _Missed()
NAMES = _Names()
SHAPE = _Shape()
MOST_SECONDS = 1e12  # more is a mistake, and overflows in products
SECONDS = Quantity(quantities.SECONDS, min=0, min_open=True)
