"""Options of a run as Python values: checked, and made into settings.

The command line has types of its own for them; tests/unit/test_settings_options.py holds both to the same values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from eeaug.cascade.measures import MEASURES
from eeaug.errors import InputError
from eeaug.settings.contradictions import Contradiction, python
from eeaug.settings.parts import MAX_CACHE_BYTES, MAX_EPOCHS, MAX_LOCATIONS
from eeaug.settings.settings import Settings
from eeaug.settings.vocabulary import (
    COSTS,
    DECISIONS,
    EFFORTS,
    INHERITED,
    MAX_SEED,
    MAX_THREADS,
    MOST_REFRESH,
    MOST_WINDOW,
    PROMISES,
    RECIPES,
    UNITS,
)  # fmt: skip
from eeaug.support.quantities import BYTES, DROP, SECONDS, SHARE, Kind, QuantityError, parse
from eeaug.support.spelling import nearest

__all__ = ["KINDS", "NOTHING", "OF_A_RETARGET", "Choice", "Number", "changes", "in_python", "settings"]


@dataclass(frozen=True)
class Number:
    """A finite number from ``least`` to ``most``; ``above`` and ``below``: these themselves are not allowed.

    With a ``kind``, text with a unit serves as well: "200ms", "1%".
    """

    least: float
    most: float = inf
    above: bool = False
    below: bool = False
    whole: bool = False
    kind: Kind | None = None

    def __call__(self, name: str, value: object) -> float:
        if self.kind is not None:
            value = _quantity(name, value, self.kind)
        if isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool):
            number: float = int(value) if self.whole else float(value)  # type: ignore[call-overload]
            low = number > self.least if self.above else number >= self.least
            high = number < self.most if self.below else number <= self.most
            if isfinite(number) and low and high:
                return number
        raise _refused(name, value, self.wanted)

    @property
    def wanted(self) -> str:
        what = "a whole number" if self.whole else "a number"
        words = f"{what} {'above' if self.above else 'of at least'} {self.least}"
        return words if self.most == inf else f"{words} and {'below' if self.below else 'at most'} {self.most}"


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    of: tuple[str | int, ...]

    def __call__(self, name: str, value: object) -> str | int:
        if isinstance(value, str | Integral) and not isinstance(value, bool) and value in self.of:
            return self.of[self.of.index(value)]
        hint = nearest(value, map(str, self.of)) if isinstance(value, str) else ""
        raise _refused(name, value, f"one of {', '.join(map(repr, self.of))}", hint)


def _quantity(name: str, value: object, kind: Kind) -> object:
    """Text with a unit as a number; a number as it is, unless it is a share that was meant in percent."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not isinstance(value, str) and not (real and kind.share):
        return value
    try:
        number = parse(value if isinstance(value, str) else f"{float(value):.10g}", kind)  # type: ignore[arg-type]
    except QuantityError as error:
        raise InputError(f"{name}: {error}") from None
    if not isinstance(value, str):
        return value
    return int(number) if kind is BYTES and number.is_integer() else number


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _refused(name, value, "True or False")


def _text(name: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise _refused(name, value, "text")


def _place(name: str, value: object) -> Path:
    if isinstance(value, str | os.PathLike) and str(value).strip():  # not the current directory
        return Path(value)
    raise _refused(name, value, "a path")


def _names(name: str, value: object) -> tuple[str, ...]:
    """Names, or one; numbers stand for themselves, as classes may be given so."""
    values = [value] if isinstance(value, str | Integral) else value
    if isinstance(values, Iterable) and not isinstance(values, Mapping | bytes):
        items = tuple(values)
        if all(isinstance(one, str | Integral) and not isinstance(one, bool) for one in items):
            return tuple(map(str, items))
    raise _refused(name, value, "a name, or a list of names")


def _code(name: str, value: object) -> tuple[str, ...]:
    """Paths or names of modules, or one."""
    values = (value,) if isinstance(value, str | os.PathLike) else value
    if isinstance(values, Iterable) and not isinstance(values, Mapping | bytes):
        items = tuple(values)
        if all(isinstance(one, str | os.PathLike) and str(one).strip() for one in items):
            return tuple(map(str, items))
    raise _refused(name, value, "a path or the name of a module, or a list of them")


def _shape(name: str, value: object) -> tuple[int, ...]:
    """Of a sample, without the batch."""
    sizes = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else ()
    if sizes and all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in sizes):
        return tuple(map(int, sizes))
    raise _refused(name, value, "whole numbers above 0, as (96, 96, 3)")


