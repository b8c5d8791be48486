"""Values with units, as options take them: ``200ms``, ``1%``, ``2.5 mJ``, ``64KiB``.

A number without a unit is in SI units, a share of one, or what the option says (gigabytes of --max-cache).
Prefixes are decimal, and 64k is 64,000 bytes; those with an i are binary: 64Ki is 65,536.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

__all__ = [
    "BANDWIDTH", "BYTES", "DROP", "GIGABYTES", "HERTZ", "JOULES", "LIKELY_POINTS", "SECONDS", "SHARE", "WATTS",
    "Kind", "QuantityError", "apart", "as_given", "parse",
]  # fmt: skip

LIKELY_POINTS = 0.2  # a drop without a unit from here on was most likely meant in points
LONGEST = 60  # characters
# units of report.units → what a figure is multiplied by to be shown in them
_SHOWN = {
    "%": 100.0, "pp": 100.0, "points": 100.0, "ms": 1e3, "µs": 1e6, "ns": 1e9, "mJ": 1e3, "µJ": 1e6, "nJ": 1e9,
    "kB": 1e-3, "MB": 1e-6, "GB": 1e-9, "k": 1e-3, "M": 1e-6, "G": 1e-9, "T": 1e-12,
}  # fmt: skip
_NUMBER = re.compile(r"([+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\s\d.,][^\d]*)?", re.ASCII)
_EXACT = Context(prec=80, traps=[])  # what is too large becomes infinity


class QuantityError(ValueError):
    """The text is no such value; says what would be right."""


@dataclass(frozen=True)
class Kind:
    """Units and what they stand for; ``others`` are spellings that are common and not taken, with what is.

    ``what``: in words. ``example``: one that is right. ``drop``: an accuracy drop, see LIKELY_POINTS.
    """

    what: str
    example: str
    units: Mapping[str, Decimal]
    others: Mapping[str, str]
    drop: bool = False
    share: bool = False


def _decimal(texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {unit: Decimal(factor) for unit, factor in texts.items()}


_SHARES = _decimal({"": "1", "%": "0.01", "pp": "0.01"})
_OTHER_SHARES = {"percent": "%", "pct": "%", "point": "pp", "points": "pp", "p.p.": "pp", "pt": "pp", "pts": "pp"}
SHARE = Kind("a share", "30%", _SHARES, _OTHER_SHARES, share=True)
DROP = Kind("a drop in accuracy", "1%", _SHARES, _OTHER_SHARES, drop=True, share=True)
SECONDS = Kind(
    "a time", "200ms",
    _decimal({
        "": "1", "s": "1", "ms": "1e-3", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ns": "1e-9", "min": "60",
        "h": "3600", "d": "86400",
    }),
    {
        "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "msecs": "ms", "milliseconds": "ms",
        "millisecond": "ms", "millis": "ms", "usec": "us", "usecs": "us", "microseconds": "us", "microsecond": "us",
        "nsec": "ns", "nanoseconds": "ns", "m": "min", "mins": "min", "minute": "min", "minutes": "min", "hr": "h",
        "hour": "h", "hours": "h", "day": "d", "days": "d",
    },
)  # fmt: skip
JOULES = Kind(
    "an energy", "2.5mJ",
    _decimal({
        "": "1", "J": "1", "mJ": "1e-3", "uJ": "1e-6", "µJ": "1e-6", "μJ": "1e-6", "nJ": "1e-9", "pJ": "1e-12",
        "kJ": "1e3", "mWh": "3.6", "Wh": "3600",
    }),
    {"joule": "J", "joules": "J", "millijoule": "mJ", "millijoules": "mJ", "m": "mJ", "u": "uJ"},
)  # fmt: skip
_BYTES = {
    "B": "1", "k": "1e3", "kB": "1e3", "K": "1e3", "KB": "1e3", "M": "1e6", "MB": "1e6", "G": "1e9", "GB": "1e9",
    "T": "1e12", "TB": "1e12",
    "Ki": "1024", "KiB": "1024", "Mi": "1048576", "MiB": "1048576", "Gi": "1073741824", "GiB": "1073741824",
    "Ti": "1099511627776", "TiB": "1099511627776",
}  # fmt: skip
_OTHER_BYTES = {
    "byte": "B", "bytes": "B", "kilobytes": "kB", "kilobyte": "kB", "megabytes": "MB", "megabyte": "MB",
    "gigabytes": "GB", "gigabyte": "GB",
    "kbyte": "kB", "mbyte": "MB", "gbyte": "GB", "kbytes": "kB", "mbytes": "MB",
    "gbytes": "GB", "kib": "KiB", "mib": "MiB", "gib": "GiB",
}  # fmt: skip
BYTES = Kind("a size", "64KiB", _decimal({"": "1", **_BYTES}), _OTHER_BYTES)
BANDWIDTH = Kind(
    "a bandwidth", "4MB/s",
    _decimal({"": "1", **{f"{unit}/s": factor for unit, factor in _BYTES.items()}}),
    {unit.lower(): f"{unit}/s" for unit in _BYTES},
)  # fmt: skip
HERTZ = Kind(
    "a frequency", "150MHz", _decimal({"": "1", "Hz": "1", "kHz": "1e3", "MHz": "1e6", "GHz": "1e9"}),
    {"m": "MHz", "k": "kHz", "g": "GHz"},
)  # fmt: skip
WATTS = Kind(
    "a power", "20mW", _decimal({"": "1", "W": "1", "mW": "1e-3", "uW": "1e-6", "µW": "1e-6", "μW": "1e-6"}),
    {"watt": "W", "watts": "W", "milliwatt": "mW", "milliwatts": "mW", "m": "mW", "u": "uW"},
)  # fmt: skip
GIGABYTES = Kind("a size", "2GB", _decimal({"": "1e9", **_BYTES}), _OTHER_BYTES)


def parse(text: str, kind: Kind) -> float:
    """The value in SI units, bytes, or as a share of one.

    Raises
    ------
    QuantityError : no number, a unit that is not of this kind, not finite, or a drop that was most likely meant in
        points; the message names the text and what would be right, without a full stop
    """
    text = text.strip()
    if re.fullmatch(r"[+-]?(nan|inf|infinity)", text, re.IGNORECASE):
        raise QuantityError(f"{text} is not a finite number")
    match = _NUMBER.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise QuantityError(f"{_quoted(text)} is not {kind.what}, such as {kind.example}{_comma(text, kind)}")
    number, unit = match[1].replace("_", ""), (match[2] or "").strip()
    if unit not in kind.units:
        raise QuantityError(_unknown_unit(text, number, unit, kind))
    value = _times(number, kind.units[unit])
    if not math.isfinite(value):
        raise QuantityError(f"{text} is not a finite number")
    if not unit and kind.share:
        _check_share(number, value, kind)
    return value


def as_given(value: float, kind: Kind) -> str:
    """Text that ``parse`` reads as this value: without a unit where that is allowed."""
    if kind.drop and value >= LIKELY_POINTS:
        return f"{_EXACT.multiply(Decimal(repr(value)), Decimal(100)).normalize():f}%"
    return repr(value)


def apart(text: Callable[[float], str], first: float, second: float) -> tuple[str, str]:
    """Two figures that a sentence compares, in the words of ``text``, with as many digits as tell them apart.

    ``text`` gives a number and perhaps a unit: "0.5 pp", "12.3 ms", "0.5".
    """
    words = text(first), text(second)
    if words[0] != words[1] or first == second or not (math.isfinite(first) and math.isfinite(second)):
        return words
    match = re.fullmatch(r"([−+±]?)([\d,]*\.?\d+(?:e[+-]?\d+)?)(.*)", words[0])
    if match is None:
        return words
    unit, factor = match[3], _SHOWN.get(match[3].strip(), 1.0)
    for digits in range(1, 16):
        pair = f"{first * factor:.{digits}f}{unit}", f"{second * factor:.{digits}f}{unit}"
        if pair[0] != pair[1]:
            return tuple(word.replace("-", "−", 1) if word[0] == "-" else word for word in pair)  # type: ignore
    return f"{first!r}{unit if factor == 1 else ''}", f"{second!r}{unit if factor == 1 else ''}"


def _times(number: str, factor: Decimal) -> float:
    if factor == 1:
        return float(number)
    return float(str(_EXACT.multiply(_EXACT.create_decimal(number), factor)))


def _check_share(number: str, value: float, kind: Kind) -> None:
    """A share without a unit that was most likely meant in percent is refused."""
    if kind.drop and value >= LIKELY_POINTS:
        points = _plain(100 * value)
        sure = f" If not, write {points}%" if value <= 1 else ""
        raise QuantityError(f"{number} is {points} percentage points; did you mean {number}%?{sure}")
    if 1 < value <= 100:
        raise QuantityError(f"{number} is more than 1, which is 100%; did you mean {number}%?")


def _unknown_unit(text: str, number: str, unit: str, kind: Kind) -> str:
    folded = {
        known.lower(): known for known in reversed(list(kind.units)) if known
    }  # of two that differ in case only, the one listed first
    meant = kind.others.get(unit.lower()) or folded.get(unit.lower())
    hint = f"; did you mean {number}{meant}?" if meant else ""
    listed = ", ".join(known for known in kind.units if known and not set(known) & set("µμ"))
    return f"{_quoted(text)}: no such unit of {kind.what}{hint or f' ({listed})'}"


def _comma(text: str, kind: Kind) -> str:
    """A hint for a decimal comma."""
    dotted = text.replace(",", ".", 1)
    right = text.count(",") == 1 and len(text) <= LONGEST and _NUMBER.fullmatch(dotted)
    return f"; did you mean {dotted}?" if right else ""


def _quoted(text: str) -> str:
    return f"'{text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}'"


def _plain(value: float) -> str:
    return f"{value:.10g}"
