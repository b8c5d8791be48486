"""Numbers as text, the same words in every rendering.

A number that is not known (``None``) reads "unknown", never 0. Prefixes are decimal: 16,384 bytes are
16.4 kB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil

__all__ = [
    "UNKNOWN", "at_most", "data_part", "duration", "in_words", "joules", "macs", "points", "quantity", "relative",
    "sample", "saved", "seconds", "share", "size", "threshold",
]  # fmt: skip

UNKNOWN = "unknown"
_PARTS = {"fit": "training", "screen": "validation", "choose": "calibration"}


def sample(shape: Sequence[int], inputs: Mapping[str, Sequence[int]] | None = None) -> str:
    """What a sample is: its shape, or the inputs of a model that has several, by name with their shapes."""
    if not inputs:
        return "×".join(map(str, shape))
    return ", ".join(f"{name} {'×'.join(map(str, each))}" for name, each in inputs.items())


def macs(value: float | None) -> str:
    """MACs in four significant digits: 12_501_632 → "12.50 M"."""
    if value is None:
        return UNKNOWN
    if value < 999.5:
        return f"{value:.0f}"
    for factor, prefix in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        if value / factor < 999.95:
            return f"{value / factor:#.4g} {prefix}"
    return f"{value / 1e12:,.2f} T"


def _three_digits(value: float) -> str:
    """At most three significant digits, no exponent, no trailing zeros: 45.0 → "45"."""
    return f"{value:,.0f}" if value >= 999.5 else f"{value:.3g}"


def _small(value: float | None, unit: str) -> str:
    """A quantity that is mostly below one; from a tenth on in whole units: 0.51 s rather than 510 ms."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return f"0 {unit}"
    for factor, prefix, least in ((1.0, "", 0.1), (1e-3, "m", 0.9995e-3), (1e-6, "µ", 0.9995e-6)):
        if value >= least:
            return f"{_three_digits(value / factor)} {prefix}{unit}"
    return f"{_three_digits(value / 1e-9)} n{unit}"


def quantity(unit: str) -> Callable[[float | None], str]:
    """What writes figures of this unit, one of SI with a prefix if need be."""
    return {"MAC": macs, "B": size}.get(unit) or partial(_small, unit=unit)


def seconds(value: float | None) -> str:
    """Seconds: "0.51 s", "12.3 ms", "45 µs"."""
    return _small(value, "s")


def duration(value: float | None) -> str:
    """A long time: "3.42 years", "12.1 days", "5.3 h"; below an hour as `seconds`."""
    if value is None or value < 3600:
        return seconds(value)
    for factor, unit in ((31_557_600, "year"), (86_400, "day")):
        if value >= factor:
            digits = _three_digits(value / factor)
            return f"{digits} {unit}{'' if digits == '1' else 's'}"
    return f"{_three_digits(value / 3600)} h"


def joules(value: float | None) -> str:
    """Joules: "0.51 J", "12.3 mJ", "45 µJ"."""
    return _small(value, "J")


def size(value: float | None) -> str:
    """Bytes with decimal prefixes: 16_384 → "16.4 kB"."""
    if value is None:
        return UNKNOWN
    if value < 999.5:
        return f"{value:.0f} B"
    for factor, unit in ((1e3, "kB"), (1e6, "MB")):
        if value / factor < 999.5:
            return f"{_three_digits(value / factor)} {unit}"
    return f"{_three_digits(value / 1e9)} GB"


def share(value: float | None) -> str:
    """A share of one as a percentage: 0.8719 → "87.19 %"."""
    return UNKNOWN if value is None else f"{100 * value:.2f} %"


def points(difference: float | None, *, signed: bool = True, digits: int | None = None) -> str:
    """A difference of shares in percentage points: −0.008 → "−0.8 pp", −0.0104 → "−1.04 pp".

    The second decimal stays where it says something: 1.04 points miss a budget of 1.0. With ``signed=False``
    (limits, drops) only a minus is written. ``digits`` fixes the number of decimals, for columns.
    """
    if difference is None:
        return UNKNOWN
    number = abs(100 * difference)
    text = f"{number:.2f}".removesuffix("0") if digits is None else f"{number:.{digits}f}"
    sign = _sign(text, difference)
    return f"{sign if signed or sign == '−' else ''}{text} pp"


def in_words(difference: float, *, mark: bool = False) -> str:
    """The same in running text: "0.8 percentage points"; ``mark``: with the unit that tables use."""
    number = points(difference, signed=False).removesuffix(" pp")
    return f"{number} percentage points{' (pp)' if mark else ''}"


def data_part(name: str) -> str:
    """What a part of the data is called in running text: "calibration" for choose; test stays."""
    return _PARTS.get(name, name)


def at_most(difference: float | None) -> str:
    """An upper bound in percentage points, never rounded to less: 0.01183 → "1.19 pp"."""
    return points(None if difference is None else ceil(1e4 * difference - 1e-6) / 1e4, signed=False)


def relative(before: float | None, after: float | None) -> str:
    """The change from `before` in percent of it: "−18.7 %"; "n/a" where `before` is 0."""
    if before is None or after is None:
        return UNKNOWN
    if before == 0:
        return "n/a"
    change = (after - before) / before
    digits = _below_all(-change) if change < 0 else f"{100 * change:,.1f}"
    return f"{_sign(digits, change)}{digits} %"


def saved(share: float) -> str:
    """A share that is saved, for a sentence: "63.5%"; of 0.9998 "99.98%", as all of it would be 100.0%."""
    return f"{_below_all(share) if share > 0 else f'{100 * share:.1f}'}%"


def _below_all(share: float) -> str:
    """In percent with one decimal, or as many as keep what is below one from being shown as all."""
    digits = (f"{100 * share:,.{n}f}" for n in range(1, 10))
    return next((text for text in digits if share >= 1 or not text.startswith("100.0")), "100.0")


def _sign(digits: str, value: float) -> str:
    if not digits.strip("0."):  # rounded to nothing: "−0.0" would claim a direction
        return "±"
    return "+" if value > 0 else "−"


def threshold(value: float | None) -> str:
    """A confidence threshold, four digits unless they would make it 1; "never" for an exit that is off."""
    if value is None:
        return "never"
    text = f"{value:.4g}"
    return f"{value:.8g}" if text == "1" else text