def _exits(name: str, value: object) -> dict[str, str | None]:
    """Location → processor or None; locations alone are on any processor."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(_names(name, value))
    if all(isinstance(k, str) and (v is None or isinstance(v, str)) for k, v in value.items()):
        return dict(value)
    raise _refused(name, value, "names of locations, or a mapping from them to names of processors or None")


def _thresholds(name: str, value: object) -> dict[str, float]:
    if isinstance(value, Mapping) and all(isinstance(location, str) for location in value):
        return {location: _SHARE_ABOVE_0(f"{name}[{location!r}]", one) for location, one in value.items()}
    raise _refused(name, value, "a mapping from names of locations to thresholds")


def _priors(name: str, value: object) -> str:
    """As the command line writes them; what is wrong with the classes shows when they are known."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_SHARE(f'{name}[{key!r}]', share)!r}" for key, share in value.items())
    return _text(name, value)


def _refused(name: str, value: object, wanted: str, hint: str = "") -> InputError:
    shown = " ".join(repr(value).split())
    return InputError(f"{name}: must be {wanted}; given {shown if len(shown) <= 60 else f'{shown[:57]}...'}{hint}")


def _debounce(name: str, value: object) -> tuple[int, int]:
    """M of N, as "2/3" or (2, 3)."""
    pair = value.split("/") if isinstance(value, str) else value
    if isinstance(pair, Iterable) and not isinstance(pair, str | bytes | Mapping):
        numbers = tuple(pair)
        if len(numbers) == 2 and all(str(one).isascii() and str(one).isdecimal() for one in numbers):
            wanted, window = map(int, numbers)
            if 1 <= wanted <= window <= MOST_WINDOW:
                return wanted, window
    raise _refused(name, value, f"M/N, 1 ≤ M ≤ N ≤ {MOST_WINDOW}, as '2/3'")


def _missed(name: str, value: object) -> tuple[float, int | None]:
    """A share of the events, and with how many of its samples one must be answered: "1%", "1%/3", (0.01, 3)."""
    share, within = value if isinstance(value, tuple | list) and len(value) == 2 else (value, None)
    if isinstance(value, str):
        share, _, after = value.partition("/")
        within = after if "/" in value else None
    if within is not None and not (str(within).isascii() and str(within).isdecimal() and int(str(within)) >= 1):
        raise _refused(name, value, "a share of the events, perhaps with / and samples, as '1%' or '1%/3'")
    return float(_SHARE(name, share)), None if within is None else int(str(within))


