"""Numbers as text, by hand cases."""

from __future__ import annotations

import pytest

from eeaug.report import units


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12_501_632, "12.50 M"),
        (600_000, "600.0 k"),
        (999_949, "999.9 k"),
        (999_960, "1.000 M"),
        (999, "999"),
        (0, "0"),
        (5.35e12, "5.35 T"),
        (None, "unknown"),
    ],
)
def test_macs(value: float | None, expected: str) -> None:
    assert units.macs(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.51, "0.51 s"),
        (0.0123, "12.3 ms"),
        (45e-6, "45 µs"),
        (2.5, "2.5 s"),
        (0.1, "0.1 s"),
        (0.09949, "99.5 ms"),
        (0.00099960, "1 ms"),
        (3.2e-9, "3.2 ns"),
        (1234.4, "1,234 s"),
        (0.0, "0 s"),
        (None, "unknown"),
    ],
)
def test_seconds(value: float | None, expected: str) -> None:
    assert units.seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(59.0, "59 s"), (7200, "2 h"), (86_400, "1 day"), (5.321 * 86_400, "5.32 days"), (31_557_600, "1 year"),
     (3e9, "95.1 years"), (None, "unknown")],
)  # fmt: skip
def test_duration(value: float | None, expected: str) -> None:
    assert units.duration(value) == expected


def test_points_with_fixed_digits() -> None:
    assert [units.points(v, digits=1) for v in (-0.0717, 0.0004, 0.1)] == ["−7.2 pp", "±0.0 pp", "+10.0 pp"]


def test_joules() -> None:
    assert [units.joules(value) for value in (0.25, 0.00533, 2.2e-9, None)] == [
        "0.25 J",
        "5.33 mJ",
        "2.2 nJ",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (16_384, "16.4 kB"),
        (999, "999 B"),
        (999_600, "1 MB"),
        (1_048_576, "1.05 MB"),
        (52e9, "52 GB"),
        (0, "0 B"),
        (None, "unknown"),
    ],
)
def test_size(value: float | None, expected: str) -> None:
    assert units.size(value) == expected


def test_share() -> None:
    assert [units.share(value) for value in (0.8719, 1.0, 0.0, None)] == [
        "87.19 %",
        "100.00 %",
        "0.00 %",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (-0.008, True, "−0.8 pp"),
        (-0.0104, True, "−1.04 pp"),  # more than a budget of one point: must not read −1.0
        (0.0268, True, "+2.68 pp"),
        (-0.00001, True, "±0.0 pp"),
        (0.01, False, "1.0 pp"),
        (-0.002, False, "−0.2 pp"),  # a drop below zero is a gain
        (0.0, False, "0.0 pp"),
        (None, True, "unknown"),
    ],
)
def test_points(value: float | None, signed: bool, expected: str) -> None:
    assert units.points(value, signed=signed) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.01183, "1.19 pp"),
        (0.010001, "1.01 pp"),  # not "1.0 pp", which would be the budget itself
        (0.0119, "1.19 pp"),  # 119.00000000000001 hundredths in floating point
        (-0.0021, "−0.21 pp"),
        (0.0, "0.0 pp"),
        (None, "unknown"),
    ],
)
def test_upper_bounds_are_never_rounded_down(value: float | None, expected: str) -> None:
    assert units.at_most(value) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (200, 150, "−25.0 %"),
        (200, 250, "+25.0 %"),
        (200, 200.01, "±0.0 %"),
        (0, 5, "n/a"),
        (None, 5, "unknown"),
    ],
)
def test_relative(before: float | None, after: float, expected: str) -> None:
    assert units.relative(before, after) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.8302000164985657, "0.8302"), (0.5, "0.5"), (0.99999994, "0.99999994"), (1.0, "1"), (None, "never")],
)
def test_threshold(value: float | None, expected: str) -> None:
    assert units.threshold(value) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.6349, "63.5%"), (0.9994, "99.9%"), (0.9998, "99.98%"), (0.99996, "99.996%"), (1.0, "100.0%"), (0.0, "0.0%"),
     (-0.25, "-25.0%"), (1 - 1e-15, "100.0%")],
)  # fmt: skip
def test_saved_is_all_only_where_all_is(share: float, expected: str) -> None:
    assert units.saved(share) == expected
    if 0 < share < 1 - 1e-9:
        assert units.relative(1.0, 1 - share) == f"−{expected.removesuffix('%')} %"