_SHARE = Number(0, 1, kind=SHARE)
_SHARE_ABOVE_0 = Number(0, 1, above=True, kind=SHARE)
_DROP = Number(0, 1, kind=DROP)
# fields of the parts of Settings → what they may be
KINDS: Mapping[str, Callable[[str, object], Any]] = {
    "output": _place,
    "force": _flag,
    "max_latency_s": Number(0, above=True, kind=SECONDS),
    "period_s": Number(0, above=True, kind=SECONDS),
    "max_ram_bytes": Number(0, above=True, kind=BYTES),
    "max_flash_bytes": Number(0, above=True, kind=BYTES),
    "max_accuracy_drop": _DROP,
    "objective": Choice(tuple(COSTS)),
    "efficiency_weight": _SHARE,
    "scoring": Choice(("exact", "independent")),
    "mapping": Choice(("free", "one-each")),
    "max_exits": Number(0, 6, whole=True),
    "reuse": _flag,
    "finetune": Number(0, MAX_EPOCHS, whole=True),
    "thresholds": Number(2, 101, whole=True),
    "exit_at": _exits,
    "threshold": _thresholds,
    "forbid": _names,
    "labels": Choice(("given", "none")),
    "promise": Choice(PROMISES),
    "risk": Number(0, 1, above=True, below=True, kind=SHARE),
    "confidence": Choice(tuple(MEASURES)),
    "calibrate_on": Choice(("held", "train")),
    "unit": Choice(UNITS),
    "correction": _SHARE_ABOVE_0,
    "max_class_drop": _DROP,
    "blank": _flag,
    "blank_when": _text,
    "max_blank_loss": _DROP,
    "points": Choice((1, 3, 4, 5)),
    "stream": _flag,
    "refresh": Number(1, MOST_REFRESH, whole=True),
    "debounce": _debounce,
    "background": _names,
    "max_missed": _missed,
    "priors": _priors,
    "architecture": _place,
    "input_shape": _shape,
    "output_name": _text,
    "decision": Choice(DECISIONS),
    "heads": _names,
    "target_class": _names,
    "least_alpha": Number(0.5, 1, above=True, below=True, kind=SHARE),
    "recipe": Choice(tuple(RECIPES)),
    "exit_weight": _SHARE_ABOVE_0,
    "max_locations": Number(1, MAX_LOCATIONS, whole=True),
    "effort": Choice(tuple(EFFORTS)),
    "formats": _names,
    "c_prefix": _text,
    "seed": Number(0, MAX_SEED, whole=True),
    "threads": Number(1, MAX_THREADS, whole=True),
    "cache": _place,
    "max_cache_bytes": Number(0, MAX_CACHE_BYTES, above=True, whole=True, kind=BYTES),
    "dask": _text,
    "slim": _flag,
    "allow_chance": _flag,
    "allow_unsafe": _flag,
    "custom_objects": _code,
}


# settings that are taken away by another value than None
NOTHING: Mapping[str, Any] = {"exit_at": {}, "threshold": {}, "forbid": ()}
# what a retarget is told beside settings of the earlier bundle
OF_A_RETARGET = ("output", "force", "threads", "slim")


def settings(model: Path, hardware: str, data: str | None, **options: object) -> Settings:
    """Settings of a run; an option that is None is not given.

    Raises
    ------
    TypeError : there is no such option
    InputError : a value that is not allowed, or options that contradict each other, as Python names them
    """
    _known("augment", options, KINDS)
    given = {name: KINDS[name](name, value) for name, value in options.items() if value is not None}
    if "efficiency_weight" in given:  # the other objective, unless both are asked for
        given.setdefault("max_accuracy_drop", None)
    with in_python():
        return Settings.of(model=model, hardware=hardware, data=data, **given)


def changes(**options: object) -> dict[str, Any]:
    """What of an earlier bundle's settings is to be another; None takes a setting away.

    Raises
    ------
    TypeError : there is no such option
    InputError : a value that is not allowed
    """
    _known("retarget", options, (*INHERITED, *OF_A_RETARGET))
    return {
        name: NOTHING.get(name) if value is None else KINDS[name](name, value) for name, value in options.items()
    }


def _known(function: str, options: Iterable[str], known: Collection[str]) -> None:
    for name in options:
        if name not in known:
            hint = nearest(name, known) or f"; there are {', '.join(known)}"
            raise TypeError(f"{function}() has no option {name!r}{hint}")


@contextmanager
def in_python() -> Iterator[None]:
    """What contradicts each other is an InputError that names options as Python does."""
    try:
        yield
    except Contradiction as error:
        raise InputError(error.worded(python)) from None
